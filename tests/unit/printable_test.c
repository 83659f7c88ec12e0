#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <string.h>

#include "lib/printable.h"

static void
expect(const char *text, const char *expected)
{
	char copy[64];

	strcpy(copy, text);
	assert_ptr_equal(printable_sanitize(copy), copy);
	assert_string_equal(copy, expected);
}

static void
test_printable_text_is_unchanged(void **state)
{
	(void)state;
	expect("", "");
	expect("a b~", "a b~");
	expect("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void
test_control_characters_become_question_marks(void **state)
{
	(void)state;
	expect("a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?");
	expect("\xc2\x9b", "??"); /* CSI, as one character */
}

static void
test_invalid_UTF_8_becomes_question_marks(void **state)
{
	(void)state;
	expect("x\xff\xfey", "x??y");
	expect("\x80", "?");
	expect("\xc0\xaf", "??");           /* overlong encoding */
	expect("\xe0\x80\xaf", "???");      /* overlong encoding */
	expect("\xed\xa0\x80", "???");      /* lone surrogate */
	expect("\xf4\x90\x80\x80", "????"); /* beyond U+10FFFF */
	expect("\xe2\x82", "??");           /* truncated */
	expect("\xe2\x82z", "??z");
}

static void
expect_escaped(const char *text, size_t size, const char *expected)
{
	char out[64];

	assert_ptr_equal(printable_escape(text, out, size), out);
	assert_string_equal(out, expected);
}

static void
test_control_characters_are_shown_as_JSON_escapes(void **state)
{
	(void)state;
	expect_escaped("", 64, "");
	expect_escaped("a\n\t\r\b\f\x1b\xff", 64, "a\\n\\t\\r\\b\\f\\u001b\\u00ff");
	/* U+009B is a control character, of two bytes. */
	expect_escaped("\x7f\xc2\x9b|\xc2", 64, "\\u007f\\u009b|\\u00c2");
	expect_escaped("\"\\ \xe2\x82\xac", 64, "\"\\ \xe2\x82\xac");
}

static void
test_text_is_truncated_between_characters(void **state)
{
	(void)state;
	expect_escaped("1234567", 8, "1234567");
	expect_escaped("12345678", 8, "1234...");
	expect_escaped("123\n5678", 8, "123...");
	expect_escaped("123\xc3\xa9\xc3\xa9\xc3\xa9", 8, "123...");
	expect_escaped("\x1b[0m", 4, "...");
}

static void
test_the_tail_of_a_long_text_is_kept(void **state)
{
	char out[8];

	(void)state;
	assert_string_equal(printable_tail("", out, sizeof(out)), "");
	assert_string_equal(printable_tail("1234567", out, sizeof(out)), "1234567");
	assert_string_equal(printable_tail("12345678", out, sizeof(out)), "...5678");
	assert_string_equal(printable_tail("1234", out, 4), "...");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printable_text_is_unchanged),
		cmocka_unit_test(test_control_characters_become_question_marks),
		cmocka_unit_test(test_invalid_UTF_8_becomes_question_marks),
		cmocka_unit_test(test_control_characters_are_shown_as_JSON_escapes),
		cmocka_unit_test(test_text_is_truncated_between_characters),
		cmocka_unit_test(test_the_tail_of_a_long_text_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
