#include "client/load/loss_record.h"

#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "net/address.h"

#include "client/load/generator.h"
#include "client/measure/timestamps.h"

/* What the peer's kernel has not confirmed: of that it may have had nothing. Our FIN
 * counts as a byte. */
static uint64_t
unacknowledged(const struct conn *conn)
{
	int bytes = 0;

	if (ioctl(conn->fd, SIOCOUTQ, &bytes) < 0 || bytes <= 0)
		return 0;
	return (uint64_t)bytes - (conn->is_write_shut ? 1 : 0);
}

static void
note_addresses(const struct generator *generator, const struct conn *conn,
    struct counters_lost_connection *out)
{
	const struct plan *plan = generator->plan;
	uint64_t connection = generator_connection(generator, conn);
	const struct plan_target *target =
	    &plan->targets[connection % plan->target_count];

	address_format(&target->addresses[conn->address], out->remote);
	timestamps_local_address(conn->fd, out->local);
}

static void
note_answer(const struct generator *generator, const struct conn *conn,
    struct counters_lost_connection *out)
{
	const struct queued_message *first =
	    message_queue_at(&generator->message_pool, conn->queue.head);
	uint32_t length;

	out->messages = conn->in_flight;
	out->message = conn->answers.cursor.message;
	out->answer_bytes = verify_progress(
	    &generator->verify, out->connection, &conn->answers, &length);
	out->answer_length = length;
	out->waited_ns = generator->now_ns - first->written_ns;
}

void
loss_record_add(
    struct generator *generator, const struct conn *conn, enum message_loss loss)
{
	struct counters *counters = generator->counters;
	uint32_t n =
	    atomic_load_explicit(&counters->lost_connections, memory_order_relaxed);

	if (n >= COUNTERS_LOST_MAX)
		return;
	struct counters_lost_connection *out = &counters->lost_connection[n];
	*out = (struct counters_lost_connection){
		.connection = generator_connection(generator, conn),
		.at_ns = generator->now_ns,
		.why = loss,
		.unacknowledged = unacknowledged(conn),
		.silent_ns = generator->now_ns - conn->received_ns,
	};
	note_addresses(generator, conn, out);
	if (conn->in_flight > 0)
		note_answer(generator, conn, out);
	atomic_store_explicit(&counters->lost_connections, n + 1, memory_order_release);
}
