#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/clock.h"
#include "tests/lib/must.h"
#include "worker/conversation/pauses.h"

#define WAITERS 3000
#define LONGEST_NS (20 * NS_PER_MS)

struct fixture;

struct waiter {
	struct fixture *fixture;
	uint64_t end_ns;
	unsigned times; /* its pause was over */
	uint32_t place;
};

struct fixture {
	struct event_base *base;
	struct pauses pauses;
	struct waiter waiters[WAITERS];
	unsigned over;
	uint64_t last_ns;  /* end of the pause that was over last */
	uint64_t again_ns; /* > 0: a waiter pauses again for that long */
};

static void
on_over(void *argument)
{
	struct waiter *waiter = argument;
	struct fixture *f = waiter->fixture;

	assert_int_equal(waiter->place, 0);
	assert_true(clock_now_ns() >= waiter->end_ns);
	assert_true(waiter->end_ns >= f->last_ns);
	f->last_ns = waiter->end_ns;
	f->over++;
	waiter->times++;
	if (f->again_ns == 0 || waiter->times > 1)
		return;
	waiter->end_ns = clock_now_ns() + f->again_ns;
	must(pauses_set(&f->pauses, waiter, &waiter->place, waiter->end_ns) == 0);
}

static void
start(struct fixture *f)
{
	*f = (struct fixture){ .base = event_base_new() };
	must(f->base != NULL && pauses_start(&f->pauses, f->base, on_over) == 0);
	for (int i = 0; i < WAITERS; i++)
		f->waiters[i].fixture = f;
}

static void
finish(struct fixture *f)
{
	pauses_stop(&f->pauses);
	event_base_free(f->base);
}

static void
set(struct fixture *f, struct waiter *waiter, uint64_t end_ns)
{
	waiter->end_ns = end_ns;
	must(pauses_set(&f->pauses, waiter, &waiter->place, end_ns) == 0);
}

static void
run_until_empty(struct fixture *f)
{
	while (f->pauses.count > 0)
		must(event_base_loop(f->base, EVLOOP_ONCE) >= 0);
}

static uint64_t
next_random(uint64_t *random)
{
	*random = *random * UINT64_C(6364136223846793005) + 1442695040888963407U;
	return *random >> 33;
}

static void
pauses_end_in_order_and_not_before_their_time(void **state)
{
	static struct fixture f;
	unsigned set_again = 0, cleared = 0;
	uint64_t random = 1;

	(void)state;
	start(&f);
	uint64_t now_ns = clock_now_ns();
	for (int i = 0; i < WAITERS; i++)
		set(&f, &f.waiters[i], now_ns + next_random(&random) % LONGEST_NS);
	for (int i = 0; i < WAITERS; i++) {
		if (i % 3 == 0) {
			pauses_clear(&f.pauses, &f.waiters[i].place);
			cleared++;
		} else if (i % 3 == 1) {
			set(&f, &f.waiters[i],
			    now_ns + next_random(&random) % LONGEST_NS);
			set_again++;
		}
	}
	assert_int_equal(f.pauses.count, WAITERS - cleared);
	run_until_empty(&f);
	assert_int_equal(f.over, WAITERS - cleared);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(f.waiters[i].times, i % 3 != 0);
	assert_true(set_again > 0);
	finish(&f);
}

static void
a_waiter_may_pause_again_when_its_pause_is_over(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f);
	f.again_ns = 3 * NS_PER_MS;
	uint64_t now_ns = clock_now_ns();
	for (int i = 0; i < WAITERS; i++)
		set(&f, &f.waiters[i], now_ns);
	run_until_empty(&f);
	assert_int_equal(f.over, 2 * WAITERS);
	finish(&f);
}

static void
a_pause_that_became_longer_does_not_end_at_its_old_time(void **state)
{
	static struct fixture f;

	(void)state;
	start(&f);
	uint64_t now_ns = clock_now_ns();
	set(&f, &f.waiters[0], now_ns + NS_PER_MS);
	set(&f, &f.waiters[0], now_ns + 5 * NS_PER_MS);
	run_until_empty(&f);
	assert_int_equal(f.over, 1);
	/* To clear what does not wait changes nothing. */
	pauses_clear(&f.pauses, &f.waiters[0].place);
	finish(&f);
}

static void
pauses_that_were_never_started_can_be_stopped(void **state)
{
	struct pauses pauses = { .heap = NULL };

	(void)state;
	pauses_stop(&pauses);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_end_in_order_and_not_before_their_time),
		cmocka_unit_test(a_waiter_may_pause_again_when_its_pause_is_over),
		cmocka_unit_test(
		    a_pause_that_became_longer_does_not_end_at_its_old_time),
		cmocka_unit_test(pauses_that_were_never_started_can_be_stopped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
