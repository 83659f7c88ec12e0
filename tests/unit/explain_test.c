#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "client/measure/findings.h"
#include "client/result/explain.h"

/* The client's clock when the record is read; the server's is an hour ahead. */
#define READ_NS (UINT64_C(1000) * NS_PER_S)
#define AHEAD_NS (UINT64_C(3600) * NS_PER_S)
#define FOUND_NS (UINT64_C(900) * NS_PER_S)
#define CONNECTED_NS (UINT64_C(890) * NS_PER_S)

#define OWN "10.0.0.1:4000"

/* A fault of a record; its times by the client's clock. */
struct row {
	const char *client, *kind;
	uint64_t message, offset, length;
	const char *value;
	uint64_t time_ns, connected_ns;
};

/* By default on the connection of the finding, 2 s before it. */
static struct row
row_of(const char *kind, uint64_t message, uint64_t offset, uint64_t length)
{
	return (struct row){ .client = OWN,
		.kind = kind,
		.message = message,
		.offset = offset,
		.length = length,
		.value = "1",
		.time_ns = FOUND_NS - 2 * NS_PER_S,
		.connected_ns = CONNECTED_NS };
}

static void
format_record(const struct row *rows, size_t count, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size,
	    "{ \"now_ns\": %llu, \"listeners\": [ { \"faults\": [ "
	    "{ \"fault\": \"backlog 1\" } ] } ], \"record\": [",
	    (unsigned long long)(READ_NS + AHEAD_NS));
	for (size_t i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, size - at,
		    "%s{ \"client\": \"%s\", \"kind\": \"%s\", \"message\": %llu, "
		    "\"offset\": %llu, \"length\": %llu, \"value\": %s, "
		    "\"time_ns\": %llu, \"connected_ns\": %llu }",
		    i == 0 ? "" : ", ", rows[i].client, rows[i].kind,
		    (unsigned long long)rows[i].message,
		    (unsigned long long)rows[i].offset,
		    (unsigned long long)rows[i].length, rows[i].value,
		    (unsigned long long)(rows[i].time_ns + AHEAD_NS),
		    (unsigned long long)(rows[i].connected_ns == 0
			    ? 0
			    : rows[i].connected_ns + AHEAD_NS));
	snprintf(text + at, size - at, "] }");
}

static struct explain_list
read_list(const struct row *rows, size_t count, uint64_t injected)
{
	const struct explain_request request = { .injected = injected,
		.since_ns = CONNECTED_NS - NS_PER_S,
		.asked_ns = READ_NS,
		.answered_ns = READ_NS };
	struct explain_list list;
	char text[8192], error[256] = "";
	format_record(rows, count, text, sizeof(text));
	assert_int_equal(
	    explain_list_read(text, &request, &list, error, sizeof(error)), 0);
	return list;
}

/* The reply to message 5, bytes 400 to 500; messages count from 0 here. */
static struct finding
finding_of(enum finding_kind kind)
{
	struct finding finding = { .kind = (uint8_t)kind,
		.at_ns = FOUND_NS,
		.connected_ns = CONNECTED_NS,
		.message = 4,
		.last_message = 4,
		.offset = 400,
		.end = 500,
		.waited_ns = NS_PER_S,
		.local = {
		    .bytes = { 10, 0, 0, 1 }, .port = 4000, .family = AF_INET } };
	finding.announced = finding.local;
	return finding;
}

static struct explained_faults
explain_all(const struct row *rows, size_t row_count, uint64_t injected,
    const struct finding *findings, size_t finding_count,
    const struct findings_clients *clients)
{
	struct explained_faults out;
	struct explain_list list = read_list(rows, row_count, injected);
	struct explain_named named;
	const struct explain_args args = { .findings = findings,
		.finding_count = finding_count,
		.clients = clients,
		.ranks = 1,
		.has_boundaries = true };
	explain_findings(&args, &list, &out, &named);
	assert_int_equal(named.count, out.unexplained);
	free(list.faults);
	assert_int_equal(out.findings, out.explained + out.unexplained + out.unjudged);
	assert_int_equal(out.recorded, out.timing + out.seen + out.unseen);
	return out;
}

static bool
explains(struct row row, struct finding finding)
{
	struct explained_faults out = explain_all(&row, 1, 1, &finding, 1, NULL);
	assert_int_equal(out.seen, out.explained);
	return out.explained == 1;
}

static void
test_a_fault_explains_damage_at_its_place_alone(void **state)
{
	(void)state;
	static const struct {
		uint64_t message, offset, end;
		bool is_explained;
	} cases[] = {
		{ 4, 450, 451, true },
		{ 4, 400, 400, true },
		{ 5, 500, 502, true },    /* between this reply and the next */
		{ 4, 9999, 9999, false }, /* the message, but other bytes */
		{ 99, 450, 451, false },  /* the bytes, but another message */
		{ 5, 501, 501, false },   /* the next reply */
		{ 2, 290, 299, false },   /* the reply before it */
		{ 20, 5000, 5001, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct finding finding = finding_of(FINDING_DAMAGE);
		finding.message = finding.last_message = cases[i].message;
		finding.offset = cases[i].offset;
		finding.end = cases[i].end;
		assert_int_equal(explains(row_of("corrupt", 5, 400, 100), finding),
		    cases[i].is_explained);
	}
}

static void
test_a_fault_explains_damage_that_its_kind_can_do(void **state)
{
	(void)state;
	static const struct {
		const char *kind;
		bool same, fewer, more;
	} cases[] = {
		{ "corrupt", true, false, false },
		{ "truncate", true, true, false },
		{ "drop", true, true, false },
		{ "insert", true, false, true },
		{ "duplicate", true, false, true },
		{ "swap", true, true, true },
		{ "reorder", true, true, true },
		{ "delay", false, false, false },
		{ "stall", false, false, false },
		{ "reset", false, false, false },
		{ "trickle", false, false, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct row row = row_of(cases[i].kind, 5, 400, 100);
		struct finding finding = finding_of(FINDING_DAMAGE);
		finding.missing_bytes = finding.extra_bytes = 3;
		assert_int_equal(explains(row, finding), cases[i].same);
		finding.extra_bytes = 0;
		assert_int_equal(explains(row, finding), cases[i].fewer);
		finding.extra_bytes = 9;
		assert_int_equal(explains(row, finding), cases[i].more);
	}
}

/* Replies 2 and 3 of 40 bytes came twice, reply 4 not at all; all are alike. */
static void
test_replies_that_are_alike_are_found_at_the_end(void **state)
{
	(void)state;
	struct row rows[] = { row_of("duplicate", 2, 40, 40),
		row_of("duplicate", 3, 80, 40), row_of("drop", 4, 120, 40) };
	struct finding finding = finding_of(FINDING_DAMAGE);
	finding.offset = finding.end = 4000;
	finding.message = finding.last_message = 100;
	finding.extra_bytes = 40;
	struct explained_faults out = explain_all(rows, 3, 3, &finding, 1, NULL);
	assert_int_equal(out.explained, 1);
	assert_int_equal(out.seen, 3);
	/* One byte more is damage of the path. */
	finding.extra_bytes = 41;
	assert_int_equal(explain_all(rows, 3, 3, &finding, 1, NULL).unexplained, 1);
	finding.extra_bytes = 40;
	finding.announced.port++;
	assert_int_equal(explain_all(rows, 3, 3, &finding, 1, NULL).unexplained, 1);

	finding = finding_of(FINDING_TIMEOUT);
	finding.offset = 4000;
	finding.end = 4040;
	finding.message = finding.last_message = 100;
	assert_int_equal(explain_all(&rows[2], 1, 1, &finding, 1, NULL).explained, 1);
	finding.end = 4080;
	assert_int_equal(explain_all(&rows[2], 1, 1, &finding, 1, NULL).unexplained, 1);
}

static void
test_a_fault_of_another_connection_explains_nothing(void **state)
{
	(void)state;
	struct finding finding = finding_of(FINDING_DAMAGE);
	struct row row = row_of("corrupt", 5, 400, 100);
	assert_true(explains(row, finding));
	finding.announced.port++;
	assert_false(explains(row, finding));
	finding.announced.port--;
	/* The same port, used before and after. */
	row.connected_ns = CONNECTED_NS - NS_PER_S;
	assert_false(explains(row, finding));
	row.connected_ns = CONNECTED_NS;
	row.time_ns = FOUND_NS + NS_PER_S;
	assert_false(explains(row, finding));
	row.time_ns = FOUND_NS;
	row.client = "[::ffff:10.0.0.1]:4000";
	assert_true(explains(row, finding));
}

/* Kinds and the losses that they explain, the fault being where the client waits. */
static void
test_a_loss_is_explained_by_kinds_that_cause_it(void **state)
{
	(void)state;
	static const struct {
		const char *kind;
		bool timeout, closed, reset, connect_reset;
	} cases[] = {
		{ "reset", false, false, true, false },
		{ "close", false, true, true, false },
		{ "half-close", false, true, false, false },
		{ "drop", true, true, false, false },
		{ "truncate", true, true, false, false },
		{ "corrupt", false, false, false, false },
		{ "delay", false, false, false, false }, /* of 1 ns */
		{ "trickle", true, true, true, false },
		{ "never-read", true, true, true, false },
		{ "refuse", false, false, false, true }, /* something was received */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct row row = row_of(cases[i].kind, 5, 400, 0);
		assert_int_equal(
		    explains(row, finding_of(FINDING_TIMEOUT)), cases[i].timeout);
		assert_int_equal(
		    explains(row, finding_of(FINDING_CLOSED)), cases[i].closed);
		assert_int_equal(
		    explains(row, finding_of(FINDING_RESET)), cases[i].reset);
		assert_int_equal(explains(row, finding_of(FINDING_CONNECT_RESET)),
		    cases[i].connect_reset);
	}
}

static void
test_the_end_of_a_connection_is_explained_behind_what_came_alone(void **state)
{
	(void)state;
	struct finding finding = finding_of(FINDING_RESET);
	assert_true(explains(row_of("reset", 5, 450, 0), finding));
	assert_true(explains(row_of("reset", 5, 500, 0), finding));
	assert_false(explains(row_of("reset", 3, 200, 0), finding));
	assert_false(explains(row_of("reset", 9, 800, 0), finding));
	assert_false(explains(row_of("refuse", 0, 0, 0), finding));
	finding.offset = finding.end = finding.message = finding.last_message = 0;
	assert_true(explains(row_of("refuse", 0, 0, 0), finding));
}

static void
test_delays_explain_a_timeout_if_they_are_as_long(void **state)
{
	(void)state;
	struct finding finding = finding_of(FINDING_TIMEOUT);
	struct row rows[2] = { row_of("delay", 5, 400, 100),
		row_of("delay", 5, 400, 100) };
	rows[0].value = rows[1].value = "600000000";
	assert_false(explains(rows[0], finding));
	/* Two of the same reply. */
	assert_int_equal(explain_all(rows, 2, 2, &finding, 1, NULL).explained, 1);
	rows[1].message = 6;
	assert_int_equal(explain_all(rows, 2, 2, &finding, 1, NULL).explained, 0);
	rows[0].value = "1000000000";
	assert_true(explains(rows[0], finding));
	finding.message = finding.last_message = 3;
	assert_false(explains(rows[0], finding));
}

static void
test_a_stall_explains_a_timeout_while_it_lasts(void **state)
{
	(void)state;
	struct finding finding = finding_of(FINDING_TIMEOUT);
	struct row row = row_of("stall", 5, 400, 0);
	row.value = "1000000000"; /* it ended 1 s before */
	assert_false(explains(row, finding));
	row.value = "2000000000";
	assert_true(explains(row, finding));
	row.value = "null"; /* for ever */
	assert_true(explains(row, finding));
}

static void
test_a_fault_of_the_listener_explains_a_loss(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *value;
		enum finding_kind finding;
		uint64_t offset;
		bool is_explained;
	} cases[] = {
		{ "never-accept", "null", FINDING_TIMEOUT, 0, true },
		{ "never-accept", "null", FINDING_TIMEOUT, 400, false },
		{ "never-accept", "null", FINDING_RESET, 0, false },
		{ "never-accept", "null", FINDING_DAMAGE, 0, false },
		{ "never-accept", "null", FINDING_CONNECT_TIMEOUT, 0, true },
		{ "stall", "3000000000", FINDING_TIMEOUT, 400, true },
		{ "stall", "1000000000", FINDING_TIMEOUT, 400, false },
		{ "backlog", "1", FINDING_CONNECT_TIMEOUT, 0, true },
		{ "backlog", "1", FINDING_TIMEOUT, 400, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct row row = row_of(cases[i].kind, 0, 0, 0);
		struct finding finding = finding_of(cases[i].finding);
		row.client = "";
		row.connected_ns = 0;
		row.value = cases[i].value;
		finding.offset = cases[i].offset;
		assert_int_equal(explains(row, finding), cases[i].is_explained);
		row.time_ns = FOUND_NS + NS_PER_S;
		assert_false(explains(row, finding));
	}
}

static void
test_a_listener_may_have_been_limited_before_the_run(void **state)
{
	(void)state;
	struct row row = row_of("backlog", 0, 0, 0);
	struct finding finding = finding_of(FINDING_CONNECT_TIMEOUT);
	row.client = "";
	row.time_ns = NS_PER_S;
	row.connected_ns = finding.offset = 0;
	assert_int_equal(explain_all(&row, 1, 0, &finding, 1, NULL).explained, 1);
	row.kind = "never-accept"; /* no listener has it any more */
	row.value = "null";
	assert_int_equal(explain_all(&row, 1, 0, &finding, 1, NULL).explained, 0);
}

static void
test_says_why_a_fault_was_not_seen(void **state)
{
	(void)state;
	struct row rows[3] = { row_of("corrupt", 5, 400, 100),
		row_of("reset", 5, 450, 0), row_of("drop", 9, 800, 100) };
	struct finding reset = finding_of(FINDING_RESET);
	struct explained_faults out = explain_all(rows, 3, 3, &reset, 1, NULL);
	assert_int_equal(out.seen, 1);
	assert_int_equal(out.unseen, 2);
	assert_int_equal(out.unseen_hidden, 1);
	assert_int_equal(out.unseen_lost, 1);
	rows[2].client = "10.0.0.1:4001";
	out = explain_all(rows, 3, 3, &reset, 1, NULL);
	assert_int_equal(out.unseen_lost, 0);
}

static void
test_nothing_is_unexplained_when_the_record_is_too_short(void **state)
{
	(void)state;
	struct row row = row_of("corrupt", 5, 400, 100);
	struct finding finding = finding_of(FINDING_DAMAGE);
	row.client = "10.0.0.1:4001";
	struct explained_faults out = explain_all(&row, 1, 3, &finding, 1, NULL);
	assert_int_equal(out.injected, 3);
	assert_int_equal(out.recorded, 1);
	assert_int_equal(out.unexplained, 0);
	assert_int_equal(out.unjudged, 1);
}

static void
test_nothing_is_unexplained_when_the_server_sees_other_addresses(void **state)
{
	(void)state;
	struct row rows[5];
	struct finding finding = finding_of(FINDING_DAMAGE);
	struct findings_clients *clients = calloc(1, sizeof(*clients));
	assert_non_null(clients);
	clients->addresses[0] = finding.local;
	clients->address_count = 1;
	clients->ports[4000 / 64] = UINT64_C(1) << 4000 % 64;
	assert_true(findings_has_client(clients, &finding.local));
	for (size_t i = 0; i < 5; i++) {
		rows[i] = row_of("corrupt", 9, 900, 100);
		rows[i].client = "10.0.0.9:5000";
	}
	struct explained_faults out = explain_all(rows, 5, 5, &finding, 1, clients);
	assert_true(out.translated);
	assert_int_equal(out.unjudged, 1);
	rows[0].client = rows[1].client = OWN;
	out = explain_all(rows, 5, 5, &finding, 1, clients);
	assert_false(out.translated);
	assert_int_equal(out.unexplained, 1);
	free(clients);
}

static void
test_reads_the_latest_faults_alone(void **state)
{
	(void)state;
	const struct row rows[] = { row_of("drop", 1, 0, 4), row_of("swap", 2, 4, 4) };
	struct explain_list list = read_list(rows, 2, 1);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.faults[0].kind, FAULT_SWAP);
	assert_int_equal(list.faults[0].time_ns, FOUND_NS - 2 * NS_PER_S);
	assert_int_equal(list.missing, 0);
	free(list.faults);
}

static void
test_refuses_what_is_no_record(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "[]", "{}", "{ \"record\": 1 }", "{ \"record\": [ 1 ] }",
		"{ \"record\": [ { \"kind\": \"no\", \"client\": \"\", \"message\": 1, \"offset\": 1, \"length\": 1 } ] }",
		"{ \"record\": [ { \"kind\": \"drop\", \"client\": \"x\", \"message\": 1, \"offset\": 1, \"length\": 1 } ] }"
	};
	const struct explain_request request = { .injected = 9 };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct explain_list list;
		char error[256] = "";
		assert_int_equal(
		    explain_list_read(texts[i], &request, &list, error, sizeof(error)),
		    -1);
		assert_non_null(strstr(error, "/faults: "));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fault_explains_damage_at_its_place_alone),
		cmocka_unit_test(test_a_fault_explains_damage_that_its_kind_can_do),
		cmocka_unit_test(test_replies_that_are_alike_are_found_at_the_end),
		cmocka_unit_test(test_a_fault_of_another_connection_explains_nothing),
		cmocka_unit_test(test_a_loss_is_explained_by_kinds_that_cause_it),
		cmocka_unit_test(
		    test_the_end_of_a_connection_is_explained_behind_what_came_alone),
		cmocka_unit_test(test_delays_explain_a_timeout_if_they_are_as_long),
		cmocka_unit_test(test_a_stall_explains_a_timeout_while_it_lasts),
		cmocka_unit_test(test_a_fault_of_the_listener_explains_a_loss),
		cmocka_unit_test(test_a_listener_may_have_been_limited_before_the_run),
		cmocka_unit_test(test_says_why_a_fault_was_not_seen),
		cmocka_unit_test(
		    test_nothing_is_unexplained_when_the_record_is_too_short),
		cmocka_unit_test(
		    test_nothing_is_unexplained_when_the_server_sees_other_addresses),
		cmocka_unit_test(test_reads_the_latest_faults_alone),
		cmocka_unit_test(test_refuses_what_is_no_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
