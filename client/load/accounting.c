#include "client/load/accounting.h"

#include "lib/clock.h"

#include "client/load/generator.h"

#define LATE_NS NS_PER_MS

void
accounting_started(struct generator *generator, struct conn *conn)
{
	struct queued_message *queued_message =
	    message_queue_at(&generator->message_pool, conn->queue.unwritten);
	struct counters_messages *messages =
	    generator_messages(generator, queued_message->intended_ns);
	uint64_t lag = generator->now_ns - queued_message->intended_ns;

	message_queue_mark_written(
	    &generator->message_pool, &conn->queue, generator->now_ns);
	conn->due--;
	conn->in_flight++;
	conn->sent_on_connection++;
	generator->in_flight++;
	counters_add(&messages->sent, 1);
	counters_add(&messages->in_flight, 1);
	if (generator->plan->load < PLAN_INTERVAL ||
	    queued_message->intended_ns < generator->measure_ns)
		return;
	generator_record(generator, LATENCY_SEND_LAG, lag);
	if (lag > LATE_NS)
		counters_add(&generator->counters->messages_late, 1);
}

void
accounting_answered(struct generator *generator, struct conn *conn, bool right)
{
	struct queued_message queued_message =
	    message_queue_pop(&generator->message_pool, &conn->queue);
	struct counters_messages *messages =
	    generator_messages(generator, queued_message.intended_ns);

	conn->in_flight--;
	conn->failures = 0;
	generator->in_flight--;
	counters_add(right ? &messages->verified : &messages->wrong, 1);
	counters_add(&messages->in_flight, (uint64_t)-1);
	atomic_store_explicit(&generator->counters->last_answer_ns, generator->now_ns,
	    memory_order_relaxed);
	if (!right || queued_message.intended_ns < generator->measure_ns ||
	    generator->expectation->none)
		return;
	generator_record(generator, LATENCY_RESPONSE,
	    generator->now_ns - queued_message.intended_ns);
	generator_record(
	    generator, LATENCY_SERVICE, generator->now_ns - queued_message.written_ns);
}

void
accounting_lost(struct generator *generator,
    const struct queued_message *queued_message, bool wrong, enum message_loss loss)
{
	struct counters_messages *messages =
	    generator_messages(generator, queued_message->intended_ns);
	uint64_t age = generator->now_ns - queued_message->intended_ns;

	counters_add(wrong ? &messages->wrong : &messages->lost[loss], 1);
	counters_add(&messages->in_flight, (uint64_t)-1);
	generator->in_flight--;
	if (wrong || queued_message->intended_ns < generator->measure_ns)
		return;
	generator_record(generator, LATENCY_AGE, age);
	if (age > counters_get(&generator->counters->oldest_lost_ns))
		atomic_store_explicit(
		    &generator->counters->oldest_lost_ns, age, memory_order_relaxed);
}
