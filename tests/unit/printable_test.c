#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <string.h>

#include "lib/printable.h"

static void
expect(const char *text, const char *wanted)
{
	char copy[64];

	strcpy(copy, text);
	assert_ptr_equal(printable_sanitize(copy), copy);
	assert_string_equal(copy, wanted);
}

static void
test_what_can_be_shown_stays(void **state)
{
	(void)state;
	expect("", "");
	expect("a b~", "a b~");
	expect("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void
test_controls_become_question_marks(void **state)
{
	(void)state;
	expect("a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?");
	expect("\xc2\x9b", "??"); /* CSI, as one character */
}

static void
test_what_is_no_UTF_8_becomes_question_marks(void **state)
{
	(void)state;
	expect("x\xff\xfey", "x??y");
	expect("\x80", "?");
	expect("\xc0\xaf", "??");           /* longer than need be */
	expect("\xe0\x80\xaf", "???");      /* the same */
	expect("\xed\xa0\x80", "???");      /* half of a pair */
	expect("\xf4\x90\x80\x80", "????"); /* behind the last */
	expect("\xe2\x82", "??");           /* cut off */
	expect("\xe2\x82z", "??z");
}

static void
expect_escaped(const char *text, size_t size, const char *wanted)
{
	char out[64];

	assert_ptr_equal(printable_escape(text, out, size), out);
	assert_string_equal(out, wanted);
}

static void
test_an_escape_shows_what_a_file_would_say(void **state)
{
	(void)state;
	expect_escaped("", 64, "");
	expect_escaped("a\n\t\r\b\f\x1b\xff", 64, "a\\n\\t\\r\\b\\f\\u001b\\u00ff");
	/* U+009B is a control character, of two bytes. */
	expect_escaped("\x7f\xc2\x9b|\xc2", 64, "\\u007f\\u009b|\\u00c2");
	expect_escaped("\"\\ \xe2\x82\xac", 64, "\"\\ \xe2\x82\xac");
}

static void
test_what_does_not_fit_is_cut_between_characters(void **state)
{
	(void)state;
	expect_escaped("1234567", 8, "1234567");
	expect_escaped("12345678", 8, "1234...");
	expect_escaped("123\n5678", 8, "123...");
	expect_escaped("123\xc3\xa9\xc3\xa9\xc3\xa9", 8, "123...");
	expect_escaped("\x1b[0m", 4, "...");
}

static void
test_of_a_long_text_the_end_is_kept(void **state)
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
		cmocka_unit_test(test_what_can_be_shown_stays),
		cmocka_unit_test(test_controls_become_question_marks),
		cmocka_unit_test(test_what_is_no_UTF_8_becomes_question_marks),
		cmocka_unit_test(test_an_escape_shows_what_a_file_would_say),
		cmocka_unit_test(test_what_does_not_fit_is_cut_between_characters),
		cmocka_unit_test(test_of_a_long_text_the_end_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
