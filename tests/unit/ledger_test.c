#include "tests/lib/ledger_fixture.h"

static void
test_every_counter_and_reason_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++) {
		const char *name = ledger_counters[i].name;
		assert_true(strlen(name) > 0);
		assert_true(strlen(ledger_counters[i].help) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name, ledger_counters[j].name);
	}
	for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
		const char *name = close_reasons[i].name;
		assert_true(strlen(name) > 0);
		assert_true(strlen(close_reasons[i].help) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name, close_reasons[j].name);
	}
	assert_string_equal(ledger_counters[LEDGER_REPLIES_SENT].name, "replies_sent");
	assert_string_equal(close_reasons[CLOSE_WORKER_LOST].name, "worker_lost");
}

static void
test_a_connection_is_open_until_its_close_reason_is_counted(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *worker_ledger = claim_blocks(&f, 3);
	assert_sum(&f, 0, 0, 0);
	ledger_count(&worker_ledger->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 2);
	assert_sum(&f, 2, 2, 0);
	ledger_count_closed(&worker_ledger->by_listener[0], CLOSE_RESET);
	assert_sum(&f, 2, 1, 0);
	close_ledger(&f);
}

static void
test_counts_open_connections_of_a_crashed_worker_as_worker_lost(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *worker_ledger = claim_blocks(&f, 3);
	ledger_count(&worker_ledger->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 10);
	ledger_count(&worker_ledger->by_listener[0], LEDGER_MESSAGES_RECEIVED, 70);
	for (int i = 0; i < 4; i++)
		ledger_count_closed(&worker_ledger->by_listener[0], CLOSE_PEER_CLOSED);
	open_count_change(
	    &worker_ledger->open, &(struct open_change){ .connections = 6 });
	release_blocks(&f, worker_ledger, 0, 0);
	assert_sum(&f, 10, 0, 6);
	assert_int_equal(ledger_usage_open(f.ledger), 0);

	/* The counters of the replacement start at 0, those of the slot do not. */
	struct worker_ledger *next = claim_blocks(&f, 3);
	ledger_count(&next->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 1);
	ledger_count(&next->by_listener[0], LEDGER_MESSAGES_RECEIVED, 1);
	assert_sum(&f, 11, 1, 6);
	struct ledger_totals slot;
	sum_slot(f.ledger, 3, &slot);
	assert_int_equal(slot.counters[LEDGER_MESSAGES_RECEIVED], 71);
	sum_slot(f.ledger, 2, &slot);
	assert_int_equal(slot.counters[LEDGER_MESSAGES_RECEIVED], 0);
	close_ledger(&f);
}

static void
test_transferred_connections_are_not_lost(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *from = claim_blocks(&f, 0), *to = claim_blocks(&f, 1);
	ledger_count(&from->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 5);
	/* Three were received; the sender died after it had counted one of them. */
	ledger_count(&from->by_listener[0], LEDGER_CONNECTIONS_MOVED_OUT, 1);
	ledger_count(&to->by_listener[0], LEDGER_CONNECTIONS_MOVED_IN, 3);
	release_blocks(&f, from, 0, 3);
	assert_sum(&f, 5, 3, 2);
	/* The receiver dies, too, after it has closed one of them. */
	ledger_count_closed(&to->by_listener[0], CLOSE_PEER_CLOSED);
	release_blocks(&f, to, 3, 0);
	assert_sum(&f, 5, 0, 4);
	struct ledger_totals totals;
	ledger_sum(f.ledger, &totals);
	assert_int_equal(totals.counters[LEDGER_CONNECTIONS_MOVED_IN], 3);
	assert_int_equal(totals.counters[LEDGER_CONNECTIONS_MOVED_OUT], 3);
	close_ledger(&f);
}

/* Other workers have received more connections than this one admits to have had. */
static void
test_falsified_accepts_hide_no_connection(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *from = claim_blocks(&f, 0), *to = claim_blocks(&f, 1);
	ledger_count(&to->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 4);
	ledger_count(&to->by_listener[0], LEDGER_CONNECTIONS_MOVED_IN, 3);
	ledger_count(&from->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 1);
	ledger_count_closed(&from->by_listener[0], CLOSE_PEER_CLOSED);
	release_blocks(&f, from, 0, 3);
	assert_sum(&f, 7, 7, 0);
	close_ledger(&f);
}

static void
test_a_connection_in_transfer_is_open(void **state)
{
	struct fixture f;
	struct ledger_totals totals;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *from = claim_blocks(&f, 0);
	ledger_count(&from->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 5);
	ledger_count(&from->by_listener[0], LEDGER_CONNECTIONS_MOVED_OUT, 1);
	ledger_sum(f.ledger, &totals);
	assert_int_equal(ledger_open(&totals), 4);
	assert_int_equal(ledger_open_total(&totals), 5);
	close_ledger(&f);
}

static void
test_each_worker_claims_its_own_blocks_until_none_is_free(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *last = NULL;
	for (uint32_t i = 0; i < LEDGER_WORKERS_MAX; i++) {
		struct worker_ledger *worker_ledger =
		    claim_blocks(&f, i % LEDGER_SLOTS);
		assert_ptr_not_equal(worker_ledger, last);
		assert_int_equal((uintptr_t)worker_ledger % 128, 0);
		assert_int_equal(ledger_slot_of(f.ledger, i), i % LEDGER_SLOTS);
		open_count_change(
		    &worker_ledger->open, &(struct open_change){ .connections = 2 });
		last = worker_ledger;
	}
	assert_int_equal(ledger_claim(f.ledger, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(ledger_usage_open(f.ledger), 2 * LEDGER_WORKERS_MAX);
	release_blocks(&f, last, 0, 0);
	assert_ptr_equal(claim_blocks(&f, 9), last);
	close_ledger(&f);
}

/* Blocks after a reused one are still read. */
static void
test_reused_blocks_hide_no_connection(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *first = claim_blocks(&f, 0),
			     *second = claim_blocks(&f, 1);
	ledger_count(&second->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 4);
	open_count_change(&second->open, &(struct open_change){ .connections = 4 });
	release_blocks(&f, first, 0, 0);
	assert_ptr_equal(claim_blocks(&f, 0), first);
	assert_sum(&f, 4, 4, 0);
	assert_int_equal(ledger_usage_open(f.ledger), 4);
	close_ledger(&f);
}

static void
test_counts_an_accept_interrupted_by_a_crash(void **state)
{
	struct fixture f;
	struct ledger_totals totals;

	(void)state;
	open_ledger(&f);
	for (int i = 0; i < 2; i++) {
		struct worker_ledger *worker_ledger = claim_blocks(&f, 0);
		ledger_set_accepting(&worker_ledger->own, true);
		ledger_set_accepting(&worker_ledger->own, i == 0);
		release_blocks(&f, worker_ledger, 0, 0);
	}
	ledger_sum(f.ledger, &totals);
	assert_int_equal(totals.counters[LEDGER_ACCEPTS_CUT_SHORT], 1);
	close_ledger(&f);
}

static void
test_releases_the_blocks_of_a_worker_killed_at_any_moment(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *worker_ledger = claim_blocks(&f, 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (;;) {
			ledger_count(&worker_ledger->by_listener[0],
			    LEDGER_CONNECTIONS_ACCEPTED, 1);
			ledger_count_closed(
			    &worker_ledger->by_listener[0], CLOSE_PEER_CLOSED);
		}
	}
	/* Meanwhile a reader never finds more closed connections than opened ones. */
	uint64_t accepted = 0;
	while (accepted < 1000000) {
		struct ledger_totals totals;
		ledger_sum(f.ledger, &totals);
		accepted = totals.counters[LEDGER_CONNECTIONS_ACCEPTED];
		assert_true(accepted >= ledger_closed(&totals));
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	release_blocks(&f, worker_ledger, 0, 0);
	struct ledger_totals totals;
	ledger_sum(f.ledger, &totals);
	assert_true(totals.counters[LEDGER_CONNECTIONS_ACCEPTED] >= accepted);
	assert_int_equal(ledger_open(&totals), 0);
	assert_in_range(totals.closed[CLOSE_WORKER_LOST], 0, 1);
	close_ledger(&f);
}

static void
test_another_program_attaches_to_the_ledger(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	struct worker_ledger *worker_ledger = claim_blocks(&f, 7);
	struct ledger *same = ledger_attach(dup(f.ledger->fd));
	assert_non_null(same);
	ledger_count(&worker_ledger->by_listener[0], LEDGER_CONNECTIONS_ACCEPTED, 4);
	ledger_count_heartbeat(&worker_ledger->own);
	struct ledger_totals totals;
	sum_slot(same, 7, &totals);
	assert_int_equal(totals.counters[LEDGER_CONNECTIONS_ACCEPTED], 4);
	assert_int_equal(atomic_load(&ledger_entry(same, 0)->own.heartbeat_count), 1);
	ledger_destroy(same);
	close_ledger(&f);
}

static void
test_refuses_memory_with_another_ledger_layout(void **state)
{
	struct fixture f;

	(void)state;
	open_ledger(&f);
	f.ledger->shared->layout++;
	assert_null(ledger_attach(f.ledger->fd));
	assert_int_equal(errno, EPROTO);
	f.ledger->shared->layout--;
	f.ledger->shared->magic = 0;
	assert_null(ledger_attach(f.ledger->fd));
	assert_int_equal(errno, EPROTO);
	close_ledger(&f);

	int fd = memfd_create("short", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_null(ledger_attach(fd));
	assert_int_equal(errno, EPROTO);
	close(fd);
	assert_null(ledger_attach(-1));
	assert_int_equal(errno, EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_counter_and_reason_has_a_name_of_its_own),
		cmocka_unit_test(
		    test_a_connection_is_open_until_its_close_reason_is_counted),
		cmocka_unit_test(
		    test_counts_open_connections_of_a_crashed_worker_as_worker_lost),
		cmocka_unit_test(test_transferred_connections_are_not_lost),
		cmocka_unit_test(test_falsified_accepts_hide_no_connection),
		cmocka_unit_test(test_a_connection_in_transfer_is_open),
		cmocka_unit_test(
		    test_each_worker_claims_its_own_blocks_until_none_is_free),
		cmocka_unit_test(test_reused_blocks_hide_no_connection),
		cmocka_unit_test(test_counts_an_accept_interrupted_by_a_crash),
		cmocka_unit_test(
		    test_releases_the_blocks_of_a_worker_killed_at_any_moment),
		cmocka_unit_test(test_another_program_attaches_to_the_ledger),
		cmocka_unit_test(test_refuses_memory_with_another_ledger_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
