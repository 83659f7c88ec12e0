#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/stats/chi_square.h"

static void
check(double found, double expected)
{
	if (!(fabs(found - expected) <= 1e-6))
		fail_msg("%.9f, expected %.9f", found, expected);
}

/* Critical values of the usual tables, to more digits. */
static void
test_probabilities_are_those_of_the_tables(void **state)
{
	(void)state;
	check(chi_square_upper(3.841458821, 1), 0.05);
	check(chi_square_upper(6.634896601, 1), 0.01);
	check(chi_square_upper(9.487729037, 4), 0.05);
	check(chi_square_upper(1.063623217, 4), 0.90);
	check(chi_square_upper(18.307038053, 10), 0.05);
	check(chi_square_upper(124.342113404, 100), 0.05);
	check(chi_square_upper(0, 3), 1);
	check(chi_square_upper(2, 2), exp(-1)); /* exact */
	check(chi_square_upper(2000, 2), 0);
}

static void
test_even_counts_are_likely_and_uneven_ones_are_not(void **state)
{
	static const uint64_t even[] = { 100, 100, 100 }, usual[] = { 110, 95, 95 },
			      uneven[] = { 200, 50, 50 }, one[] = { 7 },
			      none[] = { 0, 0 };
	(void)state;
	check(chi_square_fair(even, 3), 1);
	/* 1.5 with two degrees of freedom. */
	check(chi_square_fair(usual, 3), exp(-0.75));
	assert_true(chi_square_fair(uneven, 3) < 1e-20);
	check(chi_square_fair(one, 1), 1);
	check(chi_square_fair(none, 2), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probabilities_are_those_of_the_tables),
		cmocka_unit_test(test_even_counts_are_likely_and_uneven_ones_are_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
