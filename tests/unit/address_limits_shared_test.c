#include <string.h>

#include "lib/clock.h"
#include "tests/lib/address_fixture.h"

struct worker_pair {
	struct ledger *ledger;
	struct worker_ledger *worker_ledger[2];
	struct address_limits *address_limits[2];
};

static void
start_worker_pair(struct worker_pair *worker_pair)
{
	worker_pair->ledger = ledger_create(10000);
	assert_non_null(worker_pair->ledger);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(ledger_claim(worker_pair->ledger, i), (int)i);
		worker_pair->worker_ledger[i] =
		    ledger_open_entry(worker_pair->ledger, i);
		assert_non_null(worker_pair->worker_ledger[i]);
		worker_pair->address_limits[i] = address_limits_create(
		    1000, worker_pair->ledger, i, worker_pair->worker_ledger[i]);
		assert_non_null(worker_pair->address_limits[i]);
	}
}

static void
finish_worker_pair(struct worker_pair *worker_pair)
{
	for (int i = 0; i < 2; i++)
		address_limits_destroy(worker_pair->address_limits[i]);
	ledger_destroy(worker_pair->ledger);
}

static void
test_the_limit_applies_to_all_workers_together(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 3 };
	struct worker_pair worker_pair;

	(void)state;
	start_worker_pair(&worker_pair);
	add_connection(worker_pair.address_limits[0], "10.0.0.1:1");
	add_connection(worker_pair.address_limits[1], "10.0.0.1:2");
	assert_int_equal(
	    check_limits(worker_pair.address_limits[0], &config, "10.0.0.1:3", 0),
	    CLOSE_NONE);
	add_connection(worker_pair.address_limits[0], "10.0.0.1:3");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(check_limits(worker_pair.address_limits[i], &config,
				     "10.0.0.1:4", 0),
		    CLOSE_ADDRESS_LIMIT);
		assert_int_equal(check_limits(worker_pair.address_limits[i], &config,
				     "10.0.0.2:4", 0),
		    CLOSE_NONE);
	}
	remove_connection(worker_pair.address_limits[1], "10.0.0.1:2");
	assert_int_equal(
	    check_limits(worker_pair.address_limits[0], &config, "10.0.0.1:4", 0),
	    CLOSE_NONE);
	assert_int_equal(
	    check_limits(worker_pair.address_limits[1], &config, "10.0.0.1:4", 0),
	    CLOSE_NONE);
	finish_worker_pair(&worker_pair);
}

static void
test_connections_of_a_crashed_worker_do_not_count(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 2 };
	struct worker_pair worker_pair;

	(void)state;
	start_worker_pair(&worker_pair);
	add_connection(worker_pair.address_limits[0], "10.0.0.1:1");
	add_connection(worker_pair.address_limits[1], "10.0.0.1:2");
	assert_int_equal(
	    check_limits(worker_pair.address_limits[1], &config, "10.0.0.1:3", 0),
	    CLOSE_ADDRESS_LIMIT);
	ledger_retire(worker_pair.ledger, 0, 0, 0, 0);
	assert_int_equal(
	    check_limits(worker_pair.address_limits[1], &config, "10.0.0.1:3", 0),
	    CLOSE_NONE);
	/* Reuse of its ledger block by another process does not change that. */
	assert_true(ledger_claim(worker_pair.ledger, 0) >= 0);
	assert_int_equal(
	    check_limits(worker_pair.address_limits[1], &config, "10.0.0.1:3", 0),
	    CLOSE_NONE);
	finish_worker_pair(&worker_pair);
}

static void
test_the_rate_applies_to_all_workers_together(void **state)
{
	const struct listener_config config = { .accept_rate = 10 };
	struct worker_pair worker_pair;
	unsigned allowed = 0;

	(void)state;
	start_worker_pair(&worker_pair);
	for (uint64_t now_ms = 5000; now_ms < 15000; now_ms++)
		allowed += check_limits(worker_pair.address_limits[now_ms % 2], &config,
			       "10.0.0.1:1", now_ms) == CLOSE_NONE;
	assert_in_range(allowed, 95, 100);
	finish_worker_pair(&worker_pair);
}

/* An address without an entry in the shared table is still counted by its own worker.
 */
static void
test_many_addresses_are_counted_by_all_workers(void **state)
{
	enum { ADDRESSES = 1000 };
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct worker_pair worker_pair;
	char text[32];

	(void)state;
	start_worker_pair(&worker_pair);
	for (int i = 0; i < ADDRESSES; i++) {
		number_text(text, i);
		add_connection(worker_pair.address_limits[i % 2], text);
	}
	for (int i = 0; i < ADDRESSES; i++) {
		number_text(text, i);
		assert_int_equal(
		    check_limits(worker_pair.address_limits[i % 2], &config, text, 0),
		    CLOSE_ADDRESS_LIMIT);
		remove_connection(worker_pair.address_limits[i % 2], text);
		assert_int_equal(check_limits(worker_pair.address_limits[(i + 1) % 2],
				     &config, text, 0),
		    CLOSE_NONE);
	}
	finish_worker_pair(&worker_pair);
}

static uint64_t
accepts_of(const struct address_usage *address_usage, uint64_t client, uint32_t second)
{
	return address_usage_accepts(address_usage, client, second * 1000);
}

static void
accept_at(struct address_usage *address_usage, uint64_t client, uint32_t second)
{
	address_usage_set_accepts(
	    address_usage, client, address_usage_count_accept(0, second * 1000));
}

static void
open_one(struct address_usage *address_usage, uint64_t client)
{
	const struct open_count open = { .connections = 1 };

	address_usage_set_open(address_usage, client, &open);
}

static void
test_a_full_bucket_evicts_the_least_recent_address(void **state)
{
	struct address_usage *address_usage =
	    aligned_alloc(128, sizeof(*address_usage));

	(void)state;
	assert_non_null(address_usage);
	memset(address_usage, 0, sizeof(*address_usage));
	/* All are in one bucket. The first has open connections. */
	for (uint32_t client = 1; client <= ADDRESS_USAGE_WAYS; client++)
		accept_at(address_usage, client, 70 + client);
	open_one(address_usage, 1);
	accept_at(address_usage, 9, 80);
	assert_int_equal(accepts_of(address_usage, 1, 71), 1000);
	assert_int_equal(address_usage_open(address_usage, 1).connections, 1);
	assert_int_equal(accepts_of(address_usage, 2, 72), 0);
	for (uint32_t client = 3; client <= ADDRESS_USAGE_WAYS; client++)
		assert_int_equal(accepts_of(address_usage, client, 70 + client), 1000);
	assert_int_equal(accepts_of(address_usage, 9, 80), 1000);
	for (uint32_t client = 3; client <= ADDRESS_USAGE_WAYS; client++)
		accept_at(address_usage, client, 80);
	/* Addresses with open connections are not evicted. */
	for (uint32_t client = 1; client <= 10; client++) {
		if (accepts_of(address_usage, client, 80) > 0)
			open_one(address_usage, client);
	}
	accept_at(address_usage, 11, 81);
	open_one(address_usage, 11);
	assert_int_equal(accepts_of(address_usage, 11, 81), 0);
	assert_int_equal(address_usage_open(address_usage, 11).connections, 0);
	free(address_usage);
}

static void
test_a_window_counts_the_accepts_of_the_last_second(void **state)
{
	uint64_t accepts = 0;

	(void)state;
	assert_int_equal(address_usage_accepts_milli(0, 0), 0);
	for (int i = 0; i < 4; i++)
		accepts = address_usage_count_accept(accepts, 5900);
	assert_int_equal(address_usage_accepts_milli(accepts, 5900), 4000);
	assert_int_equal(address_usage_accepts_milli(accepts, 6250), 3000);
	accepts = address_usage_count_accept(accepts, 6250);
	assert_int_equal(address_usage_accepts_milli(accepts, 6250), 4000);
	assert_int_equal(address_usage_accepts_milli(accepts, 6750), 2000);
	assert_int_equal(address_usage_accepts_milli(accepts, 7500), 500);
	assert_int_equal(address_usage_accepts_milli(accepts, 8000), 0);
	/* A word of an unknown past is not of the present second. */
	assert_int_equal(address_usage_accepts_milli(accepts, UINT32_MAX), 0);
}

static void
change(struct address_limits *limits, int connections, int leaving, int arriving)
{
	struct address_compact client = peer("10.0.0.1:1");

	address_limits_change(limits, 0, &client,
	    &(struct open_change){ connections, leaving, arriving });
}

/* In each state of its transfer (proto/open_count.h). */
static void
test_a_moving_connection_counts_once(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 3 };
	struct worker_pair worker_pair;
	struct address_limits **limits = worker_pair.address_limits;
	const uint64_t batch = open_count_batch(1, 1, open_count_place(1, 0));

	(void)state;
	start_worker_pair(&worker_pair);
	struct open_shared *sender = &worker_pair.worker_ledger[0]->open,
			   *receiver = &worker_pair.worker_ledger[1]->open;
	for (int i = 0; i < 2; i++)
		add_connection(limits[0], "10.0.0.1:1");
	for (int step = 0; step < 5; step++) {
		for (int i = 0; i < 2; i++)
			assert_int_equal(
			    check_limits(limits[i], &config, "10.0.0.1:2", 0),
			    CLOSE_NONE);
		add_connection(limits[1], "10.0.0.1:3");
		for (int i = 0; i < 2; i++)
			assert_int_equal(
			    check_limits(limits[i], &config, "10.0.0.1:2", 0),
			    CLOSE_ADDRESS_LIMIT);
		remove_connection(limits[1], "10.0.0.1:3");
		if (step == 0) {
			change(limits[0], 0, 1, 0);
			sender->sent = batch;
		} else if (step == 1) {
			change(limits[1], 1, 0, 1);
		} else if (step == 2) {
			change(limits[1], 0, 0, -1);
			receiver->installed[0] = batch;
		} else if (step == 3) {
			change(limits[0], -1, -1, 0);
			sender->sent = 0;
		}
	}
	finish_worker_pair(&worker_pair);
}

/* Whatever is transferred, accepted again or restarted: an allowance is not renewed. */
static void
test_the_rate_holds_when_workers_are_replaced(void **state)
{
	const struct listener_config config = { .accept_rate = 10 };
	struct worker_pair worker_pair;
	uint64_t now_ms = (uint32_t)(clock_now_ns() / NS_PER_MS);

	(void)state;
	start_worker_pair(&worker_pair);
	for (int i = 0; i < 10; i++)
		assert_int_equal(check_limits(worker_pair.address_limits[0], &config,
				     "10.0.0.1:1", now_ms),
		    CLOSE_NONE);
	ledger_retire(worker_pair.ledger, 0, 0, 0, 0);
	ledger_trim(worker_pair.ledger);
	int entry = ledger_claim(worker_pair.ledger, 0);
	assert_true(entry > 1);
	struct worker_ledger *worker_ledger =
	    ledger_open_entry(worker_pair.ledger, (uint32_t)entry);
	struct address_limits *next = address_limits_create(
	    10, worker_pair.ledger, (uint32_t)entry, worker_ledger);
	assert_non_null(next);
	assert_int_equal(
	    check_limits(next, &config, "10.0.0.1:1", now_ms), CLOSE_ACCEPT_RATE);
	assert_int_equal(
	    check_limits(next, &config, "10.0.0.1:1", now_ms + 2000), CLOSE_NONE);
	address_limits_destroy(next);
	finish_worker_pair(&worker_pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_limit_applies_to_all_workers_together),
		cmocka_unit_test(test_connections_of_a_crashed_worker_do_not_count),
		cmocka_unit_test(test_the_rate_applies_to_all_workers_together),
		cmocka_unit_test(test_many_addresses_are_counted_by_all_workers),
		cmocka_unit_test(test_a_full_bucket_evicts_the_least_recent_address),
		cmocka_unit_test(test_a_window_counts_the_accepts_of_the_last_second),
		cmocka_unit_test(test_a_moving_connection_counts_once),
		cmocka_unit_test(test_the_rate_holds_when_workers_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
