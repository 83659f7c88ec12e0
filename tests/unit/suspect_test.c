#include "client/messages/payload.h"
#include "tests/lib/one_stream.h"

/* One that is wrong in the place where the two differ tells neither. */
static void
a_wrong_letter_tells_nothing_of_echo_and_upper(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "auto", 0);
	size_t n = answers(&scene, REPLY_UPPER, 4, 0, 3, data);
	data[1] = '#';
	feed(&scene, data, n, n);
	assert_int_equal(scene.told, 1 + REPLY_UPPER);
	assert_int_equal(scene.wrong, 1);
	assert_int_equal(scene.right, 2);
	tear_down(&scene);
}

static void
an_answer_longer_than_what_is_compared_at_once_is_right_to_its_end(void **state)
{
	enum { LONG = 3 * VERIFY_STEP + 100, WRONG_AT = 2 * VERIFY_STEP + 7 };
	uint8_t *data = malloc(LONG);
	struct scene scene;

	(void)state;
	assert_non_null(data);
	set_up(&scene, FRAMING_STREAM, "echo", LONG);
	payload_fill(scene.sequence.seed, 4, 0, false, data, LONG);
	feed(&scene, data, LONG, LONG);
	assert_int_equal(scene.right, 1);
	payload_fill(scene.sequence.seed, 4, LONG, false, data, LONG);
	data[WRONG_AT] ^= 1;
	feed(&scene, data, LONG, LONG);
	assert_int_equal(scene.wrong, 1);
	assert_int_equal(scene.counters->mismatch[0].answer_offset, WRONG_AT);
	tear_down(&scene);
	free(data);
}

/* A duplicate in two pieces, the second with something else behind it. */
static void
what_comes_behind_a_duplicate_is_told_by_itself(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	size_t n = set_up_answered(&scene, data);
	feed(&scene, data + 50, 20, 20);
	memset(data + 100, '#', 5);
	feed(&scene, data + 70, 35, 35);
	assert_int_equal(scene.counters->mismatches, 2);
	assert_string_equal(looks(&scene), "a duplicate of message 1");
	const struct counters_mismatch *other = &scene.counters->mismatch[1];
	assert_int_equal(other->got_length, 5);
	assert_memory_equal(other->got, "#####", 5);
	assert_int_equal(scene.counters->bytes_unexpected, 55);
	/* And what is owed again is taken from its first byte on. */
	scene.unanswered = 1;
	n = answers(&scene, REPLY_ECHO, 4, 2, 3, data);
	feed(&scene, data, n, n);
	assert_int_equal(scene.right, 3);
	tear_down(&scene);
}

static void
a_duplicate_with_more_behind_it_in_one_read_leaves_nothing_to_skip(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	size_t n = set_up_answered(&scene, data);
	memset(data + 100, '#', 5);
	feed(&scene, data + 50, 55, 55);
	scene.unanswered = 1;
	n = answers(&scene, REPLY_ECHO, 4, 2, 3, data);
	feed(&scene, data, n, n);
	assert_int_equal(scene.right, 3);
	assert_int_equal(scene.counters->bytes_unexpected, 55);
	tear_down(&scene);
}

/* The first gap ends within an answer, the second one between two. */
static void
a_gap_does_not_spoil_what_is_behind_the_next_one(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "echo", 64);
	size_t n = answers(&scene, REPLY_ECHO, 4, 0, MESSAGES, data);
	memmove(data + 3 * 64, data + 4 * 64, n - 4 * 64);
	n -= 64;
	memmove(data + 50, data + 70, n - 70);
	n -= 20;
	feed(&scene, data, n, n);
	assert_int_equal(scene.counters->mismatches, 2);
	assert_int_equal(scene.wrong, 3);
	assert_int_equal(scene.right, MESSAGES - 3);
	tear_down(&scene);
}

/* A scene whose messages 1 to 4 have lengths of their own. */
static void
set_up_lengths(struct scene *scene, enum framing framing, uint32_t lengths[MESSAGES])
{
	set_up_sizes(scene, framing, "echo", 30, 120);
	for (uint32_t i = 0; i < MESSAGES; i++)
		lengths[i] = expectation_length(&scene->expectation, 4, i);
	assert_int_not_equal(lengths[1], lengths[2]);
	assert_int_not_equal(lengths[2], lengths[4]);
}

static void
an_answer_of_another_length_is_a_duplicate_or_behind_a_gap_like_any(void **state)
{
	uint8_t data[STREAM_MAX];
	uint32_t lengths[MESSAGES];
	struct scene scene;

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		set_up_lengths(&scene, (enum framing)framing, lengths);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, 2, data);
		n += answers(&scene, REPLY_ECHO, 4, 1, MESSAGES, data + n);
		feed(&scene, data, n, n);
		assert_string_equal(looks(&scene), "a duplicate of message 1");
		assert_int_equal(scene.counters->bytes_unexpected, lengths[1]);
		assert_int_equal(scene.right, MESSAGES);
		tear_down(&scene);

		set_up_lengths(&scene, (enum framing)framing, lengths);
		n = answers(&scene, REPLY_ECHO, 4, 0, 2, data);
		n += answers(&scene, REPLY_ECHO, 4, 4, MESSAGES, data + n);
		feed(&scene, data, n, n);
		assert_int_equal(scene.counters->mismatches, 1);
		assert_int_equal(scene.counters->bytes_unexpected, 0);
		assert_int_equal(scene.wrong, 2);
		assert_int_equal(scene.right, MESSAGES - 2);
		tear_down(&scene);
	}
}

static void
the_first_answer_of_all_can_come_twice(void **state)
{
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++) {
		struct scene scene;
		set_up(&scene, (enum framing)framing, "echo", 50);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, 3, data);
		size_t each = n / 3;
		n += answers(&scene, REPLY_ECHO, 4, 0, 1, data + n);
		n += answers(&scene, REPLY_ECHO, 4, 3, MESSAGES, data + n);
		feed(&scene, data, n, n);
		assert_string_equal(looks(&scene), "a duplicate of message 0");
		assert_int_equal(scene.counters->bytes_unexpected, each);
		assert_int_equal(scene.right, MESSAGES);
		tear_down(&scene);
	}
}

static void
fewer_bytes_than_four_tell_nothing(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	for (size_t some = 3; some <= 4; some++) {
		set_up(&scene, FRAMING_STREAM, "echo", 50);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, 2, data);
		feed(&scene, data, n, n);
		feed(&scene, data, some, some);
		assert_string_equal(looks(&scene),
		    some < 4 ? "none of what was sent" : "a duplicate of message 0");
		tear_down(&scene);
	}
}

/* Of 64 bytes 9 may be others, then they are no answer with an altered byte. */
static void
an_answer_of_which_too_much_was_altered_is_none(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	for (size_t altered = 9; altered <= 10; altered++) {
		set_up(&scene, FRAMING_STREAM, "echo", 100);
		size_t n = answers(&scene, REPLY_ECHO, 4, 0, MESSAGES, data);
		for (size_t i = 0; i < altered; i++)
			data[10 + 5 * i] ^= 1;
		feed(&scene, data, n, n);
		assert_string_equal(looks(&scene),
		    altered == 9 ? "an altered byte" : "none of what was sent");
		assert_int_equal(scene.wrong, 1);
		tear_down(&scene);
	}
}

static void
a_gap_may_leave_four_bytes_of_all_that_is_owed(void **state)
{
	uint8_t data[STREAM_MAX];
	struct scene scene;

	(void)state;
	set_up(&scene, FRAMING_STREAM, "echo", 50);
	size_t n = answers(&scene, REPLY_ECHO, 4, 0, MESSAGES, data);
	memmove(data + 100, data + n - 4, 4);
	feed(&scene, data, 104, 104);
	assert_string_equal(looks(&scene), "a gap of 196 bytes");
	assert_int_equal(scene.right, 2);
	assert_int_equal(scene.wrong, MESSAGES - 2);
	tear_down(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_letter_tells_nothing_of_echo_and_upper),
		cmocka_unit_test(
		    an_answer_longer_than_what_is_compared_at_once_is_right_to_its_end),
		cmocka_unit_test(what_comes_behind_a_duplicate_is_told_by_itself),
		cmocka_unit_test(
		    a_duplicate_with_more_behind_it_in_one_read_leaves_nothing_to_skip),
		cmocka_unit_test(a_gap_does_not_spoil_what_is_behind_the_next_one),
		cmocka_unit_test(
		    an_answer_of_another_length_is_a_duplicate_or_behind_a_gap_like_any),
		cmocka_unit_test(the_first_answer_of_all_can_come_twice),
		cmocka_unit_test(fewer_bytes_than_four_tell_nothing),
		cmocka_unit_test(an_answer_of_which_too_much_was_altered_is_none),
		cmocka_unit_test(a_gap_may_leave_four_bytes_of_all_that_is_owed),
	};

	return cmocka_run_group_tests_name("suspect", tests, NULL, NULL);
}
