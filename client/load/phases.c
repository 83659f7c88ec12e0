#include "client/load/phases.h"

#include <unistd.h>

#include "lib/clock.h"

#include "client/load/arrivals.h"
#include "client/load/conn_close.h"
#include "client/load/conn_connect.h"
#include "client/load/generator.h"
#include "client/load/loop_stats.h"

static enum load_phase
phase_of(const struct generator *generator)
{
	return (enum load_phase)atomic_load_explicit(
	    &generator->counters->phase, memory_order_relaxed);
}

static void
set_phase(struct generator *generator, enum load_phase phase)
{
	atomic_store_explicit(&generator->counters->phase, phase, memory_order_release);
}

static void
store_time(counters_value *when, uint64_t now_ns)
{
	atomic_store_explicit(when, now_ns, memory_order_relaxed);
}

static void
notify_parent(struct generator *generator)
{
	uint64_t one = 1;

	/* An eventfd takes it, or holds so many that the parent will look anyway. */
	if (write(generator->parent_fd, &one, sizeof(one)) < 0)
		return;
}

static void
start_connect_pacer(const struct generator *generator, struct pacer *pacer, double rate)
{
	*pacer = (struct pacer){ .next_ns = 0 };
	if (rate > 0)
		pacer_start(pacer,
		    &(struct pacer_args){
			.start_ns = generator->now_ns,
			.rate = rate,
			.phase =
			    plan_phase(generator->plan, generator->counters->process),
		    });
}

void
phases_start(struct generator *generator)
{
	const struct plan *plan = generator->plan;
	double share = (double)generator->count / plan->rank_connections;

	generator->measure_ns = UINT64_MAX;
	generator->end_ns = UINT64_MAX;
	generator->sample_ns = UINT64_MAX;
	generator->drain_ns = UINT64_MAX;
	generator->arrivals.next_ns = PACER_NEVER;
	start_connect_pacer(
	    generator, &generator->connect_pacer, plan->connect_rate * share);
	if (plan->ramp_ns > 0)
		start_connect_pacer(generator, &generator->ramp,
		    (double)generator->count * 1e9 / (double)plan->ramp_ns);
	set_phase(generator, PHASE_CONNECTING);
}

/* Lifetimes begin with the load, the first ones at all ages, so that the connections do
 * not all end together. */
static void
stagger_lifetimes(struct generator *generator)
{
	uint64_t lifetime = generator->plan->lifetime_ns;

	for (uint32_t i = 0; i < generator->active_count; i++) {
		struct conn *conn = &generator->conns[generator->active[i]];
		uint64_t age = lifetime / generator->active_count * i;
		conn->state_since_ns = generator->now_ns - age;
		conn_set_timer(generator, conn);
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
	store_time(&generator->counters->started_ns, start_ns);
	set_phase(generator, PHASE_RUNNING);
	loop_stats_start(generator);
	arrivals_start(generator, start_ns);
	if (plan->lifetime_ns > 0)
		stagger_lifetimes(generator);
	if (plan->load != PLAN_CLOSED)
		return;
	/* From the end: who has nothing more to send leaves the list. */
	for (uint32_t i = generator->active_count; i > 0; i--) {
		uint32_t index = generator->active[i - 1];
		generator->now_ns = clock_now_ns();
		conn_advance(generator, &generator->conns[index]);
	}
}

/* Lockstep: every open caller sends the message of this round. */
static void
begin_round(struct generator *generator, uint64_t round)
{
	for (uint32_t i = generator->active_count; i > 0; i--) {
		struct conn *conn = &generator->conns[generator->active[i - 1]];
		if (conn->scheduled < round) {
			sequence_seek(generator->sequence,
			    generator_connection(generator, conn), &conn->send, round);
			conn->answers.cursor = conn->send;
			conn->scheduled = round;
		}
		generator->now_ns = clock_now_ns();
		if (conn_schedule(generator, conn, generator->now_ns))
			conn_advance(generator, conn);
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
	struct control_block *control_block = generator->control_block;
	uint64_t done = generator->unfinished == 0 ? UINT64_MAX : generator->round;

	if (round_is_over(generator) &&
	    counters_get(&generator->counters->rounds_done) < done) {
		store_time(&generator->counters->rounds_done, done);
		if (generator->plan->processes > 1)
			notify_parent(generator);
		else
			atomic_store_explicit(&control_block->round, generator->round,
			    memory_order_relaxed);
	}
	uint64_t round =
	    atomic_load_explicit(&control_block->round, memory_order_acquire);
	if (generator->is_running && round >= generator->round &&
	    round_is_over(generator))
		begin_round(generator, round);
}

/* It waits for the end of a pause, or for its turn in the ramp. */
static void
finish_waiting(struct generator *generator, struct conn *conn)
{
	if (!conn->connect_started)
		generator->connecting--;
	conn_close_next(generator, conn, false, 0);
}

/* Whoever has nothing to do any more ends. */
static void
close_idle(struct generator *generator)
{
	for (uint32_t i = generator->connect_queue.count; i > 0; i--) {
		struct conn *conn = generator_dequeue_connect(generator);
		if (conn_has_work(generator, conn)) {
			generator->connecting--;
			generator_enqueue_connect(generator, conn);
		} else {
			conn_connect_cancel(generator, conn);
		}
	}
	for (uint32_t i = 0; i < generator->count; i++) {
		struct conn *conn = &generator->conns[i];
		if (conn->state == CONN_OPEN)
			conn_advance(generator, conn);
		else if (conn_has_work(generator, conn))
			continue;
		else if (conn->state == CONN_CONNECTING)
			conn_connect_cancel(generator, conn);
		else if (conn->state == CONN_WAITING)
			finish_waiting(generator, conn);
	}
}

/* Nothing more becomes due. What a schedule made due before the end is still sent,
 * late, and its answer waited for, as far as the drain goes; not so when somebody ends
 * it. */
static void
stop(struct generator *generator, bool by_request)
{
	loop_stats_finish(generator);
	arrivals_count_missed(generator);
	generator->is_running = false;
	generator->is_stopped = true;
	generator->is_dropping = by_request || generator->plan->load < PLAN_INTERVAL;
	generator->arrivals.next_ns = PACER_NEVER;
	generator->ramp_started = generator->count;
	generator->drain_ns = generator->now_ns + generator->plan->drain_ns;
	store_time(&generator->counters->stopped_ns, generator->now_ns);
	set_phase(generator, PHASE_DRAINING);
	close_idle(generator);
}

static void
drop_due(struct generator *generator)
{
	generator->is_dropping = true;
	close_idle(generator);
}

/* What is unanswered at the end of the drain is lost, with its age. */
static void
end_drain(struct generator *generator)
{
	generator->drain_ns = UINT64_MAX;
	generator->is_dropping = true;
	for (uint32_t i = 0; i < generator->count; i++) {
		struct conn *conn = &generator->conns[i];
		if (conn->state == CONN_OPEN && conn->in_flight > 0)
			conn_close_lost(generator, conn, MESSAGE_LOSS_TIMEOUT);
	}
	close_idle(generator);
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
	uint64_t start_ns = atomic_load_explicit(
	    &generator->control_block->start_ns, memory_order_acquire);

	if (phase_of(generator) == PHASE_CONNECTING && may_start(generator)) {
		set_phase(generator, PHASE_WAITING);
		notify_parent(generator);
	}
	if (phase_of(generator) == PHASE_WAITING && start_ns != 0 &&
	    generator->now_ns >= start_ns)
		start(generator, start_ns);
}

void
phases_step(struct generator *generator)
{
	uint32_t asked =
	    atomic_load_explicit(&generator->control_block->stop, memory_order_acquire);

	if (generator->connecting == 0 &&
	    counters_get(&generator->counters->connected_ns) == 0)
		store_time(&generator->counters->connected_ns, generator->now_ns);
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
		drop_due(generator);
	if (generator->is_stopped && generator->received_ns >= generator->drain_ns)
		end_drain(generator);
}

uint64_t
phases_next_ns(const struct generator *generator)
{
	uint64_t next = UINT64_MAX;

	if (generator->is_stopped)
		return generator->drain_ns;
	if (generator->is_running && generator->active_count > 0 &&
	    generator->plan->load == PLAN_LOCKSTEP && generator->in_flight == 0 &&
	    counters_get(&generator->counters->rounds_done) < generator->round)
		return 0; /* a round that needed no answers */
	if (generator->is_running) {
		next = generator->end_ns;
		if (generator->arrivals.next_ns < next && generator->active_count > 0)
			next = generator->arrivals.next_ns;
	} else if (phase_of(generator) == PHASE_WAITING) {
		uint64_t start_ns = atomic_load_explicit(
		    &generator->control_block->start_ns, memory_order_acquire);
		next = start_ns != 0 ? start_ns : UINT64_MAX;
	}
	return next;
}

bool
phases_are_over(const struct generator *generator)
{
	if (!generator->is_stopped)
		return false;
	return generator->unfinished == 0 ||
	    atomic_load_explicit(
		&generator->control_block->stop, memory_order_acquire) > 1;
}

void
phases_finish(struct generator *generator)
{
	generator->now_ns = clock_now_ns();
	store_time(&generator->counters->finished_ns, generator->now_ns);
	set_phase(generator, PHASE_FINISHED);
	notify_parent(generator);
}
