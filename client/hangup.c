#include "client/hangup.h"

#include <sys/socket.h>

#include <unistd.h>

#include <linux/tcp.h>
#include <netinet/in.h>

#include "client/book.h"
#include "client/dial.h"
#include "client/generator.h"
#include "client/loss.h"
#include "client/transcript.h"

#define BRIEF_NS UINT64_C(1000000000)

/* What the kernel had to send twice. What the peer then said it had already was only
 * late: a busy machine is no loss. */
static void
count_retransmits(struct generator *generator, int fd)
{
	struct tcp_info info = { .tcpi_dsack_dups = 0 };
	socklen_t length = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
	    info.tcpi_total_retrans > info.tcpi_dsack_dups)
		tally_add(&generator->tally->retransmits,
		    info.tcpi_total_retrans - info.tcpi_dsack_dups);
}

static void
close_socket(struct generator *generator, struct caller *caller)
{
	count_retransmits(generator, caller->fd);
	close(caller->fd);
	caller->fd = -1;
	tally_add(&generator->tally->connections_open, (uint64_t)-1);
}

/* The next connection starts between two messages. */
static void
begin_anew(struct generator *generator, struct caller *caller)
{
	uint64_t connection = generator_connection(generator, caller);
	uint64_t next = caller->send.message + (caller->send.at > 0 ? 1 : 0);

	sequence_seek(generator->sequence, connection, &caller->send, next);
	caller->answers = (struct verify_stream){ .cursor = caller->send };
	if (caller->due > 0) /* whoever refused it is gone */
		flight_at(&generator->flights, caller->queue.head)->written_ns = 0;
}

static void
drop_due(struct generator *generator, struct caller *caller)
{
	while (caller->due > 0) {
		flight_pop(&generator->flights, &caller->queue);
		caller->due--;
		caller->scheduled--;
	}
}

void
hangup_next(
    struct generator *generator, struct caller *caller, bool again, uint64_t delay_ns)
{
	if (again && caller_has_business(generator, caller)) {
		caller->state = CALLER_WAITING;
		if (delay_ns > 0)
			wheel_set(&generator->wheel, generator_index(generator, caller),
			    generator->now_ns + delay_ns);
		else
			generator_put_dial(generator, caller);
		return;
	}
	drop_due(generator, caller);
	caller->state = CALLER_DONE;
	wheel_clear(&generator->wheel, generator_index(generator, caller));
	generator->unfinished--;
	tally_add(&generator->tally->connections_done, 1);
}

void
hangup_finish(struct generator *generator, struct caller *caller, bool ended)
{
	if (ended)
		generator_record(
		    generator, TALLY_CLOSE, generator->now_ns - caller->since_ns);
	close_socket(generator, caller);
	begin_anew(generator, caller);
	hangup_next(generator, caller, true, 0);
}

void
hangup(struct generator *generator, struct caller *caller)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	transcript_closing(generator, caller);
	generator_deactivate(generator, caller);
	caller->state = CALLER_CLOSING;
	caller->is_paused = false;
	if (!caller->is_shut)
		caller->since_ns = generator->now_ns;
	if (generator->plan->close == PLAN_CLOSE_RST) {
		setsockopt(caller->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		hangup_finish(generator, caller, false);
		return;
	}
	if (!caller->is_shut)
		shutdown(caller->fd, SHUT_WR);
	caller->is_shut = true;
	caller_set_timer(generator, caller);
}

static void
lose_messages(struct generator *generator, struct caller *caller, enum tally_loss loss)
{
	bool wrong = caller->answers.wrong;

	for (; caller->in_flight > 0; caller->in_flight--) {
		struct flight flight = flight_pop(&generator->flights, &caller->queue);
		book_lost(generator, &flight, wrong, loss);
		wrong = false;
	}
}

/* Called again at once, but for who takes calls and soon ends them, one after the
 * other, without an answer. */
static uint64_t
delay_after(const struct generator *generator, struct caller *caller)
{
	uint64_t age = generator->now_ns - caller->since_ns;

	if (age >= BRIEF_NS)
		caller->failures = 0;
	if (caller->failures > 0)
		return dial_delay(caller);
	caller->failures = 1;
	return 0;
}

void
hangup_lose(struct generator *generator, struct caller *caller, enum tally_loss loss)
{
	struct tally *tally = generator->tally;
	uint64_t delay = delay_after(generator, caller);

	transcript_lost(generator, caller, loss);
	generator_deactivate(generator, caller);
	tally_add(&tally->connections_lost, 1);
	if (loss == TALLY_LOST_RESET)
		tally_add(&tally->connections_reset, 1);
	loss_note(generator, caller, loss);
	lose_messages(generator, caller, loss);
	close_socket(generator, caller);
	begin_anew(generator, caller);
	/* What a schedule made due stays due. */
	if (generator->plan->load < PLAN_INTERVAL)
		drop_due(generator, caller);
	hangup_next(generator, caller, generator->plan->reconnect, delay);
}
