#include "client/load/generator.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"

#include "client/load/arrivals.h"
#include "client/load/conn_close.h"
#include "client/load/conn_connect.h"
#include "client/load/loop_stats.h"
#include "client/load/phases.h"

#define EVENTS_MAX 256
#define CONNECTS_MAX                                                                   \
	64 /* in one turn, so that the open sockets are looked at between */
#define WAKE_INDEX UINT32_MAX

void
generator_activate(struct generator *generator, struct conn *conn)
{
	uint64_t messages = generator->plan->messages;

	if (conn->active_index != GENERATOR_NONE ||
	    (messages > 0 && conn->scheduled >= messages))
		return;
	conn->active_index = generator->active_count;
	generator->active[generator->active_count++] = generator_index(generator, conn);
}

void
generator_deactivate(struct generator *generator, struct conn *conn)
{
	uint32_t at = conn->active_index;

	if (at == GENERATOR_NONE)
		return;
	uint32_t last = generator->active[--generator->active_count];
	generator->active[at] = last;
	generator->conns[last].active_index = at;
	conn->active_index = GENERATOR_NONE;
}

void
generator_enqueue_ready(struct generator *generator, struct conn *conn)
{
	if (conn->is_ready)
		return;
	conn->is_ready = true;
	conn->next_ready = generator->ready;
	generator->ready = generator_index(generator, conn);
}

/* While nobody wanted to dial. */
static void
skip_unused_turns(struct generator *generator)
{
	if (generator->connect_queue.count == 0 && generator->connect_pacer.gap_ns > 0)
		pacer_resume(&generator->connect_pacer, generator->now_ns);
}

void
generator_enqueue_connect(struct generator *generator, struct conn *conn)
{
	struct connect_queue *queue = &generator->connect_queue;
	uint32_t at = (queue->head + queue->count) % generator->count;

	skip_unused_turns(generator);
	conn->state = CONN_WAITING;
	/* One that ran out here would put it into the queue once more. */
	timer_wheel_clear(&generator->timer_wheel, generator_index(generator, conn));
	queue->entries[at] = generator_index(generator, conn);
	queue->count++;
	generator->connecting++;
}

struct conn *
generator_dequeue_connect(struct generator *generator)
{
	struct connect_queue *queue = &generator->connect_queue;

	if (queue->count == 0)
		return NULL;
	uint32_t index = queue->entries[queue->head];

	queue->head = (queue->head + 1) % generator->count;
	queue->count--;
	return &generator->conns[index];
}

static bool
connect_is_due(const struct generator *generator)
{
	return generator->connect_queue.count > 0 &&
	    generator->connect_pacer.next_ns <= generator->now_ns;
}

static bool
ramp_is_due(const struct generator *generator)
{
	return generator->ramp_started < generator->count &&
	    generator->ramp.next_ns <= generator->now_ns;
}

static void
take_turn(struct generator *generator)
{
	if (generator->connect_pacer.gap_ns > 0)
		pacer_take(&generator->connect_pacer);
}

/* A ramp has no queue: who comes anew meanwhile does not wait behind all of it. */
static void
run_connects(struct generator *generator)
{
	for (int i = 0; i < CONNECTS_MAX && ramp_is_due(generator); i++) {
		skip_unused_turns(generator);
		take_turn(generator);
		pacer_take(&generator->ramp);
		conn_connect(generator, &generator->conns[generator->ramp_started++]);
	}
	for (int i = 0; i < CONNECTS_MAX && connect_is_due(generator); i++) {
		take_turn(generator);
		conn_connect(generator, generator_dequeue_connect(generator));
	}
}

static void
run_ready(struct generator *generator)
{
	uint32_t index = generator->ready;

	generator->ready = GENERATOR_NONE;
	while (index != GENERATOR_NONE) {
		struct conn *conn = &generator->conns[index];
		index = conn->next_ready;
		conn->is_ready = false;
		conn_on_ready(generator, conn);
	}
}

/* What had come when a look began has been handled when the look did not return all
 * that it could, or when so many have been returned that each socket had its turn
 * (epoll_wait(2) serves them one after the other). */
static void
update_received_ns(struct generator *generator, uint64_t polled_ns, int n)
{
	if (generator->scan_count == 0)
		generator->scan_start_ns = polled_ns;
	generator->scan_count += (uint32_t)n;
	if (n == EVENTS_MAX && generator->scan_count <= generator->count)
		return;
	generator->received_ns = generator->scan_start_ns;
	generator->scan_count = 0;
}

/* Only what had not come by then is late: whoever stood still (stopped, or for want of
 * a CPU) finds answers that came in time, and hears them first. */
static void
run_timers(struct generator *generator)
{
	uint32_t timer;

	while (
	    timer_wheel_expire(&generator->timer_wheel, generator->received_ns, &timer))
		conn_on_timer(generator, &generator->conns[timer]);
}

/* When the loop must look again; 0: at once. */
static uint64_t
next_wake(const struct generator *generator)
{
	uint64_t wake = timer_wheel_next(&generator->timer_wheel);
	uint64_t others[] = {
		generator->connect_queue.count > 0 ? generator->connect_pacer.next_ns
						   : wake,
		generator->ramp_started < generator->count ? generator->ramp.next_ns
							   : wake,
		phases_next_ns(generator),
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
			conn_on_event(
			    generator, &generator->conns[index], events[i].events);
		arrivals_run(generator);
	}
}

/* Looks for events without sleeping. */
static int
poll_events(struct generator *generator, uint64_t until_ns, struct epoll_event *events)
{
	const struct timespec none = { 0, 0 };
	int n;

	do {
		n = epoll_pwait2(generator->epoll_fd, events, EVENTS_MAX, &none, NULL);
		generator->now_ns = clock_now_ns();
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
		 poll_until = generator->last_event_ns + spin;
	int n = 0;

	if (spin > 0 && generator->now_ns < poll_until)
		n = poll_events(
		    generator, poll_until < wake ? poll_until : wake, events);
	if (n != 0)
		return n;
	if (wake > generator->now_ns + spin) {
		uint64_t sleep = wake - generator->now_ns - spin;
		timeout.tv_sec = (time_t)(sleep / NS_PER_S);
		timeout.tv_nsec = (long)(sleep % NS_PER_S);
	}
	n = epoll_pwait2(generator->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
	generator->now_ns = clock_now_ns();
	if (n == 0 && spin > 0 && generator->now_ns < wake)
		n = poll_events(generator, wake, events);
	return n;
}

static int
loop(struct generator *generator)
{
	struct epoll_event events[EVENTS_MAX];

	while (!phases_are_over(generator)) {
		if (generator->has_failed) {
			errno = ENOMEM;
			return -1;
		}
		uint64_t wake = next_wake(generator), polled_ns = generator->now_ns;
		int n = wait_events(generator, wake, events);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			generator->last_event_ns = generator->now_ns;
		loop_stats_turn(generator, wake, n);
		arrivals_run(generator);
		if (n > 0)
			on_events(generator, events, n);
		if (n >= 0)
			update_received_ns(generator, polled_ns, n);
		run_timers(generator);
		run_ready(generator);
		run_connects(generator);
		phases_step(generator);
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

	generator->conns = malloc(count * sizeof(struct conn));
	generator->active = malloc(count * sizeof(uint32_t));
	generator->connect_queue.entries = malloc(count * sizeof(uint32_t));
	generator->received = malloc(GENERATOR_BUFFER);
	generator->outgoing = malloc(GENERATOR_BUFFER);
	if (generator->conns == NULL || generator->active == NULL ||
	    generator->connect_queue.entries == NULL || generator->received == NULL ||
	    generator->outgoing == NULL ||
	    timer_wheel_init(&generator->timer_wheel, count, generator->now_ns) < 0)
		return -1;
	return verify_init(&generator->verify, generator->expectation,
	    &generator->control_block->expect, generator->counters,
	    generator->plan->connections);
}

static void
release(struct generator *generator)
{
	verify_finish(&generator->verify);
	timer_wheel_finish(&generator->timer_wheel);
	message_queue_pool_finish(&generator->message_pool);
	free(generator->conns);
	free(generator->active);
	free(generator->connect_queue.entries);
	free(generator->received);
	free(generator->outgoing);
	if (generator->epoll_fd >= 0)
		close(generator->epoll_fd);
}

static void
init_conns(struct generator *generator)
{
	bool ramps = generator->plan->ramp_ns > 0;

	generator->unfinished = generator->count;
	generator->ramp_started = ramps ? 0 : generator->count;
	generator->connecting = ramps ? generator->count : 0;
	for (uint32_t i = 0; i < generator->count; i++) {
		conn_init(&generator->conns[i]);
		if (!ramps)
			generator_enqueue_connect(generator, &generator->conns[i]);
	}
}

int
generator_run(const struct generator_args *args)
{
	struct generator generator = {
		.plan = args->plan,
		.sequence = args->sequence,
		.expectation = args->expectation,
		.counters = args->counters,
		.control_block = args->control_block,
		.epoll_fd = -1,
		.wake_fd = args->wake_fd,
		.parent_fd = args->parent_fd,
		.now_ns = clock_now_ns(),
		.ready = GENERATOR_NONE,
	};
	int rc = -1;

	generator.count = plan_share(args->plan, args->process, &generator.first);
	message_queue_pool_init(&generator.message_pool);
	/* The kernel may join wake-ups that lie 50 us apart: not these. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	if (open_loop(&generator) == 0 && allocate(&generator) == 0) {
		init_conns(&generator);
		phases_start(&generator);
		rc = loop(&generator);
		if (rc == 0)
			phases_finish(&generator);
	}
	release(&generator);
	return rc;
}
