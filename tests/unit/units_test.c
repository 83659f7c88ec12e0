#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/units.h"

typedef int (*parse_function)(const char *, uint64_t *);
typedef const char *(*format_function)(uint64_t, char *);

struct row {
	const char *text;
	uint64_t value;
};

static void
check_values(parse_function parse, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 77;
		if (parse(rows[i].text, &value) != 0 || value != rows[i].value)
			fail_msg("\"%s\" gives %llu", rows[i].text,
			    (unsigned long long)value);
	}
}

static void
check_texts(format_function format, const struct row *rows, size_t count)
{
	char buffer[UNITS_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		assert_string_equal(format(rows[i].value, buffer), rows[i].text);
}

#define CHECK_VALUES(parse, rows)                                                      \
	check_values(parse, rows, sizeof(rows) / sizeof(*(rows)))
#define CHECK_TEXTS(format, rows)                                                      \
	check_texts(format, rows, sizeof(rows) / sizeof(*(rows)))

static void
test_sizes_are_1024_based(void **state)
{
	static const struct row rows[] = { { "0", 0 }, { "1", 1 }, { "64k", 65536 },
		{ "64K", 65536 }, { "1M", 1048576 }, { "2G", UINT64_C(2147483648) },
		{ "0.5M", 524288 }, { "1.50k", 1536 }, { "1T", UINT64_C(1) << 40 },
		{ "18446744073709551615", UINT64_MAX }, { "007", 7 }, { "1.0", 1 } };

	(void)state;
	CHECK_VALUES(units_parse_size, rows);
}

static void
test_counts_are_1000_based(void **state)
{
	static const struct row rows[] = { { "0", 0 }, { "10k", 10000 },
		{ "1M", 1000000 }, { "1.5k", 1500 }, { "0.001k", 1 } };

	(void)state;
	CHECK_VALUES(units_parse_count, rows);
}

static void
test_durations_need_a_unit_except_for_zero(void **state)
{
	static const struct row rows[] = { { "0", 0 }, { "0s", 0 }, { "1us", 1000 },
		{ "250ms", 250000000 }, { "30s", UINT64_C(30000000000) },
		{ "5m", UINT64_C(300000000000) }, { "1h", UINT64_C(3600000000000) },
		{ "1.5s", 1500000000 }, { "0.25ms", 250000 }, { "0.001us", 1 } };

	(void)state;
	CHECK_VALUES(units_parse_duration, rows);
}

static void
check_refused(parse_function parse, const char *text, int error)
{
	uint64_t value = 77;

	errno = 0;
	if (parse(text, &value) != -1 || errno != error || value != 77)
		fail_msg("\"%s\" is not refused as it should be", text);
}

static void
test_malformed_numbers_are_EINVAL(void **state)
{
	static const char *const never[] = { "", " ", "k", "-1", "+1", " 1", "1 ",
		"1 k", "1kk", "1x", ".5k", "1.", "1.k", "1..5", "1e3", "0x10", "auto",
		"\xff", NULL };

	(void)state;
	for (const char *const *text = never; *text != NULL; text++) {
		check_refused(units_parse_size, *text, EINVAL);
		check_refused(units_parse_count, *text, EINVAL);
		check_refused(units_parse_duration, *text, EINVAL);
	}
	check_refused(units_parse_duration, "30", EINVAL);
	check_refused(units_parse_duration, "0.0", EINVAL);
	check_refused(units_parse_size, "1s", EINVAL);
	check_refused(units_parse_count, "1T", EINVAL);
}

static void
test_a_fraction_must_give_a_whole_result(void **state)
{
	(void)state;
	check_refused(units_parse_size, "0.5", EINVAL);
	check_refused(units_parse_size, "0.3k", EINVAL);
	check_refused(units_parse_count, "0.0001k", EINVAL);
	check_refused(units_parse_duration, "0.0001us", EINVAL);
	check_refused(units_parse_size, "1.0000000000000000001k", EINVAL);
}

static void
test_numbers_over_64_bits_are_ERANGE(void **state)
{
	(void)state;
	check_refused(units_parse_size, "18446744073709551616", ERANGE);
	check_refused(units_parse_size, "99999999999999999999999999", ERANGE);
	check_refused(units_parse_size, "16777216T", ERANGE);
	check_refused(units_parse_duration, "18446744073709551615s", ERANGE);
}

static void
test_writes_the_shortest_text(void **state)
{
	static const struct row sizes[] = { { "0", 0 }, { "1000", 1000 },
		{ "1k", 1024 }, { "64k", 65536 }, { "1M", 1048576 }, { "1536", 1536 },
		{ "1.5M", 1572864 }, { "1G", 1 << 30 } };
	static const struct row counts[] = { { "10k", 10000 }, { "999", 999 },
		{ "1M", 1000000 }, { "1500", 1500 }, { "1.5M", 1500000 } };
	static const struct row durations[] = { { "0s", 0 }, { "250ms", 250000000 },
		{ "30s", UINT64_C(30000000000) }, { "1m", UINT64_C(60000000000) },
		{ "1h", UINT64_C(3600000000000) }, { "90s", UINT64_C(90000000000) },
		{ "1.5s", 1500000000 }, { "0.001us", 1 } };

	(void)state;
	CHECK_TEXTS(units_format_size, sizes);
	CHECK_TEXTS(units_format_count, counts);
	CHECK_TEXTS(units_format_duration, durations);
}

static void
check_round_trip(parse_function parse, format_function format, uint64_t value)
{
	char buffer[UNITS_TEXT_MAX];
	uint64_t back = ~value;

	assert_int_equal(parse(format(value, buffer), &back), 0);
	assert_true(back == value);
}

static void
test_written_texts_parse_to_the_same_value(void **state)
{
	uint64_t value = 1;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		value = value * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t some = value >> (i % 64);
		check_round_trip(units_parse_size, units_format_size, some);
		check_round_trip(units_parse_count, units_format_count, some);
		check_round_trip(units_parse_duration, units_format_duration, some);
		check_round_trip(units_parse_size, units_format_size, some & ~0x3ffull);
		check_round_trip(units_parse_duration, units_format_duration,
		    some / 1000000 * 1000000);
	}
	check_round_trip(units_parse_size, units_format_size, UINT64_MAX);
	check_round_trip(units_parse_count, units_format_count, UINT64_MAX);
	check_round_trip(units_parse_duration, units_format_duration, UINT64_MAX);
}

static void
test_displayed_values_have_three_significant_digits(void **state)
{
	static const struct row sizes[] = { { "0 B", 0 }, { "512 B", 512 },
		{ "1 KB", 1024 }, { "64 KB", 65536 }, { "1.31 MB", 1373634 },
		{ "1 MB", 1048575 }, { "16384 PB", UINT64_MAX } };
	static const struct row durations[] = { { "0 ns", 0 }, { "850 ns", 850 },
		{ "42.1 us", 42100 }, { "1.25 ms", 1250000 }, { "3.2 s", 3200000000 },
		{ "1 ms", 999950 }, { "999 us", 999400 }, { "59.9 s", 59900000000 },
		{ "1m 0s", 59960000000 }, { "1m 30s", 90000000000 },
		{ "1h 2m", 3725000000000 } };
	static const struct row counts[] = { { "0", 0 }, { "999", 999 },
		{ "1,000", 1000 }, { "1,234,567", 1234567 },
		{ "18,446,744,073,709,551,615", UINT64_MAX } };

	(void)state;
	CHECK_TEXTS(units_show_size, sizes);
	CHECK_TEXTS(units_show_duration, durations);
	CHECK_TEXTS(units_show_count, counts);
	char text[UNITS_TEXT_MAX];
	assert_string_equal(units_show_change(100, 129.2, text), "+29.2 %");
	assert_string_equal(units_show_change(3000, 2999, text), "0.0 %");
	assert_string_equal(units_show_change(3000, 2998.4, text), "-0.1 %");
	assert_string_equal(units_show_change(0, 5, text), "-");
}

static void
test_times_are_UTC_with_the_requested_number_of_digits(void **state)
{
	char text[UNITS_TEXT_MAX];

	(void)state;
	assert_string_equal(units_format_time(0, 0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(units_format_time(UINT64_C(1767323045678999999), 3, text),
	    "2026-01-02T03:04:05.678Z");
	assert_string_equal(units_format_time(UINT64_C(1767323045000000006), 9, text),
	    "2026-01-02T03:04:05.000000006Z");
	assert_string_equal(
	    units_format_time(UINT64_MAX, 9, text), "2554-07-21T23:34:33.709551615Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_1024_based),
		cmocka_unit_test(test_counts_are_1000_based),
		cmocka_unit_test(test_durations_need_a_unit_except_for_zero),
		cmocka_unit_test(test_malformed_numbers_are_EINVAL),
		cmocka_unit_test(test_a_fraction_must_give_a_whole_result),
		cmocka_unit_test(test_numbers_over_64_bits_are_ERANGE),
		cmocka_unit_test(test_writes_the_shortest_text),
		cmocka_unit_test(test_written_texts_parse_to_the_same_value),
		cmocka_unit_test(test_displayed_values_have_three_significant_digits),
		cmocka_unit_test(
		    test_times_are_UTC_with_the_requested_number_of_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
