#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/plan/rank.h"

static void
reads_the_rank_from_the_environment_of_a_scheduler(void **state)
{
	uint32_t rank, ranks;
	char error[256];

	(void)state;
	setenv("SLURM_PROCID", "3", 1);
	setenv("SLURM_NTASKS", "8", 1);
	assert_int_equal(rank_parse(NULL, &rank, &ranks, error, sizeof(error)), 0);
	assert_int_equal(rank, 3);
	assert_int_equal(ranks, 8);
	assert_int_equal(rank_parse("1/2", &rank, &ranks, error, sizeof(error)), 0);
	assert_int_equal(rank, 1);
	setenv("SLURM_PROCID", "8", 1);
	assert_int_equal(rank_parse(NULL, &rank, &ranks, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "SLURM_PROCID"));
	unsetenv("SLURM_PROCID");
	assert_int_equal(rank_parse(NULL, &rank, &ranks, error, sizeof(error)), 0);
	assert_int_equal(ranks, 1);
	unsetenv("SLURM_NTASKS");
	/* Without the number of ranks, each rank would run as the only one. */
	setenv("JOB_COMPLETION_INDEX", "2", 1);
	assert_int_equal(rank_parse(NULL, &rank, &ranks, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "JOB_COMPLETION_INDEX=2 without YODEL_RANKS"));
	setenv("YODEL_RANKS", "5", 1);
	assert_int_equal(rank_parse(NULL, &rank, &ranks, error, sizeof(error)), 0);
	assert_true(rank == 2 && ranks == 5);
	unsetenv("JOB_COMPLETION_INDEX");
	unsetenv("YODEL_RANKS");
}

static void
reads_a_start_time_in_every_format(void **state)
{
	uint64_t now = UINT64_C(1700000000) * 1000000000, at;
	char error[256];

	(void)state;
	assert_int_equal(rank_parse_start("+10s", now, &at, error, sizeof(error)), 0);
	assert_true(at == now + UINT64_C(10000000000));
	assert_int_equal(
	    rank_parse_start("@1700000000.5", now, &at, error, sizeof(error)), 0);
	assert_true(at == now + 500000000);
	assert_int_equal(
	    rank_parse_start("2023-11-14T22:13:30Z", now, &at, error, sizeof(error)),
	    0);
	assert_true(at == now + UINT64_C(10000000000));
	assert_int_equal(
	    rank_parse_start("00:00:00", now, &at, error, sizeof(error)), 0);
	assert_true(at > now - UINT64_C(3600) * 1000000000 &&
	    at <= now + UINT64_C(90000) * 1000000000);
}

static void
a_start_time_that_has_just_passed_is_today(void **state)
{
	static const struct {
		const char *text;
		uint64_t at;
	} rows[] = {
		/* now: 22:13:20 */
		{ "22:13:19", 1699999999 },
		{ "22:13:20", 1700000000 },
		{ "22:13:21", 1700000001 },
		{ "21:13:21", 1699996401 },
		{ "21:13:20", 1699996400 + 86400 },
		{ "00:00:00", 1700006400 },
	};
	uint64_t now = UINT64_C(1700000000) * 1000000000, at;
	char error[256];

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    rank_parse_start(rows[i].text, now, &at, error, sizeof(error)), 0);
		assert_true(at == rows[i].at * 1000000000);
	}
	unsetenv("TZ");
	tzset();
}

static void
a_start_time_tomorrow_allows_for_daylight_saving(void **state)
{
	static const uint64_t rows[][2] = {
		{ 1774724400, 1774778400 }, /* daylight saving begins at night */
		{ 1792864800, 1792926000 }, /* ... and ends */
	};
	char error[256];

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (size_t i = 0; i < 2; i++) {
		uint64_t at;

		assert_int_equal(rank_parse_start("12:00:00", rows[i][0] * 1000000000,
				     &at, error, sizeof(error)),
		    0);
		assert_true(at == rows[i][1] * 1000000000);
	}
	unsetenv("TZ");
	tzset();
}

static void
refuses_a_start_time_after_2286(void **state)
{
	static const char *const starts[] = { "+5000000h", "@10000000001",
		"2287-01-01T00:00:00Z", "9999-12-31T23:59:59Z" };
	uint64_t now = UINT64_C(1700000000) * 1000000000, at;
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		assert_int_equal(
		    rank_parse_start(starts[i], now, &at, error, sizeof(error)), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_rank_from_the_environment_of_a_scheduler),
		cmocka_unit_test(reads_a_start_time_in_every_format),
		cmocka_unit_test(a_start_time_that_has_just_passed_is_today),
		cmocka_unit_test(a_start_time_tomorrow_allows_for_daylight_saving),
		cmocka_unit_test(refuses_a_start_time_after_2286),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
