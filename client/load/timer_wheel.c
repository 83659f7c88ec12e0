#include "client/load/timer_wheel.h"

#include <stdlib.h>

int
timer_wheel_init(struct timer_wheel *timer_wheel, uint32_t timers, uint64_t now_ns)
{
	*timer_wheel = (struct timer_wheel){
		.timers = malloc(
		    (timers + TIMER_WHEEL_SLOTS) * sizeof(struct timer_wheel_entry)),
		.count = timers,
		.tick = now_ns / TIMER_WHEEL_TICK_NS,
	};
	if (timer_wheel->timers == NULL)
		return -1;
	for (uint32_t i = 0; i < timers + TIMER_WHEEL_SLOTS; i++)
		timer_wheel->timers[i] =
		    (struct timer_wheel_entry){ TIMER_WHEEL_NEVER, i, i };
	return 0;
}

void
timer_wheel_finish(struct timer_wheel *timer_wheel)
{
	free(timer_wheel->timers);
	timer_wheel->timers = NULL;
}

/* A deadline fires when its millisecond is over: up to a tick late, never early. */
static uint64_t
tick_of(uint64_t deadline_ns)
{
	return deadline_ns / TIMER_WHEEL_TICK_NS + 1;
}

static void
unlink_timer(struct timer_wheel *timer_wheel, uint32_t index)
{
	struct timer_wheel_entry *timer = &timer_wheel->timers[index];

	timer_wheel->timers[timer->next].previous = timer->previous;
	timer_wheel->timers[timer->previous].next = timer->next;
	timer->next = timer->previous = index;
	timer->deadline_ns = TIMER_WHEEL_NEVER;
}

void
timer_wheel_clear(struct timer_wheel *timer_wheel, uint32_t timer)
{
	if (timer_wheel->timers[timer].deadline_ns != TIMER_WHEEL_NEVER)
		unlink_timer(timer_wheel, timer);
}

void
timer_wheel_set(struct timer_wheel *timer_wheel, uint32_t timer, uint64_t deadline_ns)
{
	uint64_t tick = tick_of(deadline_ns);
	struct timer_wheel_entry *entry = &timer_wheel->timers[timer];

	timer_wheel_clear(timer_wheel, timer);
	if (deadline_ns == TIMER_WHEEL_NEVER)
		return;
	if (tick < timer_wheel->tick)
		tick = timer_wheel->tick;
	uint32_t slot = tick % TIMER_WHEEL_SLOTS;
	uint32_t head = timer_wheel->count + slot;
	entry->deadline_ns = deadline_ns;
	entry->next = head;
	entry->previous = timer_wheel->timers[head].previous;
	timer_wheel->timers[entry->previous].next = timer;
	timer_wheel->timers[head].previous = timer;
	timer_wheel->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* A timer of this slot whose time has come. */
static bool
expire_slot(struct timer_wheel *timer_wheel, uint32_t slot, uint64_t now_tick,
    uint32_t *ret_timer)
{
	uint32_t head = timer_wheel->count + slot;
	uint32_t i = timer_wheel->timers[head].next;

	if (i == head) {
		timer_wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
		return false;
	}
	for (; i != head; i = timer_wheel->timers[i].next) {
		if (tick_of(timer_wheel->timers[i].deadline_ns) > now_tick)
			continue;
		unlink_timer(timer_wheel, i);
		*ret_timer = i;
		return true;
	}
	return false;
}

bool
timer_wheel_expire(
    struct timer_wheel *timer_wheel, uint64_t now_ns, uint32_t *ret_timer)
{
	uint64_t now_tick = now_ns / TIMER_WHEEL_TICK_NS;

	/* After a long sleep one turn sees every slot. */
	if (now_tick > timer_wheel->tick + TIMER_WHEEL_SLOTS)
		timer_wheel->tick = now_tick - TIMER_WHEEL_SLOTS;
	for (; timer_wheel->tick <= now_tick; timer_wheel->tick++) {
		uint32_t slot = timer_wheel->tick % TIMER_WHEEL_SLOTS;
		if (!(timer_wheel->occupied[slot / 64] >> slot % 64 & 1))
			continue;
		if (expire_slot(timer_wheel, slot, now_tick, ret_timer))
			return true;
	}
	return false;
}

uint64_t
timer_wheel_next(const struct timer_wheel *timer_wheel)
{
	for (uint32_t i = 0; i < TIMER_WHEEL_SLOTS; i++) {
		uint64_t tick = timer_wheel->tick + i;
		uint32_t slot = tick % TIMER_WHEEL_SLOTS;
		uint64_t word = timer_wheel->occupied[slot / 64] >> slot % 64;
		if (word == 0) {
			i += 63 - slot % 64;
			continue;
		}
		return (tick + (uint64_t)__builtin_ctzll(word)) * TIMER_WHEEL_TICK_NS;
	}
	return TIMER_WHEEL_NEVER;
}
