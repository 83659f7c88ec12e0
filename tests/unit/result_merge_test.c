#include <stdio.h>

#include "tests/lib/finished_run_fixture.h"

/* The result of one of two ranks. */
static struct result
collect_rank(struct run *run, uint32_t rank)
{
	run->plan.ranks = 2;
	run->plan.rank = rank;
	return collect(run);
}

static void
merge(struct result *into, const struct result *from)
{
	char error[RESULT_ERROR_MAX] = "";

	if (result_merge(into, from, error) < 0)
		fail_msg("%s", error);
}

static void
assert_refused(struct result *into, const struct result *from, const char *expected)
{
	char error[RESULT_ERROR_MAX] = "";

	assert_int_equal(result_merge(into, from, error), -1);
	assert_string_equal(error, expected);
}

static void
merging_two_ranks_adds_their_counts(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	a.has_ledger = true;
	histogram_record(b.latency[LATENCY_RESPONSE], 5000000);
	merge(&a, &b);
	assert_true(a.messages.sent == 4000 && a.messages.verified == 4000);
	assert_true(histogram_count(a.latency[LATENCY_RESPONSE]) == 4001);
	assert_int_equal(a.process_count, 4);
	/* The plan of each rank contains the connections of all. */
	assert_true(a.plan.connections == 10);
	assert_int_equal(a.rank_count, 2);
	assert_int_equal(a.ranks[0].rank, 0);
	assert_int_equal(a.ranks[1].rank, 1);
	assert_true(a.ranks[0].max_ns == 1000000 && a.ranks[1].max_ns == 5000000);
	assert_true(a.ranks[1].messages.sent == 2000);
	/* The ledger of each rank counts the whole server. */
	assert_false(a.has_ledger);
	result_finish(&a);
	result_finish(&b);
}

static void
merges_results_without_ranks(void **state)
{
	struct result a = collect(*state), b = collect(*state), c = collect(*state);

	b.plan.connections = 7;
	merge(&a, &b);
	assert_true(a.plan.connections == 17);
	assert_int_equal(a.rank_count, 2);
	/* A merged result keeps its ranks. */
	merge(&c, &a);
	assert_true(c.plan.connections == 27);
	assert_int_equal(c.rank_count, 3);
	result_finish(&a);
	assert_string_equal(c.ranks[2].verdict, "valid");
	result_finish(&b);
	result_finish(&c);
}

static void
refuses_a_rank_that_occurs_twice(void **state)
{
	struct result a = collect_rank(*state, 1), b = collect_rank(*state, 1);

	assert_refused(&a, &b, "rank 1 occurs twice");
	result_finish(&a);
	result_finish(&b);
}

#define ASSERT_NAMED(name)                                                             \
	do {                                                                           \
		assert_refused(&a, &b,                                                 \
		    "its plan differs from that of the first result: \"" #name "\"");  \
	} while (0)
#define CHECK_TEXT(name)                                                               \
	do {                                                                           \
		char other[] = "another", *was = b.plan.name;                          \
		b.plan.name = other;                                                   \
		ASSERT_NAMED(name);                                                    \
		b.plan.name = was;                                                     \
	} while (0);
#define CHECK_NUMBER(name)                                                             \
	do {                                                                           \
		b.plan.name += 1;                                                      \
		ASSERT_NAMED(name);                                                    \
		b.plan.name -= 1;                                                      \
	} while (0);

static void
refuses_another_load_and_names_the_difference(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	CHECK_TEXT(load)
	CHECK_TEXT(message)
	CHECK_TEXT(expect)
	CHECK_TEXT(framing)
	CHECK_TEXT(arrivals)
	CHECK_TEXT(close)
	CHECK_TEXT(proxy_protocol)
	CHECK_TEXT(proxy_source)
	CHECK_TEXT(proxy_tlvs)
	CHECK_NUMBER(ranks)
	CHECK_NUMBER(rate)
	CHECK_NUMBER(connect_rate)
	CHECK_NUMBER(interval_ns)
	CHECK_NUMBER(pipeline)
	CHECK_NUMBER(duration_ns)
	CHECK_NUMBER(warmup_ns)
	CHECK_NUMBER(messages)
	CHECK_NUMBER(messages_per_connection)
	CHECK_NUMBER(lifetime_ns)
	CHECK_NUMBER(connections)
	/* Nothing was added. */
	merge(&a, &b);
	assert_true(a.messages.sent == 4000);
	result_finish(&a);
	result_finish(&b);
}

static void
set_seconds(struct result *result, const struct sampler_second *seconds, size_t count)
{
	free(result->seconds);
	result->seconds = calloc(count, sizeof(*seconds));
	assert_non_null(result->seconds);
	memcpy(result->seconds, seconds, count * sizeof(*seconds));
	result->second_count = count;
}

/* A second with `count` answers of the same latency. */
static struct sampler_second
second_of(double at_s, uint64_t count, uint64_t ns)
{
	return (struct sampler_second){ .at_s = at_s,
		.length_s = 1,
		.sent = count,
		.verified = count,
		.count = count,
		.mean_ns = (double)ns,
		.p50_ns = ns,
		.p90_ns = ns,
		.p99_ns = ns,
		.max_ns = ns };
}

/* Two runs of two seconds, one 1.25 s after the other, merged in either order. */
static void
check_seconds(struct run *run, bool later_first)
{
	struct result early = collect_rank(run, 0), late = collect_rank(run, 1);
	struct result *into = later_first ? &late : &early;
	const struct sampler_second first[] = { second_of(0, 10, 100),
		second_of(1, 30, 100) };
	const struct sampler_second other[] = { second_of(0, 10, 200),
		second_of(1, 5, 300) };

	late.started_at_ns = early.started_at_ns + SECOND * 5 / 4;
	early.elapsed_s = late.elapsed_s = 2;
	set_seconds(&early, first, 2);
	set_seconds(&late, other, 2);
	merge(into, later_first ? &early : &late);
	assert_true(into->elapsed_s == 3.25);
	assert_true(into->messages_per_s == 4000 / 3.25);
	assert_true(into->started_at_ns == 1700000000 * SECOND + 123456789);
	assert_int_equal(into->second_count, 3);
	const struct sampler_second *s = into->seconds;
	assert_true(s[0].at_s == 0 && s[0].count == 10 && s[0].p50_ns == 100);
	/* Seconds that begin within half a second are the same; percentiles of a shared
	 * second are not known. */
	assert_true(s[1].at_s == (later_first ? 1.25 : 1) && s[1].length_s == 1);
	assert_true(s[1].count == 40 && s[1].verified == 40 && s[1].max_ns == 200);
	assert_true(s[1].mean_ns == 125);
	assert_true(s[1].p50_ns == UINT64_MAX && s[1].p99_ns == UINT64_MAX);
	assert_true(s[2].at_s == 2.25 && s[2].count == 5 && s[2].p90_ns == 300);
	result_finish(&early);
	result_finish(&late);
}

static void
adds_the_seconds_of_the_same_clock_time(void **state)
{
	check_seconds(*state, false);
	check_seconds(*state, true);
}

static void
a_second_with_answers_of_one_rank_keeps_its_percentiles(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);
	const struct sampler_second of_a[] = { second_of(0, 0, 0), second_of(1, 7, 500),
		second_of(2, 1, 100) };
	const struct sampler_second of_b[] = { second_of(0, 9, 700), second_of(1, 0, 0),
		second_of(2.6, 1, 100) };

	set_seconds(&a, of_a, 3);
	set_seconds(&b, of_b, 3);
	merge(&a, &b);
	assert_int_equal(a.second_count, 4);
	assert_true(a.seconds[0].mean_ns == 700 && a.seconds[0].p50_ns == 700);
	assert_true(a.seconds[0].p90_ns == 700 && a.seconds[0].p99_ns == 700);
	assert_true(a.seconds[1].mean_ns == 500 && a.seconds[1].p99_ns == 500);
	result_finish(&a);
	result_finish(&b);
}

static void
refuses_sums_beyond_63_bits(void **state)
{
	static const char error[] =
	    "the sum of its figures and the others exceeds 63 bits";
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	a.bytes_sent = b.bytes_sent = (uint64_t)INT64_MAX / 2 + 1;
	assert_refused(&a, &b, error);
	result_finish(&a);
	a = collect_rank(*state, 0);
	b.bytes_sent = 0;
	histogram_record_many(a.latency[LATENCY_CLOSE], 5, INT64_MAX);
	histogram_record_many(b.latency[LATENCY_CLOSE], 5, 1);
	assert_refused(&a, &b, error);
	result_finish(&a);
	a = collect_rank(*state, 0);
	histogram_reset(b.latency[LATENCY_CLOSE]);
	a.targets[0].established = b.targets[0].established = INT64_MAX;
	assert_refused(&a, &b, error);
	result_finish(&a);
	result_finish(&b);
}

static void
add_target(struct result *result, const char *name, uint64_t established)
{
	result->targets = reallocarray(
	    result->targets, result->target_count + 1, sizeof(*result->targets));
	assert_non_null(result->targets);
	result->targets[result->target_count++] =
	    (struct result_target){ .name = strdup(name),
		    .established = established,
		    .last_error = strdup("") };
}

static void
add_address(struct result *result, const char *address, uint64_t refused)
{
	result->addresses = reallocarray(
	    result->addresses, result->address_count + 1, sizeof(*result->addresses));
	assert_non_null(result->addresses);
	struct result_address *added = &result->addresses[result->address_count++];
	*added = (struct result_address){ .target = strdup("name:7"),
		.address = strdup(address),
		.attempted = refused + 1,
		.established = 1,
		.last_error = strdup(refused > 0 ? "Connection refused" : "") };
	added->failed[CONNECT_FAILURE_REFUSED] = refused;
}

/* The first result of the fixture has one address, of its only target. */
static void
adds_addresses_and_keeps_those_that_only_one_host_resolved(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);
	size_t own = a.address_count;

	add_address(&a, "10.0.0.1:7", 0);
	add_address(&b, "10.0.0.1:7", 4);
	add_address(&b, "[2001:db8::1]:7", 0);
	merge(&a, &b);
	assert_int_equal(a.address_count, own + 2);
	const struct result_address *both = &a.addresses[own];
	assert_string_equal(both->address, "10.0.0.1:7");
	assert_true(both->attempted == 6 && both->established == 2);
	assert_true(both->failed[CONNECT_FAILURE_REFUSED] == 4);
	assert_string_equal(both->last_error, "Connection refused");
	assert_string_equal(a.addresses[own + 1].address, "[2001:db8::1]:7");
	result_finish(&a);
	result_finish(&b);
}

static void
add_losses(struct result *result, bool idle, uint64_t ns, const char *at)
{
	result->losses = reallocarray(
	    result->losses, result->loss_count + 1, sizeof(*result->losses));
	assert_non_null(result->losses);
	result->losses[result->loss_count++] = (struct result_losses){
		.why = strdup("closed"),
		.was_idle = idle,
		.connections = 2,
		.messages = idle ? 0 : 3,
		.silent_min_ns = ns,
		.silent_max_ns = ns + 1,
		.age_min_ns = ns,
		.age_max_ns = ns,
		.first_at = strdup(at),
		.last_at = strdup(at),
	};
}

static void
adds_losses_of_the_same_cause(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	add_losses(&a, true, 500, "2026-01-01T00:00:05.000Z");
	add_losses(&b, true, 300, "2026-01-01T00:00:03.000Z");
	add_losses(&b, false, 900, "2026-01-01T00:00:09.000Z");
	merge(&a, &b);
	assert_int_equal(a.loss_count, 2);
	assert_true(a.losses[0].connections == 4 && a.losses[0].was_idle);
	assert_true(a.losses[0].silent_min_ns == 300);
	assert_true(a.losses[0].silent_max_ns == 501);
	assert_true(a.losses[0].age_min_ns == 300 && a.losses[0].age_max_ns == 500);
	assert_string_equal(a.losses[0].first_at, "2026-01-01T00:00:03.000Z");
	assert_string_equal(a.losses[0].last_at, "2026-01-01T00:00:05.000Z");
	assert_true(a.losses[1].messages == 3 && !a.losses[1].was_idle);
	result_finish(&a);
	result_finish(&b);
}

static void
adds_targets_of_the_same_name(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	a.targets[0].established = 3;
	add_target(&a, "one:1", 10);
	add_target(&b, "two:2", 20);
	b.targets[0].established = 4;
	b.targets[0].failed[CONNECT_FAILURE_RESET] = 6;
	free(b.targets[0].last_error);
	b.targets[0].last_error = strdup("Connection reset by peer");
	merge(&a, &b);
	result_finish(&b);
	assert_int_equal(a.target_count, 3);
	assert_int_equal(a.targets[0].established, 7);
	assert_int_equal(a.targets[0].failed[CONNECT_FAILURE_RESET], 6);
	assert_string_equal(a.targets[0].last_error, "Connection reset by peer");
	assert_string_equal(a.targets[1].name, "one:1");
	assert_int_equal(a.targets[1].established, 10);
	assert_string_equal(a.targets[2].name, "two:2");
	assert_int_equal(a.targets[2].established, 20);
	/* A target without an error keeps the error of the other. */
	b = collect_rank(*state, 5);
	merge(&a, &b);
	assert_string_equal(a.targets[0].last_error, "Connection reset by peer");
	result_finish(&b);
	result_finish(&a);
}

static void
add_lost(struct result *result, uint64_t connection, const char *at)
{
	result->lost_connections = calloc(1, sizeof(*result->lost_connections));
	assert_non_null(result->lost_connections);
	result->lost_connection_count = 1;
	result->lost_connections[0] =
	    (struct result_lost_connection){ .connection = connection,
		    .at = strdup(at),
		    .why = strdup("reset"),
		    .local = strdup("a:1"),
		    .remote = strdup("b:2") };
}

/* Gives a target `count` messages of one response latency. */
static void
set_response(struct result_target *target, uint64_t count, uint64_t ns)
{
	target->verified = count;
	target->p50_ns = target->p99_ns = ns;
	target->response = histogram_create(&counters_latency_config);
	assert_non_null(target->response);
	histogram_record_many(target->response, ns, count);
}

static void
merges_the_percentiles_of_each_target(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1),
		      c = collect_rank(*state, 0);

	add_target(&a, "10.0.0.9:7", 1);
	add_target(&b, "10.0.0.9:7", 1);
	set_response(&a.targets[0], 1000, 1000);
	set_response(&b.targets[0], 3000, 5000);
	set_response(&a.targets[1], 1000, 2000);
	b.targets[1].verified = 1000; /* of an earlier version */
	b.targets[1].p50_ns = 3000;
	merge(&a, &b);
	assert_int_equal(a.target_count, 2);
	assert_true(a.targets[0].verified == 4000);
	assert_true(a.targets[0].p50_ns / 10 == 500 && a.targets[0].p99_ns / 10 == 500);
	assert_int_equal(histogram_count(a.targets[0].response), 4000);
	assert_true(a.targets[1].verified == 2000);
	assert_true(a.targets[1].p50_ns == UINT64_MAX);
	/* Each host has a single target, which has no histogram of its own. */
	result_finish(&b);
	b = collect_rank(*state, 1);
	free(b.targets[0].name);
	b.targets[0].name = strdup("10.0.0.9:7");
	histogram_reset(b.latency[LATENCY_RESPONSE]);
	histogram_record_many(b.latency[LATENCY_RESPONSE], 9000000, 2000);
	uint64_t p50 = c.targets[0].p50_ns;
	merge(&c, &b);
	assert_int_equal(c.target_count, 2);
	assert_true(p50 < 1000000 && c.targets[0].p50_ns == p50);
	assert_true(c.targets[1].p50_ns / 100000 == 90);
	result_finish(&a);
	result_finish(&b);
	result_finish(&c);
}

static void
set_tenth(struct result *result, double at_s, uint64_t lost)
{
	free(result->tenths);
	result->tenths = calloc(1, sizeof(*result->tenths));
	assert_non_null(result->tenths);
	result->tenths[0] =
	    (struct sampler_second){ .at_s = at_s, .length_s = 0.1, .lost = lost };
	result->tenth_count = 1;
}

static void
keeps_the_rows_of_100_ms_with_their_rank(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	set_tenth(&a, 0.5, 3);
	set_tenth(&b, 0.5, 8);
	b.started_at_ns = a.started_at_ns - SECOND / 4;
	merge(&a, &b);
	assert_int_equal(a.tenth_count, 2);
	assert_true(a.tenths[0].at_s == 0.5 && a.tenths[0].lost == 8);
	assert_true(a.tenths[0].rank_index == 1);
	assert_true(a.tenths[1].at_s == 0.75 && a.tenths[1].lost == 3);
	assert_true(a.tenths[1].rank_index == 0);
	result_finish(&a);
	result_finish(&b);
}

static void
merges_one_conversation_from_files_of_different_names(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);
	struct result_plan *plans[] = { &a.plan, &b.plan };

	for (int i = 0; i < 2; i++) {
		free(plans[i]->message);
		free(plans[i]->conversation);
		free(plans[i]->conversation_digest);
		plans[i]->message =
		    strdup(i == 0 ? "conversation x" : "conversation y");
		plans[i]->conversation = strdup(i == 0 ? "x" : "y");
		plans[i]->conversation_digest = strdup("00112233445566ff");
	}
	b.plan.conversation_digest[0] = '1';
	assert_refused(&a, &b,
	    "its plan differs from that of the first result: \"conversation_digest\"");
	/* An earlier version has no digest. */
	b.plan.conversation_digest[0] = '\0';
	assert_refused(
	    &a, &b, "its plan differs from that of the first result: \"message\"");
	strcpy(b.plan.conversation_digest, a.plan.conversation_digest);
	merge(&a, &b);
	result_finish(&a);
	result_finish(&b);
}

static void
lists_mismatches_and_lost_connections_of_both(void **state)
{
	struct result a = collect_rank(*state, 0), b = collect_rank(*state, 1);

	free(a.lost_connections);
	free(b.lost_connections);
	add_lost(&a, 3, "2026-01-01T00:00:09.000Z");
	add_lost(&b, 8, "2026-01-01T00:00:01.000Z");
	b.mismatches = reallocarray(b.mismatches, 1, sizeof(*b.mismatches));
	assert_non_null(b.mismatches);
	b.mismatches[0] = (struct counters_mismatch){ .connection = 6 };
	b.mismatch_count = 1;
	merge(&a, &b);
	result_finish(&b);
	assert_int_equal(a.mismatch_count, 1);
	assert_int_equal(a.mismatches[0].connection, 6);
	assert_int_equal(a.lost_connection_count, 2);
	assert_int_equal(a.lost_connections[0].connection, 8);
	assert_string_equal(a.lost_connections[0].remote, "b:2");
	assert_int_equal(a.lost_connections[1].connection, 3);
	result_finish(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		RUN(merging_two_ranks_adds_their_counts),
		RUN(merges_results_without_ranks),
		RUN(refuses_a_rank_that_occurs_twice),
		RUN(refuses_another_load_and_names_the_difference),
		RUN(adds_the_seconds_of_the_same_clock_time),
		RUN(a_second_with_answers_of_one_rank_keeps_its_percentiles),
		RUN(refuses_sums_beyond_63_bits),
		RUN(adds_targets_of_the_same_name),
		RUN(adds_addresses_and_keeps_those_that_only_one_host_resolved),
		RUN(adds_losses_of_the_same_cause),
		RUN(merges_the_percentiles_of_each_target),
		RUN(keeps_the_rows_of_100_ms_with_their_rank),
		RUN(merges_one_conversation_from_files_of_different_names),
		RUN(lists_mismatches_and_lost_connections_of_both),
#undef RUN
	};

	return cmocka_run_group_tests_name("result_merge", tests, NULL, NULL);
}
