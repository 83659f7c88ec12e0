#include <string.h>

#include "tests/lib/address_fixture.h"

struct worker_pair {
	struct ledger *ledger;
	struct worker_ledger *worker_ledger[2];
	struct address_limits *address_limits[2];
};

static void
start_worker_pair(struct worker_pair *worker_pair)
{
	worker_pair->ledger = ledger_create();
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
	assert_int_equal(ledger_claim(worker_pair.ledger, 0), 0);
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
	for (uint32_t now_ms = 5000; now_ms < 15000; now_ms++)
		allowed += check_limits(worker_pair.address_limits[now_ms % 2], &config,
			       "10.0.0.1:1", now_ms) == CLOSE_NONE;
	assert_int_equal(allowed, 100);
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

static struct address_usage_count
count_of(const struct address_usage *address_usage, uint64_t client, uint32_t second)
{
	struct address_usage_count count = { 0 };

	address_usage_add(&count, address_usage, client, second);
	return count;
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
		address_usage_count_accept(address_usage, client, 70 + client);
	address_usage_set_connections(address_usage, 1, 3);
	address_usage_count_accept(address_usage, 9, 80);
	assert_int_equal(count_of(address_usage, 1, 71).accepts, 1);
	assert_int_equal(count_of(address_usage, 1, 71).connections, 3);
	assert_int_equal(count_of(address_usage, 2, 72).accepts, 0);
	for (uint32_t client = 3; client <= ADDRESS_USAGE_WAYS; client++)
		assert_int_equal(
		    count_of(address_usage, client, 70 + client).accepts, 1);
	assert_int_equal(count_of(address_usage, 9, 80).accepts, 1);
	/* A new address does not inherit the counts of the evicted one. */
	address_usage_count_accept(address_usage, 3, 80);
	address_usage_count_accept(address_usage, 4, 80);
	address_usage_count_accept(address_usage, 5, 80);
	address_usage_count_accept(address_usage, 10, 80);
	assert_int_equal(count_of(address_usage, 10, 80).accepts, 1);
	/* Addresses with open connections are not evicted. */
	for (uint32_t client = 1; client <= 10; client++)
		if (count_of(address_usage, client, 80).accepts > 0)
			address_usage_set_connections(address_usage, client, 1);
	address_usage_count_accept(address_usage, 11, 81);
	address_usage_set_connections(address_usage, 11, 1);
	assert_int_equal(count_of(address_usage, 11, 81).accepts, 0);
	assert_int_equal(count_of(address_usage, 11, 81).connections, 0);
	free(address_usage);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
