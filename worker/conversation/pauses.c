#include "worker/conversation/pauses.h"

#include <sys/timerfd.h>

#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/clock.h"
#include "lib/log.h"

#define NEVER UINT64_MAX

/* Puts a pause at position i. */
static void
put(struct pauses *pauses, uint32_t i, struct pause pause)
{
	pauses->heap[i] = pause;
	*pause.place = i + 1;
}

/* Puts `pause` at the free position i, or nearer to the front. */
static void
move_up(struct pauses *pauses, uint32_t i, struct pause pause)
{
	for (; i > 0; i = (i - 1) / 2) {
		const struct pause *parent = &pauses->heap[(i - 1) / 2];
		if (parent->end_ns <= pause.end_ns)
			break;
		put(pauses, i, *parent);
	}
	put(pauses, i, pause);
}

/* Puts `pause` at the free position i, or nearer to the back. */
static void
move_down(struct pauses *pauses, uint32_t i, struct pause pause)
{
	const struct pause *heap = pauses->heap;
	for (uint32_t child; (child = 2 * i + 1) < pauses->count; i = child) {
		if (child + 1 < pauses->count &&
		    heap[child + 1].end_ns < heap[child].end_ns)
			child++;
		if (pause.end_ns <= heap[child].end_ns)
			break;
		put(pauses, i, heap[child]);
	}
	put(pauses, i, pause);
}

/* Makes the timer expire at the end of the first pause. */
static void
set_timer(struct pauses *pauses)
{
	uint64_t end_ns = pauses->count == 0 ? NEVER : pauses->heap[0].end_ns;
	if (end_ns == pauses->timer_ns || pauses->is_expiring)
		return;
	pauses->timer_ns = end_ns;
	/* Zero would disarm it; a time that has passed expires at once. */
	uint64_t value_ns = end_ns == NEVER ? 0 : end_ns > 0 ? end_ns : 1;
	const struct itimerspec time = { .it_value = {
					     .tv_sec = (time_t)(value_ns / NS_PER_S),
					     .tv_nsec = (long)(value_ns % NS_PER_S) } };
	if (timerfd_settime(
		event_get_fd(&pauses->timer), TFD_TIMER_ABSTIME, &time, NULL) < 0)
		log_warn(
		    "[pause_timer_failed] conversation: cannot set the timer of pauses");
}

static struct pause
take(struct pauses *pauses, uint32_t i)
{
	struct pause taken = pauses->heap[i];
	struct pause last = pauses->heap[--pauses->count];
	*taken.place = 0;
	if (i == pauses->count)
		return taken;
	if (last.end_ns < taken.end_ns)
		move_up(pauses, i, last);
	else
		move_down(pauses, i, last);
	return taken;
}

static void
on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct pauses *pauses = argument;
	uint64_t expirations, now_ns = clock_now_ns();
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return;
	pauses->timer_ns = NEVER;
	pauses->is_expiring = true;
	while (pauses->count > 0 && pauses->heap[0].end_ns <= now_ns)
		pauses->on_over(take(pauses, 0).waiter);
	pauses->is_expiring = false;
	set_timer(pauses);
}

int
pauses_start(
    struct pauses *pauses, struct event_base *base, void (*on_over)(void *waiter))
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -1;
	*pauses = (struct pauses){ .timer_ns = NEVER, .on_over = on_over };
	event_assign(&pauses->timer, base, fd, EV_READ | EV_PERSIST, on_timer, pauses);
	if (event_add(&pauses->timer, NULL) == 0)
		return 0;
	close(fd);
	*pauses = (struct pauses){ .heap = NULL };
	return -1;
}

void
pauses_stop(struct pauses *pauses)
{
	if (pauses->on_over == NULL)
		return;
	event_del(&pauses->timer);
	close(event_get_fd(&pauses->timer));
	free(pauses->heap);
	*pauses = (struct pauses){ .heap = NULL };
}

int
pauses_set(struct pauses *pauses, void *waiter, uint32_t *place, uint64_t end_ns)
{
	if (pauses->count == pauses->capacity) {
		uint32_t capacity = pauses->capacity == 0 ? 64 : pauses->capacity * 2;
		struct pause *larger =
		    reallocarray(pauses->heap, capacity, sizeof(*larger));
		if (larger == NULL)
			return -1;
		pauses->heap = larger;
		pauses->capacity = capacity;
	}
	if (*place != 0)
		take(pauses, *place - 1);
	move_up(pauses, pauses->count++, (struct pause){ end_ns, waiter, place });
	set_timer(pauses);
	return 0;
}

void
pauses_clear(struct pauses *pauses, uint32_t *place)
{
	if (*place == 0)
		return;
	take(pauses, *place - 1);
	set_timer(pauses);
}
