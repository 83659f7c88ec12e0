#include "client/book.h"

#include "client/generator.h"

#define LATE_NS UINT64_C(1000000)

void
book_begun(struct generator *generator, struct caller *caller)
{
	struct flight *flight = flight_at(&generator->flights, caller->queue.unwritten);
	struct tally_messages *messages =
	    generator_messages(generator, flight->intended_ns);
	uint64_t lag = generator->now_ns - flight->intended_ns;

	flight_write(&generator->flights, &caller->queue, generator->now_ns);
	caller->due--;
	caller->in_flight++;
	caller->on_connection++;
	generator->in_flight++;
	tally_add(&messages->sent, 1);
	tally_add(&messages->in_flight, 1);
	if (generator->plan->load < PLAN_INTERVAL ||
	    flight->intended_ns < generator->measure_ns)
		return;
	generator_record(generator, TALLY_SEND_LAG, lag);
	if (lag > LATE_NS)
		tally_add(&generator->tally->messages_late, 1);
}

void
book_answered(struct generator *generator, struct caller *caller, bool right)
{
	struct flight flight = flight_pop(&generator->flights, &caller->queue);
	struct tally_messages *messages =
	    generator_messages(generator, flight.intended_ns);

	caller->in_flight--;
	caller->failures = 0;
	generator->in_flight--;
	tally_add(right ? &messages->verified : &messages->wrong, 1);
	tally_add(&messages->in_flight, (uint64_t)-1);
	atomic_store_explicit(
	    &generator->tally->last_answer_ns, generator->now_ns, memory_order_relaxed);
	if (!right || flight.intended_ns < generator->measure_ns ||
	    generator->expectation->none)
		return;
	generator_record(
	    generator, TALLY_RESPONSE, generator->now_ns - flight.intended_ns);
	generator_record(
	    generator, TALLY_SERVICE, generator->now_ns - flight.written_ns);
}

void
book_lost(struct generator *generator, const struct flight *flight, bool wrong,
    enum tally_loss loss)
{
	struct tally_messages *messages =
	    generator_messages(generator, flight->intended_ns);
	uint64_t age = generator->now_ns - flight->intended_ns;

	tally_add(wrong ? &messages->wrong : &messages->lost[loss], 1);
	tally_add(&messages->in_flight, (uint64_t)-1);
	generator->in_flight--;
	if (wrong || flight->intended_ns < generator->measure_ns)
		return;
	generator_record(generator, TALLY_AGE, age);
	if (age > tally_get(&generator->tally->oldest_lost_ns))
		atomic_store_explicit(
		    &generator->tally->oldest_lost_ns, age, memory_order_relaxed);
}
