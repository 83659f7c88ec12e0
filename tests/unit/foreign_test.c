#include "proto/payload.h"
#include "tests/lib/verify_fixture.h"

#define SIZE 64

/* Feeds the answers 0 to 5 of connection 4, message 2 replaced by these bytes. */
static void
feed_instead(struct fixture *fixture, enum reply_kind kind, const uint8_t *bytes,
    size_t length, size_t segment)
{
	uint8_t data[STREAM_MAX];
	size_t n = correct_answers(fixture, kind, 4, 0, 2, data);

	memcpy(data + n, bytes, length);
	n += length;
	n += correct_answers(fixture, kind, 4, 3, MESSAGES, data + n);
	feed(fixture, data, n, segment);
}

/* In each framing and with segments of one byte, 7 bytes, and all at once. */
static void
assert_named(const char *expect, enum reply_kind kind, const void *bytes, size_t length,
    const char *name)
{
	static const size_t segments[] = { 1, 7, STREAM_MAX };
	struct fixture fixture;

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		set_up(&fixture, FRAMING_STREAM, expect, SIZE);
		feed_instead(&fixture, kind, bytes, length, segments[i]);
		assert_string_equal(diagnosis_text(&fixture), name);
		assert_int_equal(fixture.counters->mismatches, 1);
		assert_int_equal(fixture.wrong, 1);
		assert_int_equal(fixture.right, MESSAGES - 1);
		tear_down(&fixture);
	}
}

static void
other_protocols_are_named(void **state)
{
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 40 };
	static const uint8_t proxy2[28] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
	static const uint8_t zeros[SIZE];
	static const char http[] =
	    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\noops\n";
	static const char proxy[] = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n";
	static const char html[] = "<html><body>It works!</body></html>\n";
	static const char ssh[] = "SSH-2.0-OpenSSH_9.2\r\n";

	(void)state;
	assert_named("echo", REPLY_ECHO, http, strlen(http),
	    "an HTTP response (\"HTTP/1.1 502 Bad Gateway\")");
	assert_named("echo", REPLY_ECHO, alert, sizeof(alert),
	    "a TLS alert (handshake_failure)");
	assert_named("upper", REPLY_UPPER, proxy, strlen(proxy),
	    "a PROXY v1 header: the balancer sends it, the server does not expect it");
	assert_named("echo", REPLY_ECHO, proxy2, sizeof(proxy2),
	    "a PROXY v2 header: the balancer sends it, the server does not expect it");
	assert_named("echo", REPLY_ECHO, zeros, sizeof(zeros), "64 zero bytes");
	assert_named("echo", REPLY_ECHO, zeros, 10, "10 zero bytes");
	assert_named("echo", REPLY_ECHO, html, strlen(html), "an HTML page");
	assert_named("echo", REPLY_ECHO, ssh, strlen(ssh), "an SSH banner");
}

static void
another_kind_of_reply_is_named(void **state)
{
	static const struct {
		const char *expect;
		enum reply_kind right, came;
		const char *name;
	} cases[] = {
		{ "upper", REPLY_UPPER, REPLY_ECHO, "what was sent, unchanged" },
		{ "echo", REPLY_ECHO, REPLY_UPPER, "what was sent, in upper case" },
	};
	struct fixture fixture;

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			uint8_t data[STREAM_MAX];
			set_up(&fixture, (enum framing)framing, cases[i].expect, SIZE);
			size_t n =
			    correct_answers(&fixture, cases[i].right, 4, 0, 2, data);
			n +=
			    correct_answers(&fixture, cases[i].came, 4, 2, 3, data + n);
			n += correct_answers(
			    &fixture, cases[i].right, 4, 3, MESSAGES, data + n);
			feed(&fixture, data, n, 7);
			assert_string_equal(diagnosis_text(&fixture), cases[i].name);
			assert_int_equal(fixture.wrong, 1);
			tear_down(&fixture);
		}
}

static void
what_was_sent_is_recognised_where_a_suffix_was_expected(void **state)
{
	struct fixture fixture;
	uint8_t data[STREAM_MAX];

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "upper,suffix=_SB", SIZE);
	size_t n = correct_answers(&fixture, REPLY_UPPER, 4, 0, 2, data);
	payload_fill(fixture.sequence.seed, 4, 2 * SIZE, false, data + n, SIZE);
	n += SIZE;
	n += correct_answers(&fixture, REPLY_UPPER, 4, 3, MESSAGES, data + n);
	feed(&fixture, data, n, 7);
	assert_string_equal(diagnosis_text(&fixture), "what was sent, unchanged");
	assert_int_equal(fixture.wrong, 1);
	tear_down(&fixture);
}

static void
another_suffix_is_named(void **state)
{
	struct fixture fixture;
	uint8_t data[STREAM_MAX];

	(void)state;
	for (int framing = 0; framing < FRAMING_LENGTH32; framing++) {
		set_up(&fixture, (enum framing)framing, "upper,suffix=_SB", SIZE);
		size_t n = correct_answers(&fixture, REPLY_UPPER, 4, 0, 3, data);
		size_t end = n - framings[framing].trailer_bytes;
		memcpy(data + end - 3, "_XYZ", 4);
		memcpy(data + end + 1, "\n", framings[framing].trailer_bytes);
		n++;
		n += correct_answers(&fixture, REPLY_UPPER, 4, 3, MESSAGES, data + n);
		feed(&fixture, data, n, 7);
		assert_string_equal(
		    diagnosis_text(&fixture), "another suffix: \"_XYZ\"");
		assert_int_equal(fixture.wrong, 1);
		tear_down(&fixture);
	}
}

/* The suffix of each answer is wrong, and the messages are too short to be evidence. */
static void
another_suffix_ends_where_the_next_answer_begins(void **state)
{
	static const struct {
		const char *came, *name;
	} cases[] = {
		{ "upper,suffix=_SX", "another suffix: \"_SX\"" },
		{ "upper,suffix=_LONG", "another suffix: \"_LONG\"" },
		{ "upper,suffix=!", "another suffix: \"!\"" },
		{ "upper", "a truncated answer" },
	};

	(void)state;
	for (int framing = 0; framing < FRAMING_LENGTH32; framing++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct fixture fixture, server;
			uint8_t data[STREAM_MAX];
			set_up(&server, (enum framing)framing, cases[i].came, 8);
			size_t n = correct_answers(&server, REPLY_UPPER, 4, 0, 3, data);
			tear_down(&server);
			set_up(&fixture, (enum framing)framing, "upper,suffix=_SB", 8);
			fixture.unanswered = 3;
			feed(&fixture, data, n, 7);
			assert_string_equal(diagnosis_text(&fixture), cases[i].name);
			tear_down(&fixture);
		}
}

/* The answers 2 and `other` of a connection in each other's place, or 2 replaced. */
static void
assert_answer_named(uint64_t other, bool exchanged, const char *name)
{
	static const size_t segments[] = { 1, 7, STREAM_MAX };
	uint8_t data[STREAM_MAX], answer[SIZE + 4];
	struct fixture fixture;

	for (int framing = 0; framing_names[framing] != NULL; framing++)
		for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
			set_up(&fixture, (enum framing)framing, "echo", SIZE);
			size_t n =
			    correct_answers(&fixture, REPLY_ECHO, 4, 0, MESSAGES, data);
			size_t each = n / MESSAGES;
			memcpy(answer, data + 2 * each, each);
			memcpy(data + 2 * each, data + other * each, each);
			if (exchanged)
				memcpy(data + other * each, answer, each);
			feed(&fixture, data, n, segments[i]);
			assert_string_equal(diagnosis_text(&fixture), name);
			assert_int_equal(fixture.wrong, exchanged ? 2 : 1);
			assert_int_equal(fixture.right, MESSAGES - (exchanged ? 2 : 1));
			tear_down(&fixture);
		}
}

static void
exchanged_and_stale_answers_are_named(void **state)
{
	(void)state;
	assert_answer_named(3, true, "an exchanged answer: that to message 3");
	assert_answer_named(4, true, "an exchanged answer: that to message 4");
	assert_answer_named(1, false, "a stale answer: that to message 1");
}

/* A stale answer does not make the client wait: its message is released. */
static void
a_stale_answer_lets_the_client_go_on(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	size_t n = set_up_answered(&fixture, data);
	fixture.unanswered = 1;
	feed_segment(&fixture, data + n / 2, n / 2);
	assert_int_equal(verify_released(&fixture.stream), 1);
	fixture.unanswered = 2;
	n = correct_answers(&fixture, REPLY_ECHO, 4, 3, 4, data);
	feed(&fixture, data, n, 9);
	assert_string_equal(
	    diagnosis_text(&fixture), "a stale answer: that to message 1");
	assert_int_equal(fixture.wrong, 1);
	assert_int_equal(fixture.right, 3);
	tear_down(&fixture);
}

/* Another connection's data, at any offset that is searched. */
static void
data_of_another_connection_is_found_at_other_offsets(void **state)
{
	static const struct {
		uint64_t message;
		const char *name;
	} cases[] = {
		{ 0, "another connection's data (connection 13)" },
		{ 3, "another connection's data (connection 13)" },
		{ 500, "another connection's data (connection 13)" },
		{ 1100, "not recognised (64 KiB searched)" },
	};
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (int framing = 0; framing_names[framing] != NULL; framing++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			set_up(&fixture, (enum framing)framing, "echo", SIZE);
			size_t n = correct_answers(&fixture, REPLY_ECHO, 4, 0, 2, data);
			n += correct_answers(&fixture, REPLY_ECHO, 13, cases[i].message,
			    cases[i].message + 1, data + n);
			n += correct_answers(
			    &fixture, REPLY_ECHO, 4, 3, MESSAGES, data + n);
			feed(&fixture, data, n, 7);
			assert_string_equal(diagnosis_text(&fixture), cases[i].name);
			assert_int_equal(fixture.wrong, 1);
			tear_down(&fixture);
		}
}

static void
a_line_end_after_each_answer_is_named(void **state)
{
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	set_up(&fixture, FRAMING_STREAM, "echo", SIZE);
	size_t n = 0;
	for (uint64_t i = 0; i < MESSAGES; i++) {
		n += correct_answers(&fixture, REPLY_ECHO, 4, i, i + 1, data + n);
		data[n++] = '\n';
	}
	feed(&fixture, data, n, 7);
	assert_string_equal(
	    diagnosis_text(&fixture), "1 byte inserted: a line end after the answer");
	assert_int_equal(fixture.right, MESSAGES);
	assert_int_equal(fixture.counters->bytes_unexpected, MESSAGES);
	tear_down(&fixture);
}

/* One flipped bit, or a few, do not decide what is expected of all answers. */
static void
altered_bytes_do_not_decide_between_echo_and_upper(void **state)
{
	static const enum reply_kind kinds[] = { REPLY_ECHO, REPLY_UPPER };
	static const size_t segments[] = { 1, 7, STREAM_MAX };
	uint8_t data[STREAM_MAX];
	struct fixture fixture;

	(void)state;
	for (int k = 0; k < 2; k++)
		for (size_t at = 0; at < 20; at++)
			for (size_t s = 0; s < 3; s++) {
				set_up(&fixture, FRAMING_STREAM, "auto", 0);
				size_t n = correct_answers(
				    &fixture, kinds[k], 4, 0, MESSAGES, data);
				data[at] ^= 0x20;
				feed(&fixture, data, n, segments[s]);
				assert_int_equal(fixture.detected, 1 + kinds[k]);
				assert_int_equal(fixture.wrong, 1);
				assert_int_equal(fixture.right, MESSAGES - 1);
				tear_down(&fixture);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_protocols_are_named),
		cmocka_unit_test(another_kind_of_reply_is_named),
		cmocka_unit_test(
		    what_was_sent_is_recognised_where_a_suffix_was_expected),
		cmocka_unit_test(another_suffix_is_named),
		cmocka_unit_test(another_suffix_ends_where_the_next_answer_begins),
		cmocka_unit_test(exchanged_and_stale_answers_are_named),
		cmocka_unit_test(a_stale_answer_lets_the_client_go_on),
		cmocka_unit_test(data_of_another_connection_is_found_at_other_offsets),
		cmocka_unit_test(a_line_end_after_each_answer_is_named),
		cmocka_unit_test(altered_bytes_do_not_decide_between_echo_and_upper),
	};

	return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
