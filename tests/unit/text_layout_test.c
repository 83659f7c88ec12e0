#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/report/text_layout.h"

static void
expect_layout(size_t width, bool has_colour, const char *text, const char *expected)
{
	const struct text_layout layout = { width, has_colour };
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);
	assert_non_null(file);
	text_layout_write(&layout, text, file);
	fclose(file);
	assert_string_equal(out, expected);
	free(out);
}

static void
a_line_that_fits_stays_as_it_is(void **state)
{
	(void)state;
	expect_layout(20, false, "12345678901234567890\n\n  x\n",
	    "12345678901234567890\n\n  x\n");
}

static void
text_after_a_label_goes_on_below_itself(void **state)
{
	(void)state;
	expect_layout(30, false, "  plan         one two three four five\n",
	    "  plan         one two three\n               four five\n");
	expect_layout(30, false, "               - one two three four\n",
	    "               - one two three\n                 four\n");
}

static void
other_text_is_indented_by_two_columns(void **state)
{
	(void)state;
	expect_layout(
	    20, false, "  - one two three four\n", "  - one two three\n    four\n");
	expect_layout(
	    20, false, "0123456789 abcdefghijkl\n", "0123456789\n  abcdefghijkl\n");
	expect_layout(
	    20, false, "0123456789     abcdefghijkl\n", "0123456789\n  abcdefghijkl\n");
}

static void
a_number_keeps_its_unit(void **state)
{
	(void)state;
	expect_layout(
	    16, false, "it waited for 10 ms, then\n", "it waited for\n  10 ms, then\n");
}

static void
a_word_that_does_not_fit_is_not_cut(void **state)
{
	(void)state;
	expect_layout(12, false, "see http://example.org/path now\n",
	    "see\n  http://example.org/path\n  now\n");
}

static void
letters_of_several_bytes_take_one_column(void **state)
{
	(void)state;
	expect_layout(8, false, "\u00e9\u00e9\u00e9\u00e9 \u00e9\u00e9\u00e9\n",
	    "\u00e9\u00e9\u00e9\u00e9 \u00e9\u00e9\u00e9\n");
}

static void
marks_take_no_room_and_become_colours_or_nothing(void **state)
{
	(void)state;
	expect_layout(8, false, TEXT_BAD "12345678" TEXT_END "\n", "12345678\n");
	expect_layout(
	    8, true, TEXT_GOOD "12345678" TEXT_END "\n", "\033[32m12345678\033[0m\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_fits_stays_as_it_is),
		cmocka_unit_test(text_after_a_label_goes_on_below_itself),
		cmocka_unit_test(other_text_is_indented_by_two_columns),
		cmocka_unit_test(a_number_keeps_its_unit),
		cmocka_unit_test(a_word_that_does_not_fit_is_not_cut),
		cmocka_unit_test(letters_of_several_bytes_take_one_column),
		cmocka_unit_test(marks_take_no_room_and_become_colours_or_nothing),
	};
	return cmocka_run_group_tests_name("text_layout", tests, NULL, NULL);
}
