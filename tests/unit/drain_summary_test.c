/*
 * drain_summary_test.c - the workers that a change removes, and each of their
 * connections.
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

static const struct process_events events = { .on_drained = on_drained };

static struct worker_table *
create_table(void)
{
	struct worker_table *table = calloc(1, sizeof(*table));
	assert_non_null(table);
	table->events = &events;
	completed = 0;
	table->base = event_base_new();
	table->ledger = ledger_create(10000);
	assert_non_null(table->ledger);
	return table;
}

static void
destroy_table(struct worker_table *table)
{
	drain_summary_destroy_all(table);
	while (table->processes != NULL)
		process_release(table->processes);
	event_base_free(table->base);
	ledger_destroy(table->ledger);
	free(table);
}

static struct worker_ledger *
open_entry(const struct process *process)
{
	struct worker_ledger *worker_ledger =
	    ledger_open_entry(process->table->ledger, process->ledger_entry);
	assert_non_null(worker_ledger);
	return worker_ledger;
}

/* A worker that has accepted ten connections, of which two have ended. */
static struct process *
add_worker(struct worker_table *table, uint32_t slot)
{
	int channel[2];
	assert_int_equal(channel_open(channel), 0);
	close(channel[1]);
	int entry = ledger_claim(table->ledger, slot);
	assert_true(entry >= 0);
	struct process *process = process_from_pid(
	    table, (pid_t)(1000 + slot), slot, channel[0], (uint32_t)entry);
	assert_non_null(process);
	struct worker_ledger *worker_ledger = open_entry(process);
	ledger_count(&worker_ledger->own, LEDGER_CONNECTIONS_ACCEPTED, 10);
	ledger_count_closed(&worker_ledger->own, CLOSE_PEER_CLOSED);
	ledger_count_closed(&worker_ledger->own, CLOSE_RESET);
	return process;
}

static struct drain_summary *
finish_change(struct worker_table *table, uint64_t request)
{
	return drain_summary_close(table, request, true, "its outcome");
}

static void
test_each_connection_is_counted_once(void **state)
{
	struct worker_table *table = create_table();
	(void)state;
	drain_summary_open(table, "reload", 1, clock_now_ns());
	struct process *process = add_worker(table, 0), *dead = add_worker(table, 1);
	drain_summary_add(process);
	drain_summary_add(process);
	drain_summary_add(dead);
	struct drain_summary *drain_summary = finish_change(table, 1);
	assert_non_null(drain_summary);
	drain_summary_finish(table, drain_summary);
	assert_int_equal(drain_summary->workers, 2);
	/* Of the eight open ones three move, two drain, one is forced, two are lost. */
	process->moved_out = 3;
	struct worker_ledger *worker_ledger = open_entry(process);
	ledger_count(&worker_ledger->own, LEDGER_CONNECTIONS_MOVED_OUT, 3);
	ledger_count_closed(&worker_ledger->own, CLOSE_DRAINED);
	ledger_count_closed(&worker_ledger->own, CLOSE_PEER_CLOSED);
	ledger_count_closed(&worker_ledger->own, CLOSE_DRAIN_TIMEOUT);
	process->was_killed = true;
	process_release(process);
	assert_int_equal(drain_summary->exited_workers, 1);
	assert_int_equal(drain_summary->moved, 3);
	assert_int_equal(drain_summary->drained, 2);
	assert_int_equal(drain_summary->forced, 1);
	assert_int_equal(drain_summary->lost, 2);
	char text[CONFIG_ERROR_MAX];
	assert_non_null(strstr(drain_summary_format(drain_summary, text, sizeof(text)),
	    "1 of 2 workers still draining after "));
	assert_non_null(strstr(text,
	    ": 3 connections transferred, 2 drained, 1 forced, 2 lost with 1 worker that died"));
	process_release(dead);
	assert_null(table->drain_summaries);
	assert_int_equal(completed, 1);
	destroy_table(table);
}

static void
test_ignores_workers_that_exit_for_other_reasons(void **state)
{
	struct worker_table *table = create_table();
	(void)state;
	drain_summary_add(add_worker(table, 0));
	assert_null(table->drain_summaries);
	drain_summary_open(table, "scale", 1, clock_now_ns());
	struct process *process = add_worker(table, 1);
	drain_summary_add(process);
	/* The outcome of another change leaves it open. */
	assert_null(finish_change(table, 2));
	drain_summary_add(add_worker(table, 2));
	struct drain_summary *drain_summary = finish_change(table, 1);
	assert_non_null(drain_summary);
	drain_summary_add(add_worker(table, 3));
	assert_int_equal(drain_summary->workers, 2);
	/* Afterwards the release of a worker finds no summary. */
	drain_summary_destroy_all(table);
	process_release(process);
	destroy_table(table);
}

static void
test_finishes_immediately_without_departing_workers(void **state)
{
	struct worker_table *table = create_table();
	(void)state;
	drain_summary_open(table, "scale", 1, clock_now_ns());
	drain_summary_finish(table, finish_change(table, 1));
	assert_null(table->drain_summaries);
	destroy_table(table);
}

static struct drain_summary *
seal_scale(struct worker_table *table)
{
	struct drain_summary *drain_summary = finish_change(table, 1);
	assert_non_null(drain_summary);
	drain_summary_finish(table, drain_summary);
	return drain_summary;
}

static void
test_waits_for_the_replacement_of_a_crashed_worker(void **state)
{
	struct worker_table *table = create_table();
	struct slot *slot = &table->slots[1];
	char text[CONFIG_ERROR_MAX];
	(void)state;
	slot->table = table;
	drain_summary_open(table, "scale", 1, clock_now_ns());
	struct process *dead = add_worker(table, 1);
	drain_summary_add(dead);
	const struct drain_summary *drain_summary = seal_scale(table);
	drain_summary_expect(slot, dead->drain_summary);
	process_release(dead);
	assert_ptr_equal(table->drain_summaries, drain_summary);
	assert_int_equal(drain_summary->exited_workers, 1);
	assert_non_null(strstr(drain_summary_format(drain_summary, text, sizeof(text)),
	    "1 of 2 workers still draining after "));
	slot->process = add_worker(table, 1);
	drain_summary_attach(slot);
	assert_null(slot->drain_summary);
	assert_int_equal(drain_summary_workers(drain_summary), 2);
	/* The replacement of a crashed replacement is waited for, too. */
	struct process *third = add_worker(table, 1);
	drain_summary_inherit(third, slot->process->drain_summary);
	process_release(slot->process);
	assert_ptr_equal(table->drain_summaries, drain_summary);
	/* All its connections count: it was started to drain. */
	uint64_t drained = drain_summary->drained;
	process_release(third);
	assert_int_equal(drained, 2);
	assert_null(table->drain_summaries);
	destroy_table(table);
}

static void
test_does_not_wait_for_cancelled_replacements(void **state)
{
	struct worker_table *table = create_table();
	struct slot *slot = &table->slots[1];
	(void)state;
	slot->table = table;
	drain_summary_cancel(slot);
	drain_summary_open(table, "scale", 1, clock_now_ns());
	drain_summary_expect(slot, drain_summary_current(table));
	assert_ptr_equal(seal_scale(table), table->drain_summaries);
	drain_summary_cancel(slot);
	assert_null(slot->drain_summary);
	assert_null(table->drain_summaries);
	/* The same after all summaries are destroyed. */
	drain_summary_open(table, "scale", 1, clock_now_ns());
	drain_summary_expect(slot, drain_summary_current(table));
	drain_summary_destroy_all(table);
	assert_null(slot->drain_summary);
	drain_summary_inherit(add_worker(table, 1), NULL);
	destroy_table(table);
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
