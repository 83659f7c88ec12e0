#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/suggest.h"

static const char *const keys[] = { "max_message", "max_pending", "max_connections",
	"idle", "log", NULL };

static void
test_finds_a_word_with_one_letter_omitted_changed_added_or_swapped(void **state)
{
	(void)state;
	assert_string_equal(suggest_nearest("max_mesage", keys), "max_message");
	assert_string_equal(suggest_nearest("max_massage", keys), "max_message");
	assert_string_equal(suggest_nearest("max_pendings", keys), "max_pending");
	assert_string_equal(suggest_nearest("idel", keys), "idle");
	assert_string_equal(suggest_nearest("lgo", keys), "log");
}

static void
test_ignores_case(void **state)
{
	(void)state;
	assert_string_equal(suggest_nearest("IDLE", keys), "idle");
}

static void
test_a_dissimilar_word_has_no_suggestion(void **state)
{
	(void)state;
	assert_null(suggest_nearest("colour", keys));
	assert_null(suggest_nearest("x", keys));
	assert_null(suggest_nearest("", keys));
}

static void
test_suggests_the_nearest_word_and_the_first_of_equals(void **state)
{
	static const char *const words[] = { "port", "post", "pose", NULL };

	(void)state;
	assert_string_equal(suggest_nearest("posse", words), "pose");
	assert_string_equal(suggest_nearest("pont", words), "port");
}

static void
test_words_of_any_length_are_safe(void **state)
{
	char word[1000];
	const char *const known[] = { word, "idle", NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(word) - 1; i++)
		word[i] = 'a';
	word[sizeof(word) - 1] = '\0';
	assert_null(suggest_nearest(word, known));
	assert_string_equal(suggest_nearest("idl", known), "idle");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_finds_a_word_with_one_letter_omitted_changed_added_or_swapped),
		cmocka_unit_test(test_ignores_case),
		cmocka_unit_test(test_a_dissimilar_word_has_no_suggestion),
		cmocka_unit_test(
		    test_suggests_the_nearest_word_and_the_first_of_equals),
		cmocka_unit_test(test_words_of_any_length_are_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
