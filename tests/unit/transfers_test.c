/*
 * transfers_test.c - the counts of a transfer, with crashes of each worker at any time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/channel.h"
#include "master/workers/process.h"
#include "master/workers/transfers.h"

/* Replaces channel_send (--wrap in the Makefile). */
int __real_channel_send(int fd, const struct channel_message *message, int descriptor);
int __wrap_channel_send(int fd, const struct channel_message *message, int descriptor);

static uint32_t refused; /* a verb; 0: none */
static struct channel_message last_sent;

int
__wrap_channel_send(int fd, const struct channel_message *message, int descriptor)
{
	last_sent = *message;
	if (message->verb != refused)
		return __real_channel_send(fd, message, descriptor);
	errno = ETOOMANYREFS;
	return -1;
}

#define HELD 10 /* connections that the sender has accepted */

struct fixture {
	struct worker_table *table;
	struct process *sender, *receiver;
	struct ledger_block *sender_block, *receiver_block;
	int worker_ends[2];
};

static struct process *
add_worker(struct fixture *fixture, uint32_t slot, struct ledger_block **ret_block)
{
	int channel[2];
	assert_int_equal(channel_open(channel), 0);
	fixture->worker_ends[slot] = channel[1];
	int entry = ledger_claim(fixture->table->ledger, slot);
	assert_true(entry >= 0);
	struct worker_ledger *worker_ledger =
	    ledger_open_entry(fixture->table->ledger, (uint32_t)entry);
	assert_non_null(worker_ledger);
	*ret_block = &worker_ledger->by_listener[ledger_register_listener(
	    fixture->table->ledger, "a listener")];
	struct process *process = process_from_pid(
	    fixture->table, (pid_t)(1000 + slot), slot, channel[0], (uint32_t)entry);
	assert_non_null(process);
	process->is_ready = true;
	return process;
}

static int
set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	assert_non_null(fixture);
	fixture->table = calloc(1, sizeof(*fixture->table));
	assert_non_null(fixture->table);
	fixture->table->base = event_base_new();
	fixture->table->ledger = ledger_create(10000);
	assert_non_null(fixture->table->ledger);
	fixture->sender = add_worker(fixture, 0, &fixture->sender_block);
	fixture->receiver = add_worker(fixture, 1, &fixture->receiver_block);
	fixture->sender->state = PROCESS_DRAINING;
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_ACCEPTED, HELD);
	transfers_start(fixture->sender, fixture->receiver);
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;
	close(fixture->worker_ends[0]);
	close(fixture->worker_ends[1]);
	event_base_free(fixture->table->base);
	ledger_destroy(fixture->table->ledger);
	free(fixture->table);
	free(fixture);
	return 0;
}

/* Like the supervisor, which then finds receivers. */
static void
settle(struct worker_table *table)
{
	struct transfer_result result;
	while (transfers_settle_next(table, &result)) {
		transfers_release(result.receiver);
		transfers_release(result.sender);
	}
}

static void
end_transfer(struct process *process, bool is_sender, uint32_t id, uint64_t connections)
{
	const struct transfer_end end = {
		.is_sender = is_sender, .id = id, .connections = connections
	};
	if (transfers_on_end(process, &end))
		settle(process->table);
}

static void
kill_worker(struct process *process)
{
	struct worker_table *table = process->table;
	process->state = PROCESS_EXITED;
	transfers_release(process);
	settle(table);
}

/* The connections lost by slots 0 and 1, after both workers are released; moves are
 * counted on both sides. */
static void
assert_lost(const struct fixture *fixture, uint64_t by_sender, uint64_t by_receiver)
{
	struct ledger_totals sender = { 0 }, receiver = { 0 };
	assert_null(fixture->table->transfers);
	assert_null(fixture->table->processes);
	ledger_add_block(&sender, &fixture->table->ledger->shared->retired[0]);
	ledger_add_block(&receiver, &fixture->table->ledger->shared->retired[1]);
	assert_int_equal(sender.counters[LEDGER_CONNECTIONS_MOVED_OUT],
	    receiver.counters[LEDGER_CONNECTIONS_MOVED_IN]);
	assert_int_equal(sender.closed[CLOSE_WORKER_LOST], by_sender);
	assert_int_equal(receiver.closed[CLOSE_WORKER_LOST], by_receiver);
}

static void
test_counts_what_sender_and_receiver_report(void **state)
{
	struct fixture *fixture = *state;
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_MOVED_OUT, HELD);
	ledger_count(fixture->receiver_block, LEDGER_CONNECTIONS_MOVED_IN, HELD);
	end_transfer(fixture->sender, true, 1, HELD);
	end_transfer(fixture->receiver, false, 1, HELD);
	kill_worker(fixture->sender);
	kill_worker(fixture->receiver);
	assert_lost(fixture, 0, HELD);
}

static void
test_a_sender_crash_before_counting_loses_no_accepted_connection(void **state)
{
	struct fixture *fixture = *state;
	ledger_count(fixture->receiver_block, LEDGER_CONNECTIONS_MOVED_IN, 4);
	kill_worker(fixture->sender);
	assert_non_null(fixture->table->transfers);
	end_transfer(fixture->receiver, false, 1, 4);
	kill_worker(fixture->receiver);
	assert_lost(fixture, HELD - 4, 4);
}

static void
test_a_receiver_crash_before_counting_loses_its_connections(void **state)
{
	struct fixture *fixture = *state;
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_MOVED_OUT, 4);
	kill_worker(fixture->receiver);
	assert_non_null(fixture->table->transfers);
	end_transfer(fixture->sender, true, 1, 4);
	fixture->sender->wants_receiver = false;
	kill_worker(fixture->sender);
	assert_lost(fixture, HELD - 4, 4);
}

static void
test_the_sender_count_decides_when_both_crash(void **state)
{
	struct fixture *fixture = *state;
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_MOVED_OUT, 3);
	ledger_count(fixture->receiver_block, LEDGER_CONNECTIONS_MOVED_IN, 2);
	kill_worker(fixture->receiver);
	kill_worker(fixture->sender);
	assert_lost(fixture, HELD - 3, 3);
}

/* The worker has died; its keeper takes its place. */
static void
replace_by_keeper(struct process *process)
{
	process->is_recovering = true;
	transfers_on_death(process);
	settle(process->table);
}

/* The sender died before it counted the batch, and the receiver after it accepted that:
 * neither ledger block has it. */
static void
test_waits_for_the_keeper_of_the_sender_when_both_die(void **state)
{
	struct fixture *fixture = *state;
	for (int i = 0; i < 2; i++) {
		replace_by_keeper(i == 0 ? fixture->sender : fixture->receiver);
		assert_non_null(fixture->table->transfers);
	}
	end_transfer(fixture->sender, true, 1, 4);
	assert_null(fixture->table->transfers);
	assert_int_equal(fixture->receiver->moved_in, 4);
	/* A report that the worker had sent already is ignored. */
	end_transfer(fixture->sender, true, 1, 4);
	assert_int_equal(fixture->sender->moved_out, 4);
	kill_worker(fixture->receiver);
	kill_worker(fixture->sender);
	assert_lost(fixture, HELD - 4, 4);
}

static void
test_the_keeper_of_the_receiver_may_exit_before_that_of_the_sender_reports(void **state)
{
	struct fixture *fixture = *state;
	replace_by_keeper(fixture->receiver);
	replace_by_keeper(fixture->sender);
	kill_worker(fixture->receiver);
	assert_non_null(fixture->table->transfers);
	end_transfer(fixture->sender, true, 1, 4);
	assert_int_equal(fixture->sender->moved_out, 4);
	kill_worker(fixture->sender);
	assert_lost(fixture, HELD - 4, 4);
}

static void
test_a_living_receiver_needs_no_report_of_the_keeper(void **state)
{
	struct fixture *fixture = *state;
	replace_by_keeper(fixture->sender);
	end_transfer(fixture->receiver, false, 1, 4);
	assert_null(fixture->table->transfers);
	end_transfer(fixture->sender, true, 1, 4);
	kill_worker(fixture->sender);
	kill_worker(fixture->receiver);
	assert_lost(fixture, HELD - 4, 4);
}

/* The block of the sender counts the connections of both its transfers. */
static void
test_the_sender_block_counts_no_reported_transfer_twice(void **state)
{
	struct fixture *fixture = *state;
	replace_by_keeper(fixture->sender);
	replace_by_keeper(fixture->receiver);
	fixture->receiver->state = PROCESS_EXITED;
	struct ledger_block *block;
	close(fixture->worker_ends[1]);
	struct process *other = add_worker(fixture, 1, &block);
	transfers_start(fixture->sender, other);
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_MOVED_OUT, 3 + 5);
	end_transfer(fixture->sender, true, 2, 5);
	kill_worker(fixture->sender);
	end_transfer(other, false, 2, 5);
	kill_worker(other);
	assert_lost(fixture, HELD - 8, 8);
}

static void
test_two_transfers_of_one_sender_are_separate(void **state)
{
	struct fixture *fixture = *state;
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_MOVED_OUT, 4);
	ledger_count(fixture->receiver_block, LEDGER_CONNECTIONS_MOVED_IN, 4);
	end_transfer(fixture->sender, true, 1, 4);
	end_transfer(fixture->receiver, false, 1, 4);
	transfers_start(fixture->sender, fixture->receiver);
	ledger_count(fixture->sender_block, LEDGER_CONNECTIONS_MOVED_OUT, 2);
	kill_worker(fixture->sender);
	kill_worker(fixture->receiver);
	assert_lost(fixture, HELD - 6, 6);
}

static void
test_retries_a_transfer_after_running_out_of_descriptors(void **state)
{
	struct fixture *fixture = *state;
	end_transfer(fixture->sender, true, 1, 0);
	end_transfer(fixture->receiver, false, 1, 0);
	refused = CHANNEL_RECEIVE_CONNECTIONS;
	transfers_start(fixture->sender, fixture->receiver);
	assert_null(fixture->table->transfers);
	assert_true(fixture->sender->wants_receiver);
	refused = CHANNEL_SEND_CONNECTIONS;
	transfers_start(fixture->sender, fixture->receiver);
	assert_true(fixture->sender->wants_receiver);
	assert_false(transfers_is_sending(fixture->sender));
	end_transfer(fixture->receiver, false, 3, 0);
	assert_null(fixture->table->transfers);
	assert_true(fixture->sender->wants_receiver);
	refused = 0;
	transfers_start(fixture->sender, fixture->receiver);
	assert_false(fixture->sender->wants_receiver);
	end_transfer(fixture->sender, true, 4, HELD);
	end_transfer(fixture->receiver, false, 4, HELD);
	kill_worker(fixture->sender);
	kill_worker(fixture->receiver);
	assert_lost(fixture, 0, HELD);
}

static void
test_a_transfer_that_moved_nothing_lets_the_sender_drain(void **state)
{
	struct fixture *fixture = *state;
	end_transfer(fixture->sender, true, 1, 0);
	end_transfer(fixture->receiver, false, 1, 0);
	assert_false(fixture->sender->wants_receiver);
	assert_int_equal(last_sent.verb, CHANNEL_DRAIN);
	assert_int_equal(last_sent.argument, 0); /* no other transfer follows */
	kill_worker(fixture->sender);
	kill_worker(fixture->receiver);
	assert_lost(fixture, HELD, 0);
}

static void
test_ignores_transfer_messages_from_other_workers(void **state)
{
	struct fixture *fixture = *state;
	end_transfer(fixture->receiver, true, 1, 7);
	end_transfer(fixture->sender, false, 1, 7);
	end_transfer(fixture->sender, true, 2, 7);
	assert_false(fixture->table->transfers->has_sent);
	assert_false(fixture->table->transfers->has_received);
	assert_true(transfers_is_sending(fixture->sender));
	kill_worker(fixture->sender);
	kill_worker(fixture->receiver);
	assert_lost(fixture, HELD, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_counts_what_sender_and_receiver_report),
		TEST(test_a_sender_crash_before_counting_loses_no_accepted_connection),
		TEST(test_a_receiver_crash_before_counting_loses_its_connections),
		TEST(test_the_sender_count_decides_when_both_crash),
		TEST(test_waits_for_the_keeper_of_the_sender_when_both_die),
		TEST(
		    test_the_keeper_of_the_receiver_may_exit_before_that_of_the_sender_reports),
		TEST(test_a_living_receiver_needs_no_report_of_the_keeper),
		TEST(test_the_sender_block_counts_no_reported_transfer_twice),
		TEST(test_two_transfers_of_one_sender_are_separate),
		TEST(test_retries_a_transfer_after_running_out_of_descriptors),
		TEST(test_a_transfer_that_moved_nothing_lets_the_sender_drain),
		TEST(test_ignores_transfer_messages_from_other_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
