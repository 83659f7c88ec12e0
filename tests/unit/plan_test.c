#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of those above */
#include <cmocka.h>

#include "client/plan/plan.h"
#include "client/plan/plan_options.h"
#include "client/plan/preflight.h"
#include "client/plan/source_address.h"

/* Parses and checks a command line; returns the status of plan_check. */
static int
plan_of(struct plan *plan, char *error, const char *const *words)
{
	/* The plan points into argv, which must outlive it. */
	static char kept[32][64], *argv[32];
	int argc = 1;

	argv[0] = strcpy(kept[0], "yodel");
	for (; words[argc - 1] != NULL; argc++) {
		snprintf(kept[argc], sizeof(kept[argc]), "%s", words[argc - 1]);
		argv[argc] = kept[argc];
	}
	argv[argc] = NULL;
	plan_init(plan);
	plan_options_parse(argc, argv, plan);
	return plan_check(plan, error);
}

#define PLAN_OF(plan, error, ...)                                                      \
	plan_of(plan, error, (const char *const[]){ __VA_ARGS__, NULL })

static void
without_options_it_is_the_two_socket_test(void **state)
{
	struct plan plan;
	char error[PLAN_ERROR_MAX];

	(void)state;
	assert_int_equal(PLAN_OF(&plan, error, "127.0.0.1:7"), 0);
	plan_complete(&plan, 3);
	assert_int_equal(plan.connections, 2);
	assert_int_equal(plan.processes, 1);
	assert_int_equal(plan.messages, 3);
	assert_int_equal(plan.load, PLAN_LOCKSTEP);
	assert_true(plan.transcript);
	assert_false(plan.reconnect);
	assert_true(plan.drain_ns == UINT64_C(10000000000));
	plan_finish(&plan);
}

static void
options_select_the_load_model(void **state)
{
	struct plan plan;
	char error[PLAN_ERROR_MAX];

	(void)state;
	assert_int_equal(PLAN_OF(&plan, error, "-d", "1s", "127.0.0.1:7"), 0);
	assert_int_equal(plan.load, PLAN_CLOSED);
	assert_int_equal(plan.pipeline, 1);
	assert_true(plan.reconnect);
	plan_finish(&plan);
	assert_int_equal(PLAN_OF(&plan, error, "-p", "8", "-n", "9", "127.0.0.1:7"), 0);
	assert_int_equal(plan.load, PLAN_CLOSED);
	assert_int_equal(plan.pipeline, 8);
	assert_true(plan.reconnect);
	plan_finish(&plan);
	assert_int_equal(PLAN_OF(&plan, error, "-R", "20k/s", "127.0.0.1:7"), 0);
	assert_int_equal(plan.load, PLAN_OPEN);
	assert_int_equal(plan.pipeline, 0);
	assert_true(plan.rate == 20000);
	plan_finish(&plan);
	assert_int_equal(
	    PLAN_OF(&plan, error, "--interval", "10ms", "-d", "1s", "127.0.0.1:7"), 0);
	assert_int_equal(plan.load, PLAN_INTERVAL);
	plan_finish(&plan);
}

static void
refuses_invalid_plans_with_a_reason(void **state)
{
	static const struct {
		const char *words[8];
		const char *says;
	} bad[] = {
		{ { "-R", "1k", "--interval", "1s", "127.0.0.1:7" }, "--interval" },
		{ { "--lockstep", "-R", "1k", "127.0.0.1:7" }, "--lockstep" },
		{ { "--lockstep", "-p", "2", "127.0.0.1:7" }, "--lockstep" },
		{ { "--arrivals", "poisson", "127.0.0.1:7" }, "--rate" },
		{ { "--size", "0", "127.0.0.1:7" }, "--size" },
		{ { "--size", "9:3", "127.0.0.1:7" }, "--size" },
		{ { "--size", "x", "127.0.0.1:7" }, "--size" },
		{ { "--size", "64", "-m", "hello", "127.0.0.1:7" }, "--size" },
		{ { "-m", "a", "-f", "b", "127.0.0.1:7" }, "--file" },
		{ { "--expect", "louder", "127.0.0.1:7" }, "louder" },
		{ { "--expect", "fixed=1", "-p", "2", "127.0.0.1:7" }, "framing" },
		{ { "--threshold", "p99", "127.0.0.1:7" }, "p99" },
		{ { "--threshold", "dark<=0", "127.0.0.1:7" }, "requires --hold" },
		{ { "--half-close", "-d", "1s", "127.0.0.1:7" }, "--half-close" },
		{ { "--timeout", "0", "127.0.0.1:7" }, "timeout" },
		{ { "--rank", "4/4", "127.0.0.1:7" }, "I/N" },
		{ { "--rank", "0/9", "127.0.0.1:7" }, "ranks" },
		{ { "--start-at", "soon", "127.0.0.1:7" }, "soon" },
		{ { "--source-ip", "nowhere", "127.0.0.1:7" }, "nowhere" },
		{ { "-4", "unix:/run/echo" }, "has no IPv4 address" },
		{ { "127.0.0.1" }, "127.0.0.1" },
		{ { "127.0.0.1:0" }, "port" },
		{ { NULL }, "HOST:PORT" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct plan plan;
		char error[PLAN_ERROR_MAX] = "";
		if (plan_of(&plan, error, bad[i].words) != 64)
			fail_msg(
			    "accepted; expected an error with \"%s\"", bad[i].says);
		if (strstr(error, bad[i].says) == NULL)
			fail_msg("found \"%s\", expected \"%s\"", error, bad[i].says);
		plan_finish(&plan);
	}
}

static void
ranks_and_processes_share_every_connection_once(void **state)
{
	uint32_t next = 0;

	(void)state;
	for (int rank = 0; rank < 3; rank++) {
		struct plan plan;
		char error[PLAN_ERROR_MAX], text[8];
		snprintf(text, sizeof(text), "%d/3", rank);
		assert_int_equal(PLAN_OF(&plan, error, "-c", "1001", "-w", "7", "-R",
				     "3003", "--rank", text, "127.0.0.1:7"),
		    0);
		for (uint32_t process = 0; process < plan.processes; process++) {
			uint32_t first, n = plan_share(&plan, process, &first);
			assert_int_equal(first, next);
			next += n;
		}
		assert_in_range((int)plan.rate, 3 * 333, 3 * 334);
		plan_finish(&plan);
	}
	assert_int_equal(next, 1001);
}

static void
loopback_gets_more_source_addresses_when_ports_run_short(void **state)
{
	struct plan plan;
	char error[PLAN_ERROR_MAX], text[ADDRESS_TEXT_MAX];
	struct address source;

	(void)state;
	assert_int_equal(PLAN_OF(&plan, error, "-c", "1k", "127.0.0.1:7"), 0);
	assert_int_equal(plan.source_count, 0);
	assert_false(source_address_of(&plan, 5, &source));
	plan_finish(&plan);
	assert_int_equal(PLAN_OF(&plan, error, "-c", "1M", "127.0.0.1:7"), 0);
	assert_true(plan.source_count >= 1000000 / source_address_ports());
	assert_true(source_address_of(&plan, 0, &source));
	assert_string_equal(address_format(&source, text), "127.1.0.1:0");
	plan_finish(&plan);
	assert_int_equal(PLAN_OF(&plan, error, "-c", "20", "--source-ip", "10.0.0.0/29",
			     "--source-ip", "10.1.0.1", "127.0.0.1:7"),
	    0);
	assert_int_equal(plan.source_count, 7);
	assert_true(source_address_of(&plan, 5, &source));
	assert_string_equal(address_format(&source, text), "10.0.0.6:0");
	assert_true(source_address_of(&plan, 6, &source));
	assert_string_equal(address_format(&source, text), "10.1.0.1:0");
	assert_true(source_address_of(&plan, 7, &source));
	assert_string_equal(address_format(&source, text), "10.0.0.1:0");
	struct preflight_facts facts;
	preflight_read(&plan, &facts);
	assert_string_equal(facts.nonlocal_source, "10.0.0.1:0");
	plan.sockets.freebind = true; /* for such addresses */
	preflight_read(&plan, &facts);
	assert_string_equal(facts.nonlocal_source, "");
	plan_finish(&plan);
	assert_int_equal(PLAN_OF(&plan, error, "--source-ip", "::2", "[::1]:7"), 0);
	assert_true(source_address_of(&plan, 0, &source));
	assert_string_equal(address_format(&source, text), "[::2]:0");
	plan_finish(&plan);
	assert_int_equal(
	    PLAN_OF(&plan, error, "--source-ip", "::2", "127.0.0.1:7"), 64);
	plan_finish(&plan);
}

static void
source_addresses_stay_in_their_network(void **state)
{
	static const struct {
		const char *prefix, *first, *last;
		uint32_t count;
	} rows[] = {
		{ "10.0.0.9/29", "10.0.0.9:0", "10.0.0.14:0", 6 },
		{ "10.0.3.7/24", "10.0.3.1:0", "10.0.3.254:0", 254 },
		{ "10.1.0.0/16", "10.1.0.1:0", "10.1.255.254:0", 65534 },
		{ "10.98.0.0/15", "10.98.0.1:0", "10.99.255.254:0", 131070 },
		{ "10.2.3.4/8", "10.0.0.1:0", "10.64.0.0:0", SOURCE_ADDRESS_COUNT_MAX },
		{ "10.0.0.5/31", "10.0.0.4:0", "10.0.0.5:0", 2 },
		{ "2001:db8::5/126", "[2001:db8::4]:0", "[2001:db8::7]:0", 4 },
		{ "2001:db8::5/64", "[2001:db8::]:0", "[2001:db8::3f:ffff]:0",
		    SOURCE_ADDRESS_COUNT_MAX },
		{ "2001:db8::5/112", "[2001:db8::]:0", "[2001:db8::ffff]:0", 65536 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plan plan;
		struct address source;
		char error[PLAN_ERROR_MAX], text[ADDRESS_TEXT_MAX];

		assert_int_equal(
		    PLAN_OF(&plan, error, "--source-ip", rows[i].prefix,
			strchr(rows[i].prefix, ':') ? "[::1]:7" : "127.0.0.1:7"),
		    0);
		assert_int_equal(plan.source_count, rows[i].count);
		assert_true(source_address_of(&plan, 0, &source));
		assert_string_equal(address_format(&source, text), rows[i].first);
		assert_true(source_address_of(&plan, rows[i].count - 1, &source));
		assert_string_equal(address_format(&source, text), rows[i].last);
		plan_finish(&plan);
	}
}

static void
wide_prefixes_share_the_addresses(void **state)
{
	struct plan plan;
	struct address source;
	char error[PLAN_ERROR_MAX], text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(
	    PLAN_OF(&plan, error, "--source-ip", "2001:db8::/64", "--source-ip",
		"2001:db8:1::/64", "--source-ip", "2001:db8:2::1", "[::1]:7"),
	    0);
	uint32_t share = SOURCE_ADDRESS_COUNT_MAX / 3;
	assert_int_equal(plan.source_count, 2 * share + 1);
	assert_true(source_address_of(&plan, share, &source));
	assert_string_equal(address_format(&source, text), "[2001:db8:1::]:0");
	assert_true(source_address_of(&plan, 2 * share, &source));
	assert_string_equal(address_format(&source, text), "[2001:db8:2::1]:0");
	plan_finish(&plan);
}

static void
each_rank_uses_its_own_source_addresses(void **state)
{
	char error[PLAN_ERROR_MAX], text[ADDRESS_TEXT_MAX], rank[8];
	bool seen[8] = { false };

	(void)state;
	for (int r = 0; r < 3; r++) {
		struct plan plan;
		struct address source;
		snprintf(rank, sizeof(rank), "%d/3", r);
		assert_int_equal(PLAN_OF(&plan, error, "-c", "30", "--rank", rank,
				     "--source-ip", "10.0.0.0/29", "127.0.0.1:7"),
		    0);
		for (uint32_t i = 0; i < plan.source_count; i++) {
			assert_true(
			    source_address_of(&plan, plan.rank_first + i, &source));
			int last = address_format(&source, text)[7] - '0';
			assert_in_range(last, 1, 6);
			assert_false(seen[last]);
			seen[last] = true;
		}
		plan_finish(&plan);
	}
	for (int last = 1; last <= 6; last++)
		assert_true(seen[last]);
}

static void
the_processes_of_all_ranks_take_turns(void **state)
{
	struct plan plan = { .ranks = 1, .processes = 2 };
	bool taken[12] = { false };

	(void)state;
	assert_true(plan_phase(&plan, 0) == 0.25 && plan_phase(&plan, 1) == 0.75);
	plan.ranks = 3;
	plan.processes = 4;
	for (plan.rank = 0; plan.rank < 3; plan.rank++)
		for (uint32_t process = 0; process < 4; process++) {
			double turn = plan_phase(&plan, process) * 12 - 0.5;
			int at = (int)(turn + 0.1);
			assert_true(turn > at - 1e-9 && turn < at + 1e-9);
			assert_false(taken[at]);
			taken[at] = true;
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_it_is_the_two_socket_test),
		cmocka_unit_test(options_select_the_load_model),
		cmocka_unit_test(refuses_invalid_plans_with_a_reason),
		cmocka_unit_test(ranks_and_processes_share_every_connection_once),
		cmocka_unit_test(the_processes_of_all_ranks_take_turns),
		cmocka_unit_test(source_addresses_stay_in_their_network),
		cmocka_unit_test(wide_prefixes_share_the_addresses),
		cmocka_unit_test(each_rank_uses_its_own_source_addresses),
		cmocka_unit_test(
		    loopback_gets_more_source_addresses_when_ports_run_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
