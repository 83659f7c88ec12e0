/* A SYN as it was sent against one that has arrived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The headers above are needed by cmocka. */
#include <cmocka.h>

#include "client/survey_result/syn_compare.h"

static const struct tcp_syn plain = {
	.ttl = 64,
	.dscp = 10,
	.window = 64240,
	.mss = 1460,
	.window_scale = 7,
	.sack = true,
	.timestamps = true,
};

static void
the_same_syn_has_no_difference(void **state)
{
	struct syn_difference d = syn_compare(&plain, &plain, true);
	(void)state;
	assert_string_equal(d.removed, "");
	assert_string_equal(d.added, "");
	assert_false(d.is_mss_lower || d.is_mss_higher || d.is_scale_changed ||
	    d.is_window_changed || d.is_dscp_changed);
}

static void
lost_options_are_named(void **state)
{
	struct tcp_syn arrived = plain;
	(void)state;
	arrived.sack = arrived.timestamps = false;
	arrived.window_scale = -1;
	struct syn_difference d = syn_compare(&plain, &arrived, false);
	assert_string_equal(d.removed, "SACK, time stamps, window scaling");
	assert_false(d.is_scale_changed);
}

static void
added_and_unknown_options_are_named(void **state)
{
	struct tcp_syn sent = plain, arrived = plain;
	(void)state;
	sent.others[sent.other_count++] = 254;
	arrived.others[arrived.other_count++] = 28;
	arrived.mptcp = true;
	struct syn_difference d = syn_compare(&sent, &arrived, false);
	assert_string_equal(d.removed, "kind 254");
	assert_string_equal(d.added, "MPTCP, kind 28");
}

static void
a_clamped_mss_and_cleared_bits_are_seen(void **state)
{
	struct tcp_syn arrived = plain;
	(void)state;
	arrived.mss = 1200;
	arrived.dscp = 0;
	arrived.window_scale = 0;
	arrived.window = 1;
	struct syn_difference d = syn_compare(&plain, &arrived, true);
	assert_true(d.is_mss_lower && !d.is_mss_higher);
	assert_true(d.is_dscp_changed && d.is_scale_changed && d.is_window_changed);
	assert_false(syn_compare(&plain, &arrived, false).is_window_changed);
}

/* An IPv4 header, then TCP with MSS, SACK, time stamps 0x01020304. */
static const uint8_t headers[] = { 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1,
	10, 0, 0, 2, 0x9c, 0x40, 0x27, 0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 2, 0xfa,
	0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3,
	7 };

static void
the_time_stamp_is_found(void **state)
{
	uint32_t value = 0;
	(void)state;
	assert_true(syn_compare_timestamp(headers, sizeof(headers), &value));
	assert_int_equal(value, 0x01020304);
}

/* At each length, and with each byte of the options broken, nothing beyond the end is
 * read (a sanitizer tells). */
static void
broken_headers_have_no_time_stamp_or_a_whole_one(void **state)
{
	uint8_t broken[sizeof(headers)];
	uint32_t value;
	(void)state;
	for (size_t length = 0; length < 54; length++)
		assert_false(syn_compare_timestamp(headers, length, &value));
	for (size_t at = 40; at < sizeof(headers); at++)
		for (int byte = 0; byte < 256; byte++) {
			memcpy(broken, headers, sizeof(headers));
			broken[at] = (uint8_t)byte;
			(void)syn_compare_timestamp(broken, sizeof(broken), &value);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_syn_has_no_difference),
		cmocka_unit_test(lost_options_are_named),
		cmocka_unit_test(added_and_unknown_options_are_named),
		cmocka_unit_test(a_clamped_mss_and_cleared_bits_are_seen),
		cmocka_unit_test(the_time_stamp_is_found),
		cmocka_unit_test(broken_headers_have_no_time_stamp_or_a_whole_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
