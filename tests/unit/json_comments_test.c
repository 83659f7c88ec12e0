#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/json/json_comments.h"

static void
check_blanked(const char *text, const char *expected)
{
	char copy[128];
	size_t at;

	snprintf(copy, sizeof(copy), "%s", text);
	assert_int_equal(json_comments_blank(copy, strlen(copy), &at), 0);
	assert_string_equal(copy, expected);
}

static void
test_comments_become_spaces_and_line_ends_are_kept(void **state)
{
	(void)state;
	check_blanked("1 // x\n2", "1     \n2");
	check_blanked("1 # x\r\n2", "1    \r\n2");
	check_blanked("1 /* a\nb */ 2", "1     \n     2");
	check_blanked("/**/1/***/", "    1     ");
	check_blanked("# to the end", "            ");
	check_blanked("\xef\xbb\xbf{}", "   {}");
}

static void
test_keeps_comment_characters_in_strings(void **state)
{
	(void)state;
	check_blanked("\"// # /* */\" # x", "\"// # /* */\"    ");
	check_blanked("\"a\\\"// b\" // c", "\"a\\\"// b\"     ");
	check_blanked("\"a\\\\\" // c", "\"a\\\\\"     ");
	check_blanked("\"never closed\n# x", "\"never closed\n   ");
}

static void
test_leaves_a_single_slash_to_the_parser(void **state)
{
	(void)state;
	check_blanked("1 / 2", "1 / 2");
	check_blanked("/", "/");
	check_blanked("*/", "*/");
}

static void
test_a_comment_that_is_never_closed_is_refused_at_its_start(void **state)
{
	char text[] = "{}\n /* x *";
	size_t at = 77;

	(void)state;
	assert_int_equal(json_comments_blank(text, strlen(text), &at), -1);
	assert_int_equal(at, 4);
}

static void
check_position(const char *text, size_t offset, unsigned line, unsigned column)
{
	unsigned found_line, found_column;

	json_comments_position(text, strlen(text), offset, &found_line, &found_column);
	assert_int_equal(found_line, line);
	assert_int_equal(found_column, column);
}

static void
test_lines_and_columns_count_from_1_and_in_characters(void **state)
{
	(void)state;
	check_position("ab\ncd", 0, 1, 1);
	check_position("ab\ncd", 2, 1, 3);
	check_position("ab\ncd", 3, 2, 1);
	check_position("\xc3\xa9\xe2\x82\xac x", 6, 1, 4);
	check_position("ab", 99, 1, 3);
	check_position("\xef\xbb\xbf{ab\n", 4, 1, 2);
}

static const char document[] = "{ \"a\": {\"b\": [1, [2, 3], {\"c\": \"}],\"}]},\n"
			       "  \"d\\u0065\" : true, \"\": null }";

static size_t
value_of(size_t object, const char *key)
{
	size_t name, value;

	assert_int_equal(json_comments_find_key(
			     document, strlen(document), object, key, &name, &value),
	    0);
	return value;
}

static void
test_a_value_is_found_by_its_keys_and_its_place_in_a_list(void **state)
{
	size_t list = value_of(value_of(0, "a"), "b");
	size_t item;

	(void)state;
	assert_memory_equal(document + list, "[1,", 3);
	assert_int_equal(
	    json_comments_find_item(document, strlen(document), list, 0, &item), 0);
	assert_memory_equal(document + item, "1,", 2);
	assert_int_equal(
	    json_comments_find_item(document, strlen(document), list, 2, &item), 0);
	assert_memory_equal(document + value_of(item, "c"), "\"}],\"", 5);
	assert_memory_equal(document + value_of(0, "de"), "true", 4);
	assert_memory_equal(document + value_of(0, ""), "null", 4);
}

static void
test_missing_keys_are_not_found(void **state)
{
	size_t length = strlen(document), name, value;
	size_t list = value_of(value_of(0, "a"), "b");

	(void)state;
	assert_int_equal(
	    json_comments_find_key(document, length, 0, "b", &name, &value), -1);
	assert_int_equal(
	    json_comments_find_key(document, length, list, "c", &name, &value), -1);
	assert_int_equal(
	    json_comments_find_item(document, length, list, 3, &value), -1);
	assert_int_equal(json_comments_find_item(document, length, 0, 0, &value), -1);
	assert_int_equal(json_comments_find_item("[]", 2, 0, 0, &value), -1);
	assert_int_equal(json_comments_find_key("{}", 2, 0, "a", &name, &value), -1);
}

static void
test_text_cut_anywhere_is_safe(void **state)
{
	size_t name, value;

	(void)state;
	for (size_t length = 0; length < strlen(document) - 8; length++) {
		assert_int_equal(
		    json_comments_find_key(document, length, 0, "zz", &name, &value),
		    -1);
		assert_int_equal(
		    json_comments_find_item(document, length, 13, 3, &value), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comments_become_spaces_and_line_ends_are_kept),
		cmocka_unit_test(test_keeps_comment_characters_in_strings),
		cmocka_unit_test(test_leaves_a_single_slash_to_the_parser),
		cmocka_unit_test(
		    test_a_comment_that_is_never_closed_is_refused_at_its_start),
		cmocka_unit_test(test_lines_and_columns_count_from_1_and_in_characters),
		cmocka_unit_test(
		    test_a_value_is_found_by_its_keys_and_its_place_in_a_list),
		cmocka_unit_test(test_missing_keys_are_not_found),
		cmocka_unit_test(test_text_cut_anywhere_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
