/*
 * drain_summary_test.c - what becomes of workers that a change sends away, and of each
 * of their connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

#include "proto/channel.h"

#include "master/workers/drain_summary.h"
#include "master/workers/process.h"

static unsigned completed; /* summaries that were complete */

static void
on_drained(const struct drain_summary *drain_summary, void *argument)
{
	(void)argument;
	assert_true(drain_summary->ended_ns != 0);
	completed++;
}

static const struct worker_events events = { .on_drained = on_drained };

static struct master *
create_master(void)
{
	struct master *master = calloc(1, sizeof(*master));
	assert_non_null(master);
	master->workers.events = &events;
	completed = 0;
	master->base = event_base_new();
	master->workers.ledger = ledger_create(&master->workers.ledger_fd);
	assert_non_null(master->workers.ledger);
	return master;
}

static void
destroy_master(struct master *master)
{
	drain_summary_destroy_all(master);
	while (master->workers.processes != NULL)
		process_release(master->workers.processes);
	event_base_free(master->base);
	munmap(master->workers.ledger, sizeof(*master->workers.ledger));
	close(master->workers.ledger_fd);
	free(master);
}

/* A worker that has accepted ten connections, of which two have ended. */
static struct process *
add_worker(struct master *master, uint32_t slot)
{
	int channel[2];
	assert_int_equal(channel_open(channel), 0);
	close(channel[1]);
	struct worker_ledger *worker_ledger =
	    ledger_claim(master->workers.ledger, slot);
	struct process *process = process_from_pid(
	    master, (pid_t)(1000 + slot), slot, channel[0], worker_ledger);
	assert_non_null(process);
	ledger_count(&worker_ledger->own, LEDGER_CONNECTIONS_ACCEPTED, 10);
	ledger_count_closed(&worker_ledger->own, CLOSE_PEER_CLOSED);
	ledger_count_closed(&worker_ledger->own, CLOSE_RESET);
	return process;
}

static struct drain_summary *
finish_change(struct master *master, const char *change)
{
	return drain_summary_close(master, change, true, "its outcome");
}

static void
test_each_connection_is_counted_once(void **state)
{
	struct master *master = create_master();
	(void)state;
	drain_summary_open(master, "reload", clock_now_ns());
	struct process *process = add_worker(master, 0), *dead = add_worker(master, 1);
	drain_summary_add(process);
	drain_summary_add(process);
	drain_summary_add(dead);
	struct drain_summary *drain_summary = finish_change(master, "reload");
	assert_non_null(drain_summary);
	drain_summary_finish(master, drain_summary);
	assert_int_equal(drain_summary->workers, 2);
	/* Of the eight that were open: three, two, one; and two are left. */
	process->moved_out = 3;
	ledger_count(&process->worker_ledger->own, LEDGER_CONNECTIONS_MOVED_OUT, 3);
	ledger_count_closed(&process->worker_ledger->own, CLOSE_DRAINED);
	ledger_count_closed(&process->worker_ledger->own, CLOSE_PEER_CLOSED);
	ledger_count_closed(&process->worker_ledger->own, CLOSE_DRAIN_TIMEOUT);
	process->was_killed = true;
	process_release(process);
	assert_int_equal(drain_summary->exited_workers, 1);
	assert_int_equal(drain_summary->moved, 3);
	assert_int_equal(drain_summary->drained, 2);
	assert_int_equal(drain_summary->forced, 1);
	assert_int_equal(drain_summary->lost, 2);
	char text[CONFIG_ERROR_MAX];
	assert_non_null(strstr(drain_summary_format(drain_summary, text, sizeof(text)),
	    "1 of 2 workers still leaves after "));
	assert_non_null(strstr(text,
	    ": 3 connections handed over, 2 drained, 1 forced, 2 lost with 1 that died"));
	process_release(dead);
	assert_null(master->workers.drain_summaries);
	assert_int_equal(completed, 1);
	destroy_master(master);
}

static void
test_ignores_workers_that_exit_for_other_reasons(void **state)
{
	struct master *master = create_master();
	(void)state;
	drain_summary_add(add_worker(master, 0));
	assert_null(master->workers.drain_summaries);
	drain_summary_open(master, "scale", clock_now_ns());
	struct process *process = add_worker(master, 1);
	drain_summary_add(process);
	/* The outcome of something else leaves it open. */
	assert_null(finish_change(master, "rebalance"));
	drain_summary_add(add_worker(master, 2));
	struct drain_summary *drain_summary = finish_change(master, "scale");
	assert_non_null(drain_summary);
	drain_summary_add(add_worker(master, 3));
	assert_int_equal(drain_summary->workers, 2);
	/* Who has been forgotten is not looked for when he goes. */
	drain_summary_destroy_all(master);
	process_release(process);
	destroy_master(master);
}

static void
test_finishes_immediately_without_departing_workers(void **state)
{
	struct master *master = create_master();
	(void)state;
	drain_summary_open(master, "scale", clock_now_ns());
	drain_summary_finish(master, finish_change(master, "scale"));
	assert_null(master->workers.drain_summaries);
	destroy_master(master);
}

static struct drain_summary *
seal_scale(struct master *master)
{
	struct drain_summary *drain_summary = finish_change(master, "scale");
	assert_non_null(drain_summary);
	drain_summary_finish(master, drain_summary);
	return drain_summary;
}

static void
test_waits_for_the_replacement_of_a_crashed_worker(void **state)
{
	struct master *master = create_master();
	struct slot *slot = &master->workers.slots[1];
	char text[CONFIG_ERROR_MAX];
	(void)state;
	slot->master = master;
	drain_summary_open(master, "scale", clock_now_ns());
	struct process *dead = add_worker(master, 1);
	drain_summary_add(dead);
	const struct drain_summary *drain_summary = seal_scale(master);
	drain_summary_expect(slot, dead->drain_summary);
	process_release(dead);
	assert_ptr_equal(master->workers.drain_summaries, drain_summary);
	assert_int_equal(drain_summary->exited_workers, 1);
	assert_non_null(strstr(drain_summary_format(drain_summary, text, sizeof(text)),
	    "1 of 2 workers still leaves after "));
	slot->process = add_worker(master, 1);
	drain_summary_attach(slot);
	assert_null(slot->drain_summary);
	assert_int_equal(drain_summary_workers(drain_summary), 2);
	/* And who goes on for that one. */
	struct process *third = add_worker(master, 1);
	drain_summary_inherit(third, slot->process->drain_summary);
	process_release(slot->process);
	assert_ptr_equal(master->workers.drain_summaries, drain_summary);
	/* What ended there is all its own: it began for that. */
	uint64_t drained = drain_summary->drained;
	process_release(third);
	assert_int_equal(drained, 2);
	assert_null(master->workers.drain_summaries);
	destroy_master(master);
}

static void
test_does_not_wait_for_cancelled_replacements(void **state)
{
	struct master *master = create_master();
	struct slot *slot = &master->workers.slots[1];
	(void)state;
	slot->master = master;
	drain_summary_cancel(slot);
	drain_summary_open(master, "scale", clock_now_ns());
	drain_summary_expect(slot, drain_summary_current(master));
	assert_ptr_equal(seal_scale(master), master->workers.drain_summaries);
	drain_summary_cancel(slot);
	assert_null(slot->drain_summary);
	assert_null(master->workers.drain_summaries);
	/* Nor who has been forgotten. */
	drain_summary_open(master, "scale", clock_now_ns());
	drain_summary_expect(slot, drain_summary_current(master));
	drain_summary_destroy_all(master);
	assert_null(slot->drain_summary);
	drain_summary_inherit(add_worker(master, 1), NULL);
	destroy_master(master);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_connection_is_counted_once),
		cmocka_unit_test(test_waits_for_the_replacement_of_a_crashed_worker),
		cmocka_unit_test(test_does_not_wait_for_cancelled_replacements),
		cmocka_unit_test(test_ignores_workers_that_exit_for_other_reasons),
		cmocka_unit_test(test_finishes_immediately_without_departing_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
