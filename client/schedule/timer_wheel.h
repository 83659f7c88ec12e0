/*
 * timer_wheel.h - one timer for each connection, by its index, in constant time (a
 * hashed timing wheel: Varghese, Lauck 1987). The resolution is a millisecond: good for
 * timeouts, not for the pacing of messages.
 *
 * The list of a slot is a ring of 32-bit indexes; the heads stand behind the timers. A
 * timer that is more than one turn of the wheel away stays in its slot and is checked
 * once per turn.
 */
#ifndef CLIENT_SCHEDULE_TIMER_WHEEL_H
#define CLIENT_SCHEDULE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"

#define TIMER_WHEEL_SLOTS 4096
#define TIMER_WHEEL_TICK_NS NS_PER_MS
#define TIMER_WHEEL_NEVER UINT64_MAX

struct timer_wheel_entry {
	uint64_t deadline_ns; /* TIMER_WHEEL_NEVER: not set */
	uint32_t next;
	uint32_t previous;
};

struct timer_wheel {
	struct timer_wheel_entry *timers; /* then one head for each slot */
	uint32_t count;
	uint64_t tick;                             /* the first that is not over */
	uint64_t occupied[TIMER_WHEEL_SLOTS / 64]; /* one bit per slot with timers */
};

void timer_wheel_init(struct timer_wheel *wheel, uint32_t timers, uint64_t now_ns);
void timer_wheel_finish(struct timer_wheel *wheel);

/* Sets or moves a timer; one whose deadline has passed expires in the next turn. */
void timer_wheel_set(struct timer_wheel *wheel, uint32_t timer, uint64_t deadline_ns);
void timer_wheel_clear(struct timer_wheel *wheel, uint32_t timer);

static inline uint64_t
timer_wheel_deadline(const struct timer_wheel *wheel, uint32_t timer)
{
	return wheel->timers[timer].deadline_ns;
}

/* Removes one timer whose deadline has passed. False if no timer has expired:
 *	while (timer_wheel_expire(wheel, now, &timer)) ... */
bool timer_wheel_expire(
    struct timer_wheel *wheel, uint64_t now_ns, uint32_t *ret_timer);

/* When timer_wheel_expire should be called next at the latest; TIMER_WHEEL_NEVER when
 * empty. */
uint64_t timer_wheel_next(const struct timer_wheel *wheel);

#endif
