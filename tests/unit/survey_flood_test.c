/* A far end that sends without end: a survey keeps its timers, its signals and its end.
 */
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/clock.h"
#include "client/probes/far_end.h"

#define MOST_READ (16 << 20)

static int listener = -1;
static struct survey survey;
static struct survey_result result;
static struct survey_plan plan;

/* As many lines as are asked for: its peer sends as fast as it is read. */
static ssize_t
receive_lines(const struct stream *stream, void *data, size_t size)
{
	uint8_t *bytes = data;
	(void)stream;
	for (size_t i = 0; i < size; i++)
		bytes[i] = i % 3 == 2 ? '\n' : "{}"[i % 3];
	return (ssize_t)size;
}

static ssize_t
send_nothing(const struct stream *stream, const void *data, size_t length)
{
	(void)stream;
	(void)data;
	return (ssize_t)length;
}

static const struct transport endless = { .receive = receive_lines,
	.send = send_nothing };

/* A connection to a peer that never stops. */
static struct survey_conn *
open_endless(uint64_t duration_ns)
{
	struct sockaddr_in *at = &plan.target.in;
	socklen_t length = sizeof(*at);
	*at = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)at, length), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)at, &length), 0);
	plan.target.length = length;
	survey = (struct survey){
		.plan = &plan, .result = &result, .far = SURVEY_FAR_WITNESS
	};
	assert_int_equal(
	    survey_loop_init(&survey.loop, 8, 8, clock_now_ns() + duration_ns), 0);
	const struct survey_open open = far_end_target(&survey);
	struct survey_conn *conn = survey_conn_open(&survey.loop, &open);
	assert_true(survey_conn_wait(&survey.loop, conn, NS_PER_S));
	conn->stream.transport = &endless;
	return conn;
}

static int
finish(void **state)
{
	(void)state;
	survey_loop_finish(&survey.loop);
	close(listener);
	return 0;
}

static void
a_peer_that_sends_without_end_is_read_for_a_bounded_time(void **state)
{
	struct survey_conn *conn = open_endless(NS_PER_S);
	(void)state;
	survey_conn_pause(&survey.loop, conn, false);
	assert_in_range(conn->received, 1, MOST_READ);
	/* And read on by the next turn of the loop. */
	uint64_t before = conn->received;
	survey_loop_sleep(&survey.loop, 20 * NS_PER_MS);
	assert_true(conn->received > before);
	assert_in_range(buffer_length(conn->input), 1, SURVEY_INPUT_MAX);
}

static void
lines_that_are_no_answer_are_read_until_the_patience_is_over(void **state)
{
	struct witness_answer answer;
	struct survey_conn *conn = open_endless(60 * NS_PER_S);
	(void)state;
	survey_conn_pause(&survey.loop, conn, false);
	assert_false(far_end_answer(&survey, conn, 50 * NS_PER_MS, &answer));
}

static void
lines_that_are_no_greeting_are_read_until_the_survey_ends(void **state)
{
	struct survey_conn *conn = open_endless(100 * NS_PER_MS);
	(void)state;
	survey_conn_pause(&survey.loop, conn, false);
	assert_false(far_end_greet(&survey, conn, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
		    a_peer_that_sends_without_end_is_read_for_a_bounded_time, finish),
		cmocka_unit_test_teardown(
		    lines_that_are_no_answer_are_read_until_the_patience_is_over,
		    finish),
		cmocka_unit_test_teardown(
		    lines_that_are_no_greeting_are_read_until_the_survey_ends, finish),
	};
	/* A fault shows as a test that does not end. */
	alarm(30);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
