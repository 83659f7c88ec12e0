#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "client/generator.h"
#include "client/pace.h"

#define SECOND UINT64_C(1000000000)

static void
constant_arrivals_do_not_drift(void **state)
{
	struct pace pace;

	(void)state;
	pace_start(
	    &pace, &(struct pace_args){ .start_ns = 1000, .rate = 3000, .phase = 0.5 });
	for (int i = 0; i < 3000000; i++)
		pace_take(&pace);
	/* 1,000 s later, and half a gap */
	assert_in_range(pace.next_ns, 1000 + UINT64_C(1000000000000) + 166665,
	    1000 + UINT64_C(1000000000000) + 166668);
}

static void
poisson_arrivals_have_the_mean_and_the_spread_of_poisson(void **state)
{
	struct pace pace;
	double sum = 0, squares = 0;
	uint64_t before = 0;
	const int n = 200000;

	(void)state;
	pace_start(
	    &pace, &(struct pace_args){ .rate = 1000, .poisson = true, .seed = 5 });
	for (int i = 0; i < n; i++) {
		double gap = (double)(pace.next_ns - before) / 1e6;
		before = pace.next_ns;
		sum += gap;
		squares += gap * gap;
		pace_take(&pace);
	}
	double mean = sum / n, variance = squares / n - mean * mean;
	assert_in_range((int)(mean * 1000), 980, 1020);
	assert_in_range((int)(variance * 1000), 960, 1040);
}

static void
a_rate_that_is_next_to_nothing_makes_nothing_due(void **state)
{
	static const double rates[] = { 1e-8, 1e-12, 1e-300 };
	struct pace pace;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		for (int poisson = 0; poisson < 2; poisson++) {
			pace_start(&pace,
			    &(struct pace_args){ .start_ns = SECOND,
				.rate = rates[i],
				.phase = 0.5,
				.poisson = poisson });
			for (int n = 0; n < 10; n++) {
				uint64_t before = pace.next_ns;

				assert_true(before > 86400 * SECOND);
				pace_take(&pace);
				assert_true(pace.next_ns > before);
			}
		}
}

/* The same run again, and another one with another seed. */
static void
a_seed_makes_its_own_arrivals(void **state)
{
	const struct pace_args args = { .rate = 1000, .poisson = true, .seed = 5 };
	struct pace_args other = args;
	struct pace a, b, c;
	int alike = 0;

	(void)state;
	other.seed = 6;
	pace_start(&a, &args);
	pace_start(&b, &args);
	pace_start(&c, &other);
	for (int i = 0; i < 100; i++) {
		assert_true(a.next_ns == b.next_ns);
		alike += a.next_ns == c.next_ns;
		pace_take(&a);
		pace_take(&b);
		pace_take(&c);
	}
	assert_int_equal(alike, 0);
}

static void
each_connection_is_picked_as_often_as_any_other(void **state)
{
	enum { BOUND = 7, PICKS = 70000 };
	int picked[BOUND] = { 0 };
	struct pace pace;

	(void)state;
	pace_start(&pace, &(struct pace_args){ .rate = 1000, .seed = 5 });
	for (int i = 0; i < PICKS; i++) {
		uint32_t which = pace_pick(&pace, BOUND);
		assert_in_range(which, 0, BOUND - 1);
		picked[which]++;
	}
	for (int i = 0; i < BOUND; i++)
		assert_in_range(picked[i], 9500, 10500);
	assert_int_equal(pace_pick(&pace, 1), 0);
}

static void
a_schedule_that_is_resumed_goes_on_from_now(void **state)
{
	struct pace pace;

	(void)state;
	pace_start(&pace, &(struct pace_args){ .start_ns = SECOND, .rate = 10 });
	for (int i = 0; i < 5; i++)
		pace_take(&pace);
	pace_resume(&pace, SECOND);
	assert_true(pace.next_ns == SECOND + SECOND / 2);
	pace_resume(&pace, 9 * SECOND);
	assert_true(pace.next_ns == 9 * SECOND);
	pace_take(&pace);
	assert_true(pace.next_ns == 9 * SECOND + SECOND / 10);
}

/* Two callers that want to dial again after a minute in which nobody did. */
static void
dials_that_nobody_wanted_are_not_made_up_for(void **state)
{
	struct caller callers[2];
	uint32_t entries[2];
	struct generator g = { .callers = callers,
		.dials.entries = entries,
		.count = 2,
		.now_ns = 60 * SECOND };

	(void)state;
	assert_int_equal(wheel_init(&g.wheel, 2, g.now_ns), 0);
	caller_init(&callers[0]);
	caller_init(&callers[1]);
	pace_start(&g.dial_pace, &(struct pace_args){ .start_ns = SECOND, .rate = 10 });
	generator_put_dial(&g, &callers[0]);
	assert_true(g.dial_pace.next_ns == 60 * SECOND);
	pace_take(&g.dial_pace);
	assert_true(g.dial_pace.next_ns == 60 * SECOND + SECOND / 10);
	/* But where one waits already, what is late is late. */
	g.now_ns = 70 * SECOND;
	generator_put_dial(&g, &callers[1]);
	assert_true(g.dial_pace.next_ns == 60 * SECOND + SECOND / 10);
	wheel_finish(&g.wheel);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_arrivals_do_not_drift),
		cmocka_unit_test(
		    poisson_arrivals_have_the_mean_and_the_spread_of_poisson),
		cmocka_unit_test(a_rate_that_is_next_to_nothing_makes_nothing_due),
		cmocka_unit_test(a_seed_makes_its_own_arrivals),
		cmocka_unit_test(each_connection_is_picked_as_often_as_any_other),
		cmocka_unit_test(a_schedule_that_is_resumed_goes_on_from_now),
		cmocka_unit_test(dials_that_nobody_wanted_are_not_made_up_for),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
