/* Thresholds of a survey: their grammar, and how they are judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The headers above are needed by cmocka. */
#include <cmocka.h>

#include "client/survey_result/survey_threshold.h"

static struct survey_result result;

static int
reset(void **state)
{
	(void)state;
	result = (struct survey_result){ .took_s = 1 };
	return 0;
}

static struct survey_threshold_outcome
judge(const char *text)
{
	struct survey_threshold threshold;
	char error[256] = "";
	int status = survey_threshold_parse(text, &threshold, error, sizeof(error));
	assert_string_equal(error, "");
	assert_int_equal(status, 0);
	return survey_threshold_judge(&threshold, &result);
}

static bool
passes(const char *text)
{
	return judge(text).passed;
}

static void
assert_refused(const char *text, const char *expected)
{
	struct survey_threshold threshold;
	char error[256] = "";
	assert_int_equal(
	    survey_threshold_parse(text, &threshold, error, sizeof(error)), -1);
	assert_non_null(strstr(error, expected));
}

static void
a_word_is_compared_with_the_answer(void **state)
{
	(void)state;
	survey_conclude(&result, SURVEY_split, "no", SURVEY_PROVED, "no");
	assert_true(passes("split=no"));
	assert_false(passes("split=yes"));
	survey_conclude(&result, SURVEY_reset, "becomes fin", SURVEY_SEEN, "FIN");
	assert_false(passes("reset=passed"));
}

static void
the_time_that_was_survived_counts(void **state)
{
	(void)state;
	survey_set_number(&result, SURVEY_idle, "alive_s", 348);
	survey_set_number(&result, SURVEY_idle, "dead_s", 353);
	assert_true(passes("idle>=300s"));
	assert_true(passes("idle>=5m"));
	assert_false(passes("idle>=350s"));
	assert_false(passes("idle<300s"));
}

static void
a_word_with_a_number_means_its_time(void **state)
{
	(void)state;
	survey_set_word(&result, SURVEY_idle, "server_first", "rst to server");
	survey_set_number(&result, SURVEY_idle, "server_first_alive_s", 74);
	assert_false(passes("idle.server_first>=300s"));
	assert_true(passes("idle.server_first>=74s"));
	assert_true(passes("idle.server_first=rst to server"));
}

static void
short_names_are_fields_of_rows(void **state)
{
	(void)state;
	survey_set_number(&result, SURVEY_big, "mtu", 1500);
	survey_set_number(&result, SURVEY_syn, "mss", 1200);
	assert_true(passes("mtu>=1500"));
	assert_false(passes("mss>=1400"));
}

static void
counts_rates_and_milliseconds_have_their_units(void **state)
{
	(void)state;
	survey_set_number(&result, SURVEY_concurrent, "served", 1000);
	survey_set_number(&result, SURVEY_rate, "per_s", 99.5);
	survey_set_number(&result, SURVEY_server_first, "after_s", 0.02);
	survey_set_number(&result, SURVEY_reach, "answer_ms", 12.5);
	assert_true(passes("concurrent>=1k"));
	assert_false(passes("rate>=100/s"));
	assert_true(passes("server_first<1s"));
	assert_true(passes("reach<20ms"));
	assert_false(passes("reach<=12ms"));
	assert_string_equal(judge("concurrent>=1k").found, "1,000");
	assert_string_equal(judge("rate>=100/s").found, "99.5/s");
	assert_string_equal(judge("server_first<1s").found, "20 ms");
	assert_string_equal(judge("reach<20ms").found, "12.5 ms");
	survey_set_number(&result, SURVEY_idle, "alive_s", 7.00018);
	assert_string_equal(judge("idle>=1s").found, "7 s");
}

static void
a_row_without_an_answer_fails_and_says_why(void **state)
{
	struct survey_threshold threshold;
	char error[256];
	(void)state;
	survey_not_asked(&result, SURVEY_rate, "not enough time");
	assert_int_equal(
	    survey_threshold_parse("rate>=100/s", &threshold, error, sizeof(error)), 0);
	struct survey_threshold_outcome outcome =
	    survey_threshold_judge(&threshold, &result);
	assert_false(outcome.passed);
	assert_string_equal(outcome.found, "no answer: not enough time");
}

static void
what_is_no_condition_is_refused(void **state)
{
	(void)state;
	assert_refused("idle", "expected a condition");
	assert_refused(">=3s", "expected a condition");
	assert_refused("idel>=3s", "found the name \"idel\"");
	assert_refused("idle>=3", "found the limit \"3\"");
	assert_refused("split=maybe", "expected one of no|yes|unknown");
	assert_refused("payload>=3", "no number to compare");
	assert_refused("idle.nothing>=3s", "no number to compare");
	assert_refused("mtu=big", "no word to compare");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_word_is_compared_with_the_answer, reset),
		cmocka_unit_test_setup(the_time_that_was_survived_counts, reset),
		cmocka_unit_test_setup(a_word_with_a_number_means_its_time, reset),
		cmocka_unit_test_setup(short_names_are_fields_of_rows, reset),
		cmocka_unit_test_setup(
		    counts_rates_and_milliseconds_have_their_units, reset),
		cmocka_unit_test_setup(
		    a_row_without_an_answer_fails_and_says_why, reset),
		cmocka_unit_test_setup(what_is_no_condition_is_refused, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
