#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/lib/must.h"
#include "worker/conversation/session.h"

#define TEXT                                                                           \
	"S: 220 ready\n"                                                               \
	"C: LOGIN \\{connection}\n"                                                    \
	"S: 250 welcome\n"                                                             \
	"--- repeat\n"                                                                 \
	"C: PUT \\{decimal length} {\\{payload 1:3000}}\n"                             \
	"S: GOT \\{echo}\n"                                                            \
	"C: NEXT\n"                                                                    \
	"S: OK \\{message}\n"                                                          \
	"--- end\n"                                                                    \
	"C: QUIT\n"                                                                    \
	"S: 221 bye\n"                                                                 \
	"S close\n"
#define SAID "LOGIN 77\r\nPUT 3 ABC\r\nNEXT\r\nPUT 10 ABCDEFGHIJ\r\nNEXT\r\nQUIT\r\n"
#define ANSWERED                                                                       \
	"220 ready\r\n250 welcome\r\nGOT ABC\r\nOK 0\r\nGOT ABCDEFGHIJ\r\nOK 1\r\n"    \
	"221 bye\r\n"

struct talk {
	struct conversation conversation;
	struct player_side side;
	struct buffer *input; /* of the connection */
	uint8_t out[4096];
	size_t out_length;
	uint64_t passes;
	enum session_status status; /* of the last call */
	enum close_reason reason;   /* SESSION_ENDED */
	size_t room;                /* for the output of a call */
	bool stops;
};

static void
start(struct talk *talk, const char *text)
{
	char error[CONVERSATION_ERROR_MAX] = "";

	*talk = (struct talk){ .room = 1000 };
	if (conversation_compile(
		"t.talk", text, strlen(text), &talk->conversation, error) != 0)
		fail_msg("%s", error);
	talk->side = (struct player_side){ .conversation = &talk->conversation,
		.role = CONVERSATION_SERVER,
		.capture_max = 65536 };
}

static void
finish(struct talk *talk)
{
	buffer_release(&talk->input);
	conversation_finish(&talk->conversation);
}

/* One piece of input, as connection_answer.c plays it: the session is read, played and
 * saved. */
static void
play(struct talk *talk, const void *data, size_t length, bool is_end)
{
	struct session session;
	size_t used = 0, n;
	size_t waiting = session_waiting_bytes(talk->input);

	if (waiting > 0) {
		must(buffer_append(&talk->input, data, length) == 0);
		length += waiting;
		data = talk->input->data + talk->input->end - length;
	}
	if (talk->input == NULL)
		session_init(&talk->side, 5, &session);
	else
		must(session_open(&talk->side, talk->input, &session) == 0);
	if (is_end)
		session_set_end(&session);
	do {
		struct session_output out = { .data = talk->out + talk->out_length,
			.room = talk->room,
			.stops = talk->stops };
		must(talk->out_length + talk->room <= sizeof(talk->out));
		talk->status = session_play(
		    &session, (const uint8_t *)data + used, length - used, &n, &out);
		used += n;
		talk->out_length += out.length;
		talk->passes += out.passes;
	} while (talk->status == SESSION_FULL);
	talk->reason = session.reason;
	if (talk->status == SESSION_WAITS)
		assert_int_equal(used, length);
	if (talk->status != SESSION_ENDED)
		must(session_save(&session, &talk->input, (const uint8_t *)data + used,
			 length - used) == 0);
	session_close(&session);
}

static void
check_answered(const struct talk *talk, const char *expected)
{
	assert_int_equal(talk->out_length, strlen(expected));
	assert_memory_equal(talk->out, expected, strlen(expected));
}

static void
the_answers_are_the_same_wherever_the_input_is_cut(void **state)
{
	size_t length = strlen(SAID);
	struct talk talk;

	(void)state;
	for (size_t first = 0; first <= length; first++) {
		start(&talk, TEXT);
		play(&talk, "", 0, false);
		play(&talk, SAID, first, false);
		if (talk.status != SESSION_ENDED)
			play(&talk, &SAID[first], length - first, false);
		assert_int_equal(talk.status, SESSION_ENDED);
		assert_int_equal(talk.reason, CLOSE_CONVERSATION_CLOSED);
		assert_int_equal(talk.passes, 2);
		check_answered(&talk, ANSWERED);
		finish(&talk);
	}
	start(&talk, TEXT);
	talk.room = 1;
	for (size_t i = 0; i < length; i++)
		play(&talk, &SAID[i], 1, false);
	assert_int_equal(talk.status, SESSION_ENDED);
	check_answered(&talk, ANSWERED);
	finish(&talk);
}

/* What the keeper of a dead worker relies on. */
static void
the_same_input_makes_the_same_bytes_again(void **state)
{
	struct talk talk;

	(void)state;
	start(&talk, TEXT);
	for (size_t i = 0; i < strlen(SAID) - 6; i++) {
		struct buffer *before = NULL, *after;
		if (talk.input != NULL)
			must(
			    buffer_append(&before, talk.input->data + talk.input->start,
				buffer_length(talk.input)) == 0);
		size_t length = talk.out_length;
		play(&talk, &SAID[i], 1, false);
		after = talk.input;
		uint8_t made[sizeof(talk.out)];
		size_t made_length = talk.out_length - length;
		memcpy(made, talk.out + length, made_length);
		talk.input = before;
		talk.out_length = length;
		play(&talk, &SAID[i], 1, false);
		assert_int_equal(talk.out_length - length, made_length);
		assert_memory_equal(talk.out + length, made, made_length);
		assert_int_equal(buffer_length(talk.input), buffer_length(after));
		assert_memory_equal(talk.input->data + talk.input->start,
		    after->data + after->start, buffer_length(after));
		buffer_release(&after);
	}
	finish(&talk);
}

/* With the header of its block 128 bytes: worker/connection/connection.h. */
static void
an_idle_session_without_captures_is_small(void **state)
{
	struct talk talk;

	(void)state;
	start(&talk, "C: \\{payload 64}\nS: \\{echo}\n");
	play(&talk, "@@@@", 4, false);
	play(&talk, "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n",
	    62, false);
	assert_int_equal(talk.passes, 1);
	assert_int_equal(talk.status, SESSION_WAITS);
	assert_in_range(sizeof(struct buffer) + talk.input->capacity, 1, 128);
	finish(&talk);
}

static void
the_end_of_the_stream_is_judged_behind_all_input(void **state)
{
	static const struct {
		const char *said;
		enum close_reason reason;
	} rows[] = {
		{ "LOGIN 1\r\n", CLOSE_PEER_CLOSED },
		{ "LOGIN 1\r\nPUT 1 A\r\nNEXT\r\n", CLOSE_PEER_CLOSED },
		{ "LOGIN", CLOSE_TRUNCATED_MESSAGE },
		{ "LOGIN 1\r\nPUT 1 A\r\n", CLOSE_TRUNCATED_MESSAGE },
		{ "LOGIN 1\r\nPUT 1 A\r\nNEXT\n", CLOSE_UNEXPECTED_MESSAGE },
		{ "LOGIN 1\r\nPUT 20 ABCDEFGHIJKLMNOPQRST\r\n",
		    CLOSE_MESSAGE_TOO_LONG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk talk;
		start(&talk, TEXT);
		talk.side.capture_max = 16;
		play(&talk, rows[i].said, strlen(rows[i].said), true);
		assert_int_equal(talk.status, SESSION_ENDED);
		assert_int_equal(talk.reason, rows[i].reason);
		finish(&talk);
	}
}

#define PAUSING                                                                        \
	"C: go\n"                                                                      \
	"S: wait\n"                                                                    \
	"pause 20ms\n"                                                                 \
	"S: gone\n"

static void
a_pause_keeps_the_input_behind_it(void **state)
{
	struct talk talk;

	(void)state;
	start(&talk, PAUSING);
	play(&talk, "go\r\ngo\r\n", 8, true);
	assert_int_equal(talk.status, SESSION_PAUSES);
	assert_int_equal(session_waiting_bytes(talk.input), 4);
	check_answered(&talk, "wait\r\n");
	uint64_t start_ns = clock_now_ns();
	while (talk.status != SESSION_ENDED)
		play(&talk, "", 0, false);
	assert_true(clock_now_ns() - start_ns > 35 * NS_PER_MS);
	assert_int_equal(talk.reason, CLOSE_PEER_CLOSED);
	assert_int_equal(talk.passes, 2);
	check_answered(&talk, "wait\r\ngone\r\nwait\r\ngone\r\n");
	finish(&talk);
}

static void
it_stops_between_two_passes_when_it_is_asked_to(void **state)
{
	struct talk talk;

	(void)state;
	start(&talk, TEXT);
	talk.stops = true;
	play(&talk, SAID, strlen(SAID), false);
	assert_int_equal(talk.status, SESSION_STOPPED);
	assert_int_equal(talk.passes, 1);
	assert_true(session_is_between_passes(
	    talk.input->data + talk.input->start, buffer_length(talk.input)));
	assert_int_equal(session_waiting_bytes(talk.input),
	    strlen("PUT 10 ABCDEFGHIJ\r\nNEXT\r\nQUIT\r\n"));
	talk.stops = false;
	play(&talk, "", 0, false);
	assert_int_equal(talk.status, SESSION_ENDED);
	check_answered(&talk, ANSWERED);
	finish(&talk);
}

static void
a_session_between_passes_goes_on_with_the_next_pass_of_another_file(void **state)
{
	static const char other[] = "S: 220 other\n"
				    "C: LOGIN \\{connection}\n"
				    "S: 250 welcome\n"
				    "--- repeat\n"
				    "C: GET\n"
				    "S: VALUE \\{message}\n";
	static const char said[] = "LOGIN 5\r\nPUT 3 ABC\r\nNEXT\r\n";
	struct talk one, two;

	(void)state;
	start(&one, TEXT);
	start(&two, other);
	assert_int_equal(session_opening_fingerprint(&one.conversation),
	    session_opening_fingerprint(&two.conversation));
	assert_int_equal(session_opening_fingerprint(NULL), 0);
	for (size_t length = 0; length < sizeof(said); length++) {
		buffer_release(&one.input);
		play(&one, said, length, false);
		one.out_length = 0;
		bool is_between = session_is_between_passes(
		    one.input->data + one.input->start, buffer_length(one.input));
		assert_int_equal(is_between, length == sizeof(said) - 1 || length == 9);
		two.input = one.input;
		one.input = NULL;
		assert_int_equal(session_adopt(&two.side, &two.input), is_between);
		if (is_between) {
			two.out_length = 0;
			play(&two, "GET\r\n", 5, false);
			check_answered(
			    &two, length == 9 ? "VALUE 0\r\n" : "VALUE 1\r\n");
		}
		buffer_release(&two.input);
	}
	finish(&one);
	finish(&two);
}

static void
bytes_that_are_no_session_are_refused(void **state)
{
	struct talk talk;

	(void)state;
	start(&talk, TEXT);
	play(&talk, SAID, 20, false);
	struct buffer *good = talk.input;
	size_t length = buffer_length(good);
	talk.input = NULL;
	for (size_t cut = 1; cut < length; cut++) {
		must(buffer_append(&talk.input, good->data + good->start, cut) == 0);
		assert_false(session_adopt(&talk.side, &talk.input));
		buffer_release(&talk.input);
	}
	must(buffer_append(&talk.input, good->data + good->start, length) == 0);
	assert_true(session_adopt(&talk.side, &talk.input));
	buffer_release(&good);
	finish(&talk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_answers_are_the_same_wherever_the_input_is_cut),
		cmocka_unit_test(the_same_input_makes_the_same_bytes_again),
		cmocka_unit_test(an_idle_session_without_captures_is_small),
		cmocka_unit_test(the_end_of_the_stream_is_judged_behind_all_input),
		cmocka_unit_test(a_pause_keeps_the_input_behind_it),
		cmocka_unit_test(it_stops_between_two_passes_when_it_is_asked_to),
		cmocka_unit_test(
		    a_session_between_passes_goes_on_with_the_next_pass_of_another_file),
		cmocka_unit_test(bytes_that_are_no_session_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
