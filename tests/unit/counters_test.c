#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the above */
#include <cmocka.h>

#include "client/measure/counters.h"

/* Sets every counter of a process, from connections_attempted to mismatches. */
static void
set_all(struct counters *counters, uint64_t value)
{
	uint8_t *end = (uint8_t *)counters + offsetof(struct counters, mismatches);

	for (counters_value *at = &counters->connections_attempted; (uint8_t *)at < end;
	     at++)
		counters_set(at, value);
}

static void
the_sum_includes_every_counter(void **state)
{
	struct counters_map map;
	struct counters sum;
	const counters_value *at = &sum.connections_attempted;

	(void)state;
	assert_int_equal(counters_map_open(&map, 2), 0);
	set_all(counters_map_at(&map, 0), 5);
	set_all(counters_map_at(&map, 1), 2);
	counters_sum(&map, &sum);
	for (; at < &sum.connected_ns; at++)
		assert_int_equal(counters_get(at), 7);
	for (; at <= &sum.loop_lag_max_ns; at++)
		assert_int_equal(counters_get(at), 5);
	assert_ptr_equal(at, &sum.mismatches);
	counters_map_close(&map);
}

static void
the_sum_adds_counts_and_takes_the_latest_time(void **state)
{
	struct counters_map map;
	struct counters sum;

	(void)state;
	assert_int_equal(counters_map_open(&map, 3), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct counters *counters = counters_map_at(&map, i);
		counters_add(&counters->warmup.lost[MESSAGE_LOSS_CLOSED], 10 + i);
		counters_add(&counters->retransmits, 1);
		counters_set(&counters->stopped_ns, i == 1 ? 500 : i);
	}
	counters_sum(&map, &sum);
	assert_int_equal(counters_get(&sum.warmup.lost[MESSAGE_LOSS_CLOSED]), 33);
	assert_int_equal(counters_lost(&sum.warmup), 33);
	assert_int_equal(counters_get(&sum.retransmits), 3);
	assert_int_equal(counters_get(&sum.stopped_ns), 500);
	assert_int_equal(counters_get(&sum.connections_attempted), 0);
	counters_map_close(&map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_includes_every_counter),
		cmocka_unit_test(the_sum_adds_counts_and_takes_the_latest_time),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
