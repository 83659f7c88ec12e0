#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proto/faults/fault.h"
#include "conf/listener_faults.h"

static struct fault
parse(const char *text)
{
	struct fault fault;
	char error[256] = "";
	if (fault_parse(text, &fault, error, sizeof(error)) < 0)
		print_error("%s: %s\n", text, error);
	assert_string_equal(error, "");
	return fault;
}

static void
test_formats_each_fault_as_the_text_that_parses_to_it(void **state)
{
	(void)state;
	/* The text, and how it is printed. */
	static const char *const texts[][2] = {
		{ "delay 20ms", "delay 20ms" },
		{ "delay constant 20ms", "delay 20ms" },
		{ " delay  uniform 15ms..25ms ", "delay uniform 15ms..25ms" },
		{ "delay normal 20ms 5ms", "delay normal 20ms 5ms" },
		{ "delay exponential 20ms", "delay exponential 20ms" },
		{ "delay pareto 20ms 1.5", "delay pareto 20ms 1.5" },
		{ "stall", "stall for ever" },
		{ "stall connection for ever", "stall for ever" },
		{ "stall 2s at message 100", "stall 2s at message 100" },
		{ "stall listener 2s after 10s", "stall listener 2s after 10s" },
		{ "trickle 1k bytes/s", "trickle 1000 bytes/s" },
		{ "trickle 1 byte/s", "trickle 1 bytes/s" },
		{ "truncate 1 byte on 1%", "truncate 1 byte on 1% of messages" },
		{ "corrupt 2 bytes on 0.1% of messages",
		    "corrupt 2 bytes on 0.1% of messages" },
		{ "corrupt 1 bit on 0.0000001% of replies",
		    "corrupt 1 bit on 0.0000001% of messages" },
		{ "corrupt 3 bits on 12.50% of connections",
		    "corrupt 3 bits on 12.5% of connections" },
		{ "insert 16 bytes every 10", "insert 16 bytes every 10" },
		{ "duplicate on 100%", "duplicate" },
		{ "drop between 1s and 2s", "drop between 1s and 2s" },
		{ "reorder from 10.0.0.0/8", "reorder from 10.0.0.0/8" },
		{ "swap from ::1", "swap from ::1/128" },
		{ "close after 500ms", "close after 0.5s" },
		{ "half-close at message 3", "half-close at message 3" },
		{ "reset on 1% after 4096 bytes",
		    "reset after 4096 bytes on 1% of connections" },
		{ "reset after 4k bytes on 1% of messages",
		    "reset after 4096 bytes on 1% of messages" },
		{ "never-read after 0 bytes", "never-read after 0 bytes" },
		{ "never-accept", "never-accept for ever" },
		{ "never-accept 3s after 1m", "never-accept 3s after 1m" },
		{ "refuse on 5% of connections", "refuse on 5%" },
		{ "backlog 1", "backlog 1" },
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char first[FAULT_TEXT_MAX], second[FAULT_TEXT_MAX];
		struct fault fault = parse(texts[i][0]);
		assert_string_equal(fault_format(&fault, first), texts[i][1]);
		struct fault again = parse(first);
		assert_string_equal(fault_format(&again, second), first);
		assert_int_equal(again.id, fault.id);
	}
}

static void
test_reads_the_numbers(void **state)
{
	(void)state;
	struct fault fault = parse("reset after 4k bytes on 1.5% from 10.0.0.0/8");
	assert_int_equal(fault.kind, FAULT_RESET);
	assert_true(fault.has_after_bytes && fault.after_bytes == 4096);
	assert_int_equal(fault.share, FAULT_SHARE_ALL / 1000 * 15);
	assert_false(fault.share_of_messages);
	assert_true(fault.has_from && fault.from.bits == 8);
	fault = parse("corrupt 3 bits on 1% between 10s and 20s");
	assert_true(fault.is_bits && fault.share_of_messages && fault.count == 3);
	assert_int_equal(fault.from_ns, UINT64_C(10000000000));
	assert_int_equal(fault.to_ns, UINT64_C(20000000000));
	fault = parse("stall listener 2s");
	assert_int_equal(fault.scope, FAULT_SCOPE_LISTENER);
	assert_int_equal(fault.time_ns, UINT64_C(2000000000));
}

static void
test_names_position_found_and_expected(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "", "position 1: found the end, expected one of delay, stall," },
		{ "dely 20ms", "position 1: found \"dely\", expected \"delay\"" },
		{ "delay", "position 6: found the end, expected a time such as" },
		{ "delay 20", "position 7: found \"20\", expected a time such as" },
		{ "delay uniform 20ms",
		    "position 15: found \"20ms\", expected two times such as" },
		{ "delay uniform 20ms..10ms", "position 15:" },
		{ "delay pareto 20ms 0", "position 19: found \"0\", expected a shape" },
		{ "stall for 2s", "position 11: found \"2s\", expected \"ever\"" },
		{ "truncate 0 bytes",
		    "position 10: found \"0\", expected a number from 1 to 1048576" },
		{ "truncate 1 bit", "position 12: found \"bit\", expected \"bytes\"" },
		{ "corrupt 1",
		    "position 10: found the end, expected \"bytes\" or \"bits\"" },
		{ "trickle 10 bytes", "position 12: found \"bytes\", expected" },
		{ "drop on 0%", "position 9: found \"0%\", expected a percentage" },
		{ "drop on 101%", "position 9:" },
		{ "drop on 1", "position 9:" },
		{ "drop on 1% of bytes", "position 15: found \"bytes\", expected" },
		{ "refuse on 1% of messages",
		    "position 17: found \"messages\", expected \"connections\"" },
		{ "drop at 3", "position 9: found \"3\", expected \"message\"" },
		{ "drop after 3", "position 13: found the end, expected \"bytes\"" },
		{ "drop after 3 s", "position 14: found \"s\", expected \"bytes\"" },
		{ "drop between 2s and 1s",
		    "position 21: found \"1s\", expected a later time" },
		{ "drop after 1s between 2s and 3s",
		    "position 15: found \"between\", expected this selection once" },
		{ "drop from here",
		    "position 11: found \"here\", expected an address" },
		{ "never-accept on 1%",
		    "position 14: found \"on\", expected after TIME" },
		{ "backlog 1 after 3 bytes",
		    "position 11: found \"after\", expected after TIME" },
		{ "refuse every 2", "position 8: found \"every\", expected on P%" },
		{ "drop now\n", "position 6: found \"now\\n\", expected on P%" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault fault = { .count = 77 };
		char error[512] = "";
		assert_int_equal(
		    fault_parse(cases[i][0], &fault, error, sizeof(error)), -1);
		if (strncmp(error, cases[i][1], strlen(cases[i][1])) != 0)
			print_error("%s: %s\n", cases[i][0], error);
		assert_memory_equal(error, cases[i][1], strlen(cases[i][1]));
		assert_null(strchr(error, '\n'));
		assert_int_equal(fault.count, 77);
	}
}

static void
test_checks_framing_and_reply(void **state)
{
	(void)state;
	static const struct {
		const char *fault;
		enum framing framing;
		enum reply_kind reply;
		bool works;
	} cases[] = {
		{ "reorder", FRAMING_STREAM, REPLY_ECHO, false },
		{ "reorder", FRAMING_LINE, REPLY_ECHO, true },
		{ "swap", FRAMING_STREAM, REPLY_ECHO, false },
		{ "swap", FRAMING_LENGTH32, REPLY_UPPER, true },
		{ "corrupt 1 byte", FRAMING_STREAM, REPLY_ECHO, true },
		{ "corrupt 1 byte", FRAMING_LINE, REPLY_DISCARD, false },
		{ "delay 1ms", FRAMING_LINE, REPLY_DISCARD, false },
		{ "reset after 10 bytes", FRAMING_LINE, REPLY_DISCARD, false },
		{ "reset at message 3", FRAMING_LINE, REPLY_DISCARD, true },
		{ "stall", FRAMING_STREAM, REPLY_DISCARD, true },
		{ "never-read", FRAMING_STREAM, REPLY_DISCARD, true },
		{ "refuse", FRAMING_STREAM, REPLY_DISCARD, true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fault fault = parse(cases[i].fault);
		const struct listener_config listener = {
			.framing = cases[i].framing,
			.reply = { .kind = cases[i].reply },
		};
		char error[256] = "";
		int rc = listener_faults_check(&listener, &fault, error, sizeof(error));
		assert_int_equal(rc, cases[i].works ? 0 : -1);
		assert_true(cases[i].works || strstr(error, "expected") != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats_each_fault_as_the_text_that_parses_to_it),
		cmocka_unit_test(test_reads_the_numbers),
		cmocka_unit_test(test_names_position_found_and_expected),
		cmocka_unit_test(test_checks_framing_and_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
