#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/live/live_budget.h"

#define START UINT64_C(1000000000000)

static void
a_first_state_is_collected_at_once(void **state)
{
	struct live_budget budget = { .begun_ns = 0 };

	(void)state;
	assert_true(live_budget_begin(&budget, START));
	assert_false(live_budget_begin(&budget, START));
}

static void
cheap_states_follow_each_second(void **state)
{
	struct live_budget budget = { .begun_ns = 0 };

	(void)state;
	assert_true(live_budget_begin(&budget, START));
	budget.cpu_ns += 10 * NS_PER_MS;
	assert_true(live_budget_next_ns(&budget) == START + NS_PER_S);
	assert_false(live_budget_begin(&budget, START + NS_PER_S - 1));
	assert_true(live_budget_begin(&budget, START + NS_PER_S));
}

/* A text that is asked for late makes the state that it is of older. */
static void
a_dear_state_and_its_texts_delay_the_next_one(void **state)
{
	struct live_budget budget = { .begun_ns = 0 };

	(void)state;
	assert_true(live_budget_begin(&budget, START));
	budget.cpu_ns += 30 * NS_PER_MS;
	assert_true(live_budget_next_ns(&budget) == START + 3 * NS_PER_S);
	budget.cpu_ns += 25 * NS_PER_MS;
	assert_false(live_budget_begin(&budget, START + 3 * NS_PER_S));
	assert_true(live_budget_next_ns(&budget) == START + 5500 * NS_PER_MS);
	assert_true(live_budget_begin(&budget, START + 5500 * NS_PER_MS));
	assert_true(budget.cpu_ns == 0);
}

/* Readers that ask every 10 ms for a page and at times for metrics, whose costs grow.
 */
static void
all_states_together_take_at_most_one_percent(void **state)
{
	struct live_budget budget = { .begun_ns = 0 };
	uint64_t spent_ns = 0, now_ns = START, states = 0, oldest_ns = 0;
	bool has_page = false;

	(void)state;
	for (int i = 0; i < 360000; i++, now_ns += 10 * NS_PER_MS) {
		uint64_t grown = 1 + (uint64_t)i / 3600, cost_ns = 0;

		if (budget.begun_ns != 0 && now_ns - budget.begun_ns > oldest_ns)
			oldest_ns = now_ns - budget.begun_ns;
		if (live_budget_begin(&budget, now_ns)) {
			states++;
			has_page = false;
			cost_ns += grown * NS_PER_MS / 4;
		}
		if (!has_page && i % 7 == 0) {
			has_page = true;
			cost_ns += grown * NS_PER_MS / 2;
		}
		budget.cpu_ns += cost_ns;
		spent_ns += cost_ns;
	}
	spent_ns -= budget.cpu_ns; /* the last state is not over yet */
	assert_true(spent_ns * LIVE_BUDGET_RATIO <= budget.begun_ns - START);
	/* It is used up, too: the states of 75 ms are 7.5 s old, and not older. */
	assert_true(oldest_ns >= 7400 * NS_PER_MS && oldest_ns <= 7600 * NS_PER_MS);
	assert_true(states > 800);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_state_is_collected_at_once),
		cmocka_unit_test(cheap_states_follow_each_second),
		cmocka_unit_test(a_dear_state_and_its_texts_delay_the_next_one),
		cmocka_unit_test(all_states_together_take_at_most_one_percent),
	};

	return cmocka_run_group_tests_name("live_budget", tests, NULL, NULL);
}
