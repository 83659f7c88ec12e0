#include "client/rhythm.h"

#include <unistd.h>

#include "client/arrivals.h"
#include "client/dial.h"
#include "client/generator.h"
#include "client/hangup.h"
#include "client/meter.h"

static enum tally_phase
phase_of(const struct generator *generator)
{
	return (enum tally_phase)atomic_load_explicit(
	    &generator->tally->phase, memory_order_relaxed);
}

static void
set_phase(struct generator *generator, enum tally_phase phase)
{
	atomic_store_explicit(&generator->tally->phase, phase, memory_order_release);
}

static void
stamp(tally_count *when, uint64_t now_ns)
{
	atomic_store_explicit(when, now_ns, memory_order_relaxed);
}

static void
tell_parent(struct generator *generator)
{
	uint64_t one = 1;

	/* An eventfd takes it, or holds so many that the parent will look anyway. */
	if (write(generator->parent_fd, &one, sizeof(one)) < 0)
		return;
}

static void
pace_calls(const struct generator *generator, struct pace *pace, double rate)
{
	*pace = (struct pace){ .next_ns = 0 };
	if (rate > 0)
		pace_start(pace,
		    &(struct pace_args){
			.start_ns = generator->now_ns,
			.rate = rate,
			.phase = plan_phase(generator->plan, generator->tally->process),
		    });
}

void
rhythm_begin(struct generator *generator)
{
	const struct plan *plan = generator->plan;
	double share = (double)generator->count / plan->rank_connections;

	generator->measure_ns = UINT64_MAX;
	generator->end_ns = UINT64_MAX;
	generator->sample_ns = UINT64_MAX;
	generator->drain_ns = UINT64_MAX;
	generator->arrivals.next_ns = PACE_NEVER;
	pace_calls(generator, &generator->dial_pace, plan->connect_rate * share);
	if (plan->ramp_ns > 0)
		pace_calls(generator, &generator->ramp,
		    (double)generator->count * 1e9 / (double)plan->ramp_ns);
	set_phase(generator, TALLY_CONNECTING);
}

/* Lifetimes begin with the load, the first ones at all ages, so that the connections do
 * not all end together. */
static void
stagger_lifetimes(struct generator *generator)
{
	uint64_t lifetime = generator->plan->lifetime_ns;

	for (uint32_t i = 0; i < generator->active_count; i++) {
		struct caller *caller = &generator->callers[generator->active[i]];
		uint64_t age = lifetime / generator->active_count * i;
		caller->since_ns = generator->now_ns - age;
		caller_set_timer(generator, caller);
	}
}

static void
start(struct generator *generator, uint64_t start_ns)
{
	const struct plan *plan = generator->plan;

	generator->is_running = true;
	generator->measure_ns = start_ns + plan->warmup_ns;
	if (plan->duration_ns > 0)
		generator->end_ns = generator->measure_ns + plan->duration_ns;
	stamp(&generator->tally->started_ns, start_ns);
	set_phase(generator, TALLY_RUNNING);
	meter_start(generator);
	arrivals_start(generator, start_ns);
	if (plan->lifetime_ns > 0)
		stagger_lifetimes(generator);
	if (plan->load != PLAN_CLOSED)
		return;
	/* From the end: who has nothing more to send leaves the list. */
	for (uint32_t i = generator->active_count; i > 0; i--) {
		uint32_t index = generator->active[i - 1];
		generator->now_ns = generator_clock();
		caller_advance(generator, &generator->callers[index]);
	}
}

/* Lockstep: every open caller sends the message of this round. */
static void
begin_round(struct generator *generator, uint64_t round)
{
	for (uint32_t i = generator->active_count; i > 0; i--) {
		struct caller *caller = &generator->callers[generator->active[i - 1]];
		if (caller->scheduled < round) {
			sequence_seek(generator->sequence,
			    generator_connection(generator, caller), &caller->send,
			    round);
			caller->answers.cursor = caller->send;
			caller->scheduled = round;
		}
		generator->now_ns = generator_clock();
		if (caller_schedule(generator, caller, generator->now_ns))
			caller_advance(generator, caller);
	}
	generator->round = round + 1;
}

static bool
round_is_over(const struct generator *generator)
{
	return generator->in_flight == 0;
}

static void
step_lockstep(struct generator *generator)
{
	struct board *board = generator->board;
	uint64_t done = generator->unfinished == 0 ? UINT64_MAX : generator->round;

	if (round_is_over(generator) &&
	    tally_get(&generator->tally->rounds_done) < done) {
		stamp(&generator->tally->rounds_done, done);
		if (generator->plan->processes > 1)
			tell_parent(generator);
		else
			atomic_store_explicit(
			    &board->round, generator->round, memory_order_relaxed);
	}
	uint64_t round = atomic_load_explicit(&board->round, memory_order_acquire);
	if (generator->is_running && round >= generator->round &&
	    round_is_over(generator))
		begin_round(generator, round);
}

/* It waits for the end of a pause, or for its turn in the ramp. */
static void
give_up(struct generator *generator, struct caller *caller)
{
	if (!caller->has_called)
		generator->connecting--;
	hangup_next(generator, caller, false, 0);
}

/* Whoever has nothing to do any more ends. */
static void
settle(struct generator *generator)
{
	for (uint32_t i = generator->dials.count; i > 0; i--) {
		struct caller *caller = generator_next_dial(generator);
		if (caller_has_business(generator, caller)) {
			generator->connecting--;
			generator_put_dial(generator, caller);
		} else {
			dial_cancel(generator, caller);
		}
	}
	for (uint32_t i = 0; i < generator->count; i++) {
		struct caller *caller = &generator->callers[i];
		if (caller->state == CALLER_OPEN)
			caller_advance(generator, caller);
		else if (caller_has_business(generator, caller))
			continue;
		else if (caller->state == CALLER_CONNECTING)
			dial_cancel(generator, caller);
		else if (caller->state == CALLER_WAITING)
			give_up(generator, caller);
	}
}

/* Nothing more becomes due. What a schedule made due before the end is still sent,
 * late, and its answer waited for, as far as the drain goes; not so when somebody ends
 * it. */
static void
stop(struct generator *generator, bool by_request)
{
	meter_finish(generator);
	arrivals_count_missed(generator);
	generator->is_running = false;
	generator->is_stopped = true;
	generator->is_dropping = by_request || generator->plan->load < PLAN_INTERVAL;
	generator->arrivals.next_ns = PACE_NEVER;
	generator->ramped = generator->count;
	generator->drain_ns = generator->now_ns + generator->plan->drain_ns;
	stamp(&generator->tally->stopped_ns, generator->now_ns);
	set_phase(generator, TALLY_DRAINING);
	settle(generator);
}

static void
drop(struct generator *generator)
{
	generator->is_dropping = true;
	settle(generator);
}

/* What is unanswered at the end of the drain is lost, with its age. */
static void
end_drain(struct generator *generator)
{
	generator->drain_ns = UINT64_MAX;
	generator->is_dropping = true;
	for (uint32_t i = 0; i < generator->count; i++) {
		struct caller *caller = &generator->callers[i];
		if (caller->state == CALLER_OPEN && caller->in_flight > 0)
			hangup_lose(generator, caller, TALLY_LOST_TIMEOUT);
	}
	settle(generator);
}

/* A ramp's connections begin while the load runs; but a round of lockstep is of all. */
static bool
may_start(const struct generator *generator)
{
	const struct plan *plan = generator->plan;

	return generator->connecting == 0 ||
	    (plan->ramp_ns > 0 && plan->load != PLAN_LOCKSTEP);
}

static void
step_start(struct generator *generator)
{
	uint64_t start_ns =
	    atomic_load_explicit(&generator->board->start_ns, memory_order_acquire);

	if (phase_of(generator) == TALLY_CONNECTING && may_start(generator)) {
		set_phase(generator, TALLY_WAITING);
		tell_parent(generator);
	}
	if (phase_of(generator) == TALLY_WAITING && start_ns != 0 &&
	    generator->now_ns >= start_ns)
		start(generator, start_ns);
}

void
rhythm_step(struct generator *generator)
{
	uint32_t asked =
	    atomic_load_explicit(&generator->board->stop, memory_order_acquire);

	if (generator->connecting == 0 &&
	    tally_get(&generator->tally->connected_ns) == 0)
		stamp(&generator->tally->connected_ns, generator->now_ns);
	if (!generator->is_running && !generator->is_stopped)
		step_start(generator);
	if (generator->is_running && generator->plan->load == PLAN_LOCKSTEP)
		step_lockstep(generator);
	bool arrived = generator->arrivals.next_ns >= generator->end_ns ||
	    generator->active_count == 0;
	bool over = generator->now_ns >= generator->end_ns && arrived;
	if (!generator->is_stopped && (asked > 0 || over || generator->unfinished == 0))
		stop(generator, asked > 0);
	if (asked > 0 && !generator->is_dropping)
		drop(generator);
	if (generator->is_stopped && generator->heard_ns >= generator->drain_ns)
		end_drain(generator);
}

uint64_t
rhythm_next(const struct generator *generator)
{
	uint64_t next = UINT64_MAX;

	if (generator->is_stopped)
		return generator->drain_ns;
	if (generator->is_running && generator->active_count > 0 &&
	    generator->plan->load == PLAN_LOCKSTEP && generator->in_flight == 0 &&
	    tally_get(&generator->tally->rounds_done) < generator->round)
		return 0; /* a round that needed no answers */
	if (generator->is_running) {
		next = generator->end_ns;
		if (generator->arrivals.next_ns < next && generator->active_count > 0)
			next = generator->arrivals.next_ns;
	} else if (phase_of(generator) == TALLY_WAITING) {
		uint64_t start_ns = atomic_load_explicit(
		    &generator->board->start_ns, memory_order_acquire);
		next = start_ns != 0 ? start_ns : UINT64_MAX;
	}
	return next;
}

bool
rhythm_is_over(const struct generator *generator)
{
	if (!generator->is_stopped)
		return false;
	return generator->unfinished == 0 ||
	    atomic_load_explicit(&generator->board->stop, memory_order_acquire) > 1;
}

void
rhythm_finish(struct generator *generator)
{
	generator->now_ns = generator_clock();
	stamp(&generator->tally->finished_ns, generator->now_ns);
	set_phase(generator, TALLY_FINISHED);
	tell_parent(generator);
}
