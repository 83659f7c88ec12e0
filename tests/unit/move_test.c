/*
 * move_test.c - the accounts of a hand-over, whoever dies on the way, and at what
 * point.
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

/* The linker puts it in the place of channel_send (Makefile). */
int __real_channel_send(int fd, const struct channel_message *message, int descriptor);
int __wrap_channel_send(int fd, const struct channel_message *message, int descriptor);

static uint32_t refused; /* a verb; 0: none */

int
__wrap_channel_send(int fd, const struct channel_message *message, int descriptor)
{
	if (message->verb != refused)
		return __real_channel_send(fd, message, descriptor);
	errno = ETOOMANYREFS;
	return -1;
}

#define HELD 10 /* connections that the giver has accepted */

struct scene {
	struct master *master;
	struct process *sender, *receiver;
	struct ledger_block *giver_block, *taker_block;
	int worker_ends[2];
};

static struct process *
add_worker(struct scene *scene, uint32_t slot, struct ledger_block **ret_block)
{
	int channel[2];
	assert_int_equal(channel_open(channel), 0);
	scene->worker_ends[slot] = channel[1];
	struct worker_ledger *worker_ledger = ledger_claim(scene->master->ledger, slot);
	assert_non_null(worker_ledger);
	*ret_block = &worker_ledger->by_listener[ledger_register_listener(
	    scene->master->ledger, "a listener")];
	struct process *process = process_from_pid(
	    scene->master, (pid_t)(1000 + slot), slot, channel[0], worker_ledger);
	assert_non_null(process);
	process->is_ready = true;
	return process;
}

static int
set_scene(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	scene->master = calloc(1, sizeof(*scene->master));
	assert_non_null(scene->master);
	scene->master->base = event_base_new();
	scene->master->ledger = ledger_create(&scene->master->ledger_fd);
	assert_non_null(scene->master->ledger);
	scene->sender = add_worker(scene, 0, &scene->giver_block);
	scene->receiver = add_worker(scene, 1, &scene->taker_block);
	scene->sender->is_draining = true;
	ledger_count(scene->giver_block, LEDGER_CONNECTIONS_ACCEPTED, HELD);
	transfers_start(scene->sender, scene->receiver);
	*state = scene;
	return 0;
}

static int
clear_scene(void **state)
{
	struct scene *scene = *state;
	close(scene->worker_ends[0]);
	close(scene->worker_ends[1]);
	event_base_free(scene->master->base);
	munmap(scene->master->ledger, sizeof(*scene->master->ledger));
	close(scene->master->ledger_fd);
	free(scene->master);
	free(scene);
	return 0;
}

static void
die(struct process *process)
{
	process->has_exited = true;
	transfers_on_exit(process);
}

/* What slot `slot` has lost, now that both are buried; all that was moved is booked on
 * both sides. */
static void
assert_lost(const struct scene *scene, uint64_t by_giver, uint64_t by_taker)
{
	struct ledger_totals sender, receiver;
	assert_null(scene->master->transfers);
	assert_null(scene->master->processes);
	ledger_sum_slot(scene->master->ledger, 0, &sender);
	ledger_sum_slot(scene->master->ledger, 1, &receiver);
	assert_int_equal(sender.counters[LEDGER_CONNECTIONS_MOVED_OUT],
	    receiver.counters[LEDGER_CONNECTIONS_MOVED_IN]);
	assert_int_equal(sender.closed[CLOSE_WORKER_LOST], by_giver);
	assert_int_equal(receiver.closed[CLOSE_WORKER_LOST], by_taker);
}

static void
test_what_both_say_is_booked(void **state)
{
	struct scene *scene = *state;
	ledger_count(scene->giver_block, LEDGER_CONNECTIONS_MOVED_OUT, HELD);
	ledger_count(scene->taker_block, LEDGER_CONNECTIONS_MOVED_IN, HELD);
	transfers_on_sent(scene->sender, 1, HELD);
	transfers_on_received(scene->receiver, 1, HELD);
	die(scene->sender);
	die(scene->receiver);
	assert_lost(scene, 0, HELD);
}

static void
test_a_giver_that_dies_before_it_booked_what_was_taken_has_not_lost_it(void **state)
{
	struct scene *scene = *state;
	ledger_count(scene->taker_block, LEDGER_CONNECTIONS_MOVED_IN, 4);
	die(scene->sender);
	assert_non_null(scene->master->transfers);
	transfers_on_received(scene->receiver, 1, 4);
	die(scene->receiver);
	assert_lost(scene, HELD - 4, 4);
}

static void
test_a_taker_that_dies_before_it_booked_what_it_took_has_lost_it(void **state)
{
	struct scene *scene = *state;
	ledger_count(scene->giver_block, LEDGER_CONNECTIONS_MOVED_OUT, 4);
	die(scene->receiver);
	assert_non_null(scene->master->transfers);
	transfers_on_sent(scene->sender, 1, 4);
	scene->sender->wants_receiver = false;
	die(scene->sender);
	assert_lost(scene, HELD - 4, 4);
}

static void
test_where_both_die_silently_what_the_giver_booked_counts(void **state)
{
	struct scene *scene = *state;
	ledger_count(scene->giver_block, LEDGER_CONNECTIONS_MOVED_OUT, 3);
	ledger_count(scene->taker_block, LEDGER_CONNECTIONS_MOVED_IN, 2);
	die(scene->receiver);
	die(scene->sender);
	assert_lost(scene, HELD - 3, 3);
}

static void
test_two_hand_overs_of_one_giver_are_kept_apart(void **state)
{
	struct scene *scene = *state;
	ledger_count(scene->giver_block, LEDGER_CONNECTIONS_MOVED_OUT, 4);
	ledger_count(scene->taker_block, LEDGER_CONNECTIONS_MOVED_IN, 4);
	transfers_on_sent(scene->sender, 1, 4);
	transfers_on_received(scene->receiver, 1, 4);
	transfers_start(scene->sender, scene->receiver);
	ledger_count(scene->giver_block, LEDGER_CONNECTIONS_MOVED_OUT, 2);
	die(scene->sender);
	die(scene->receiver);
	assert_lost(scene, HELD - 6, 6);
}

/* It drained, or waited for its deadline. */
static void
test_who_cannot_be_told_now_for_want_of_descriptors_gives_later(void **state)
{
	struct scene *scene = *state;
	transfers_on_sent(scene->sender, 1, 0);
	transfers_on_received(scene->receiver, 1, 0);
	refused = CHANNEL_RECEIVE_CONNECTIONS;
	transfers_start(scene->sender, scene->receiver);
	assert_null(scene->master->transfers);
	assert_true(scene->sender->wants_receiver);
	refused = CHANNEL_SEND_CONNECTIONS;
	transfers_start(scene->sender, scene->receiver);
	assert_true(scene->sender->wants_receiver);
	assert_false(transfers_is_sending(scene->sender));
	transfers_on_received(scene->receiver, 3, 0);
	assert_null(scene->master->transfers);
	assert_true(scene->sender->wants_receiver);
	refused = 0;
	transfers_start(scene->sender, scene->receiver);
	assert_false(scene->sender->wants_receiver);
	transfers_on_sent(scene->sender, 4, HELD);
	transfers_on_received(scene->receiver, 4, HELD);
	die(scene->sender);
	die(scene->receiver);
	assert_lost(scene, 0, HELD);
}

static void
test_what_strangers_say_of_a_hand_over_is_not_heard(void **state)
{
	struct scene *scene = *state;
	transfers_on_sent(scene->receiver, 1, 7);
	transfers_on_received(scene->sender, 1, 7);
	transfers_on_sent(scene->sender, 2, 7);
	assert_false(scene->master->transfers->has_sent);
	assert_false(scene->master->transfers->has_received);
	assert_true(transfers_is_sending(scene->sender));
	die(scene->sender);
	die(scene->receiver);
	assert_lost(scene, HELD, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_scene, clear_scene)
	const struct CMUnitTest tests[] = {
		TEST(test_what_both_say_is_booked),
		TEST(
		    test_a_giver_that_dies_before_it_booked_what_was_taken_has_not_lost_it),
		TEST(test_a_taker_that_dies_before_it_booked_what_it_took_has_lost_it),
		TEST(test_where_both_die_silently_what_the_giver_booked_counts),
		TEST(test_two_hand_overs_of_one_giver_are_kept_apart),
		TEST(test_who_cannot_be_told_now_for_want_of_descriptors_gives_later),
		TEST(test_what_strangers_say_of_a_hand_over_is_not_heard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
