#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/reply.h"

static struct reply
parse(const char *spec)
{
	struct reply reply;
	char error[256] = "";

	if (reply_parse(spec, &reply, error, sizeof(error)) != 0)
		fail_msg("\"%s\": %s", spec, error);
	return reply;
}

static void
check_reply(const char *spec, const char *payload, const char *expected)
{
	struct reply reply = parse(spec);
	uint8_t out[256];
	size_t length = strlen(payload), expected_length = strlen(expected);

	assert_int_equal(reply_length(&reply, length), expected_length);
	assert_int_equal(reply_write(&reply, (const uint8_t *)payload, length, out),
	    expected_length);
	assert_memory_equal(out, expected, expected_length);
	reply_finish(&reply);
}

static void
test_each_kind_writes_its_reply(void **state)
{
	(void)state;
	check_reply("echo", "The message.", "The message.");
	check_reply("upper", "The message.", "THE MESSAGE.");
	check_reply("upper,suffix=_SB", "The message.", "THE MESSAGE._SB");
	check_reply("echo,suffix=!", "The message.", "The message.!");
	check_reply("fixed=1", "The message.", "1");
	check_reply("fixed=my server", "", "my server");
	check_reply("fixed=", "The message.", "");
	check_reply("discard", "The message.", "");
	check_reply("echo", "", "");
}

static void
test_escapes_in_the_reply_text_are_decoded_as_in_JSON(void **state)
{
	(void)state;
	check_reply("fixed=a\\n\\u00e9\\\"", "", "a\n\xc3\xa9\"");
	check_reply("echo,suffix=,suffix=x", "a", "a,suffix=x");
	struct reply reply = parse("fixed=\\u0000");
	assert_int_equal(reply.text_length, 1);
	assert_int_equal(reply.text[0], 0);
	reply_finish(&reply);
}

static void
check_refused(const char *spec, const char *expected)
{
	struct reply reply = { .kind = REPLY_FIXED, .text_length = 77 };
	char error[256] = "";

	if (reply_parse(spec, &reply, error, sizeof(error)) != -1)
		fail_msg("\"%s\" was taken", spec);
	if (strstr(error, expected) == NULL)
		fail_msg("\"%s\" says \"%s\", not \"%s\"", spec, error, expected);
	assert_int_equal(reply.kind, REPLY_FIXED);
	assert_int_equal(reply.text_length, 77);
}

static void
test_refuses_malformed_replies_and_says_what_is_expected(void **state)
{
	(void)state;
	check_refused("",
	    "found \"\", expected one of echo[,suffix=TEXT], "
	    "upper[,suffix=TEXT], fixed=TEXT, discard");
	check_refused("Echo", "found \"Echo\", expected one of");
	check_refused("fixed", "found \"fixed\", expected one of");
	check_refused(
	    "discard,suffix=a", "found \"discard,suffix=a\", expected one of");
	check_refused("echo,", "found \"echo,\", expected one of");
	check_refused("upper suffix=a", "found \"upper suffix=a\", expected one of");
	check_refused("echo,suffix=a\\q", "unknown escape in the reply text: \"\\q\"");
	check_refused("fixed=\\ud800", "unknown escape");
	/* The error is one line for any text. */
	check_refused("ec\nho", "found \"ec\\nho\", expected one of");
	check_refused("echo\n", "found \"echo\\n\", expected one of");
	check_refused("fixed=\\\n", "unknown escape in the reply text: \"\\\\n\"");
}

static void
test_a_reply_text_has_at_most_4096_bytes(void **state)
{
	char spec[16 + REPLY_TEXT_MAX + 1] = "fixed=";

	(void)state;
	memset(spec + 6, 'x', REPLY_TEXT_MAX);
	struct reply reply = parse(spec);
	assert_int_equal(reply.text_length, REPLY_TEXT_MAX);
	reply_finish(&reply);
	spec[6 + REPLY_TEXT_MAX] = 'x';
	check_refused(spec, "found a reply text of 4097 bytes, expected at most 4096");
}

static uint8_t
in_upper_case(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
}

static void
test_converts_only_ASCII_letters_at_any_length_and_alignment(void **state)
{
	uint8_t from[600], to[600];

	(void)state;
	for (size_t start = 0; start < 40; start++) {
		for (size_t length = 0; length < sizeof(from) - 40; length++) {
			for (size_t i = 0; i < sizeof(from); i++)
				from[i] = (uint8_t)(i * 7 + length);
			memset(to, '#', sizeof(to));
			reply_to_upper(from + start, length, to);
			for (size_t i = 0; i < length; i++)
				assert_int_equal(to[i], in_upper_case(from[start + i]));
			assert_int_equal(to[length], '#');
			reply_to_upper(from + start, length, from + start);
			assert_memory_equal(from + start, to, length);
		}
	}
}

static void
test_a_reply_may_overwrite_its_message(void **state)
{
	char data[32] = "The message.";
	struct reply reply = parse("upper,suffix=_SB");

	(void)state;
	assert_int_equal(
	    reply_write(&reply, (const uint8_t *)data, 12, (uint8_t *)data), 15);
	assert_memory_equal(data, "THE MESSAGE._SB", 15);
	reply_finish(&reply);
}

static void
test_only_echo_and_upper_without_suffix_are_bytewise(void **state)
{
	static const struct {
		const char *spec;
		bool is_bytewise;
	} rows[] = { { "echo", true }, { "upper", true }, { "echo,suffix=", true },
		{ "echo,suffix=a", false }, { "upper,suffix=a", false },
		{ "fixed=a", false }, { "fixed=", false }, { "discard", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply reply = parse(rows[i].spec);
		assert_int_equal(reply_is_bytewise(&reply), rows[i].is_bytewise);
		reply_finish(&reply);
	}
	reply_finish(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_writes_its_reply),
		cmocka_unit_test(test_escapes_in_the_reply_text_are_decoded_as_in_JSON),
		cmocka_unit_test(
		    test_refuses_malformed_replies_and_says_what_is_expected),
		cmocka_unit_test(test_a_reply_text_has_at_most_4096_bytes),
		cmocka_unit_test(
		    test_converts_only_ASCII_letters_at_any_length_and_alignment),
		cmocka_unit_test(test_a_reply_may_overwrite_its_message),
		cmocka_unit_test(test_only_echo_and_upper_without_suffix_are_bytewise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
