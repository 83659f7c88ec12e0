#include "client/verify/diagnosis.h"
#include "tests/lib/one_stream.h"

static void
answers_are_right_whatever_the_segments(void **state)
{
	static const char *const expects[] = { "echo", "upper", "upper,suffix=_SB",
		"fixed=my server" };
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++)
		for (size_t e = 0; e < sizeof(expects) / sizeof(expects[0]); e++)
			for (size_t segment = 1; segment < 200; segment += 7) {
				struct scene scene;
				set_up(&scene, (enum framing)framing, expects[e], 50);
				size_t n = answers(&scene, scene.plan.reply.kind,
				    scene.connection, 0, MESSAGES, data);
				feed(&scene, data, n, segment);
				assert_int_equal(scene.right, MESSAGES);
				assert_int_equal(scene.wrong, 0);
				assert_int_equal(scene.counters->mismatches, 0);
				tear_down(&scene);
			}
}

static void
the_first_answer_tells_echo_from_upper_and_holds(void **state)
{
	static const enum reply_kind kinds[] = { REPLY_ECHO, REPLY_UPPER };
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct scene scene;
		set_up(&scene, FRAMING_STREAM, "auto", 0);
		size_t n = answers(&scene, kinds[k], scene.connection, 0, 3, data);
		feed(&scene, data, n, 5);
		assert_int_equal(scene.right, 3);
		assert_int_equal(scene.told, 1 + kinds[k]);
		/* From now on the other one is wrong. */
		n = answers(&scene, kinds[1 - k], scene.connection, 3, 4, data);
		feed(&scene, data, n, 100);
		assert_int_equal(scene.wrong, 1);
		tear_down(&scene);
	}
}

static void
an_altered_byte_makes_one_answer_wrong(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct scene scene;
		set_up(&scene, (enum framing)framing, "echo", 50);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, MESSAGES, data);
		size_t each = n / MESSAGES;
		data[2 * each + 17] ^= 0x20;
		feed(&scene, data, n, n);
		assert_int_equal(scene.right, MESSAGES - 1);
		assert_int_equal(scene.wrong, 1);
		assert_string_equal(looks(&scene), "an altered byte");
		const struct counters_mismatch *found = &scene.counters->mismatch[0];
		assert_int_equal(found->connection, 4);
		assert_int_equal(found->message, 2);
		assert_int_equal(found->answer_offset, 17);
		assert_int_equal(found->offset, 2 * each + 17);
		assert_int_equal(found->got[0], found->expected[0] ^ 0x20);
		tear_down(&scene);
	}
}

static void
an_answer_that_came_twice_is_surplus_and_spoils_none(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct scene scene;
		set_up(&scene, (enum framing)framing, "echo", 50);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, 2, data);
		size_t each = n / 2;
		n += answers(&scene, REPLY_ECHO, 4, 1, MESSAGES, data + n);
		feed(&scene, data, n, n);
		assert_int_equal(scene.right, MESSAGES);
		assert_int_equal(scene.counters->bytes_unexpected, each);
		assert_string_equal(looks(&scene), "a duplicate of message 1");
		tear_down(&scene);
	}
}

static void
a_duplicate_with_nothing_owed_is_surplus(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	size_t n = set_up_answered(&scene, data);
	feed(&scene, data + n / 2, n / 2, 20);
	assert_int_equal(scene.right, 2);
	assert_int_equal(scene.counters->bytes_unexpected, n / 2);
	assert_int_equal(scene.counters->mismatches, 1);
	assert_string_equal(looks(&scene), "a duplicate of message 1");
	tear_down(&scene);
}

static void
an_answer_left_out_is_wrong_and_those_behind_it_right(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct scene scene;
		set_up(&scene, (enum framing)framing, "echo", 50);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, 2, data);
		n += answers(&scene, REPLY_ECHO, 4, 4, MESSAGES, data + n);
		feed(&scene, data, n, n);
		assert_int_equal(scene.wrong, 2);
		assert_int_equal(scene.right, MESSAGES - 2);
		assert_non_null(strstr(looks(&scene), "a gap of 1"));
		tear_down(&scene);
	}
}

static void
bytes_left_out_of_a_stream_spoil_their_answers_only(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "echo", 50);
	size_t n = answers(&scene, REPLY_ECHO, 4, 0, MESSAGES, data);
	/* 20 bytes from the end of answer 1 to the beginning of answer 2 */
	memmove(data + 90, data + 110, n - 110);
	feed(&scene, data, n - 20, n);
	assert_string_equal(looks(&scene), "a gap of 20 bytes");
	assert_int_equal(scene.wrong, 2);
	assert_int_equal(scene.right, MESSAGES - 2);
	tear_down(&scene);
}

static void
the_data_of_another_connection_is_named(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct scene scene;
		set_up(&scene, (enum framing)framing, "upper", 50);
		size_t n = answers(&scene, REPLY_UPPER, 4, 0, 1, data);
		n += answers(&scene, REPLY_UPPER, 13, 1, 2, data + n);
		n += answers(&scene, REPLY_UPPER, 4, 2, MESSAGES, data + n);
		feed(&scene, data, n, n);
		assert_string_equal(
		    looks(&scene), "another connection's data (connection 13)");
		assert_int_equal(scene.wrong, 1);
		assert_int_equal(scene.right, MESSAGES - 1);
		tear_down(&scene);
	}
}

static void
an_answer_cut_short_in_its_frame_spoils_no_other(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_LENGTH32, "echo", 50);
	size_t n = answers(&scene, REPLY_ECHO, 4, 0, 2, data);
	data[54 + 3] = 30;
	n = 54 + 34 + answers(&scene, REPLY_ECHO, 4, 2, MESSAGES, data + 54 + 34);
	feed(&scene, data, n, n);
	assert_string_equal(looks(&scene), "a truncated answer");
	assert_int_equal(scene.wrong, 1);
	assert_int_equal(scene.right, MESSAGES - 1);
	tear_down(&scene);
}

static void
strange_bytes_are_none_of_what_was_sent(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "echo", 50);
	memset(data, '#', 50);
	feed(&scene, data, 50, 50);
	assert_string_equal(looks(&scene), "none of what was sent");
	assert_int_equal(scene.wrong, 1);
	tear_down(&scene);
}

static void
a_search_that_was_cut_short_says_so(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "echo", 50);
	scene.verify.steps_left = 13 * DIAGNOSIS_STEPS; /* itself is not looked at */
	size_t n = answers(&scene, REPLY_ECHO, 14, 0, 1, data);
	feed(&scene, data, n, n);
	assert_string_equal(looks(&scene), "none of what was looked at");
	tear_down(&scene);
	set_up(&scene, FRAMING_STREAM, "echo", 50);
	scene.verify.steps_left = 14 * DIAGNOSIS_STEPS;
	feed(&scene, data, n, n);
	assert_string_equal(looks(&scene), "another connection's data (connection 14)");
	tear_down(&scene);
}

/* The wrong answers of a stream with a gap in it, after so many searches and right
 * ones. */
static uint32_t
wrong_of_a_gap(uint64_t searches, uint64_t right)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	set_up(&scene, FRAMING_STREAM, "echo", 50);
	size_t n = answers(&scene, REPLY_ECHO, 4, 0, MESSAGES, data);
	memmove(data + 110, data + 120, n - 120);
	scene.verify.searches = searches;
	counters_add(&scene.counters->messages.verified, right);
	feed(&scene, data, n - 10, n);
	uint32_t wrong = (uint32_t)scene.wrong;
	tear_down(&scene);
	return wrong;
}

static void
a_flood_is_looked_into_no_more_and_a_few_always(void **state)
{
	(void)state;
	assert_int_equal(wrong_of_a_gap(63, 0), 1);
	assert_in_range(wrong_of_a_gap(64, 0), 2, MESSAGES);
	assert_int_equal(wrong_of_a_gap(64, 64), 1);
	assert_in_range(wrong_of_a_gap(1064, 63999), 2, MESSAGES);
	assert_int_equal(wrong_of_a_gap(1064, 64064), 1);
}

static void
how_far_an_answer_has_come_is_known(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;
	uint32_t length;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "echo", 50);
	assert_int_equal(verify_progress(&scene.verify, 4, &scene.stream, &length), 0);
	assert_int_equal(length, 50);
	answers(&scene, REPLY_ECHO, 4, 0, 1, data);
	feed(&scene, data, 30, 30);
	assert_int_equal(verify_progress(&scene.verify, 4, &scene.stream, &length), 30);
	assert_int_equal(length, 50);
	/* What has not come is not wrong. */
	assert_int_equal(atomic_load(&scene.counters->mismatches), 0);
	tear_down(&scene);
}

static void
an_empty_answer_is_there_when_its_header_is(void **state)
{
	static const uint8_t empty[4 * MESSAGES];
	struct scene scene;

	(void)state;
	for (size_t segment = 1; segment <= 4; segment++) {
		set_up(&scene, FRAMING_LENGTH32, "fixed=", 0);
		for (uint32_t i = 1; i <= MESSAGES; i++) {
			feed(&scene, empty, 4, segment);
			assert_int_equal(scene.right, i);
		}
		feed(&scene, empty, 4, segment);
		assert_int_equal(counters_get(&scene.counters->bytes_unexpected), 4);
		tear_down(&scene);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_right_whatever_the_segments),
		cmocka_unit_test(the_first_answer_tells_echo_from_upper_and_holds),
		cmocka_unit_test(an_altered_byte_makes_one_answer_wrong),
		cmocka_unit_test(an_answer_that_came_twice_is_surplus_and_spoils_none),
		cmocka_unit_test(a_duplicate_with_nothing_owed_is_surplus),
		cmocka_unit_test(an_answer_left_out_is_wrong_and_those_behind_it_right),
		cmocka_unit_test(bytes_left_out_of_a_stream_spoil_their_answers_only),
		cmocka_unit_test(the_data_of_another_connection_is_named),
		cmocka_unit_test(an_answer_cut_short_in_its_frame_spoils_no_other),
		cmocka_unit_test(strange_bytes_are_none_of_what_was_sent),
		cmocka_unit_test(a_search_that_was_cut_short_says_so),
		cmocka_unit_test(a_flood_is_looked_into_no_more_and_a_few_always),
		cmocka_unit_test(how_far_an_answer_has_come_is_known),
		cmocka_unit_test(an_empty_answer_is_there_when_its_header_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
