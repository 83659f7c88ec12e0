/* Which of the dropped connections of several listeners are overflows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "master/listeners/listener_set.h"

static void
test_one_overflow_counts_once(void **state)
{
	(void)state;
	/* An aborted handshake at one listener, an overflow at another one. */
	uint64_t drops[] = { 1, 0, 1 };
	assert_int_equal(listener_set_share_overflows(drops, 3, 1), 1);
	assert_int_equal(drops[0] + drops[1] + drops[2], 1);
	assert_int_equal(drops[1], 0);
}

static void
test_overflows_are_shared_in_proportion_and_none_is_invented(void **state)
{
	(void)state;
	for (uint64_t available = 0; available <= 40; available++) {
		uint64_t drops[] = { 20, 0, 7, 3 }, sum = 0;
		const uint64_t had[] = { 20, 0, 7, 3 };
		uint64_t found = listener_set_share_overflows(drops, 4, available);
		assert_int_equal(found, available < 30 ? available : 30);
		for (size_t i = 0; i < 4; i++) {
			uint64_t share = had[i] * available / 30;
			assert_true(drops[i] <= had[i]);
			if (available < 30)
				assert_in_range(drops[i], share, share + 1);
			sum += drops[i];
		}
		assert_int_equal(sum, found);
	}
	assert_int_equal(listener_set_share_overflows(NULL, 0, 5), 0);
}

static void
test_large_numbers_do_not_wrap(void **state)
{
	uint64_t drops[] = { UINT64_C(1) << 40, UINT64_C(1) << 40 };
	(void)state;
	assert_int_equal(listener_set_share_overflows(drops, 2, UINT64_C(1) << 40),
	    UINT64_C(1) << 40);
	assert_int_equal(drops[0], UINT64_C(1) << 39);
	assert_int_equal(drops[1], UINT64_C(1) << 39);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_overflow_counts_once),
		cmocka_unit_test(
		    test_overflows_are_shared_in_proportion_and_none_is_invented),
		cmocka_unit_test(test_large_numbers_do_not_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
