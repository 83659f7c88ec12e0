#include "worker/connection/fault_state.h"

#include <sys/timerfd.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "proto/faults/fault_decision.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"

_Static_assert(sizeof(struct fault_segment) % 8 == 0, "segments lie in one buffer");

static void
place(struct fault_timers *timers, size_t i, struct fault_timer *timer)
{
	timers->heap[i] = timer;
	timer->index_plus_one = i + 1;
}

/* Moves the timer at i to where it belongs. */
static void
sift(struct fault_timers *timers, size_t i)
{
	struct fault_timer *timer = timers->heap[i];
	for (; i > 0; i = (i - 1) / 2) {
		struct fault_timer *parent = timers->heap[(i - 1) / 2];
		if (parent->due_ns <= timer->due_ns)
			break;
		place(timers, i, parent);
	}
	for (;;) {
		size_t child = 2 * i + 1;
		if (child + 1 < timers->count &&
		    timers->heap[child + 1]->due_ns < timers->heap[child]->due_ns)
			child++;
		if (child >= timers->count ||
		    timers->heap[child]->due_ns >= timer->due_ns)
			break;
		place(timers, i, timers->heap[child]);
		i = child;
	}
	place(timers, i, timer);
}

static void
take_out(struct fault_timers *timers, struct fault_timer *timer)
{
	size_t i = timer->index_plus_one - 1;
	struct fault_timer *last = timers->heap[--timers->count];
	timer->index_plus_one = 0;
	if (last == timer)
		return;
	place(timers, i, last);
	sift(timers, i);
}

static bool
put_in(struct fault_timers *timers, struct fault_timer *timer)
{
	if (timers->count == timers->capacity) {
		size_t capacity = timers->capacity == 0 ? 64 : timers->capacity * 2;
		struct fault_timer **heap =
		    reallocarray(timers->heap, capacity, sizeof(*heap));
		if (heap == NULL)
			return false;
		timers->heap = heap;
		timers->capacity = capacity;
	}
	place(timers, timers->count++, timer);
	sift(timers, timers->count - 1);
	return true;
}

/* Sets the timerfd to the first timer. */
static void
arm(struct worker *worker)
{
	struct fault_timers *timers = &worker->faults.timers;
	uint64_t due_ns = timers->count > 0 ? timers->heap[0]->due_ns : 0;
	struct itimerspec spec = { .it_value = { .tv_sec = 0 } };
	if (due_ns == timers->set_ns)
		return;
	timers->set_ns = due_ns;
	spec.it_value.tv_sec = (time_t)(due_ns / NS_PER_S);
	spec.it_value.tv_nsec = (long)(due_ns % NS_PER_S);
	(void)timerfd_settime(
	    event_get_fd(&worker->faults.timer_event), TFD_TIMER_ABSTIME, &spec, NULL);
}

void
fault_timer_set(struct worker *worker, struct fault_timer *timer, uint64_t due_ns)
{
	struct fault_timers *timers = &worker->faults.timers;
	bool is_set = timer->index_plus_one != 0;
	if (is_set && timer->due_ns == due_ns)
		return;
	if (due_ns == FAULT_FOR_EVER) {
		if (is_set)
			take_out(timers, timer);
	} else {
		timer->due_ns = due_ns == 0 ? 1 : due_ns; /* 0 would disarm */
		if (is_set)
			sift(timers, timer->index_plus_one - 1);
		else
			(void)put_in(timers, timer);
	}
	arm(worker);
}

static void
on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct worker *worker = argument;
	struct fault_timers *timers = &worker->faults.timers;
	uint64_t expirations, now_ns = clock_now_ns();
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return;
	timers->set_ns = 0;
	while (timers->count > 0 && timers->heap[0]->due_ns <= now_ns) {
		struct fault_timer *timer = timers->heap[0];
		take_out(timers, timer);
		timer->on_due(timer->argument);
	}
	arm(worker);
}

int
fault_timers_start(struct worker *worker)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -1;
	event_assign(&worker->faults.timer_event, worker->base, fd,
	    EV_READ | EV_PERSIST, on_timer, worker);
	if (event_add(&worker->faults.timer_event, NULL) == 0)
		return 0;
	close(fd);
	return -1;
}

void
fault_timers_stop(struct worker *worker)
{
	event_del(&worker->faults.timer_event);
	close(event_get_fd(&worker->faults.timer_event));
	free(worker->faults.timers.heap);
	worker->faults.timers = (struct fault_timers){ .heap = NULL };
}

uint64_t
fault_state_list_id(const struct worker_listener *listener)
{
	uint64_t id = listener->faults.count;
	for (size_t i = 0; i < listener->faults.count; i++)
		id = id * UINT64_C(0x100000001b3) ^ listener->faults.rows[i].id;
	return id;
}

struct fault_state *
fault_state_create(struct connection *connection, struct buffer *segments)
{
	const struct worker_listener *listener = connection->listener;
	struct worker *worker = listener->worker;
	struct fault_state *state = worker->region.slabs != NULL
	    ? region_heap_alloc(&worker->blocks, sizeof(*state))
	    : malloc(sizeof(*state));
	if (state == NULL)
		return NULL;
	*state = (struct fault_state){ .segments = segments,
		.progress = { .list_id = fault_state_list_id(listener),
		    .accepted_ns = clock_now_ns(),
		    .connected_ns = clock_realtime_ns() } };
	state->seed = fault_connection_seed(listener->faults.seed, &connection->peer);
	connection->faults = state;
	return state;
}

void
fault_state_destroy(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct fault_state *state = connection->faults;
	if (state == NULL)
		return;
	connection->faults = NULL;
	fault_timer_set(worker, &state->timer, FAULT_FOR_EVER);
	buffer_release(&state->segments);
	if (worker->region.slabs != NULL)
		region_heap_free(&worker->blocks, state, sizeof(*state));
	else
		free(state);
}

void
fault_state_note(const struct worker_listener *listener,
    const struct fault_state *state, const struct fault_note *note)
{
	const struct worker *worker = listener->worker;
	ledger_count_fault(listener->block, note->kind);
	if (worker->fault_ring == NULL)
		return;
	struct fault_record record = {
		.time_ns = clock_realtime_ns(),
		.connected_ns = state == NULL ? 0 : state->progress.connected_ns,
		.message = note->message,
		.offset = note->offset,
		.length = note->length,
		.value = note->value,
		.listener = (uint16_t)listener_ledger_index(listener),
		.kind = (uint8_t)note->kind,
	};
	if (note->peer != NULL) {
		memcpy(record.peer, note->peer->bytes, sizeof(record.peer));
		record.peer_port = note->peer->port;
		record.peer_family = note->peer->family;
	}
	fault_ring_add(worker->fault_ring, &record);
}
