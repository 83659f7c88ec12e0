#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proto/witness/witness.h"
#include "proto/witness/witness_hex.h"

#define ASK_LINE "ask 00112233445566778899aabbccddeeff\n"
#define ASK_LONG "ask 00112233445566778899aabbccddeeff0"

static bool
parses(const char *line, struct witness_command *ret)
{
	return witness_command_parse(line, strlen(line), ret);
}

static void
test_each_command_is_parsed_as_it_is_written(void **state)
{
	static const char *const lines[] = { "info\n", ASK_LINE, "say 7200000 0\n",
		"fin 0\n", "rst 12\n", "hold 999\n", "sink\n", "echo\n",
		"source 16777216\n", "keepalive 1000\n" };
	bool seen[WITNESS_COMMAND_COUNT] = { false };
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct witness_command command;
		char out[WITNESS_LINE_MAX];
		assert_true(
		    witness_command_parse(lines[i], strlen(lines[i]) - 1, &command));
		size_t length = witness_command_format(&command, out);
		assert_int_equal(length, strlen(lines[i]));
		assert_memory_equal(out, lines[i], length);
		seen[command.kind] = true;
	}
	for (int kind = 0; kind < WITNESS_COMMAND_COUNT; kind++)
		assert_true(seen[kind]);
}

static void
test_a_line_that_is_not_exactly_a_command_is_refused(void **state)
{
	static const char *const lines[] = { "", " info", "info ", "information",
		"INFO", "say", "say 1", "say 1 ", "say 1 2 3", "say  1 2", "say -1 2",
		"say 1 +2", "say 7200001 1", "say 1 16777217",
		"say 99999999999999999999 1", "source 0x10", "ask", ASK_LONG,
		"ask 0011", "fin 1 1", "rst", "keepalive 1.5", "info\r" };
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct witness_command command = { .wait_ms = 77 };
		if (parses(lines[i], &command))
			fail_msg("\"%s\" was taken as a command", lines[i]);
		assert_int_equal(command.wait_ms, 77);
	}
}

static void
test_the_crc_is_that_of_zlib_whatever_the_pieces(void **state)
{
	(void)state;
	uint32_t crc = witness_crc32(0, "1234", 4);
	assert_int_equal(witness_crc32(crc, "56789", 5), 0xcbf43926);
	assert_int_equal(witness_crc32(7, "", 0), 7);
}

static void
test_the_pattern_is_the_same_in_any_pieces(void **state)
{
	uint8_t whole[256], pieces[256];
	(void)state;
	witness_fill(1000, whole, sizeof(whole));
	for (size_t i = 0; i < sizeof(pieces); i += 16)
		witness_fill(1000 + i, pieces + i, 16);
	assert_memory_equal(whole, pieces, sizeof(whole));
}

static void
test_hex_digits_come_back_as_bytes(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x9a, 0xff };
	uint8_t back[3];
	char text[7];
	(void)state;
	witness_hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "009aff");
	assert_int_equal(witness_hex_decode("009aFF", 6, back), 3);
	assert_memory_equal(bytes, back, sizeof(bytes));
	assert_int_equal(witness_hex_decode("009", 3, back), 0);
	assert_int_equal(witness_hex_decode("0g", 2, back), 0);
}

/* A record with the largest number in each member. */
static struct witness_record
largest_record(void)
{
	struct witness_record record;
	memset(&record, 0xff, sizeof(record));
	record.is_open = record.has_tcp = true;
	record.tcp = (struct tcp_info_view){ .state = 1 };
#define X(type, member) record.tcp.member = (type)(UINT64_MAX / 2);
	TCP_INFO_FIELDS(X)
#undef X
	record.age_us = record.received = record.unread = record.sent = record.unsent =
	    record.tcp_at_us = INT64_MAX;
	record.event_count = WITNESS_EVENTS_MAX;
	for (int i = 0; i < WITNESS_EVENTS_MAX; i++)
		record.events[i] = (struct witness_event){ .at_us = INT64_MAX,
			.received = INT64_MAX,
			.sent = INT64_MAX,
			.kind = WITNESS_EVENT_UNREACHABLE };
	return record;
}

static void
test_the_longest_record_comes_back_as_it_was(void **state)
{
	struct witness_record record = largest_record();
	char line[WITNESS_ANSWER_MAX], instance[WHOAMI_INSTANCE_MAX + 1];
	struct witness_answer answer;
	(void)state;
	memset(instance, 'x', sizeof(instance) - 1);
	instance[sizeof(instance) - 1] = '\0';
	size_t length = witness_answer_write(WITNESS_HOLD, &record, instance, line);
	assert_int_equal(line[length - 1], '\n');
	assert_true(witness_answer_read(line, length, &answer));
	assert_int_equal(answer.kind, WITNESS_HOLD);
	assert_true(answer.has_record);
	assert_string_equal(answer.instance, instance);
	assert_memory_equal(&answer.record.id, &record.id, sizeof(record.id));
	assert_true(answer.record.is_open);
	assert_true(answer.record.received == record.received);
	assert_true(answer.record.unread == record.unread);
	assert_int_equal(answer.record.crc32, record.crc32);
	assert_int_equal(answer.record.before_bytes, record.before_bytes);
	assert_memory_equal(answer.record.before, record.before, sizeof(record.before));
	assert_int_equal(answer.record.tcp.state, 1);
#define X(type, member) assert_true(answer.record.tcp.member == record.tcp.member);
	TCP_INFO_FIELDS(X)
#undef X
	assert_int_equal(answer.record.event_count, WITNESS_EVENTS_MAX);
	assert_true(answer.record.events[15].sent == record.events[15].sent);
	assert_int_equal(answer.record.events[15].kind, WITNESS_EVENT_UNREACHABLE);
}

static void
test_a_closed_connection_has_its_reason(void **state)
{
	struct witness_record record = { .reason = CLOSE_PEER_CLOSED };
	char line[WITNESS_ANSWER_MAX];
	struct witness_answer answer;
	(void)state;
	size_t length = witness_answer_write(WITNESS_ASK, &record, "b\"ad name", line);
	assert_true(witness_answer_read(line, length, &answer));
	assert_false(answer.record.is_open);
	assert_false(answer.record.has_tcp);
	assert_int_equal(answer.record.reason, CLOSE_PEER_CLOSED);
	assert_string_equal(answer.instance, "b?ad?name");
}

static void
test_ask_may_know_no_such_connection(void **state)
{
	char line[WITNESS_ANSWER_MAX];
	struct witness_answer answer;
	(void)state;
	size_t length = witness_answer_write(WITNESS_ASK, NULL, "", line);
	assert_true(witness_answer_read(line, length, &answer));
	assert_int_equal(answer.kind, WITNESS_ASK);
	assert_false(answer.has_record);
}

static void
set_address(struct address *address, const char *text)
{
	char error[128];
	assert_int_equal(address_parse(text, address, error, sizeof(error)), 0);
}

static void
test_a_greeting_is_read_as_it_was_written(void **state)
{
	struct witness_greeting greeting = {
		.idle_ms = 1500, .open = 12, .accepted = 345, .syn_bytes = TCP_SYN_MAX
	};
	struct tcp_info_view tcp = { .rtt_us = 17, .snd_mss = 1448, .ecn = true };
	struct whoami whoami = {
		.instance = "A", .slot = 3, .generation = 7, .tcp = &tcp
	};
	struct witness_view view;
	char line[WITNESS_GREETING_MAX], own[WHOAMI_MAX];
	(void)state;
	memset(&greeting.id, 0x5a, sizeof(greeting.id));
	memset(greeting.syn_headers, 0xa5, sizeof(greeting.syn_headers));
	set_address(&whoami.client, "[2001:db8::1]:9");
	set_address(&whoami.peer, "192.0.2.1:10");
	set_address(&whoami.local, "192.0.2.2:11");
	size_t length =
	    witness_greeting_write(&greeting, own, whoami_write(&whoami, own), line);
	assert_int_equal(line[length - 1], '\n');
	assert_true(witness_greeting_read(line, length, &view));
	assert_memory_equal(&view.greeting, &greeting, sizeof(greeting));
	assert_string_equal(view.instance, "A");
	assert_int_equal(view.slot, 3);
	assert_int_equal(view.generation, 7);
	assert_int_equal(view.client.family, AF_INET6);
	assert_int_equal(view.peer.port, 10);
	assert_int_equal(view.local.port, 11);
	assert_false(view.has_header);
	assert_false(view.has_syn);
	assert_true(view.has_tcp && view.tcp.ecn);
	assert_int_equal(view.tcp.snd_mss, 1448);
}

static void
test_other_lines_are_no_greeting_and_no_answer(void **state)
{
	static const char *const lines[] = { "", "{}", "[]", "{\"yodel_witness\":2}",
		"{\"yodel_witness\":1,\"id\":\"zz\"}", "{\"answer\":\"other\"}",
		"{\"answer\":\"info\",\"record\":{}}", "{\"answer\":\"info\"}",
		"{\"instance\":\"A\"}" };
	struct witness_view view;
	struct witness_answer answer;
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_false(witness_greeting_read(lines[i], strlen(lines[i]), &view));
		assert_false(witness_answer_read(lines[i], strlen(lines[i]), &answer));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_command_is_parsed_as_it_is_written),
		cmocka_unit_test(test_a_line_that_is_not_exactly_a_command_is_refused),
		cmocka_unit_test(test_the_crc_is_that_of_zlib_whatever_the_pieces),
		cmocka_unit_test(test_the_pattern_is_the_same_in_any_pieces),
		cmocka_unit_test(test_hex_digits_come_back_as_bytes),
		cmocka_unit_test(test_the_longest_record_comes_back_as_it_was),
		cmocka_unit_test(test_a_closed_connection_has_its_reason),
		cmocka_unit_test(test_ask_may_know_no_such_connection),
		cmocka_unit_test(test_a_greeting_is_read_as_it_was_written),
		cmocka_unit_test(test_other_lines_are_no_greeting_and_no_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
