#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/result/result.h"
#include "client/result/trust.h"

#define MS UINT64_C(1000000)

/* Ten seconds at the planned 1,000 messages per second, answered in 0.2 ms. */
static int
set_up(void **state)
{
	struct result *result = calloc(1, sizeof(*result));

	assert_non_null(result);
	result_init(result);
	result->plan.rate = 1000;
	result->plan.ranks = 1;
	result->elapsed_s = 10;
	result->connections.requested = result->connections.first = 50;
	result->messages.sent = result->messages.verified = 10000;
	result->messages_due = 10000;
	histogram_record_many(result->latency[LATENCY_RESPONSE], MS / 5, 10000);
	histogram_record_many(result->latency[LATENCY_SEND_LAG], MS / 100, 10000);
	histogram_record_many(result->latency[LATENCY_LOOP_LAG], MS / 100, 10000);
	result->processes = calloc(1, sizeof(result->processes[0]));
	assert_non_null(result->processes);
	result->process_count = 1;
	result->processes[0].cpu_share = 0.3;
	*state = result;
	return 0;
}

static int
tear_down(void **state)
{
	result_finish(*state);
	free(*state);
	return 0;
}

static void
expect(struct result *result, enum result_verdict verdict, const char *reason)
{
	trust_evaluate(result);
	if (result->trust.verdict != verdict)
		fail_msg("%s: %s", result_verdict_names[result->trust.verdict],
		    result->trust.reason_count > 0 ? result->trust.reasons[0] : "");
	if (reason == NULL) {
		assert_int_equal(result->trust.reason_count, 0);
		return;
	}
	assert_int_equal(result->trust.reason_count, 1);
	if (strstr(result->trust.reasons[0], reason) == NULL)
		fail_msg("%s", result->trust.reasons[0]);
}

/* As if the load processes had found this. */
static void
add_delay(struct result *result, const char *latency, const char *percentile,
    uint64_t measured_ns, uint64_t without_client_ns)
{
	size_t n = result->client_delay_count++;

	result->client_delays = reallocarray(
	    result->client_delays, n + 1, sizeof(result->client_delays[0]));
	assert_non_null(result->client_delays);
	result->client_delays[n] = (struct result_client_delay){
		.latency = strdup(latency),
		.percentile = strdup(percentile),
		.measured_ns = measured_ns,
		.without_client_ns = without_client_ns,
	};
}

static void
a_run_that_keeps_its_schedule_is_valid(void **state)
{
	expect(*state, RESULT_VALID, NULL);
}

static void
a_busy_load_process_is_suspect_and_a_saturated_one_invalid(void **state)
{
	struct result *result = *state;

	result->processes[0].cpu_share = 0.85;
	expect(result, RESULT_SUSPECT, "used 85 % of a CPU");
	result->processes[0].cpu_share = 0.97;
	expect(result, RESULT_INVALID, "used 97 % of a CPU");
	result->plan.rate = 0; /* unlimited: the client may be the bottleneck */
	expect(result, RESULT_SUSPECT, "the client may limit the rate");
	result->processes[0].cpu_share = 0.1;
	result->processes[0].cpu_wait_s = 8.8;
	add_delay(result, "response", "p99", 5 * MS, 5 * MS);
	expect(result, RESULT_SUSPECT,
	    "used 10 % of a CPU and waited for it 88 % of the time: the client may");
	result->processes[0].cpu_wait_s = 0;
	result->processes[0].cpu_share = 0.85;
	expect(result, RESULT_VALID, NULL);
}

static void
the_busiest_load_process_counts(void **state)
{
	struct result *result = *state;

	result->processes =
	    reallocarray(result->processes, 3, sizeof(result->processes[0]));
	assert_non_null(result->processes);
	result->process_count = 3;
	for (size_t i = 0; i < 3; i++)
		result->processes[i] = (struct result_process){ .process = i,
			.cpu_share = i == 1 ? 0.85 : 0.3 };
	expect(result, RESULT_SUSPECT, "load process 1 used 85 % of a CPU");
}

static void
ignores_the_cpu_of_short_and_of_spinning_runs(void **state)
{
	struct result *result = *state;

	result->processes[0].cpu_share = 0.99;
	result->elapsed_s = 0.2;
	expect(result, RESULT_VALID, NULL);
	result->elapsed_s = 10;
	result->plan.spin_ns = 100000;
	expect(result, RESULT_VALID, NULL);
}

static void
a_crashed_load_process_is_invalid(void **state)
{
	struct result *result = *state;

	result->processes[0].died = true;
	expect(result, RESULT_INVALID, "load process 0 died");
}

static void
outages_that_are_uncertain_by_the_client_are_suspect(void **state)
{
	struct result *result = *state;

	result->plan.hold_ns = 250 * MS;
	result->hold.periods = 1000;
	result->hold.inexact = 10;
	result->hold.own_max_ns = 30 * MS;
	expect(result, RESULT_VALID, NULL);
	result->hold.inexact = 11;
	expect(result, RESULT_SUSPECT,
	    "affects the outages: 11 of 1,000 are uncertain by more than 2 ms (up to 30 ms); in 10 s, load process 0 ran");
	result->hold.inexact = result->hold.doubtful = 1;
	expect(result, RESULT_SUSPECT,
	    "(up to 30 ms), and may not have been longer than --hold: 1; in 10 s");
}

static void
a_late_client_is_suspect_with_hold_however_slow_the_answers(void **state)
{
	struct result *result = *state;

	histogram_record_many(result->latency[LATENCY_SEND_LAG], 5 * MS, 200);
	add_delay(result, "response", "p99", 500 * MS, 495 * MS);
	expect(result, RESULT_VALID, NULL);
	result->plan.hold_ns = 250 * MS;
	expect(result, RESULT_SUSPECT,
	    "late, which affects the outages: it sent 5 ms late at p99, expected at most 2 ms");
}

static void
messages_that_were_due_but_not_sent_are_reported(void **state)
{
	struct result *result = *state;

	result->messages_due = 10001;
	expect(result, RESULT_SUSPECT, "in no percentile");
	/* --interval is a schedule, too. */
	result->plan.rate = 0;
	result->plan.interval_ns = 50 * MS;
	expect(result, RESULT_SUSPECT, "in no percentile");
	result->messages_due = 10520;
	expect(result, RESULT_SUSPECT, "(95.1 %)");
	result->messages_due = 10540;
	expect(result, RESULT_INVALID, "(94.9 %)");
	result->messages_due = 10200;
	expect(result, RESULT_SUSPECT,
	    "10,200 messages were due, but only 10,000 were sent");
	result->messages_due = 12000;
	expect(result, RESULT_INVALID, "(83.3 %)");
	result->interrupted = true;
	expect(result, RESULT_SUSPECT, "interrupted");
}

static void
a_percentile_that_the_client_lengthened_is_not_valid(void **state)
{
	static const struct {
		const char *percentile;
		uint64_t measured_us, without_us;
		enum result_verdict verdict;
	} rows[] = {
		{ "p50", 5000, 5000, RESULT_VALID },
		{ "p50", 34000, 5000, RESULT_INVALID },
		/* Delays are reported from 10 % and 1 ms on. */
		{ "p99", 1099000, 1000000, RESULT_VALID },
		{ "p99", 1101000, 1000000, RESULT_SUSPECT },
		{ "p99", 1049, 50, RESULT_VALID },
		{ "p99", 1051, 50, RESULT_SUSPECT },
		{ "p99", 10049, 50, RESULT_SUSPECT },
		{ "p99", 10051, 50, RESULT_INVALID },
		{ "p90", 149000, 100000, RESULT_SUSPECT },
		{ "p90", 151000, 100000, RESULT_INVALID },
		/* The latencies below a distorted tail can be used. */
		{ "p999", 90000, 5000, RESULT_SUSPECT },
		{ "max", 90000, 5000, RESULT_SUSPECT },
	};
	struct result *result = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int paced = 0; paced < 2; paced++) {
			const char *shown = strcmp(rows[i].percentile, "p999") == 0
			    ? "p99.9"
			    : rows[i].percentile;
			result->plan.rate = paced ? 1000 : 0;
			result_client_delays_clear(result);
			add_delay(result, "response", "p50", 5 * MS, 5 * MS);
			add_delay(result, "response", rows[i].percentile,
			    rows[i].measured_us * 1000, rows[i].without_us * 1000);
			expect(result, rows[i].verdict,
			    rows[i].verdict == RESULT_VALID ? NULL : shown);
		}
}

static void
the_reason_names_what_kept_the_client_from_running(void **state)
{
	struct result *result = *state;

	result->processes[0].cpu_user_s = 0.5;
	result->processes[0].cpu_wait_s = 4.3;
	add_delay(result, "response", "p50", 34 * MS, 5 * MS);
	expect(result, RESULT_INVALID,
	    "this client was late, which affects the response: p50 34 ms instead of 5 ms; in 10 s, load process 0 ran for 500 ms, had to wait 4.3 s for a CPU");
	result->host.throttled_s = 4;
	expect(result, RESULT_INVALID, "the CPU quota of its control group took 4 s");
	result->processes[0].not_run_s = 2;
	expect(result, RESULT_INVALID, "was stopped or frozen for 2 s");
	result->host.steal_s = 0.1;
	expect(result, RESULT_INVALID, "the hypervisor took 100 ms of this machine");
}

static void
service_is_judged_if_the_response_hides_the_delay(void **state)
{
	struct result *result = *state;

	add_delay(result, "response", "p99", 1000 * MS, 990 * MS);
	add_delay(result, "service", "p99", 21 * MS, 10 * MS);
	expect(
	    result, RESULT_INVALID, "affects the service: p99 21 ms instead of 10 ms");
}

static void
late_sends_count_where_no_answer_is_measured(void **state)
{
	struct result *result = *state;
	struct histogram *lag = result->latency[LATENCY_SEND_LAG];

	histogram_record_many(lag, 990 * MS / 1000, 500);
	expect(result, RESULT_VALID, NULL);
	histogram_record_many(lag, 3 * MS, 500);
	expect(result, RESULT_SUSPECT, "this client sent late: 3 ms at p99");
	histogram_record_many(lag, 11 * MS, 900);
	expect(result, RESULT_INVALID, "this client sent late: 11 ms at p99");
	/* 11 ms are noise in responses of one second, also where those are not known.
	 */
	histogram_record_many(result->latency[LATENCY_RESPONSE], 1000 * MS, 900);
	expect(result, RESULT_VALID, NULL);
	histogram_reset(result->latency[LATENCY_RESPONSE]);
	histogram_record_many(result->latency[LATENCY_RESPONSE], MS / 5, 10000);
	expect(result, RESULT_INVALID, "this client sent late: 11 ms at p99");
	add_delay(result, "response", "p99", 1000 * MS, 989 * MS);
	expect(result, RESULT_VALID, NULL);
}

static void
a_starved_process_is_suspect_where_nothing_else_is_known(void **state)
{
	struct result *result = *state;

	result->processes[0].cpu_wait_s = 0.9;
	expect(result, RESULT_VALID, NULL);
	result->processes[0].not_run_s = 0.2;
	expect(result, RESULT_SUSPECT, "did not get the CPU time that it needed");
	add_delay(result, "response", "p99", 5 * MS, 5 * MS);
	expect(result, RESULT_VALID, NULL);
}

static void
time_that_the_hypervisor_took_is_suspect(void **state)
{
	struct result *result = *state;

	result->host.cpus = 2;
	result->host.steal_s = 0.39;
	expect(result, RESULT_VALID, NULL);
	result->host.steal_s = 0.6;
	expect(result, RESULT_SUSPECT, "the hypervisor took 3.0 % of the CPU time");
}

static void
missing_connections_are_reported(void **state)
{
	struct result *result = *state;

	result->connections.first = 49;
	expect(result, RESULT_SUSPECT, "only 49 of 50 connections were established");
	result->connections.first = 45;
	expect(result, RESULT_SUSPECT, "only 45 of 50");
	result->connections.first = 44;
	expect(result, RESULT_INVALID, "only 44 of 50");
}

static void
reports_lost_packets_and_queue_overflows(void **state)
{
	struct result *result = *state;

	result->host.retransmits = 10;
	expect(result, RESULT_VALID, NULL);
	result->host.retransmits = 11;
	expect(result, RESULT_SUSPECT, "11 TCP retransmits");
	result->plan.hold_ns = 1;
	expect(result, RESULT_VALID, NULL);
	result->plan.hold_ns = 0;
	result->host.retransmits = 0;
	/* Overflows of other listeners do not matter unless this run shows effects. */
	result->host.listen_overflows = 1;
	expect(result, RESULT_VALID, NULL);
	histogram_record(result->latency[LATENCY_CONNECT], 1010 * MS);
	expect(result, RESULT_SUSPECT, "overflowed");
	histogram_reset(result->latency[LATENCY_CONNECT]);
	result->connections.failed[CONNECT_FAILURE_TIMEOUT] = 1;
	expect(result, RESULT_SUSPECT, "overflowed");
	result->connections.failed[CONNECT_FAILURE_TIMEOUT] = 0;
	result->host.retransmits = 1;
	expect(result, RESULT_SUSPECT, "overflowed");
	/* A single retransmit in a short run is ignored. */
	result->host.listen_overflows = 0;
	result->messages.sent = result->messages.verified = result->messages_due = 100;
	expect(result, RESULT_VALID, NULL);
	result->host.retransmits = 2;
	expect(result, RESULT_SUSPECT, "2 TCP retransmits");
}

static void
reports_port_exhaustion(void **state)
{
	struct result *result = *state;

	result->ports.available = 28232;
	result->ports.held_max = 14116;
	expect(result, RESULT_VALID, NULL);
	result->ports.held_max = 14117;
	expect(result, RESULT_SUSPECT, "14,117 of 28,232 local ports");
}

static void
reports_values_over_an_hour(void **state)
{
	struct result *result = *state;

	histogram_record(result->latency[LATENCY_SERVICE], 3601 * 1000 * MS);
	expect(result, RESULT_SUSPECT, "latencies over one hour are in no figure: 1");
}

static void
detects_ranks_that_did_not_overlap(void **state)
{
	struct result *result = *state;
	struct result_rank ranks[2] = { { .rank = 0 }, { .rank = 1 } };
	char valid[] = "valid", nothing[] = "";

	for (int i = 0; i < 2; i++) {
		ranks[i].verdict = valid;
		ranks[i].hostname = ranks[i].reasons = nothing;
		ranks[i].elapsed_s = 10;
	}
	result->plan.ranks = result->rank_count = 2;
	result->plan.duration_ns = 10000 * MS;
	result->ranks = ranks;
	result->elapsed_s = 10.5;
	expect(result, RESULT_VALID, NULL);
	result->elapsed_s = 12;
	expect(result, RESULT_SUSPECT, "did not run at the same time: 12 s from");
	result->elapsed_s = 21;
	expect(result, RESULT_INVALID,
	    "21 s from the first start to the last end, the longest rank ran 10 s");
	/* With a number of messages, ranks end at different times. */
	result->plan.duration_ns = 0;
	expect(result, RESULT_VALID, NULL);
	result->ranks = NULL;
	result->rank_count = 0;
}

static void
a_merged_result_has_the_worst_verdict_of_its_ranks(void **state)
{
	struct result *result = *state;
	char valid[] = "valid", diagnosis[] = "suspect", invalid[] = "invalid";
	char host[] = "one", nothing[] = "", reason[] = "because";
	struct result_rank ranks[2] = {
		{ .verdict = valid, .hostname = host, .reasons = nothing },
		{ .rank = 1, .verdict = invalid, .hostname = host, .reasons = reason },
	};

	result->plan.ranks = result->rank_count = 2;
	result->ranks = ranks;
	expect(result, RESULT_INVALID, "rank 1 (one) is invalid: because");
	ranks[1].verdict = diagnosis;
	expect(result, RESULT_SUSPECT, "rank 1 (one) is suspect: because");
	ranks[1].verdict = valid;
	expect(result, RESULT_VALID, NULL);
	result->plan.ranks = 3;
	expect(result, RESULT_INVALID, "only 2 of 3 ranks are present");
	result->ranks = NULL;
	result->rank_count = 0;
}

static void
reports_connections_whose_stall_a_closed_loop_hides(void **state)
{
	struct result *result = *state;
	struct histogram *silence = result->latency[LATENCY_SILENCE];

	result->plan.rate = 0;
	result->messages_due = 0;
	histogram_record_many(silence, 2 * MS, 46);
	histogram_record_many(silence, 2000 * MS, 3);
	histogram_record(silence, 1500 * MS);
	result->processes[0].silence_max_ns = 2000 * MS;
	result->processes[0].silence_from_s = 4;
	expect(result, RESULT_SUSPECT,
	    "4 of 50 connections got no answer for 2 s, beginning 4 s after the");
	/* An open loop shows the stall, and so does a server that is always that slow.
	 */
	result->plan.rate = 1000;
	expect(result, RESULT_VALID, NULL);
	result->plan.rate = 0;
	histogram_record_many(result->latency[LATENCY_RESPONSE], 1500 * MS, 1000);
	expect(result, RESULT_VALID, NULL);
	/* The 99.9th percentile shows rare slow answers. */
	histogram_reset(result->latency[LATENCY_RESPONSE]);
	histogram_record_many(result->latency[LATENCY_RESPONSE], MS / 5, 10000);
	histogram_record_many(result->latency[LATENCY_RESPONSE], 1500 * MS, 50);
	expect(result, RESULT_VALID, NULL);
	/* If there is no answer at all, the summary reports it. */
	histogram_reset(result->latency[LATENCY_RESPONSE]);
	expect(result, RESULT_VALID, NULL);
}

static void
a_short_stall_is_reported_if_it_takes_one_percent_of_the_time(void **state)
{
	struct result *result = *state;
	struct histogram *silence = result->latency[LATENCY_SILENCE];

	result->plan.rate = 0;
	result->messages_due = 0;
	histogram_record_many(silence, 2 * MS, 41);
	histogram_record_many(silence, 500 * MS, 9);
	expect(result, RESULT_VALID, NULL); /* 4.5 s of 500 s */
	histogram_record_many(silence, 500 * MS, 2);
	expect(result, RESULT_SUSPECT, "11 of 50 connections got no answer for 500 ms");
	histogram_reset(silence);
	histogram_record_many(silence, 99 * MS, 50);
	expect(result, RESULT_VALID, NULL); /* noise of a busy server */
	histogram_reset(silence);
	histogram_record(silence, 1000 * MS);
	expect(result, RESULT_SUSPECT, "1 of 50 connections got no answer for 1 s");
}

static void
a_suffix_in_framing_stream_is_suspect_if_answers_are_wrong(void **state)
{
	static const struct {
		const char *framing, *expect;
		uint64_t wrong, lost, surplus;
		bool is_told;
	} rows[] = {
		{ "stream", "upper,suffix=!", 1, 0, 0, true },
		{ "stream", "fixed=ok", 1, 0, 0, true },
		{ "stream", "fixed=ok", 0, 1, 0, true },
		{ "stream", "fixed=ok", 0, 0, 1, true },
		{ "stream", "upper,suffix=!", 0, 0, 0, false },
		{ "stream", "upper", 1, 0, 0, false },
		{ "line", "upper,suffix=!", 1, 0, 0, false },
	};
	struct result *result = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		free(result->plan.framing);
		free(result->plan.expect);
		result->plan.framing = strdup(rows[i].framing);
		result->plan.expect = strdup(rows[i].expect);
		result->messages.wrong = rows[i].wrong;
		result->messages.lost[MESSAGE_LOSS_TIMEOUT] = rows[i].lost;
		result->bytes_unexpected = rows[i].surplus;
		result->messages.verified = 10000 - rows[i].wrong - rows[i].lost;
		expect(result, rows[i].is_told ? RESULT_SUSPECT : RESULT_VALID,
		    rows[i].is_told ? "to each read, not to each message" : NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(a_run_that_keeps_its_schedule_is_valid),
		RUN(reports_connections_whose_stall_a_closed_loop_hides),
		RUN(a_short_stall_is_reported_if_it_takes_one_percent_of_the_time),
		RUN(a_busy_load_process_is_suspect_and_a_saturated_one_invalid),
		RUN(the_busiest_load_process_counts),
		RUN(ignores_the_cpu_of_short_and_of_spinning_runs),
		RUN(a_crashed_load_process_is_invalid),
		RUN(outages_that_are_uncertain_by_the_client_are_suspect),
		RUN(a_late_client_is_suspect_with_hold_however_slow_the_answers),
		RUN(messages_that_were_due_but_not_sent_are_reported),
		RUN(a_percentile_that_the_client_lengthened_is_not_valid),
		RUN(the_reason_names_what_kept_the_client_from_running),
		RUN(service_is_judged_if_the_response_hides_the_delay),
		RUN(late_sends_count_where_no_answer_is_measured),
		RUN(a_starved_process_is_suspect_where_nothing_else_is_known),
		RUN(time_that_the_hypervisor_took_is_suspect),
		RUN(missing_connections_are_reported),
		RUN(reports_lost_packets_and_queue_overflows),
		RUN(reports_port_exhaustion),
		RUN(a_suffix_in_framing_stream_is_suspect_if_answers_are_wrong),
		RUN(reports_values_over_an_hour),
		RUN(detects_ranks_that_did_not_overlap),
		RUN(a_merged_result_has_the_worst_verdict_of_its_ranks),
#undef RUN
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
