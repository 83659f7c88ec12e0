#include "client/verify/diagnosis.h"
#include "tests/lib/verify_fixture.h"

static void
correct_answers_are_verified_in_any_segmentation(void **state)
{
	static const char *const expects[] = { "echo", "upper", "upper,suffix=_SB",
		"fixed=my server" };
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++)
		for (size_t e = 0; e < sizeof(expects) / sizeof(expects[0]); e++)
			for (size_t segment = 1; segment < 200; segment += 7) {
				struct fixture fixture;
				set_up(&fixture, (enum framing)framing, expects[e], 50);
				size_t n =
				    correct_answers(&fixture, fixture.plan.reply.kind,
					fixture.connection, 0, MESSAGES, data);
				feed(&fixture, data, n, segment);
				assert_int_equal(fixture.right, MESSAGES);
				assert_int_equal(fixture.wrong, 0);
				assert_int_equal(fixture.counters->mismatches, 0);
				tear_down(&fixture);
			}
}

static void
the_first_answer_decides_between_echo_and_upper(void **state)
{
	static const enum reply_kind kinds[] = { REPLY_ECHO, REPLY_UPPER };
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct fixture fixture;
		set_up(&fixture, FRAMING_STREAM, "auto", 0);
		size_t n =
		    correct_answers(&fixture, kinds[k], fixture.connection, 0, 3, data);
		feed(&fixture, data, n, 5);
		assert_int_equal(fixture.right, 3);
		assert_int_equal(fixture.detected, 1 + kinds[k]);
		/* From here on the other reply is wrong. */
		n = correct_answers(
		    &fixture, kinds[1 - k], fixture.connection, 3, 4, data);
		feed(&fixture, data, n, 100);
		assert_int_equal(fixture.wrong, 1);
		tear_down(&fixture);
	}
}

static void
an_altered_byte_makes_one_answer_wrong(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct fixture fixture;
		set_up(&fixture, (enum framing)framing, "echo", 50);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
		size_t each = n / MESSAGES;
		data[2 * each + 17] ^= 0x20;
		feed(&fixture, data, n, n);
		assert_int_equal(fixture.right, MESSAGES - 1);
		assert_int_equal(fixture.wrong, 1);
		assert_string_equal(diagnosis_text(&fixture), "an altered byte");
		const struct counters_mismatch *found = &fixture.counters->mismatch[0];
		assert_int_equal(found->connection, 4);
		assert_int_equal(found->message, 2);
		assert_int_equal(found->answer_offset, 17);
		assert_int_equal(found->offset, 2 * each + 17);
		assert_int_equal(found->got[0], found->expected[0] ^ 0x20);
		tear_down(&fixture);
	}
}

static void
a_duplicate_answer_is_extra_and_affects_no_other(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct fixture fixture;
		set_up(&fixture, (enum framing)framing, "echo", 50);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
		size_t each = n / 2;
		n += correct_answers(&fixture, REPLY_ECHO, 4, 1, MESSAGES, data + n);
		feed(&fixture, data, n, n);
		assert_int_equal(fixture.right, MESSAGES);
		assert_int_equal(fixture.counters->bytes_unexpected, each);
		assert_string_equal(
		    diagnosis_text(&fixture), "a duplicate of message 1");
		tear_down(&fixture);
	}
}

static void
an_unexpected_duplicate_is_extra(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	size_t n = set_up_answered(&fixture, data);
	feed(&fixture, data + n / 2, n / 2, 20);
	assert_int_equal(fixture.right, 2);
	assert_int_equal(fixture.counters->bytes_unexpected, n / 2);
	assert_int_equal(fixture.counters->mismatches, 1);
	assert_string_equal(diagnosis_text(&fixture), "a duplicate of message 1");
	tear_down(&fixture);
}

static void
a_missing_answer_affects_no_later_answer(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct fixture fixture;
		set_up(&fixture, (enum framing)framing, "echo", 50);
		size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
		n += correct_answers(&fixture, REPLY_ECHO, 4, 4, MESSAGES, data + n);
		feed(&fixture, data, n, n);
		assert_int_equal(fixture.wrong, 2);
		assert_int_equal(fixture.right, MESSAGES - 2);
		assert_non_null(strstr(diagnosis_text(&fixture), "a gap of 1"));
		tear_down(&fixture);
	}
}

static void
missing_bytes_affect_only_their_answers(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", 50);
	size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
	/* 20 bytes from the end of answer 1 to the beginning of answer 2 */
	memmove(data + 90, data + 110, n - 110);
	feed(&fixture, data, n - 20, n);
	assert_string_equal(diagnosis_text(&fixture), "a gap of 20 bytes");
	assert_int_equal(fixture.wrong, 2);
	assert_int_equal(fixture.right, MESSAGES - 2);
	tear_down(&fixture);
}

static void
data_of_another_connection_is_diagnosed(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct fixture fixture;
		set_up(&fixture, (enum framing)framing, "upper", 50);
		size_t n = correct_answers(&fixture, REPLY_UPPER, 4, 0, 1, data);
		n += correct_answers(&fixture, REPLY_UPPER, 13, 1, 2, data + n);
		n += correct_answers(&fixture, REPLY_UPPER, 4, 2, MESSAGES, data + n);
		feed(&fixture, data, n, n);
		assert_string_equal(diagnosis_text(&fixture),
		    "another connection's data (connection 13)");
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

static void
a_truncated_answer_affects_no_other(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_LENGTH32, "echo", 50);
	size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
	data[54 + 3] = 30;
	n = 54 + 34 +
	    correct_answers(&fixture, REPLY_ECHO, 4, 2, MESSAGES, data + 54 + 34);
	feed(&fixture, data, n, n);
	assert_string_equal(diagnosis_text(&fixture), "a truncated answer");
	assert_int_equal(fixture.wrong, 1);
	assert_int_equal(fixture.right, MESSAGES - 1);
	tear_down(&fixture);
}

static void
unknown_bytes_are_not_recognised(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", 50);
	memset(data, '#', 50);
	feed(&fixture, data, 50, 50);
	assert_string_equal(
	    diagnosis_text(&fixture), "not recognised (64 KiB searched)");
	assert_int_equal(fixture.wrong, 1);
	tear_down(&fixture);
}

static void
reports_an_incomplete_search(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", 50);
	fixture.verify.search_left = 0;
	size_t n = correct_answers(&fixture, REPLY_ECHO, 14, 0, 1, data);
	feed(&fixture, data, n, n);
	assert_string_equal(
	    diagnosis_text(&fixture), "not recognised (search cut short)");
	tear_down(&fixture);
	set_up(&fixture, FRAMING_STREAM, "echo", 50);
	feed(&fixture, data, n, n);
	assert_string_equal(
	    diagnosis_text(&fixture), "another connection's data (connection 14)");
	tear_down(&fixture);
}

/* However many damages there are, the answers between them are right. */
static void
every_one_of_many_damages_is_counted_alone(void **state)
{
	enum { MANY = 6000, SIZE = 64 };
	uint8_t *data = malloc(MANY * SIZE);
	struct fixture fixture;

	(void)state;
	assert_non_null(data);
	set_up(&fixture, FRAMING_STREAM, "echo", SIZE);
	fixture.unanswered = MANY;
	correct_answers(&fixture, REPLY_ECHO, 4, 0, MANY, data);
	size_t length = 0;
	for (size_t i = 0; i < MANY; i++) {
		/* Every second answer lacks a byte. */
		size_t n = i % 2 == 0 ? SIZE : SIZE - 1;
		memmove(data + length, data + i * SIZE, n);
		length += n;
	}
	feed(&fixture, data, length, 1448);
	/* A missing last byte of the last answer cannot be told from one that is late.
	 */
	assert_int_equal(fixture.right, MANY / 2);
	assert_int_equal(fixture.wrong, MANY / 2 - 1);
	assert_int_equal(fixture.unanswered, 1);
	/* The work is bounded for each received byte. */
	assert_true(fixture.verify.resync.work_bytes <=
	    RESYNC_SPARE_BYTES + 256 * (uint64_t)length);
	tear_down(&fixture);
	free(data);
}

static void
reports_the_received_bytes_of_an_answer(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;
	uint32_t length;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", 50);
	assert_int_equal(
	    verify_progress(&fixture.verify, 4, &fixture.stream, &length), 0);
	assert_int_equal(length, 50);
	correct_answers(&fixture, REPLY_ECHO, 4, 0, 1, data);
	feed_segment(&fixture, data, 30);
	assert_int_equal(
	    verify_progress(&fixture.verify, 4, &fixture.stream, &length), 30);
	assert_int_equal(length, 50);
	/* Bytes that have not arrived are not wrong. */
	assert_int_equal(atomic_load(&fixture.counters->mismatches), 0);
	tear_down(&fixture);
}

static void
an_empty_answer_is_complete_after_its_header(void **state)
{
	static const uint8_t empty[4 * MESSAGES];
	struct fixture fixture;

	(void)state;
	for (size_t segment = 1; segment <= 4; segment++) {
		set_up(&fixture, FRAMING_LENGTH32, "fixed=", 0);
		for (uint32_t i = 1; i <= MESSAGES; i++) {
			feed(&fixture, empty, 4, segment);
			assert_int_equal(fixture.right, i);
		}
		feed(&fixture, empty, 4, segment);
		assert_int_equal(counters_get(&fixture.counters->bytes_unexpected), 4);
		tear_down(&fixture);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(correct_answers_are_verified_in_any_segmentation),
		cmocka_unit_test(the_first_answer_decides_between_echo_and_upper),
		cmocka_unit_test(an_altered_byte_makes_one_answer_wrong),
		cmocka_unit_test(a_duplicate_answer_is_extra_and_affects_no_other),
		cmocka_unit_test(an_unexpected_duplicate_is_extra),
		cmocka_unit_test(a_missing_answer_affects_no_later_answer),
		cmocka_unit_test(missing_bytes_affect_only_their_answers),
		cmocka_unit_test(data_of_another_connection_is_diagnosed),
		cmocka_unit_test(a_truncated_answer_affects_no_other),
		cmocka_unit_test(unknown_bytes_are_not_recognised),
		cmocka_unit_test(reports_an_incomplete_search),
		cmocka_unit_test(every_one_of_many_damages_is_counted_alone),
		cmocka_unit_test(reports_the_received_bytes_of_an_answer),
		cmocka_unit_test(an_empty_answer_is_complete_after_its_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
