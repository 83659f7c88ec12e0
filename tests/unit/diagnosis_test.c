#include "proto/payload.h"
#include "tests/lib/verify_fixture.h"

/* A wrong byte where echo and upper differ decides for neither. */
static void
a_wrong_letter_does_not_decide_between_echo_and_upper(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "auto", 0);
	size_t n = correct_answers(&fixture, REPLY_UPPER, 4, 0, 3, data);
	data[1] = '#';
	feed(&fixture, data, n, n);
	assert_int_equal(fixture.detected, 1 + REPLY_UPPER);
	assert_int_equal(fixture.wrong, 1);
	assert_int_equal(fixture.right, 2);
	tear_down(&fixture);
}

static void
an_answer_longer_than_one_comparison_step_is_verified_to_its_end(void **state)
{
	enum { LONG = 3 * VERIFY_STEP + 100, WRONG_AT = 2 * VERIFY_STEP + 7 };
	uint8_t *data = malloc(LONG);
	struct fixture fixture;

	(void)state;
	assert_non_null(data);
	set_up(&fixture, FRAMING_STREAM, "echo", LONG);
	payload_fill(fixture.sequence.seed, 4, 0, false, data, LONG);
	feed(&fixture, data, LONG, LONG);
	assert_int_equal(fixture.right, 1);
	payload_fill(fixture.sequence.seed, 4, LONG, false, data, LONG);
	data[WRONG_AT] ^= 1;
	feed(&fixture, data, LONG, LONG);
	assert_int_equal(fixture.wrong, 1);
	assert_int_equal(fixture.counters->mismatch[0].answer_offset, WRONG_AT);
	tear_down(&fixture);
	free(data);
}

/* A duplicate in two segments, followed by other bytes, is one damage. */
static void
a_duplicate_and_the_bytes_after_it_belong_to_no_answer(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	size_t n = set_up_answered(&fixture, data);
	feed_segment(&fixture, data + 50, 20);
	memset(data + 100, '#', 5);
	feed_segment(&fixture, data + 70, 35);
	/* The next expected answer is verified from its first byte on. */
	fixture.unanswered = 1;
	n = correct_answers(&fixture, REPLY_ECHO, 4, 2, 3, data);
	feed(&fixture, data, n, n);
	assert_int_equal(fixture.right, 3);
	assert_int_equal(fixture.counters->mismatches, 1);
	assert_string_equal(diagnosis_text(&fixture), "a duplicate of message 1");
	assert_int_equal(fixture.counters->bytes_unexpected, 55);
	tear_down(&fixture);
}

static void
a_duplicate_followed_by_more_data_leaves_nothing_to_skip(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	size_t n = set_up_answered(&fixture, data);
	memset(data + 100, '#', 5);
	feed(&fixture, data + 50, 55, 55);
	fixture.unanswered = 1;
	n = correct_answers(&fixture, REPLY_ECHO, 4, 2, 3, data);
	feed(&fixture, data, n, n);
	assert_int_equal(fixture.right, 3);
	assert_int_equal(fixture.counters->bytes_unexpected, 55);
	tear_down(&fixture);
}

/* The first gap ends within an answer, the second between two answers. */
static void
a_gap_affects_no_later_gap(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", 64);
	size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
	memmove(data + 3 * 64, data + 4 * 64, n - 4 * 64);
	n -= 64;
	memmove(data + 50, data + 70, n - 70);
	n -= 20;
	feed(&fixture, data, n, n);
	assert_int_equal(fixture.counters->mismatches, 2);
	assert_int_equal(fixture.wrong, 3);
	assert_int_equal(fixture.right, MESSAGES - 3);
	tear_down(&fixture);
}

/* A connection whose messages 1 to 4 have different lengths. */
static void
set_up_lengths(
    struct fixture *fixture, enum framing framing, uint32_t lengths[MESSAGES])
{
	set_up_sizes(fixture, framing, "echo", 30, 120);
	for (uint32_t i = 0; i < MESSAGES; i++)
		lengths[i] = expectation_length(&fixture->expectation, 4, i);
	assert_int_not_equal(lengths[1], lengths[2]);
	assert_int_not_equal(lengths[2], lengths[4]);
}

static void
diagnoses_answers_of_any_length(void **state)
{
	uint8_t data[STREAM_MAX];
	uint32_t lengths[MESSAGES];
	struct fixture fixture;

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		set_up_lengths(&fixture, (enum framing)framing, lengths);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
		n += correct_answers(&fixture, REPLY_ECHO, 4, 1, MESSAGES, data + n);
		feed(&fixture, data, n, n);
		assert_string_equal(
		    diagnosis_text(&fixture), "a duplicate of message 1");
		assert_int_equal(fixture.counters->bytes_unexpected, lengths[1]);
		assert_int_equal(fixture.right, MESSAGES);
		tear_down(&fixture);

		set_up_lengths(&fixture, (enum framing)framing, lengths);
		n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
		n += correct_answers(&fixture, REPLY_ECHO, 4, 4, MESSAGES, data + n);
		feed(&fixture, data, n, n);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_int_equal(fixture.counters->bytes_unexpected, 0);
		assert_int_equal(fixture.wrong, 2);
		assert_int_equal(fixture.right, MESSAGES - 2);
		tear_down(&fixture);
	}
}

static void
detects_a_duplicate_of_the_first_answer(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct fixture fixture;
		set_up(&fixture, (enum framing)framing, "echo", 50);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 3, data);
		size_t each = n / 3;
		n += correct_answers(&fixture, REPLY_ECHO, 4, 0, 1, data + n);
		n += correct_answers(&fixture, REPLY_ECHO, 4, 3, MESSAGES, data + n);
		feed(&fixture, data, n, n);
		assert_string_equal(
		    diagnosis_text(&fixture), "a duplicate of message 0");
		assert_int_equal(fixture.counters->bytes_unexpected, each);
		assert_int_equal(fixture.right, MESSAGES);
		tear_down(&fixture);
	}
}

static void
needs_four_bytes_for_a_diagnosis(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	char inserted[COUNTERS_DIAGNOSIS_MAX];
	for (size_t some = 3; some <= 4; some++) {
		set_up(&fixture, FRAMING_STREAM, "echo", 50);
		fixture.unanswered = 2;
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
		feed(&fixture, data, n, n);
		snprintf(inserted, sizeof(inserted), "%zu bytes inserted", some);
		feed(&fixture, data, some, some);
		assert_string_equal(diagnosis_text(&fixture),
		    some < 4 ? inserted : "a duplicate of message 0");
		tear_down(&fixture);
	}
}

/* Up to 9 bytes that differ are counted, whatever lies between them. */
static void
counts_altered_bytes(void **state)
{
	static const char *const names[] = { [1] = "an altered byte",
		[2] = "2 altered bytes",
		[9] = "9 altered bytes",
		[10] = "not recognised (64 KiB searched)" };
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (size_t altered = 1; altered <= 10; altered++) {
		if (names[altered] == NULL)
			continue;
		set_up(&fixture, FRAMING_STREAM, "echo", 100);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
		for (size_t i = 0; i < altered; i++)
			data[10 + i] ^= 1;
		feed(&fixture, data, n, n);
		assert_string_equal(diagnosis_text(&fixture), names[altered]);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_int_equal(fixture.wrong, 1);
		tear_down(&fixture);
	}
}

static void
finds_a_gap_that_leaves_four_bytes(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", 50);
	size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
	memmove(data + 100, data + n - 4, 4);
	feed(&fixture, data, 104, 104);
	assert_string_equal(diagnosis_text(&fixture), "a gap of 196 bytes");
	assert_int_equal(fixture.right, 2);
	assert_int_equal(fixture.wrong, MESSAGES - 2);
	tear_down(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_letter_does_not_decide_between_echo_and_upper),
		cmocka_unit_test(
		    an_answer_longer_than_one_comparison_step_is_verified_to_its_end),
		cmocka_unit_test(
		    a_duplicate_and_the_bytes_after_it_belong_to_no_answer),
		cmocka_unit_test(
		    a_duplicate_followed_by_more_data_leaves_nothing_to_skip),
		cmocka_unit_test(a_gap_affects_no_later_gap),
		cmocka_unit_test(diagnoses_answers_of_any_length),
		cmocka_unit_test(detects_a_duplicate_of_the_first_answer),
		cmocka_unit_test(needs_four_bytes_for_a_diagnosis),
		cmocka_unit_test(counts_altered_bytes),
		cmocka_unit_test(finds_a_gap_that_leaves_four_bytes),
	};

	return cmocka_run_group_tests_name("diagnosis", tests, NULL, NULL);
}
