#include "tests/lib/verify_fixture.h"

/* Feeds all answers except `gap` bytes at `at`. */
static void
feed_but(struct fixture *fixture, size_t at, size_t gap, size_t segment)
{
	uint8_t data[STREAM_MAX];
	size_t n = correct_answers(fixture, REPLY_ECHO, 4, 0, MESSAGES, data);

	memmove(data + at, data + at + gap, n - at - gap);
	feed(fixture, data, n - gap, segment);
}

/* Expects one mismatch, a gap at `at`, and `damaged` wrong answers. */
static void
assert_one_gap(struct fixture *fixture, size_t at, size_t gap, uint32_t damaged)
{
	char words[COUNTERS_DIAGNOSIS_MAX];

	snprintf(words, sizeof(words), "a gap of %zu byte%s", gap, gap == 1 ? "" : "s");
	assert_int_equal(fixture->counters->mismatches, 1);
	assert_string_equal(diagnosis_text(fixture), words);
	assert_int_equal(fixture->counters->mismatch[0].offset, at);
	assert_int_equal(fixture->wrong, damaged);
	assert_int_equal(fixture->right, MESSAGES - damaged);
	assert_true(fixture->counters->bytes_unexpected == 0);
}

static void
missing_bytes_are_one_gap_in_every_framing(void **state)
{
	static const struct {
		enum framing framing;
		size_t at, gap;
		uint32_t damaged;
	} cases[] = {
		/* In an answer; up to its end and beyond; one answer and parts of two.
		 */
		{ FRAMING_STREAM, 50, 10, 1 },
		{ FRAMING_STREAM, 50, 100, 3 },
		{ FRAMING_LINE, 50, 10, 1 },
		{ FRAMING_LINE, 50, 15, 1 },
		{ FRAMING_LINE, 50, 20, 2 },
		{ FRAMING_LINE, 50, 100, 3 },
		{ FRAMING_LENGTH32, 50, 10, 1 },
		{ FRAMING_LENGTH32, 50, 18, 1 },
		{ FRAMING_LENGTH32, 50, 40, 2 },
		/* Into a header, and from within one. */
		{ FRAMING_LENGTH32, 50, 20, 2 },
		{ FRAMING_LENGTH32, 71, 1, 1 },
		{ FRAMING_LENGTH32, 71, 30, 1 },
		{ FRAMING_LENGTH32, 71, 80, 2 },
	};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(&fixture, cases[i].framing, "echo", 64);
		feed_but(&fixture, cases[i].at, cases[i].gap, STREAM_MAX);
		assert_one_gap(&fixture, cases[i].at, cases[i].gap, cases[i].damaged);
		tear_down(&fixture);
	}
}

/* Feeds all answers, with `many` bytes inserted at `at`: those before it, or others. */
static void
feed_more(struct fixture *fixture, size_t at, size_t many, bool again)
{
	uint8_t data[STREAM_MAX];
	size_t n = correct_answers(fixture, REPLY_ECHO, 4, 0, MESSAGES, data);

	memmove(data + at + many, data + at, n - at);
	if (again)
		memcpy(data + at, data + at - many, many);
	else
		memset(data + at, '#', many);
	feed(fixture, data, n + many, STREAM_MAX);
}

static void
reports_extra_bytes_once_and_skips_them(void **state)
{
	static const struct {
		enum framing framing;
		size_t at, many;
		bool again;
		uint32_t damaged;
		const char *diagnosis_text;
	} cases[] = {
		{ FRAMING_STREAM, 70, 10, false, 1, "10 bytes inserted" },
		{ FRAMING_STREAM, 64, 3, false, 0,
		    "3 bytes inserted: \"###\" after the answer" },
		{ FRAMING_STREAM, 70, 1, false, 1, "1 byte inserted" },
		{ FRAMING_STREAM, 150, 100, true, 1, "the last 100 bytes repeated" },
		{ FRAMING_STREAM, 150, 20, true, 1, "the last 20 bytes repeated" },
		/* Exactly the start of the answer. */
		{ FRAMING_STREAM, 74, 10, true, 1, "the last 10 bytes repeated" },
		{ FRAMING_STREAM, 10, 10, true, 1, "the last 10 bytes repeated" },
		{ FRAMING_LINE, 150, 100, true, 1, "the last 100 bytes repeated" },
		{ FRAMING_LENGTH32, 150, 100, true, 1, "the last 100 bytes repeated" },
		{ FRAMING_LENGTH32, 150, 10, true, 1, "the last 10 bytes repeated" },
		{ FRAMING_LENGTH32, 136, 30, true, 0, "the last 30 bytes repeated" },
		/* Less than a header, before a header. */
		{ FRAMING_LENGTH32, 136, 2, true, 0, "the last 2 bytes repeated" },
		{ FRAMING_LENGTH32, 136, 3, true, 0, "the last 3 bytes repeated" },
	};
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(&fixture, cases[i].framing, "echo", 64);
		feed_more(&fixture, cases[i].at, cases[i].many, cases[i].again);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_string_equal(diagnosis_text(&fixture), cases[i].diagnosis_text);
		assert_int_equal(fixture.counters->mismatch[0].offset, cases[i].at);
		assert_int_equal(fixture.counters->bytes_unexpected, cases[i].many);
		assert_int_equal(fixture.wrong, cases[i].damaged);
		assert_int_equal(fixture.right, MESSAGES - cases[i].damaged);
		tear_down(&fixture);
	}
}

/* Where all messages are the same, the stream could as well go on one answer later:
 * that answer would be missing here, and be one too many at the end. */
static void
bytes_inserted_between_equal_messages_replace_no_answer(void **state)
{
	struct fixture fixture;
	char error[PLAN_ERROR_MAX];

	(void)state;
	for (size_t at = 8; at < 13; at++) {
		set_up(&fixture, FRAMING_LINE, "echo", 0);
		expectation_close(&fixture.expectation);
		sequence_close(&fixture.sequence);
		options_list_add(&fixture.plan.texts, "hello ");
		assert_int_equal(
		    sequence_open(&fixture.plan, &fixture.sequence, error), 0);
		expectation_open(
		    &fixture.plan, &fixture.sequence, &fixture.expectation);
		feed_more(&fixture, at, 8, false);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_string_equal(diagnosis_text(&fixture), "8 bytes inserted");
		assert_int_equal(fixture.counters->bytes_unexpected, 8);
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

/* The excerpt starts at the differing header bytes, not at the payload. */
static void
the_excerpt_of_an_altered_header_starts_in_the_header(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		set_up(&fixture, FRAMING_LENGTH32, "echo", 64);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
		data[68 + i] ^= 0x81;
		feed(&fixture, data, n, STREAM_MAX);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_string_equal(diagnosis_text(&fixture), "an altered byte");
		const struct counters_mismatch *m = &fixture.counters->mismatch[0];
		assert_int_equal(m->offset, 68 + i);
		assert_int_equal(m->answer_offset, i);
		assert_int_equal(m->expected[0] ^ m->got[0], 0x81);
		/* The other answers are correct. */
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

/* A longer frame of the server is one wrong answer: its suffix is discarded. */
static void
a_longer_frame_is_one_wrong_answer(void **state)
{
	uint8_t data[STREAM_MAX], longer[STREAM_MAX];
	struct fixture fixture;
	size_t out = 0;

	(void)state;
	set_up(&fixture, FRAMING_LENGTH32, "echo", 64);
	size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
	for (size_t i = 0; i < n; i += 68) {
		memcpy(longer + out, data + i, 68);
		longer[out + 3] += 3;
		memcpy(longer + out + 68, "_SB", 3);
		out += 71;
	}
	tear_down(&fixture);
	/* Fed whole, or with little more than the header at first. */
	for (size_t segment = STREAM_MAX; segment > 4; segment = segment > 5 ? 5 : 0) {
		set_up(&fixture, FRAMING_LENGTH32, "echo", 64);
		feed(&fixture, longer, out, segment);
		assert_int_equal(fixture.wrong, MESSAGES);
		assert_int_equal(fixture.counters->mismatches, MESSAGES);
		assert_string_equal(diagnosis_text(&fixture), "a longer answer");
		assert_true(fixture.counters->bytes_unexpected == 0);
		tear_down(&fixture);
	}
}

static void
an_empty_frame_affects_no_other(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (size_t segment = STREAM_MAX; segment > 0; segment /= 64) {
		set_up(&fixture, FRAMING_LENGTH32, "echo", 64);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
		memset(data + n, 0, 4);
		n += 4;
		n += correct_answers(&fixture, REPLY_ECHO, 4, 3, MESSAGES, data + n);
		feed(&fixture, data, n, segment);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

/* The altered length is far beyond the data; the payload is intact. */
static void
an_altered_length_is_detected_before_the_payload_arrives(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		set_up(&fixture, FRAMING_LENGTH32, "echo", 64);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
		data[68 + i] ^= 0x81;
		feed(&fixture, data, n, 72);
		assert_string_equal(diagnosis_text(&fixture), "an altered byte");
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

/* A line that ends early is truncated by the server, although it fits a gap. */
static void
a_line_that_ends_early_is_truncated(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_LINE, "echo", 64);
	feed_but(&fixture, 50, 14, STREAM_MAX);
	assert_string_equal(diagnosis_text(&fixture), "a truncated answer");
	assert_int_equal(fixture.wrong, 1);
	assert_int_equal(fixture.right, MESSAGES - 1);
	tear_down(&fixture);
}

static void
a_longer_line_affects_no_other_when_received_byte_by_byte(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_LINE, "echo", 64);
	size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
	memmove(data + 2 * 65, data + 2 * 65 - 1, n - (2 * 65 - 1));
	data[2 * 65 - 1] = '!';
	feed(&fixture, data, n + 1, 1);
	assert_int_equal(fixture.counters->mismatches, 1);
	assert_int_equal(fixture.wrong, 1);
	assert_int_equal(fixture.right, MESSAGES - 1);
	tear_down(&fixture);
}

/* A line end altered on the way does not change the number of answers. */
static void
an_altered_line_end_is_one_wrong_answer(void **state)
{
	static const struct {
		size_t at;
		uint8_t becomes;
	} cases[] = { { 64, 'x' }, { 129, 'x' }, { 30, '\n' }, { 95, '\n' } };
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(&fixture, FRAMING_LINE, "echo", 64);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
		data[cases[i].at] = cases[i].becomes;
		feed(&fixture, data, n, STREAM_MAX);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_string_equal(diagnosis_text(&fixture), "an altered byte");
		assert_int_equal(fixture.counters->mismatch[0].offset, cases[i].at);
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_bytes_are_one_gap_in_every_framing),
		cmocka_unit_test(reports_extra_bytes_once_and_skips_them),
		cmocka_unit_test(
		    bytes_inserted_between_equal_messages_replace_no_answer),
		cmocka_unit_test(the_excerpt_of_an_altered_header_starts_in_the_header),
		cmocka_unit_test(an_altered_line_end_is_one_wrong_answer),
		cmocka_unit_test(a_longer_frame_is_one_wrong_answer),
		cmocka_unit_test(an_empty_frame_affects_no_other),
		cmocka_unit_test(
		    an_altered_length_is_detected_before_the_payload_arrives),
		cmocka_unit_test(a_line_that_ends_early_is_truncated),
		cmocka_unit_test(
		    a_longer_line_affects_no_other_when_received_byte_by_byte),
	};

	return cmocka_run_group_tests_name("resync", tests, NULL, NULL);
}
