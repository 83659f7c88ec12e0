#include "tests/lib/ledger_fixture.h"

static void
assert_listener(struct fixture *f, uint32_t listener, uint64_t accepted, uint64_t open,
    uint64_t lost)
{
	struct ledger_totals totals;

	ledger_sum_listener(f->ledger, listener, &totals);
	assert_int_equal(totals.counters[LEDGER_CONNECTIONS_ACCEPTED], accepted);
	assert_int_equal(totals.closed[CLOSE_WORKER_LOST], lost);
	assert_int_equal(ledger_open_total(&totals), open);
}

static void
test_a_listener_keeps_its_index_and_its_counts(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	uint32_t other = ledger_register_listener(f.ledger, "127.0.0.1:7");
	assert_int_equal(other, 1);
	for (uint32_t slot = 0; slot < 3; slot++) {
		struct worker_ledger *worker_ledger = claim_blocks(&f, slot);
		ledger_count(
		    &worker_ledger->by_listener[other], LEDGER_CONNECTIONS_ACCEPTED, 2);
		ledger_add_open(&worker_ledger->by_listener[other], 2);
		if (slot != 1)
			release_blocks(&f, worker_ledger, 0, 0);
	}
	assert_int_equal(ledger_register_listener(f.ledger, "[::1]:7"), 2);
	assert_int_equal(ledger_register_listener(f.ledger, "127.0.0.1:7"), other);
	assert_listener(&f, 0, 0, 0, 0);
	assert_listener(&f, other, 6, 2, 4);
	assert_sum(&f, 6, 2, 4);
	close_ledger(&f);
}

static void
test_surplus_listeners_share_one_block(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	for (uint32_t i = 1; i < LEDGER_LISTENERS + 10; i++) {
		char name[LEDGER_NAME_MAX];
		uint32_t last = LEDGER_LISTENERS - 1;
		snprintf(name, sizeof(name), "127.0.0.1:%u", i);
		assert_int_equal(
		    ledger_register_listener(f.ledger, name), i < last ? i : last);
	}
	assert_string_equal(
	    f.ledger->shared->listeners[LEDGER_LISTENERS - 1], "others");
	struct worker_ledger *worker_ledger = claim_blocks(&f, 0);
	ledger_count(&worker_ledger->by_listener[LEDGER_LISTENERS - 1],
	    LEDGER_CONNECTIONS_ACCEPTED, 1);
	assert_sum(&f, 1, 1, 0);
	close_ledger(&f);
}

static void
test_a_released_number_is_used_again(void **state)
{
	struct fixture f;
	struct ledger_totals totals;
	char name[LEDGER_NAME_MAX];

	(void)state;
	open_ledger(&f);
	for (uint32_t i = 0; i < 3 * LEDGER_LISTENERS; i++) {
		snprintf(name, sizeof(name), "127.0.0.1:%u", i);
		assert_int_equal(ledger_register_listener(f.ledger, name), 1);
		struct worker_ledger *worker_ledger = claim_blocks(&f, 0);
		ledger_count(
		    &worker_ledger->by_listener[1], LEDGER_CONNECTIONS_ACCEPTED, 1);
		release_blocks(&f, worker_ledger, 0, 0);
		assert_listener(&f, 1, 1, 0, 1);
		ledger_release_listener(f.ledger, 1);
		assert_string_equal(ledger_listener_name(f.ledger, 1, name), "");
	}
	assert_listener(&f, 1, 0, 0, 0);
	ledger_sum(f.ledger, &totals);
	assert_int_equal(
	    totals.counters[LEDGER_CONNECTIONS_ACCEPTED], 3 * LEDGER_LISTENERS);
	close_ledger(&f);
}

static void
test_ignores_invalid_indexes_in_shared_memory(void **state)
{
	struct fixture f;
	struct ledger_totals totals;
	char name[LEDGER_NAME_MAX];

	(void)state;
	open_ledger(&f);
	struct worker_ledger *worker_ledger = claim_blocks(&f, 3);
	ledger_count(&worker_ledger->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 5);
	atomic_store(&f.ledger->shared->listener_count, UINT32_MAX);
	memset(f.ledger->shared->listeners, '"', sizeof(f.ledger->shared->listeners));
	assert_int_equal(ledger_listener_count(f.ledger), LEDGER_LISTENERS);
	assert_int_equal(
	    ledger_register_listener(f.ledger, "[::1]:7"), LEDGER_LISTENERS - 1);
	ledger_listener_name(f.ledger, 5, name);
	assert_int_equal(strspn(name, "?"), LEDGER_NAME_MAX - 1);
	release_blocks(&f, worker_ledger, 0, 0);
	sum_slot(f.ledger, 3, &totals);
	assert_int_equal(totals.closed[CLOSE_WORKER_LOST], 5);
	close_ledger(&f);
}

static void
test_counts_connections_of_a_crashed_worker_as_lost_per_listener(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	uint32_t other = ledger_register_listener(f.ledger, "127.0.0.1:7");
	struct worker_ledger *worker_ledger = claim_blocks(&f, 0);
	ledger_count(&worker_ledger->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 5);
	ledger_count(
	    &worker_ledger->by_listener[other], LEDGER_CONNECTIONS_ACCEPTED, 3);
	ledger_count_closed(&worker_ledger->by_listener[other], CLOSE_RESET);
	/* The worker died before it had added all of them to its gauges. */
	ledger_add_open(&worker_ledger->by_listener[0], 4);
	ledger_add_open(&worker_ledger->by_listener[other], 3);
	release_blocks(&f, worker_ledger, 0, 0);
	assert_listener(&f, 0, 5, 0, 5);
	assert_listener(&f, other, 3, 0, 2);
	close_ledger(&f);
}

static void
test_counts_connections_lost_in_transfer_per_listener(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	uint32_t other = ledger_register_listener(f.ledger, "127.0.0.1:7");
	struct worker_ledger *from = claim_blocks(&f, 0), *to = claim_blocks(&f, 1);
	ledger_count(&from->by_listener[other], LEDGER_CONNECTIONS_ACCEPTED, 5);
	ledger_add_open(&from->by_listener[other], 5);
	/* The receiver dies before it counts the two connections that it received. The
	 * sender keeps three, but its gauge is still five. */
	ledger_add_open(&to->by_listener[other], 2);
	release_blocks(&f, to, 2, 0);
	assert_listener(&f, other, 5, 3, 2);
	release_blocks(&f, from, 0, 2);
	assert_listener(&f, other, 5, 0, 5);
	assert_listener(&f, 0, 0, 0, 0);
	assert_sum(&f, 5, 0, 5);
	close_ledger(&f);
}

/* Three are lost: two that a listener counts, and one in a transfer. */
static void
test_no_connection_is_lost_twice_for_the_listener_that_counts_it(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	uint32_t other = ledger_register_listener(f.ledger, "127.0.0.1:7");
	struct worker_ledger *from = claim_blocks(&f, 0), *to = claim_blocks(&f, 1);
	ledger_count(&from->by_listener[other], LEDGER_CONNECTIONS_ACCEPTED, 1);
	ledger_add_open(&from->by_listener[other], 1);
	ledger_count(&to->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 2);
	ledger_add_open(&to->by_listener[0], 2);
	ledger_add_open(&to->by_listener[other], 1);
	release_blocks(&f, to, 1, 0);
	assert_listener(&f, 0, 2, 0, 2);
	release_blocks(&f, from, 0, 1);
	assert_listener(&f, other, 1, 0, 1);
	assert_sum(&f, 3, 0, 3);
	close_ledger(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_listener_keeps_its_index_and_its_counts),
		cmocka_unit_test(test_surplus_listeners_share_one_block),
		cmocka_unit_test(test_a_released_number_is_used_again),
		cmocka_unit_test(test_ignores_invalid_indexes_in_shared_memory),
		cmocka_unit_test(
		    test_counts_connections_of_a_crashed_worker_as_lost_per_listener),
		cmocka_unit_test(test_counts_connections_lost_in_transfer_per_listener),
		cmocka_unit_test(
		    test_no_connection_is_lost_twice_for_the_listener_that_counts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
