#include "client/schedule/timer_wheel.h"

#include <stdlib.h>

#include "lib/xmalloc.h"

void
timer_wheel_init(struct timer_wheel *wheel, uint32_t timers, uint64_t now_ns)
{
	*wheel = (struct timer_wheel){
		.timers = xcalloc(
		    timers + TIMER_WHEEL_SLOTS, sizeof(struct timer_wheel_entry)),
		.count = timers,
		.tick = now_ns / TIMER_WHEEL_TICK_NS,
	};
	for (uint32_t i = 0; i < timers + TIMER_WHEEL_SLOTS; i++)
		wheel->timers[i] =
		    (struct timer_wheel_entry){ TIMER_WHEEL_NEVER, i, i };
}

void
timer_wheel_finish(struct timer_wheel *wheel)
{
	free(wheel->timers);
	wheel->timers = NULL;
}

/* A deadline fires when its millisecond is over: up to a tick late, never early. */
static uint64_t
tick_of(uint64_t deadline_ns)
{
	return deadline_ns / TIMER_WHEEL_TICK_NS + 1;
}

static void
unlink_timer(struct timer_wheel *wheel, uint32_t index)
{
	struct timer_wheel_entry *timer = &wheel->timers[index];
	wheel->timers[timer->next].previous = timer->previous;
	wheel->timers[timer->previous].next = timer->next;
	timer->next = timer->previous = index;
	timer->deadline_ns = TIMER_WHEEL_NEVER;
}

void
timer_wheel_clear(struct timer_wheel *wheel, uint32_t timer)
{
	if (wheel->timers[timer].deadline_ns != TIMER_WHEEL_NEVER)
		unlink_timer(wheel, timer);
}

void
timer_wheel_set(struct timer_wheel *wheel, uint32_t timer, uint64_t deadline_ns)
{
	uint64_t tick = tick_of(deadline_ns);
	struct timer_wheel_entry *entry = &wheel->timers[timer];
	timer_wheel_clear(wheel, timer);
	if (deadline_ns == TIMER_WHEEL_NEVER)
		return;
	if (tick < wheel->tick)
		tick = wheel->tick;
	uint32_t slot = tick % TIMER_WHEEL_SLOTS;
	uint32_t head = wheel->count + slot;
	entry->deadline_ns = deadline_ns;
	entry->next = head;
	entry->previous = wheel->timers[head].previous;
	wheel->timers[entry->previous].next = timer;
	wheel->timers[head].previous = timer;
	wheel->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* A timer of this slot that has expired. */
static bool
expire_slot(
    struct timer_wheel *wheel, uint32_t slot, uint64_t now_tick, uint32_t *ret_timer)
{
	uint32_t head = wheel->count + slot;
	uint32_t i = wheel->timers[head].next;
	if (i == head) {
		wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
		return false;
	}
	for (; i != head; i = wheel->timers[i].next) {
		if (tick_of(wheel->timers[i].deadline_ns) > now_tick)
			continue;
		unlink_timer(wheel, i);
		*ret_timer = i;
		return true;
	}
	return false;
}

bool
timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns, uint32_t *ret_timer)
{
	uint64_t now_tick = now_ns / TIMER_WHEEL_TICK_NS;
	/* After a long sleep one turn of the wheel covers every slot. */
	if (now_tick > wheel->tick + TIMER_WHEEL_SLOTS)
		wheel->tick = now_tick - TIMER_WHEEL_SLOTS;
	for (; wheel->tick <= now_tick; wheel->tick++) {
		uint32_t slot = wheel->tick % TIMER_WHEEL_SLOTS;
		if (!(wheel->occupied[slot / 64] >> slot % 64 & 1))
			continue;
		if (expire_slot(wheel, slot, now_tick, ret_timer))
			return true;
	}
	return false;
}

uint64_t
timer_wheel_next(const struct timer_wheel *wheel)
{
	for (uint32_t i = 0; i < TIMER_WHEEL_SLOTS; i++) {
		uint64_t tick = wheel->tick + i;
		uint32_t slot = tick % TIMER_WHEEL_SLOTS;
		uint64_t word = wheel->occupied[slot / 64] >> slot % 64;
		if (word == 0) {
			i += 63 - slot % 64;
			continue;
		}
		return (tick + (uint64_t)__builtin_ctzll(word)) * TIMER_WHEEL_TICK_NS;
	}
	return TIMER_WHEEL_NEVER;
}
