/* A connection that plays a conversation, against a peer of the test. */
#include <stdio.h>

#include "tests/lib/conn_fixture.h"

#define FULL                                                                           \
	"S: 220 \\{any}\n"                                                             \
	"C [hello]: HELLO\n"                                                           \
	"S: 250 hello\n"                                                               \
	"--- repeat\n"                                                                 \
	"C [noop]: NOOP \\{message}\n"                                                 \
	"S: 250 ok\n"                                                                  \
	"--- end\n"                                                                    \
	"C: QUIT\n"                                                                    \
	"S: 221 bye\n"                                                                 \
	"S close\n"
#define STEPS 2

/* Makes the fixture's load process play this text. */
static void
play(struct conn_fixture *fixture, const char *text)
{
	struct load_context *g = &fixture->ctx;
	struct plan *plan = &fixture->plan;
	char error[CONVERSATION_ERROR_MAX];

	if (conversation_compile(
		"test.talk", text, strlen(text), &plan->conversation, error) != 0)
		fail_msg("%s", error);
	plan->conversation_file = "test.talk";
	plan->pipeline = 1;
	g->traffic->finish(g);
	counters_map_close(&fixture->counters_map);
	assert_int_equal(counters_map_open(&fixture->counters_map, 1, STEPS), 0);
	g->counters = counters_map_at(&fixture->counters_map, 0);
	g->control_block = fixture->counters_map.control_block;
	g->traffic = &traffic_conversation;
	g->traffic->start(g);
}

static int
tear_down_conversation(void **state)
{
	struct conn_fixture *fixture = *state;
	struct conversation conversation = fixture->plan.conversation;
	int rc = tear_down(state);

	conversation_finish(&conversation);
	return rc;
}

static void
connect_to_peer(struct conn_fixture *fixture)
{
	start_connect(fixture);
	fixture->peer = accept(fixture->listener, NULL, NULL);
	assert_true(fixture->peer >= 0);
	run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_OPENING);
}

static void
peer_says(struct conn_fixture *fixture, const char *text)
{
	size_t length = strlen(text);

	assert_int_equal(send(fixture->peer, text, length, 0), (ssize_t)length);
}

/* What has arrived is handled. */
static void
peer_says_and_conn_hears(struct conn_fixture *fixture, const char *text)
{
	peer_says(fixture, text);
	run_once(fixture);
}

static void
peer_hears(const struct conn_fixture *fixture, const char *text)
{
	char bytes[256] = "";
	size_t length = strlen(text);

	assert_int_equal(
	    recv(fixture->peer, bytes, length, MSG_WAITALL), (ssize_t)length);
	assert_string_equal(bytes, text);
}

static void
open_full(struct conn_fixture *fixture)
{
	connect_to_peer(fixture);
	peer_says_and_conn_hears(fixture, "220 ready\r\n");
	peer_hears(fixture, "HELLO\r\n");
	peer_says_and_conn_hears(fixture, "250 hello\r\n");
	assert_int_equal(fixture->conn.state, CONN_OPEN);
}

static void
no_message_starts_before_the_opening_is_over(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	play(fixture, FULL);
	connect_to_peer(fixture);
	assert_int_equal(g->connects.pending, 1);
	send_messages(fixture, 1);
	assert_int_equal(fixture->conn.in_flight, 0);
	peer_says_and_conn_hears(fixture, "220 ready\r\n");
	peer_hears(fixture, "HELLO\r\n");
	assert_int_equal(fixture->conn.due, 1);
	peer_says_and_conn_hears(fixture, "250 hello\r\n");
	assert_int_equal(g->connects.pending, 0);
	peer_hears(fixture, "NOOP 0\r\n");
	assert_int_equal(fixture->conn.in_flight, 1);
	assert_int_equal(histogram_count(g->counters->histograms[LATENCY_OPENING]), 1);
	assert_int_equal(
	    histogram_count(g->counters->histograms[LATENCY_STEP_FIRST]), 1);
}

static void
a_pass_is_a_message_in_whatever_parts_its_answer_comes(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters = fixture->ctx.counters;
	static const char answer[] = "250 ok\r\n";

	play(fixture, FULL);
	counters = fixture->ctx.counters;
	open_full(fixture);
	send_messages(fixture, 3);
	for (int message = 0; message < 3; message++) {
		char said[32];

		snprintf(said, sizeof(said), "NOOP %d\r\n", message);
		peer_hears(fixture, said);
		for (size_t i = 0; i < strlen(answer); i++) {
			char byte[2] = { answer[i], '\0' };

			assert_int_equal(
			    counters_get(&counters->messages.verified), message);
			peer_says_and_conn_hears(fixture, byte);
		}
	}
	assert_int_equal(counters_get(&counters->messages.verified), 3);
	assert_int_equal(counters_get(&counters->messages.in_flight), 0);
	assert_int_equal(
	    histogram_count(counters->histograms[LATENCY_STEP_FIRST + 1]), 3);
}

static void
a_wrong_answer_ends_the_connection(void **state)
{
	struct conn_fixture *fixture = *state;

	play(fixture, FULL);
	open_full(fixture);
	send_messages(fixture, 1);
	peer_hears(fixture, "NOOP 0\r\n");
	peer_says_and_conn_hears(fixture, "250 no\r\n");
	const struct counters *counters = fixture->ctx.counters;
	assert_int_equal(counters_get(&counters->messages.wrong), 1);
	assert_int_equal(counters->mismatches, 1);
	assert_int_equal(counters->mismatch[0].line, 6);
	assert_string_equal(counters->mismatch[0].step, "noop");
	assert_int_equal(counters->mismatch[0].message, 0);
	assert_non_null(strstr(counters->mismatch[0].description, "test.talk:6"));
	assert_int_equal(counters_get(&counters->connections_lost), 1);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
	/* The next connection goes on counting. */
	close(fixture->peer);
	open_full(fixture);
	send_messages(fixture, 1);
	peer_hears(fixture, "NOOP 1\r\n");
}

static void
others_in_flight_behind_a_wrong_answer_are_lost(void **state)
{
	struct conn_fixture *fixture = *state;

	play(fixture, "C: a\\{message}\nS: b\n");
	fixture->plan.pipeline = 0;
	fixture->ctx.traffic->finish(&fixture->ctx);
	fixture->ctx.traffic->start(&fixture->ctx); /* with another pipeline */
	start_connect(fixture);
	fixture->peer = accept(fixture->listener, NULL, NULL);
	run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_OPEN);
	send_messages(fixture, 3);
	peer_hears(fixture, "a0\r\na1\r\na2\r\n");
	peer_says_and_conn_hears(fixture, "b\r\nc\r\n");
	const struct counters_messages *m = &fixture->ctx.counters->messages;
	assert_int_equal(counters_get(&m->verified), 1);
	assert_int_equal(counters_get(&m->wrong), 1);
	assert_int_equal(counters_get(&m->lost[MESSAGE_LOSS_MISMATCH]), 1);
}

static void
the_end_section_precedes_the_close(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct counters *counters;

	play(fixture, FULL);
	fixture->plan.messages_per_connection = 1;
	counters = fixture->ctx.counters;
	open_full(fixture);
	send_messages(fixture, 1);
	peer_hears(fixture, "NOOP 0\r\n");
	peer_says_and_conn_hears(fixture, "250 ok\r\n");
	assert_int_equal(fixture->conn.state, CONN_ENDING);
	peer_hears(fixture, "QUIT\r\n");
	peer_says_and_conn_hears(fixture, "221 bye\r\n");
	assert_int_equal(fixture->conn.state, CONN_ENDING);
	peer_closes(fixture);
	run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
	assert_int_equal(counters_get(&counters->connections_closed[CLOSE_END_FIN]), 1);
	assert_int_equal(counters_get(&counters->connections_lost), 0);
	assert_int_equal(histogram_count(counters->histograms[LATENCY_ENDING]), 1);
}

static void
a_close_where_the_file_has_none_loses_the_message(void **state)
{
	struct conn_fixture *fixture = *state;

	play(fixture, FULL);
	open_full(fixture);
	send_messages(fixture, 1);
	peer_hears(fixture, "NOOP 0\r\n");
	peer_says(fixture, "250 o");
	peer_closes_and_conn_notices(fixture);
	const struct counters *counters = fixture->ctx.counters;
	assert_int_equal(
	    counters_get(&counters->messages.lost[MESSAGE_LOSS_CLOSED]), 1);
	assert_int_equal(counters->mismatches, 0);
	assert_int_equal(counters->lost_connection[0].line, 6);
	assert_string_equal(counters->lost_connection[0].step, "noop");
}

/* What is sent meanwhile does not put off the timeout of a pass. */
static void
a_pass_in_flight_waits_since_it_began(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	play(fixture, "C: a\\{message}\nS: b\n");
	fixture->plan.pipeline = 0;
	g->traffic->finish(g);
	g->traffic->start(g); /* with another pipeline */
	start_connect(fixture);
	fixture->peer = accept(fixture->listener, NULL, NULL);
	run_once(fixture);
	send_messages(fixture, 1);
	uint64_t first_ns = conn_state_waiting_since(g, &fixture->conn);
	usleep(2000);
	send_messages(fixture, 1);
	peer_hears(fixture, "a0\r\na1\r\n");
	assert_true(conn_state_waiting_since(g, &fixture->conn) == first_ns);
	peer_says_and_conn_hears(fixture, "b\r\n");
	assert_true(conn_state_waiting_since(g, &fixture->conn) >= first_ns + 2000000);
	peer_says_and_conn_hears(fixture, "b\r\n");
	assert_true(conn_state_waiting_since(g, &fixture->conn) == 0);
}

/* Not since this side spoke, which may be long ago. */
static void
a_pass_in_which_the_server_speaks_first_waits_since_it_began(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;

	play(fixture, "S: tick\nC: tock\n");
	start_connect(fixture);
	fixture->peer = accept(fixture->listener, NULL, NULL);
	run_once(fixture);
	usleep(2000);
	uint64_t now_ns = clock_now_ns();
	send_messages(fixture, 1);
	assert_int_equal(fixture->conn.in_flight, 1);
	assert_true(conn_state_waiting_since(g, &fixture->conn) >= now_ns);
}

/* The server speaks first in each pass: its greeting may come before the pass is due.
 */
static void
a_greeting_waits_until_its_pass_is_due(void **state)
{
	struct conn_fixture *fixture = *state;

	play(fixture, "S: 220 ready\nC: FIRST\nS: 1\n");
	start_connect(fixture);
	fixture->peer = accept(fixture->listener, NULL, NULL);
	run_once(fixture);
	peer_says_and_conn_hears(fixture, "220 ready\r\n");
	assert_true(fixture->conn.is_held);
	assert_int_equal(fixture->ctx.counters->mismatches, 0);
	send_messages(fixture, 1);
	peer_hears(fixture, "FIRST\r\n");
	while (fixture->ctx.ready != LOAD_NO_CONN) {
		fixture->ctx.ready = LOAD_NO_CONN;
		fixture->conn.is_ready = false;
		conn_on_ready(&fixture->ctx, &fixture->conn);
	}
	assert_false(fixture->conn.is_held);
	/* The greeting of the next pass comes with the answer. */
	peer_says_and_conn_hears(fixture, "1\r\n220 rea");
	assert_int_equal(counters_get(&fixture->ctx.counters->messages.verified), 1);
	assert_true(fixture->conn.is_held);
	send_messages(fixture, 1);
	peer_says_and_conn_hears(fixture, "dy\r\n");
	peer_hears(fixture, "FIRST\r\n");
	assert_int_equal(fixture->ctx.counters->mismatches, 0);
}

/* A message without a byte. */
static void
a_pass_that_says_nothing_is_a_message(void **state)
{
	struct conn_fixture *fixture = *state;

	play(fixture, "S: 220 ready\n--- repeat\npause 1ms\nC close\n");
	fixture->plan.messages_per_connection = 1;
	connect_to_peer(fixture);
	peer_says_and_conn_hears(fixture, "220 ready\r\n");
	send_messages(fixture, 1);
	assert_int_equal(fixture->conn.in_flight, 1);
	fixture->ctx.times.now_ns += NS_PER_S;
	conn_on_timer(&fixture->ctx, &fixture->conn);
	assert_int_equal(counters_get(&fixture->ctx.counters->messages.verified), 1);
	assert_int_equal(fixture->conn.state, CONN_CLOSING);
	char byte;
	assert_int_equal(recv(fixture->peer, &byte, 1, 0), 0);
}

static void
a_part_that_the_socket_took_is_said_once(void **state)
{
	struct conn_fixture *fixture = *state;
	struct load_context *g = &fixture->ctx;
	size_t length;

	play(fixture,
	    "S: 220 \\{any}\n--- repeat\nC: \\{payload 40}-\\{message}\nS: ok\n");
	connect_to_peer(fixture);
	peer_says_and_conn_hears(fixture, "220 ready\r\n");
	assert_true(conn_state_schedule(g, &fixture->conn, g->times.now_ns));
	const uint8_t *bytes = g->traffic->gather(g, &fixture->conn, &length);
	assert_non_null(bytes);
	assert_int_equal(length, 40 + 4);
	char whole[64], parts[64];
	memcpy(whole, bytes, length);
	for (size_t at = 0; at < length; at += 11) {
		size_t left;

		bytes = g->traffic->gather(g, &fixture->conn, &left);
		assert_int_equal(left, length - at);
		memcpy(parts + at, bytes, 11);
		g->traffic->sent(g, &fixture->conn, 11);
		assert_int_equal(fixture->conn.send.at > 0, at + 11 < length);
		assert_int_equal(fixture->conn.in_flight, 1);
	}
	assert_memory_equal(whole, parts, length);
	assert_null(g->traffic->gather(g, &fixture->conn, &length));
	check_message_counts(fixture);
}

/* Bytes that came meanwhile are held, and the connection does not read. They are wrong
 * in this file: they come before what they answer. */
static void
a_reset_in_a_pause_is_noticed_at_once(void **state)
{
	struct conn_fixture *fixture = *state;
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	play(fixture,
	    "S: 220 ready\n--- repeat\nC: NOOP\nS: 250 ok\npause 60s\nC: NEXT\n"
	    "S: 251 on\n");
	connect_to_peer(fixture);
	peer_says_and_conn_hears(fixture, "220 ready\r\n");
	send_messages(fixture, 1);
	peer_hears(fixture, "NOOP\r\n");
	peer_says_and_conn_hears(fixture, "250 ok\r\n");
	peer_says_and_conn_hears(fixture, "251 on\r\n");
	assert_true(fixture->conn.is_held);
	setsockopt(fixture->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fixture->peer);
	fixture->peer = -1;
	run_once(fixture);
	assert_int_equal(fixture->conn.state, CONN_WAITING);
	assert_int_equal(atomic_load(&fixture->ctx.counters->mismatches), 1);
	check_message_counts(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down_conversation)
		RUN(no_message_starts_before_the_opening_is_over),
		RUN(a_pass_is_a_message_in_whatever_parts_its_answer_comes),
		RUN(a_wrong_answer_ends_the_connection),
		RUN(others_in_flight_behind_a_wrong_answer_are_lost),
		RUN(the_end_section_precedes_the_close),
		RUN(a_close_where_the_file_has_none_loses_the_message),
		RUN(a_pass_in_flight_waits_since_it_began),
		RUN(a_pass_in_which_the_server_speaks_first_waits_since_it_began),
		RUN(a_greeting_waits_until_its_pass_is_due),
		RUN(a_pass_that_says_nothing_is_a_message),
		RUN(a_part_that_the_socket_took_is_said_once),
		RUN(a_reset_in_a_pause_is_noticed_at_once),
#undef RUN
	};

	return cmocka_run_group_tests_name("traffic_conversation", tests, NULL, NULL);
}
