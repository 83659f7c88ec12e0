/*
 * wheel.h - one timer for each connection, by its index, in constant time (a hashed
 * timing wheel: Varghese, Lauck 1987). The resolution is a millisecond: it serves
 * timeouts, not the pacing of messages.
 *
 * The list of a slot is a ring of 32-bit indexes, its head behind the timers. A timer
 * that is further away than a turn of the wheel stays in its slot and is looked at once
 * a turn.
 */
#ifndef CLIENT_WHEEL_H
#define CLIENT_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_SLOTS 4096
#define WHEEL_TICK_NS UINT64_C(1000000)
#define WHEEL_NEVER UINT64_MAX

struct wheel_timer {
	uint64_t deadline_ns; /* WHEEL_NEVER: not set */
	uint32_t next;
	uint32_t previous;
};

struct wheel {
	struct wheel_timer *timers; /* then one head for each slot */
	uint32_t count;
	uint64_t tick; /* the first that is not over */
	uint64_t
	    occupied[WHEEL_SLOTS / 64]; /* a bit for each slot that may hold some */
};

/* 0, or -1 when out of memory. */
int wheel_init(struct wheel *wheel, uint32_t timers, uint64_t now_ns)
    __attribute__((warn_unused_result));
void wheel_finish(struct wheel *wheel);

/* Sets or moves a timer; a deadline that is over fires at the next turn. */
void wheel_set(struct wheel *wheel, uint32_t timer, uint64_t deadline_ns);
void wheel_clear(struct wheel *wheel, uint32_t timer);

static inline uint64_t
wheel_deadline(const struct wheel *wheel, uint32_t timer)
{
	return wheel->timers[timer].deadline_ns;
}

/* Takes out one timer whose deadline is not after now. False when there is none (yet):
 *	while (wheel_expire(wheel, now, &timer)) ... */
bool wheel_expire(struct wheel *wheel, uint64_t now_ns, uint32_t *ret_timer);

/* When wheel_expire should be called next at the latest; WHEEL_NEVER when empty. */
uint64_t wheel_next(const struct wheel *wheel);

#endif
