#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/escape.h"

static void
check_decoded(const char *text, const char *expected, size_t length)
{
	char out[64];
	size_t at;

	long n = escape_decode(text, strlen(text), out, &at);
	if (n != (long)length || memcmp(out, expected, length) != 0)
		fail_msg("%s decodes to %ld other bytes", text, n);
}

#define DECODED(text, expected) check_decoded(text, expected, sizeof(expected) - 1)

static void
test_every_escape_of_C_and_JSON_is_decoded(void **state)
{
	(void)state;
	DECODED("plain", "plain");
	DECODED("", "");
	DECODED("\\n\\t\\r\\a\\b\\f\\v", "\n\t\r\a\b\f\v");
	DECODED("\\e[0m", "\033[0m");
	DECODED("\\\\\\\"\\/", "\\\"/");
	DECODED("a\\0b", "a\0b");
	DECODED("\\101\\7\\1018", "A\aA8");
	DECODED("\\x41\\xfF\\x00z", "A\xff\0z");
}

static void
test_unicode_is_written_as_UTF_8(void **state)
{
	(void)state;
	DECODED("\\u0041", "A");
	DECODED("\\u00e9", "\xc3\xa9");
	DECODED("\\u20AC", "\xe2\x82\xac");
	DECODED("\\ud83d\\ude00", "\xf0\x9f\x98\x80");
	DECODED("\\u0000", "\0");
	DECODED("\\uffff", "\xef\xbf\xbf");
}

static void
check_refused(const char *text, size_t where)
{
	char out[64];
	size_t at = 77;

	long n = escape_decode(text, strlen(text), out, &at);
	if (n != -1 || at != where)
		fail_msg("%s gives %ld at %zu", text, n, at);
}

static void
test_reports_the_offset_of_a_malformed_escape(void **state)
{
	(void)state;
	check_refused("\\", 0);
	check_refused("abc\\", 3);
	check_refused("abc\\q", 3);
	check_refused("\\n\\x4", 2);
	check_refused("\\xg0", 0);
	check_refused("\\u12", 0);
	check_refused("\\u123g", 0);
	check_refused("\\400", 0);
	check_refused("\\8", 0);
}

static void
test_a_lone_surrogate_is_refused(void **state)
{
	(void)state;
	check_refused("x\\ud83d", 1);
	check_refused("x\\ud83dabcdef", 1);
	check_refused("x\\ud83d\\u0041", 1);
	check_refused("x\\ude00", 1);
}

static void
test_text_is_decoded_in_place(void **state)
{
	char text[] = "a\\tb\\u20acc";
	size_t at;

	(void)state;
	assert_int_equal(escape_decode(text, strlen(text), text, &at), 7);
	assert_memory_equal(text,
	    "a\tb\xe2\x82\xac"
	    "c",
	    7);
}

static void
test_every_byte_is_written_printable_and_decodes_back(void **state)
{
	unsigned char bytes[256];
	char text[256 * 4 + 1];
	char back[sizeof(text)];
	size_t at;

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (unsigned char)(i * 7); /* 7 is odd: every value, mixed */
	escape_encode(bytes, sizeof(bytes), text, sizeof(text));
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
	assert_int_equal(escape_decode(text, strlen(text), back, &at), 256);
	assert_memory_equal(back, bytes, 256);
}

static void
test_truncated_text_ends_in_three_dots(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(escape_encode("0123456789", 10, out, 11), "0123456789");
	assert_string_equal(escape_encode("0123456789", 10, out, 10), "012345...");
	assert_string_equal(escape_encode("\n\n\n\n\n", 5, out, 10), "\\n\\n\\n...");
	assert_string_equal(escape_encode("0123456789", 10, out, 3), "..");
	assert_string_equal(escape_encode("0123456789", 10, out, 1), "");
	assert_string_equal(escape_encode("", 0, out, sizeof(out)), "");
}

static void
test_a_buffer_of_any_size_is_never_overrun(void **state)
{
	char out[40];

	(void)state;
	for (size_t size = 1; size < 32; size++) {
		memset(out, '#', sizeof(out));
		escape_encode("a\nb\xff"
			      "cdefgh",
		    10, out, size);
		assert_true(strlen(out) < size);
		assert_int_equal(out[size], '#');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_escape_of_C_and_JSON_is_decoded),
		cmocka_unit_test(test_unicode_is_written_as_UTF_8),
		cmocka_unit_test(test_reports_the_offset_of_a_malformed_escape),
		cmocka_unit_test(test_a_lone_surrogate_is_refused),
		cmocka_unit_test(test_text_is_decoded_in_place),
		cmocka_unit_test(test_every_byte_is_written_printable_and_decodes_back),
		cmocka_unit_test(test_truncated_text_ends_in_three_dots),
		cmocka_unit_test(test_a_buffer_of_any_size_is_never_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
