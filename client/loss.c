#include "client/loss.h"

#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "net/address.h"

#include "client/generator.h"
#include "client/sighting.h"

/* What the peer's kernel has not confirmed: of that it may have had nothing. Our FIN
 * counts as a byte. */
static uint64_t
unacknowledged(const struct caller *caller)
{
	int bytes = 0;

	if (ioctl(caller->fd, SIOCOUTQ, &bytes) < 0 || bytes <= 0)
		return 0;
	return (uint64_t)bytes - (caller->is_shut ? 1 : 0);
}

static void
note_addresses(const struct generator *generator, const struct caller *caller,
    struct tally_lost_connection *out)
{
	const struct plan *plan = generator->plan;
	uint64_t connection = generator_connection(generator, caller);
	const struct plan_target *target =
	    &plan->targets[connection % plan->target_count];

	address_format(&target->addresses[caller->address], out->remote);
	sighting_local(caller->fd, out->local);
}

static void
note_answer(const struct generator *generator, const struct caller *caller,
    struct tally_lost_connection *out)
{
	const struct flight *first = flight_at(&generator->flights, caller->queue.head);
	uint32_t length;

	out->messages = caller->in_flight;
	out->message = caller->answers.cursor.message;
	out->answer_bytes = verify_progress(
	    &generator->verify, out->connection, &caller->answers, &length);
	out->answer_length = length;
	out->waited_ns = generator->now_ns - first->written_ns;
}

void
loss_note(
    struct generator *generator, const struct caller *caller, enum tally_loss loss)
{
	struct tally *tally = generator->tally;
	uint32_t n =
	    atomic_load_explicit(&tally->lost_connections, memory_order_relaxed);

	if (n >= TALLY_LOST_MAX)
		return;
	struct tally_lost_connection *out = &tally->lost_connection[n];
	*out = (struct tally_lost_connection){
		.connection = generator_connection(generator, caller),
		.at_ns = generator->now_ns,
		.why = loss,
		.unacknowledged = unacknowledged(caller),
		.silent_ns = generator->now_ns - caller->heard_ns,
	};
	note_addresses(generator, caller, out);
	if (caller->in_flight > 0)
		note_answer(generator, caller, out);
	atomic_store_explicit(&tally->lost_connections, n + 1, memory_order_release);
}
