#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs the above */
#include <cmocka.h>

#include "client/measure/counters.h"

static void
every_counter_of_the_struct_has_its_row(void **state)
{
	size_t next = offsetof(struct counters, connections_attempted);

	(void)state;
	for (size_t i = 0; i < counters_row_count; i++) {
		assert_int_equal(counters_rows[i].offset, next);
		assert_true(strlen(counters_rows[i].help) > 0);
		next += sizeof(counters_value);
	}
	assert_int_equal(next, offsetof(struct counters, mismatches));
}

static void
the_sum_includes_every_counter(void **state)
{
	struct counters_map map;
	struct counters sum;

	(void)state;
	assert_int_equal(counters_map_open(&map, 2, 0), 0);
	for (size_t i = 0; i < counters_row_count; i++) {
		size_t at = counters_rows[i].offset;
		for (uint32_t process = 0; process < 2; process++) {
			uint8_t *counters = (uint8_t *)counters_map_at(&map, process);
			counters_set((counters_value *)(void *)(counters + at),
			    process == 0 ? 5 : 2);
		}
	}
	counters_sum(&map, &sum);
	for (size_t i = 0; i < counters_row_count; i++) {
		const uint8_t *at = (const uint8_t *)&sum + counters_rows[i].offset;
		assert_int_equal(counters_get((const counters_value *)(const void *)at),
		    counters_rows[i].is_max ? 5 : 7);
	}
	counters_map_close(&map);
}

static void
the_sum_adds_counts_and_takes_the_latest_time(void **state)
{
	struct counters_map map;
	struct counters sum;

	(void)state;
	assert_int_equal(counters_map_open(&map, 3, 0), 0);
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
		cmocka_unit_test(every_counter_of_the_struct_has_its_row),
		cmocka_unit_test(the_sum_includes_every_counter),
		cmocka_unit_test(the_sum_adds_counts_and_takes_the_latest_time),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
