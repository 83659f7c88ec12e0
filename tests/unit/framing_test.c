#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"

#define BYTES(text) ((const uint8_t *)(text))

static enum frame_status
next(enum framing framing, const char *text, size_t length, size_t max_message,
    struct frame *ret)
{
	/* An exact allocation, so that a sanitizer detects a read beyond the end. */
	uint8_t *data = malloc(length + (length == 0));

	assert_non_null(data);
	memcpy(data, text, length);
	enum frame_status status =
	    framings[framing].next(data, length, 0, max_message, ret);
	free(data);
	return status;
}

static void
assert_frame(const struct frame *frame, size_t header, size_t payload, size_t trailer)
{
	assert_int_equal(frame->header, header);
	assert_int_equal(frame->payload, payload);
	assert_int_equal(frame->trailer, trailer);
	assert_int_equal(frame_length(frame), header + payload + trailer);
}

static void
test_parses_the_name_of_each_framing_and_no_other_word(void **state)
{
	enum framing framing = FRAMING_LINE;

	(void)state;
	for (int i = 0; framing_names[i] != NULL; i++) {
		assert_int_equal(framing_parse(framing_names[i], &framing), 0);
		assert_int_equal(framing, i);
	}
	framing = FRAMING_LINE;
	assert_int_equal(framing_parse("Stream", &framing), -1);
	assert_int_equal(framing_parse("", &framing), -1);
	assert_int_equal(framing, FRAMING_LINE);
}

static void
test_a_line_ends_at_its_first_newline(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(next(FRAMING_LINE, "one\ntwo\n", 8, 100, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 3, 1);
	assert_int_equal(next(FRAMING_LINE, "\n", 1, 100, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 0, 1);
	assert_int_equal(next(FRAMING_LINE, "one", 3, 100, &frame), FRAME_PARTIAL);
	assert_int_equal(next(FRAMING_LINE, "", 0, 100, &frame), FRAME_PARTIAL);
}

static void
test_a_line_has_at_most_max_message_bytes_before_its_newline(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(next(FRAMING_LINE, "12345", 5, 5, &frame), FRAME_PARTIAL);
	assert_int_equal(next(FRAMING_LINE, "12345\n", 6, 5, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 5, 1);
	assert_int_equal(next(FRAMING_LINE, "123456", 6, 5, &frame), FRAME_TOO_LONG);
	assert_int_equal(next(FRAMING_LINE, "123456\n", 7, 5, &frame), FRAME_TOO_LONG);
	assert_int_equal(
	    next(FRAMING_LINE, "12345", 5, SIZE_MAX, &frame), FRAME_PARTIAL);
}

static void
test_a_search_for_the_newline_continues_where_the_last_one_ended(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(framings[FRAMING_LINE].next(BYTES("abc\n"), 4, 3, 100, &frame),
	    FRAME_WHOLE);
	assert_frame(&frame, 0, 3, 1);
	/* Bytes before the offset are not searched again. */
	assert_int_equal(
	    framings[FRAMING_LINE].next(BYTES("a\nc\n"), 4, 2, 100, &frame),
	    FRAME_WHOLE);
	assert_frame(&frame, 0, 3, 1);
	assert_int_equal(framings[FRAMING_LINE].next(BYTES("abc"), 3, 3, 100, &frame),
	    FRAME_PARTIAL);
	assert_int_equal(framings[FRAMING_LINE].next(BYTES("abcd"), 4, 3, 3, &frame),
	    FRAME_TOO_LONG);
}

static void
test_an_empty_length32_message_is_a_message(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(
	    next(FRAMING_LENGTH32, "\0\0\0\0", 4, 10, &frame), FRAME_WHOLE);
	assert_frame(&frame, 4, 0, 0);
}

static void
test_a_length32_message_is_complete_with_its_last_byte(void **state)
{
	static const char data[] = "\0\0\0\5helloX";
	struct frame frame;

	(void)state;
	for (size_t length = 0; length < 9; length++)
		assert_int_equal(
		    next(FRAMING_LENGTH32, data, length, 5, &frame), FRAME_PARTIAL);
	assert_int_equal(next(FRAMING_LENGTH32, data, 9, 5, &frame), FRAME_WHOLE);
	assert_frame(&frame, 4, 5, 0);
	assert_int_equal(next(FRAMING_LENGTH32, data, 10, 5, &frame), FRAME_WHOLE);
	assert_frame(&frame, 4, 5, 0);
}

static void
test_a_length32_message_is_too_long_once_its_length_is_known(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(
	    next(FRAMING_LENGTH32, "\0\0\0\6", 4, 5, &frame), FRAME_TOO_LONG);
	assert_int_equal(next(FRAMING_LENGTH32, "\xff\xff\xff\xff", 4, 1 << 30, &frame),
	    FRAME_TOO_LONG);
	assert_int_equal(
	    next(FRAMING_LENGTH32, "\xff\xff\xff\xff", 4, UINT32_MAX, &frame),
	    FRAME_PARTIAL);
}

static void
test_a_stream_is_cut_at_max_message_and_never_too_long(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(next(FRAMING_STREAM, "abcdef", 6, 4, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 4, 0);
	assert_int_equal(next(FRAMING_STREAM, "abcdef", 6, 6, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 6, 0);
	assert_int_equal(next(FRAMING_STREAM, "", 0, 6, &frame), FRAME_PARTIAL);
}

static void
test_at_eof_a_partial_line_is_a_message_but_a_partial_length32_is_not(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(framing_last(FRAMING_LINE, 3, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 3, 0);
	assert_int_equal(framing_last(FRAMING_STREAM, 3, &frame), FRAME_WHOLE);
	assert_frame(&frame, 0, 3, 0);
	assert_int_equal(framing_last(FRAMING_LENGTH32, 2, &frame), FRAME_PARTIAL);
	assert_int_equal(framing_last(FRAMING_LINE, 0, &frame), FRAME_PARTIAL);
}

static void
test_a_reply_is_framed_like_its_message(void **state)
{
	const struct frame line = { .payload = 3, .trailer = 1 };
	const struct frame last_line = { .payload = 3 };
	const struct frame counted = { .header = 4, .payload = 3 };
	struct frame frame;
	uint8_t out[16];

	(void)state;
	frame = framing_for_reply(FRAMING_LINE, &line, 1);
	assert_frame(&frame, 0, 1, 1);
	out[0] = '1';
	framing_write(FRAMING_LINE, &frame, out);
	assert_memory_equal(out, "1\n", 2);

	frame = framing_for_reply(FRAMING_LINE, &last_line, 1);
	assert_frame(&frame, 0, 1, 0);

	frame = framing_for_reply(FRAMING_LENGTH32, &counted, 0x010203);
	assert_frame(&frame, 4, 0x010203, 0);
	framing_write(FRAMING_LENGTH32, &frame, out);
	assert_memory_equal(out, "\0\1\2\3", 4);

	frame = framing_for_payload(FRAMING_STREAM, 5);
	assert_frame(&frame, 0, 5, 0);
	frame = framing_for_payload(FRAMING_LINE, 5);
	assert_frame(&frame, 0, 5, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_parses_the_name_of_each_framing_and_no_other_word),
		cmocka_unit_test(test_a_line_ends_at_its_first_newline),
		cmocka_unit_test(
		    test_a_line_has_at_most_max_message_bytes_before_its_newline),
		cmocka_unit_test(
		    test_a_search_for_the_newline_continues_where_the_last_one_ended),
		cmocka_unit_test(test_an_empty_length32_message_is_a_message),
		cmocka_unit_test(
		    test_a_length32_message_is_complete_with_its_last_byte),
		cmocka_unit_test(
		    test_a_length32_message_is_too_long_once_its_length_is_known),
		cmocka_unit_test(
		    test_a_stream_is_cut_at_max_message_and_never_too_long),
		cmocka_unit_test(
		    test_at_eof_a_partial_line_is_a_message_but_a_partial_length32_is_not),
		cmocka_unit_test(test_a_reply_is_framed_like_its_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
