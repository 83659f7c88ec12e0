#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "client/messages/notation.h"

static const char *
line(enum conversation_ending ending, const char *text, size_t length, size_t used)
{
	static char out[NOTATION_LINE_MAX];

	assert_int_equal(notation_line(CONVERSATION_CLIENT, ending,
			     (const uint8_t *)text, length, out),
	    used);
	return out;
}

static void
a_line_ends_at_its_line_end(void **state)
{
	(void)state;
	assert_string_equal(line(CONVERSATION_CRLF, "one\r\ntwo", 8, 5), "C: one");
	assert_string_equal(line(CONVERSATION_LF, "one\ntwo", 7, 4), "C: one");
	assert_string_equal(line(CONVERSATION_CRLF, "\r\n", 2, 2), "C:");
}

static void
a_text_without_its_line_end_says_so(void **state)
{
	(void)state;
	assert_string_equal(line(CONVERSATION_CRLF, "one", 3, 3), "C: one\\c");
	assert_string_equal(line(CONVERSATION_CRLF, "one\n", 4, 4), "C: one\\n\\c");
	assert_string_equal(line(CONVERSATION_NO_ENDING, "one\n", 4, 4), "C: one\\n");
}

static void
bytes_with_a_meaning_are_escaped(void **state)
{
	(void)state;
	assert_string_equal(line(CONVERSATION_NO_ENDING, " a \\{b}\t\0\xff ", 11, 11),
	    "C:  a \\\\{b}\\t\\x00\\xff\\x20");
}

/* What is formatted and compiled again is the same, for any bytes. */
static void
a_file_of_such_lines_says_the_same_bytes(void **state)
{
	static const char *const heads[] = { "", "ending lf\n", "ending none\n" };
	uint8_t data[4096];
	char text[8 * sizeof(data)], out[NOTATION_LINE_MAX];
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 60; round++) {
		enum conversation_ending ending = (enum conversation_ending)(round % 3);
		size_t length = 1 + (size_t)round * round, at = 0, said = 0;
		char error[CONVERSATION_ERROR_MAX];
		struct conversation conversation;

		for (size_t i = 0; i < length; i++) {
			random = random * 1664525 + 1013904223;
			data[i] = "\r\n ab{}\\\0\xfe"[(random >> 16) % 10];
		}
		snprintf(text, sizeof(text), "%s", heads[ending]);
		while (at < length) {
			at += notation_line(
			    CONVERSATION_CLIENT, ending, data + at, length - at, out);
			strcat(strcat(text, out), "\n");
		}
		assert_int_equal(at, length);
		if (conversation_compile(
			"x", text, strlen(text), &conversation, error) != 0)
			fail_msg("%s in:\n%s", error, text);
		for (uint16_t i = 0; i < conversation.part_count; i++) {
			const struct conversation_part *part = &conversation.parts[i];

			assert_int_equal(part->kind, CONVERSATION_LITERAL);
			assert_true(said + part->length <= length);
			assert_memory_equal(
			    data + said, conversation.bytes + part->at, part->length);
			said += part->length;
		}
		assert_int_equal(said, length);
		conversation_finish(&conversation);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_ends_at_its_line_end),
		cmocka_unit_test(a_text_without_its_line_end_says_so),
		cmocka_unit_test(bytes_with_a_meaning_are_escaped),
		cmocka_unit_test(a_file_of_such_lines_says_the_same_bytes),
	};

	return cmocka_run_group_tests_name("notation", tests, NULL, NULL);
}
