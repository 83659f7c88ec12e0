#include "client/generator.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/arrivals.h"
#include "client/dial.h"
#include "client/hangup.h"
#include "client/meter.h"
#include "client/rhythm.h"

#define EVENTS_MAX 256
#define DIALS_MAX 64 /* in one turn, so that the open sockets are looked at between */
#define WAKE_INDEX UINT32_MAX

void
generator_activate(struct generator *generator, struct caller *caller)
{
	uint64_t messages = generator->plan->messages;

	if (caller->active_at != GENERATOR_NONE ||
	    (messages > 0 && caller->scheduled >= messages))
		return;
	caller->active_at = generator->active_count;
	generator->active[generator->active_count++] =
	    generator_index(generator, caller);
}

void
generator_deactivate(struct generator *generator, struct caller *caller)
{
	uint32_t at = caller->active_at;

	if (at == GENERATOR_NONE)
		return;
	uint32_t last = generator->active[--generator->active_count];
	generator->active[at] = last;
	generator->callers[last].active_at = at;
	caller->active_at = GENERATOR_NONE;
}

void
generator_put_ready(struct generator *generator, struct caller *caller)
{
	if (caller->is_ready)
		return;
	caller->is_ready = true;
	caller->next_ready = generator->ready;
	generator->ready = generator_index(generator, caller);
}

/* While nobody wanted to dial. */
static void
save_no_turns(struct generator *generator)
{
	if (generator->dials.count == 0 && generator->dial_pace.gap_ns > 0)
		pace_resume(&generator->dial_pace, generator->now_ns);
}

void
generator_put_dial(struct generator *generator, struct caller *caller)
{
	struct dial_queue *queue = &generator->dials;
	uint32_t at = (queue->head + queue->count) % generator->count;

	save_no_turns(generator);
	caller->state = CALLER_WAITING;
	/* One that ran out here would put it into the queue once more. */
	wheel_clear(&generator->wheel, generator_index(generator, caller));
	queue->entries[at] = generator_index(generator, caller);
	queue->count++;
	generator->connecting++;
}

struct caller *
generator_next_dial(struct generator *generator)
{
	struct dial_queue *queue = &generator->dials;

	if (queue->count == 0)
		return NULL;
	uint32_t index = queue->entries[queue->head];

	queue->head = (queue->head + 1) % generator->count;
	queue->count--;
	return &generator->callers[index];
}

static bool
dial_is_due(const struct generator *generator)
{
	return generator->dials.count > 0 &&
	    generator->dial_pace.next_ns <= generator->now_ns;
}

static bool
ramp_is_due(const struct generator *generator)
{
	return generator->ramped < generator->count &&
	    generator->ramp.next_ns <= generator->now_ns;
}

static void
take_turn(struct generator *generator)
{
	if (generator->dial_pace.gap_ns > 0)
		pace_take(&generator->dial_pace);
}

/* A ramp has no queue: who comes anew meanwhile does not wait behind all of it. */
static void
run_dials(struct generator *generator)
{
	for (int i = 0; i < DIALS_MAX && ramp_is_due(generator); i++) {
		save_no_turns(generator);
		take_turn(generator);
		pace_take(&generator->ramp);
		dial(generator, &generator->callers[generator->ramped++]);
	}
	for (int i = 0; i < DIALS_MAX && dial_is_due(generator); i++) {
		take_turn(generator);
		dial(generator, generator_next_dial(generator));
	}
}

static void
run_ready(struct generator *generator)
{
	uint32_t index = generator->ready;

	generator->ready = GENERATOR_NONE;
	while (index != GENERATOR_NONE) {
		struct caller *caller = &generator->callers[index];
		index = caller->next_ready;
		caller->is_ready = false;
		caller_on_ready(generator, caller);
	}
}

/* What had come when a look began has been handled when the look did not return all
 * that it could, or when so many have been returned that each socket had its turn
 * (epoll_wait(2) serves them one after the other). */
static void
note_heard(struct generator *generator, uint64_t looked_ns, int n)
{
	if (generator->swept == 0)
		generator->sweep_ns = looked_ns;
	generator->swept += (uint32_t)n;
	if (n == EVENTS_MAX && generator->swept <= generator->count)
		return;
	generator->heard_ns = generator->sweep_ns;
	generator->swept = 0;
}

/* Only what had not come by then is late: whoever stood still (stopped, or for want of
 * a CPU) finds answers that came in time, and hears them first. */
static void
run_timers(struct generator *generator)
{
	uint32_t timer;

	while (wheel_expire(&generator->wheel, generator->heard_ns, &timer))
		caller_on_timer(generator, &generator->callers[timer]);
}

/* When the loop must look again; 0: at once. */
static uint64_t
next_wake(const struct generator *generator)
{
	uint64_t wake = wheel_next(&generator->wheel);
	uint64_t others[] = {
		generator->dials.count > 0 ? generator->dial_pace.next_ns : wake,
		generator->ramped < generator->count ? generator->ramp.next_ns : wake,
		rhythm_next(generator),
		generator->sample_ns,
	};

	if (generator->ready != GENERATOR_NONE)
		return 0;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		wake = others[i] < wake ? others[i] : wake;
	return wake;
}

static void
on_wake(struct generator *generator)
{
	uint64_t count;

	if (read(generator->wake_fd, &count, sizeof(count)) < 0)
		return; /* woken for nothing: the board says it all */
}

static void
on_events(struct generator *generator, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t index = events[i].data.u32;
		if (index == WAKE_INDEX)
			on_wake(generator);
		else
			caller_on_event(
			    generator, &generator->callers[index], events[i].events);
		arrivals_run(generator);
	}
}

/* Looks for events without sleeping. */
static int
look(struct generator *generator, uint64_t until_ns, struct epoll_event *events)
{
	const struct timespec none = { 0, 0 };
	int n;

	do {
		n = epoll_pwait2(generator->epoll_fd, events, EVENTS_MAX, &none, NULL);
		generator->now_ns = generator_clock();
	} while (n == 0 && generator->now_ns < until_ns);
	return n;
}

/* Sleeps until something happens or `wake`; the first spin_ns after something happened
 * and the last of them are not slept. */
static int
wait_events(struct generator *generator, uint64_t wake, struct epoll_event *events)
{
	struct timespec timeout = { 0, 0 };
	uint64_t spin = generator->plan->spin_ns,
		 look_until = generator->seen_ns + spin;
	int n = 0;

	if (spin > 0 && generator->now_ns < look_until)
		n = look(generator, look_until < wake ? look_until : wake, events);
	if (n != 0)
		return n;
	if (wake > generator->now_ns + spin) {
		uint64_t sleep = wake - generator->now_ns - spin;
		timeout.tv_sec = (time_t)(sleep / 1000000000);
		timeout.tv_nsec = (long)(sleep % 1000000000);
	}
	n = epoll_pwait2(generator->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
	generator->now_ns = generator_clock();
	if (n == 0 && spin > 0 && generator->now_ns < wake)
		n = look(generator, wake, events);
	return n;
}

static int
loop(struct generator *generator)
{
	struct epoll_event events[EVENTS_MAX];

	while (!rhythm_is_over(generator)) {
		if (generator->has_failed) {
			errno = ENOMEM;
			return -1;
		}
		uint64_t wake = next_wake(generator), looked_ns = generator->now_ns;
		int n = wait_events(generator, wake, events);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			generator->seen_ns = generator->now_ns;
		meter_turn(generator, wake, n);
		arrivals_run(generator);
		if (n > 0)
			on_events(generator, events, n);
		if (n >= 0)
			note_heard(generator, looked_ns, n);
		run_timers(generator);
		run_ready(generator);
		run_dials(generator);
		rhythm_step(generator);
	}
	return 0;
}

static int
open_loop(struct generator *generator)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = WAKE_INDEX };

	generator->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (generator->epoll_fd < 0)
		return -1;
	return epoll_ctl(
	    generator->epoll_fd, EPOLL_CTL_ADD, generator->wake_fd, &event);
}

static int
allocate(struct generator *generator)
{
	uint32_t count = generator->count;

	generator->callers = malloc(count * sizeof(struct caller));
	generator->active = malloc(count * sizeof(uint32_t));
	generator->dials.entries = malloc(count * sizeof(uint32_t));
	generator->received = malloc(GENERATOR_BUFFER);
	generator->outgoing = malloc(GENERATOR_BUFFER);
	if (generator->callers == NULL || generator->active == NULL ||
	    generator->dials.entries == NULL || generator->received == NULL ||
	    generator->outgoing == NULL ||
	    wheel_init(&generator->wheel, count, generator->now_ns) < 0)
		return -1;
	return verify_init(&generator->verify, generator->expectation,
	    &generator->board->expect, generator->tally, generator->plan->connections);
}

static void
release(struct generator *generator)
{
	verify_finish(&generator->verify);
	wheel_finish(&generator->wheel);
	flights_finish(&generator->flights);
	free(generator->callers);
	free(generator->active);
	free(generator->dials.entries);
	free(generator->received);
	free(generator->outgoing);
	if (generator->epoll_fd >= 0)
		close(generator->epoll_fd);
}

static void
init_callers(struct generator *generator)
{
	bool ramps = generator->plan->ramp_ns > 0;

	generator->unfinished = generator->count;
	generator->ramped = ramps ? 0 : generator->count;
	generator->connecting = ramps ? generator->count : 0;
	for (uint32_t i = 0; i < generator->count; i++) {
		caller_init(&generator->callers[i]);
		if (!ramps)
			generator_put_dial(generator, &generator->callers[i]);
	}
}

int
generator_run(const struct generator_args *args)
{
	struct generator generator = {
		.plan = args->plan,
		.sequence = args->sequence,
		.expectation = args->expectation,
		.tally = args->tally,
		.board = args->board,
		.epoll_fd = -1,
		.wake_fd = args->wake_fd,
		.parent_fd = args->parent_fd,
		.now_ns = generator_clock(),
		.ready = GENERATOR_NONE,
	};
	int rc = -1;

	generator.count = plan_share(args->plan, args->process, &generator.first);
	flights_init(&generator.flights);
	/* The kernel may join wake-ups that lie 50 us apart: not these. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (open_loop(&generator) == 0 && allocate(&generator) == 0) {
		init_callers(&generator);
		rhythm_begin(&generator);
		rc = loop(&generator);
		if (rc == 0)
			rhythm_finish(&generator);
	}
	release(&generator);
	return rc;
}
