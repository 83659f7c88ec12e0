#include "client/load/conn_close.h"

#include <sys/socket.h>

#include <unistd.h>

#include <linux/tcp.h>
#include <netinet/in.h>

#include "lib/clock.h"

#include "client/load/accounting.h"
#include "client/load/conn_connect.h"
#include "client/load/generator.h"
#include "client/load/loss_record.h"
#include "client/load/transcript.h"

#define SHORT_CONNECTION_NS NS_PER_S

/* What the kernel had to send twice. What the peer then said it had already was only
 * late: a busy machine is no loss. */
static void
count_retransmits(struct generator *generator, int fd)
{
	struct tcp_info info = { .tcpi_dsack_dups = 0 };
	socklen_t length = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
	    info.tcpi_total_retrans > info.tcpi_dsack_dups)
		counters_add(&generator->counters->retransmits,
		    info.tcpi_total_retrans - info.tcpi_dsack_dups);
}

static void
close_socket(struct generator *generator, struct conn *conn)
{
	count_retransmits(generator, conn->fd);
	close(conn->fd);
	conn->fd = -1;
	counters_add(&generator->counters->connections_open, (uint64_t)-1);
}

/* The next connection starts between two messages. */
static void
reset_streams(struct generator *generator, struct conn *conn)
{
	uint64_t connection = generator_connection(generator, conn);
	uint64_t next = conn->send.message + (conn->send.at > 0 ? 1 : 0);

	sequence_seek(generator->sequence, connection, &conn->send, next);
	conn->answers = (struct verify_stream){ .cursor = conn->send };
	if (conn->due > 0) /* whoever refused it is gone */
		message_queue_at(&generator->message_pool, conn->queue.head)
		    ->written_ns = 0;
}

static void
drop_due(struct generator *generator, struct conn *conn)
{
	while (conn->due > 0) {
		message_queue_pop(&generator->message_pool, &conn->queue);
		conn->due--;
		conn->scheduled--;
	}
}

void
conn_close_next(
    struct generator *generator, struct conn *conn, bool again, uint64_t delay_ns)
{
	if (again && conn_has_work(generator, conn)) {
		conn->state = CONN_WAITING;
		if (delay_ns > 0)
			timer_wheel_set(&generator->timer_wheel,
			    generator_index(generator, conn),
			    generator->now_ns + delay_ns);
		else
			generator_enqueue_connect(generator, conn);
		return;
	}
	drop_due(generator, conn);
	conn->state = CONN_DONE;
	timer_wheel_clear(&generator->timer_wheel, generator_index(generator, conn));
	generator->unfinished--;
	counters_add(&generator->counters->connections_done, 1);
}

void
conn_close_finish(struct generator *generator, struct conn *conn, bool ended)
{
	if (ended)
		generator_record(
		    generator, LATENCY_CLOSE, generator->now_ns - conn->state_since_ns);
	close_socket(generator, conn);
	reset_streams(generator, conn);
	conn_close_next(generator, conn, true, 0);
}

void
conn_close(struct generator *generator, struct conn *conn)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	transcript_closing(generator, conn);
	generator_deactivate(generator, conn);
	conn->state = CONN_CLOSING;
	conn->is_paused = false;
	if (!conn->is_write_shut)
		conn->state_since_ns = generator->now_ns;
	if (generator->plan->close == PLAN_CLOSE_RST) {
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		conn_close_finish(generator, conn, false);
		return;
	}
	if (!conn->is_write_shut)
		shutdown(conn->fd, SHUT_WR);
	conn->is_write_shut = true;
	conn_set_timer(generator, conn);
}

static void
count_lost_messages(
    struct generator *generator, struct conn *conn, enum message_loss loss)
{
	bool wrong = conn->answers.wrong;

	for (; conn->in_flight > 0; conn->in_flight--) {
		struct queued_message queued_message =
		    message_queue_pop(&generator->message_pool, &conn->queue);
		accounting_lost(generator, &queued_message, wrong, loss);
		wrong = false;
	}
}

/* Called again at once, but for who takes calls and soon ends them, one after the
 * other, without an answer. */
static uint64_t
backoff_after(const struct generator *generator, struct conn *conn)
{
	uint64_t age = generator->now_ns - conn->state_since_ns;

	if (age >= SHORT_CONNECTION_NS)
		conn->failures = 0;
	if (conn->failures > 0)
		return conn_connect_backoff_ns(conn);
	conn->failures = 1;
	return 0;
}

void
conn_close_lost(struct generator *generator, struct conn *conn, enum message_loss loss)
{
	struct counters *counters = generator->counters;
	uint64_t delay = backoff_after(generator, conn);

	transcript_lost(generator, conn, loss);
	generator_deactivate(generator, conn);
	counters_add(&counters->connections_lost, 1);
	if (loss == MESSAGE_LOSS_RESET)
		counters_add(&counters->connections_reset, 1);
	loss_record_add(generator, conn, loss);
	count_lost_messages(generator, conn, loss);
	close_socket(generator, conn);
	reset_streams(generator, conn);
	/* What a schedule made due stays due. */
	if (generator->plan->load < PLAN_INTERVAL)
		drop_due(generator, conn);
	conn_close_next(generator, conn, generator->plan->reconnect, delay);
}
