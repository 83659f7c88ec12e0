#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "proto/payload.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"

static void
open_plan(struct plan *plan, struct sequence *sequence)
{
	char error[PLAN_ERROR_MAX];

	if (sequence_open(plan, sequence, error) != 0)
		fail_msg("%s", error);
}

/* The wire bytes of a message, generated in parts of `part` bytes. */
static size_t
make(const struct sequence *sequence, uint64_t connection, uint64_t message,
    size_t part, uint8_t *out)
{
	uint8_t scratch[4096], bytes[4096];
	struct cursor cursor = { 0 };
	size_t done = 0;

	sequence_seek(sequence, connection, &cursor, message);
	cursor.length = sequence_wire_length(sequence, connection, message);
	while (cursor.at < cursor.length) {
		size_t n = part;
		const uint8_t *wire =
		    sequence_wire(sequence, connection, &cursor, &n, scratch, bytes);
		assert_in_range(n, 1, part);
		memcpy(out + done, wire, n);
		done += n;
		cursor.at += (uint32_t)n;
	}
	return done;
}

static void
the_default_messages_are_those_of_the_tutorials(void **state)
{
	struct plan plan;
	struct sequence sequence;
	uint8_t out[64];

	(void)state;
	plan_init(&plan);
	open_plan(&plan, &sequence);
	assert_int_equal(sequence.count, 3);
	assert_int_equal(make(&sequence, 0, 0, 64, out), 21);
	assert_memory_equal(out, "This is the message. ", 21);
	assert_int_equal(make(&sequence, 1, 5, 4, out), 9);
	assert_memory_equal(out, "in parts.", 9);
	sequence_close(&sequence);
	plan_finish(&plan);
}

static void
any_part_of_a_payload_can_be_generated_alone(void **state)
{
	uint8_t whole[1000], part[1000];

	(void)state;
	for (int printable = 0; printable < 2; printable++) {
		payload_fill(7, 3, 5, printable != 0, whole, sizeof(whole));
		for (size_t from = 0; from < 40; from++)
			for (size_t n = 0; n < 40; n++) {
				payload_fill(7, 3, 5 + from, printable != 0, part, n);
				assert_memory_equal(part, whole + from, n);
			}
	}
}

static void
each_connection_and_seed_has_its_own_payload(void **state)
{
	uint8_t one[64], other[64];

	(void)state;
	payload_fill(1, 0, 0, false, one, sizeof(one));
	for (uint64_t connection = 1; connection < 1000; connection++) {
		payload_fill(1, connection, 0, false, other, sizeof(other));
		assert_memory_not_equal(one, other, sizeof(one));
		payload_fill(1 + connection, 0, 0, false, other, sizeof(other));
		assert_memory_not_equal(one, other, sizeof(one));
	}
}

static void
a_payload_for_lines_has_no_line_end(void **state)
{
	uint8_t out[4096];

	(void)state;
	payload_fill(99, 1, 0, true, out, sizeof(out));
	assert_null(memchr(out, '\n', sizeof(out)));
}

static void
random_sizes_cover_their_whole_range(void **state)
{
	uint32_t seen[8] = { 0 };

	(void)state;
	for (uint64_t message = 0; message < 1000; message++) {
		uint64_t size = payload_size(1, 2, message, 10, 17);
		assert_in_range(size, 10, 17);
		seen[size - 10]++;
	}
	for (int i = 0; i < 8; i++)
		assert_in_range(seen[i], 60, 200);
}

static void
a_framed_message_can_be_generated_in_parts(void **state)
{
	static const enum framing rows[] = { FRAMING_LINE, FRAMING_LENGTH32 };
	uint8_t whole[128], parts[128];

	(void)state;
	for (int f = 0; f < 2; f++) {
		struct plan plan;
		struct sequence sequence;
		plan_init(&plan);
		plan.framing = rows[f];
		plan.payload = true;
		plan.size_min = 20;
		plan.size_max = 60;
		open_plan(&plan, &sequence);
		for (uint64_t message = 0; message < 20; message++) {
			size_t n = make(&sequence, 4, message, sizeof(whole), whole);
			for (size_t part = 1; part < 10; part++) {
				assert_int_equal(
				    make(&sequence, 4, message, part, parts), n);
				assert_memory_equal(parts, whole, n);
			}
			if (rows[f] == FRAMING_LINE)
				assert_int_equal(whole[n - 1], '\n');
			else
				assert_int_equal(whole[3], n - 4);
		}
		sequence_close(&sequence);
		plan_finish(&plan);
	}
}

static void
a_cursor_can_seek_back(void **state)
{
	struct plan plan;
	struct sequence sequence;
	struct cursor cursor = { 0 };

	(void)state;
	plan_init(&plan);
	plan.payload = true;
	plan.size_min = 1;
	plan.size_max = 1000;
	open_plan(&plan, &sequence);
	sequence_seek(&sequence, 0, &cursor, 50);
	uint64_t offset = cursor.offset;
	sequence_seek(&sequence, 0, &cursor, 90);
	assert_true(cursor.offset > offset);
	sequence_seek(&sequence, 0, &cursor, 50);
	assert_true(cursor.offset == offset);
	sequence_seek(&sequence, 0, &cursor, 0);
	assert_true(cursor.offset == 0);
	sequence_close(&sequence);
	plan_finish(&plan);
}

static void
placeholders_in_a_message_become_numbers(void **state)
{
	struct message_template text;
	char error[256], expected[64];
	static const char given[] = "c\\{connection} m\\{message} p\\{pid}\\n\\\\{pid}";
	uint8_t out[256];

	(void)state;
	assert_int_equal(
	    message_template_parse(given, strlen(given), &text, error, sizeof(error)),
	    0);
	size_t n = message_template_write(&text, 12, 345, out);
	int m = snprintf(
	    expected, sizeof(expected), "c12 m345 p%d\n\\{pid}", (int)getpid());
	assert_int_equal(n, m);
	assert_memory_equal(out, expected, n);
	assert_int_equal(message_template_length(&text, 12, 345), n);
	assert_in_range(n, 1, message_template_longest(&text));
	message_template_finish(&text);
}

static void
an_unknown_escape_is_rejected_and_quoted(void **state)
{
	static const char *const bad[] = { "\\q", "\\{connections}", "\\{", "a\\{}",
		"\\{pid" };
	struct message_template text;
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(message_template_parse(bad[i], strlen(bad[i]), &text,
				     error, sizeof(error)),
		    EX_USAGE);
		assert_non_null(strchr(error, '\\'));
	}
}

static void
refuse(struct plan *plan, int status, const char *what)
{
	struct sequence sequence;
	char error[PLAN_ERROR_MAX] = "";

	assert_int_equal(sequence_open(plan, &sequence, error), status);
	if (strstr(error, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error, what);
	plan_finish(plan);
}

static void
rejects_messages_that_cannot_be_delimited(void **state)
{
	struct plan plan;

	(void)state;
	plan_init(&plan);
	options_list_add(&plan.texts, "");
	refuse(&plan, EX_USAGE, "empty");
	plan_init(&plan);
	plan.framing = FRAMING_LINE;
	options_list_add(&plan.texts, "two\nlines");
	refuse(&plan, EX_USAGE, "line end");
	plan_init(&plan);
	plan.file = "/nonexistent/messages";
	refuse(&plan, EX_NOINPUT, "/nonexistent/messages");
}

/* Compares an answer, generated whole and byte by byte, with reply_write. */
static void
check_answer(const char *spec, enum framing framing)
{
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct cursor cursor = { 0 };
	char error[256];
	uint8_t scratch[4096], payload[64], expected[256], out[256];

	plan_init(&plan);
	plan.framing = framing;
	plan.payload = true;
	plan.size_min = plan.size_max = 33;
	plan.expect = PLAN_EXPECT_REPLY;
	assert_int_equal(reply_parse(spec, &plan.reply, error, sizeof(error)), 0);
	open_plan(&plan, &sequence);
	expectation_open(&plan, &sequence, &expectation);
	sequence_seek(&sequence, 9, &cursor, 3);
	sequence_payload(&sequence, 9, &cursor, 0, 33, scratch, payload);
	struct frame frame =
	    framing_for_payload(framing, reply_length(&plan.reply, 33));
	reply_write(&plan.reply, payload, 33, expected + frame.header);
	framing_write(framing, &frame, expected);
	cursor.length = expectation_length(&expectation, 9, 3);
	assert_int_equal(cursor.length, frame_length(&frame));
	while (cursor.at < cursor.length) {
		size_t n = 3;
		const uint8_t *wire = expectation_wire(
		    &expectation, plan.reply.kind, 9, &cursor, &n, scratch, out);
		assert_memory_equal(wire, expected + cursor.at, n);
		cursor.at += (uint32_t)n;
	}
	expectation_close(&expectation);
	sequence_close(&sequence);
	plan_finish(&plan);
}

static void
generated_answers_equal_the_replies_of_the_server(void **state)
{
	static const char *const specs[] = { "echo", "upper", "upper,suffix=_SB",
		"echo,suffix=\\n", "fixed=my server", "fixed=1" };

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		for (int framing = 0; framing_names[framing] != NULL; framing++)
			check_answer(specs[i], (enum framing)framing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_messages_are_those_of_the_tutorials),
		cmocka_unit_test(any_part_of_a_payload_can_be_generated_alone),
		cmocka_unit_test(each_connection_and_seed_has_its_own_payload),
		cmocka_unit_test(a_payload_for_lines_has_no_line_end),
		cmocka_unit_test(random_sizes_cover_their_whole_range),
		cmocka_unit_test(a_framed_message_can_be_generated_in_parts),
		cmocka_unit_test(a_cursor_can_seek_back),
		cmocka_unit_test(placeholders_in_a_message_become_numbers),
		cmocka_unit_test(an_unknown_escape_is_rejected_and_quoted),
		cmocka_unit_test(rejects_messages_that_cannot_be_delimited),
		cmocka_unit_test(generated_answers_equal_the_replies_of_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
