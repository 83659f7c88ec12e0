#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "lib/clock.h"
#include "client/report/report_summary.h"
#include "client/result/reconcile.h"
#include "client/result/result.h"

static const char stats[] =
    "{ \"totals\": { \"connections_accepted\": 7, \"connections_open\": 1, \"messages_received\": 30, \"replies_sent\": 30, \"bytes_received\": 600, \"bytes_sent\": 600, \"bytes_dropped\": 0, \"connections_closed\": { \"worker_lost\": 3 } }, \"kernel\": { \"retransmits\": 9 } }";

/* A run of five connections that sent and received 500 bytes and lost messages. */
static void
describe(struct result *result, uint64_t lost)
{
	result_init(result);
	result->plan.expect = strdup("auto");
	result->plan.framing = strdup("stream");
	result->connections.requested = result->connections.attempted = 5;
	result->connections.established = result->connections.first = 5;
	result->bytes_sent = result->bytes_received = 500;
	result->messages.sent = 25;
	result->messages.lost[MESSAGE_LOSS_RESET] = lost;
	result->messages.verified = 25 - lost;
}

/* Reconciles with a server that had counted nothing before. */
static void
reconcile(struct result *result, const struct server_totals *server)
{
	const struct reconcile_server one = { .where = "unix:one", .after = *server };

	result_ledger_clear(result);
	reconcile_servers(result, &one, 1);
}

static bool
passed(struct result *result, const struct server_totals *server)
{
	reconcile(result, server);
	bool verdict = reconcile_is_consistent(result);
	result_finish(result);
	return verdict;
}

static const struct server_totals same = {
	.connections_accepted = 5,
	.bytes_received = 500,
	.bytes_sent = 500,
};

static void
reads_the_totals_of_stats_and_names_missing_ones(void **state)
{
	struct server_totals ledger;
	char error[256];

	(void)state;
	assert_int_equal(
	    reconcile_read_totals(stats, &ledger, error, sizeof(error)), 0);
	assert_int_equal(ledger.connections_accepted, 7);
	assert_int_equal(ledger.bytes_sent, 600);
	assert_int_equal(ledger.worker_lost, 3);
	assert_int_equal(ledger.retransmits, 9);
	assert_int_equal(
	    reconcile_read_totals("{\"totals\":{}}", &ledger, error, sizeof(error)),
	    -1);
	assert_non_null(strstr(error, "totals.connections_accepted"));
	assert_int_equal(
	    reconcile_read_totals("nothing", &ledger, error, sizeof(error)), -1);
}

static void
equal_counters_are_consistent(void **state)
{
	struct result result;
	char line[REPORT_SUMMARY_MAX];

	(void)state;
	describe(&result, 0);
	report_summary_ledger(&result, line);
	assert_string_equal(line, "");
	assert_true(reconcile_is_consistent(&result));
	assert_true(passed(&result, &same));
}

static void
losses_of_the_client_explain_differences(void **state)
{
	struct server_totals server = same;
	struct result result;

	(void)state;
	/* Not read by the server, not received by the client, not accepted. */
	server.bytes_received = 480;
	describe(&result, 1);
	assert_true(passed(&result, &server));
	server = same;
	server.bytes_sent = 520;
	describe(&result, 1);
	assert_true(passed(&result, &server));
	/* Interrupted during the warm-up. */
	describe(&result, 0);
	result.warmup.sent = result.warmup.in_flight = 1;
	assert_true(passed(&result, &server));
	server = same;
	server.connections_accepted = 4;
	describe(&result, 1);
	assert_true(passed(&result, &server));
}

static void
unexplained_differences_fail(void **state)
{
	static const struct server_totals differ[] = {
		{ .connections_accepted = 6, .bytes_received = 500, .bytes_sent = 500 },
		{ .connections_accepted = 4, .bytes_received = 500, .bytes_sent = 500 },
		{ .connections_accepted = 5, .bytes_received = 501, .bytes_sent = 500 },
		{ .connections_accepted = 5, .bytes_received = 499, .bytes_sent = 500 },
		{ .connections_accepted = 5, .bytes_received = 500, .bytes_sent = 501 },
		{ .connections_accepted = 5, .bytes_received = 500, .bytes_sent = 499 },
	};
	struct result result;

	(void)state;
	for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++) {
		describe(&result, 0);
		assert_false(passed(&result, &differ[i]));
	}
}

static void
a_connection_that_was_given_up_may_have_been_accepted(void **state)
{
	struct server_totals server = same;
	struct result result;

	(void)state;
	server.connections_accepted = 6;
	describe(&result, 0);
	result.connections.attempted = 6;
	assert_true(passed(&result, &server));
}

/* The same run with framed messages, `lost` of its 25 lost. */
static bool
framed_is_consistent(
    uint64_t lost, uint64_t received, uint64_t replies, uint64_t worker_lost)
{
	struct server_totals server = same;
	struct result result;

	server.messages_received = received;
	server.replies_sent = replies;
	server.worker_lost = worker_lost;
	describe(&result, lost);
	free(result.plan.framing);
	result.plan.framing = strdup("length32");
	return passed(&result, &server);
}

static void
framed_messages_are_reconciled_one_by_one(void **state)
{
	(void)state;
	assert_true(framed_is_consistent(0, 25, 25, 0));
	assert_false(framed_is_consistent(0, 24, 25, 0));
	assert_false(framed_is_consistent(0, 26, 25, 0));
	assert_false(framed_is_consistent(0, 25, 24, 0));
	assert_false(framed_is_consistent(0, 25, 26, 0));
	/* Two were lost, before the server read them or after it answered; not three.
	 */
	assert_true(framed_is_consistent(2, 23, 23, 0));
	assert_true(framed_is_consistent(2, 25, 25, 0));
	assert_false(framed_is_consistent(2, 22, 22, 0));
	assert_false(framed_is_consistent(2, 25, 26, 0));
}

static void
allows_for_messages_a_killed_worker_did_not_count(void **state)
{
	(void)state;
	assert_false(framed_is_consistent(2, 22, 22, 0));
	assert_true(framed_is_consistent(2, 22, 22, 1));
	/* But a worker never counts more than it has read. */
	assert_false(framed_is_consistent(2, 26, 25, 1));
	assert_false(framed_is_consistent(2, 25, 26, 1));
}

static void
describes_what_both_sides_counted(void **state)
{
	struct server_totals server = same;
	struct result result;
	char line[REPORT_SUMMARY_MAX];

	(void)state;
	describe(&result, 0);
	result.bytes_sent = result.bytes_received = 1234567;
	result.connections.attempted = 8;
	server.bytes_sent = server.bytes_received = 1234567;
	reconcile(&result, &server);
	report_summary_ledger(&result, line);
	assert_string_equal(
	    line, "client and server agree: 5 connections, 1,234,567 bytes each way");
	/* Accepted by the server, but given up by the client before it was established.
	 */
	server.connections_accepted = 7;
	reconcile(&result, &server);
	report_summary_ledger(&result, line);
	assert_string_equal(line,
	    "client and server agree: 5 connections, 2 more abandoned by the client while connecting, 1,234,567 bytes each way");
	server.retransmits = 1234;
	reconcile(&result, &server);
	report_summary_ledger(&result, line);
	assert_non_null(
	    strstr(line, "each way (1,234 TCP retransmits on the host of the server)"));
	result_finish(&result);
}

/* The line about a run in which `lost` of 25 framed messages were lost. */
static void
describe_framed(uint64_t lost, const struct server_totals *server, char *line)
{
	struct result result;

	describe(&result, lost);
	free(result.plan.framing);
	result.plan.framing = strdup("line");
	reconcile(&result, server);
	report_summary_ledger(&result, line);
	result_finish(&result);
}

static void
describes_the_direction_of_a_loss(void **state)
{
	struct server_totals server = same;
	char line[REPORT_SUMMARY_MAX];

	(void)state;
	server.messages_received = server.replies_sent = 24;
	server.bytes_received = 480;
	server.bytes_sent = 520;
	describe_framed(2, &server, line);
	assert_non_null(strstr(line,
	    "bytes: 20 bytes (1 message) never reached the server, 20 bytes (1 message) of replies never reached the client; the reported losses explain the difference"));
	describe_framed(0, &server, line);
	assert_non_null(strstr(line,
	    "20 bytes (1 message) never reached the server, 20 bytes of replies never reached the client; the reported losses DO NOT EXPLAIN the difference"));
	/* One more was accepted than the client knows of. */
	server.connections_accepted = 6;
	describe_framed(2, &server, line);
	assert_non_null(strstr(line,
	    "the server accepted 6 connections, 1 more than this client established, received 480 of 500 bytes; the client received 500 of 520 bytes: "));
}

static void
describes_unexplained_bytes(void **state)
{
	struct server_totals server = same;
	char line[REPORT_SUMMARY_MAX];

	(void)state;
	server.messages_received = server.replies_sent = 25;
	server.bytes_received = 501;
	describe_framed(0, &server, line);
	assert_non_null(strstr(line,
	    "received 501 bytes, 1 more than the client sent; the client received 500 of 500 bytes: 1 byte reached the server but did not come from this client; the reported losses DO NOT"));
	assert_null(strstr(line, "several servers"));
	/* Another server answered half of it. */
	server = same;
	server.connections_accepted = 2;
	server.bytes_received = server.bytes_sent = 200;
	describe_framed(0, &server, line);
	assert_non_null(
	    strstr(line, ": 3 connections never reached the server, 300 bytes "));
	assert_non_null(strstr(
	    line, "300 bytes reached the client but did not come from the server; "));
	assert_non_null(strstr(line, " (several servers? name each with --ledger)"));
}

static void
sums_the_ledgers_of_several_servers(void **state)
{
	static const struct reconcile_server servers[] = {
		{ .where = "unix:one",
		    .before = { .connections_accepted = 7 },
		    .after = { .connections_accepted = 9,
			.bytes_received = 200,
			.bytes_sent = 200 } },
		{ .where = "http://two",
		    .after = { .connections_accepted = 3,
			.bytes_received = 300,
			.bytes_sent = 300 } },
	};
	struct result result;
	char line[REPORT_SUMMARY_MAX];

	(void)state;
	describe(&result, 0);
	reconcile_servers(&result, servers, 2);
	assert_true(reconcile_is_consistent(&result));
	report_summary_ledger(&result, line);
	assert_string_equal(
	    line, "client and servers agree: 5 connections, 500 bytes each way");
	assert_true(report_summary_server(&result, 1, line));
	assert_string_equal(
	    line, "http://two: accepted 3 connections, received 300 bytes, 0 messages");
	assert_false(report_summary_server(&result, 2, line));
	/* One server alone does not account for the run. */
	result_ledger_clear(&result);
	reconcile_servers(&result, servers, 1);
	assert_false(reconcile_is_consistent(&result));
	assert_false(report_summary_server(&result, 0, line));
	result_finish(&result);
}

static void
tells_a_restart_from_an_upgrade_by_age_and_generation(void **state)
{
	const struct server_totals before = { .connections_accepted = 1,
		.generation = 1,
		.uptime_ns = 5 * NS_PER_S,
		.answered_ns = 100 * NS_PER_S };
	struct server_totals after = before;

	(void)state;
	after.asked_ns = 130 * NS_PER_S;
	after.uptime_ns = 35 * NS_PER_S;
	assert_true(reconcile_is_later(&after, &before));
	/* Older than `before`, but not by the time that has passed. */
	after.uptime_ns = 20 * NS_PER_S;
	assert_false(reconcile_is_later(&after, &before));
	/* An upgrade begins a new uptime and keeps the counters. */
	after.generation = 2;
	assert_true(reconcile_is_later(&after, &before));
	after.connections_accepted = 0;
	assert_false(reconcile_is_later(&after, &before));
	/* A server that does not tell its age. */
	after = before;
	after.asked_ns = 130 * NS_PER_S;
	after.uptime_ns = 0;
	assert_true(reconcile_is_later(&after, &before));
}

/* Two servers are read, one is gone, one restarted. */
static void
reconciles_the_servers_that_are_left(void **state)
{
	static const struct reconcile_server servers[] = {
		{ .where = "unix:one",
		    .after = { .connections_accepted = 1,
			.messages_received = 10,
			.bytes_received = 100,
			.bytes_sent = 100 } },
		{ .where = "unix:two",
		    .state = RECONCILE_GONE,
		    .at_ns = 1700000000 * NS_PER_S,
		    .before = { .connections_accepted = 50, .bytes_received = 900 },
		    .error = "Connection refused" },
		{ .where = "unix:three",
		    .state = RECONCILE_RESTARTED,
		    .at_ns = 1700000000 * NS_PER_S,
		    .before = { .connections_accepted = 70, .bytes_received = 900 },
		    .after = { .connections_accepted = 2,
			.messages_received = 5,
			.bytes_received = 50 } },
	};
	struct result result;
	char line[REPORT_SUMMARY_MAX];

	(void)state;
	describe(&result, 3);
	reconcile_servers(&result, servers, 3);
	assert_true(reconcile_is_consistent(&result));
	assert_int_equal(result.ledger.server.connections_accepted, 3);
	assert_int_equal(result.ledger.server.bytes_received, 150);
	/* What the client got an answer to is accounted for. */
	assert_int_equal(result.ledger.unaccounted_messages, 3);
	report_summary_ledger(&result, line);
	assert_string_equal(line,
	    "1 of 3 servers reconciled: accepted at least 3 of 5 connections, received at least 150 of 500 bytes");
	assert_true(report_summary_server(&result, 1, line));
	assert_string_equal(line,
	    "unix:two: gone when it was asked at 2023-11-14T22:13:20.000Z (Connection refused): at most 3 messages unaccounted");
	assert_true(report_summary_server(&result, 2, line));
	assert_string_equal(line,
	    "unix:three: restarted at 2023-11-14T22:13:20.000Z: at most 3 messages unaccounted");
	result_ledger_clear(&result);
	/* One server alone, which is gone. */
	reconcile_servers(&result, &servers[1], 1);
	assert_true(report_summary_server(&result, 0, line));
	result_finish(&result);
}

static void
those_left_cannot_have_counted_more_than_the_client(void **state)
{
	struct reconcile_server servers[] = {
		{ .where = "unix:one",
		    .after = { .connections_accepted = 2, .bytes_received = 501 } },
		{ .where = "unix:two", .state = RECONCILE_GONE },
	};
	struct result result;

	(void)state;
	describe(&result, 3);
	reconcile_servers(&result, servers, 2);
	assert_false(reconcile_is_consistent(&result));
	assert_int_equal(result.ledger.unexplained.bytes, 1);
	result_finish(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_totals_of_stats_and_names_missing_ones),
		cmocka_unit_test(equal_counters_are_consistent),
		cmocka_unit_test(describes_what_both_sides_counted),
		cmocka_unit_test(describes_the_direction_of_a_loss),
		cmocka_unit_test(describes_unexplained_bytes),
		cmocka_unit_test(sums_the_ledgers_of_several_servers),
		cmocka_unit_test(tells_a_restart_from_an_upgrade_by_age_and_generation),
		cmocka_unit_test(reconciles_the_servers_that_are_left),
		cmocka_unit_test(those_left_cannot_have_counted_more_than_the_client),
		cmocka_unit_test(losses_of_the_client_explain_differences),
		cmocka_unit_test(unexplained_differences_fail),
		cmocka_unit_test(a_connection_that_was_given_up_may_have_been_accepted),
		cmocka_unit_test(framed_messages_are_reconciled_one_by_one),
		cmocka_unit_test(allows_for_messages_a_killed_worker_did_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
