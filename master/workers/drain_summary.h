/*
 * drain_summary.h - the workers that one change sends away, and what becomes of their
 * connections: for whoever asked for the change.
 *
 *   drain_summary_open .. those who are told to leave belong to it ..
 * drain_summary_close
 *     -> the last of them is gone: whoever waits for that hears (pending_requests.h)
 *
 * Every connection that such a worker held when it was told to leave is counted once:
 * handed over to another worker, drained (it ended by itself, or was quiet), forced
 * (cut when timeouts.drain was over, or its worker was told to end at once), or lost
 * with its worker.
 */
#ifndef MASTER_WORKERS_DRAIN_SUMMARY_H
#define MASTER_WORKERS_DRAIN_SUMMARY_H

#include <stddef.h>

#include "master/workers/worker_table.h"

struct drain_summary {
	struct drain_summary *next;  /* in master->departures */
	const char *change;          /* its name: "reload" */
	char text[CONFIG_ERROR_MAX]; /* the outcome of the change, once it is sealed */
	bool is_good;
	uint64_t started_ns;  /* the change */
	uint64_t finished_ns; /* its outcome was known; 0: it is not yet */
	uint64_t ended_ns;    /* all are gone; 0: not yet */
	uint32_t workers, exited_workers, died;
	uint32_t expected_workers;             /* those who have yet to be forked
						  (drain_summary_expect) */
	uint64_t moved, drained, forced, lost; /* connections */
};

/* Opens one; with one open already that goes on. Without memory nothing is counted. */
void drain_summary_open(
    struct worker_table *table, const char *change, uint64_t started_ns);
/* A worker is told to leave now. Does nothing when none is open, or it belongs to one.
 */
void drain_summary_add(struct process *process);
/* The one that is open; NULL: none. */
struct drain_summary *drain_summary_current(const struct worker_table *table);
/* Who goes on in the place of one that died belongs to what that one belonged to (NULL:
 * nothing). */
void drain_summary_inherit(
    struct process *process, struct drain_summary *drain_summary);
/* The same for who is still to be put into the slot: it is waited for. */
void drain_summary_expect(struct slot *slot, struct drain_summary *drain_summary);
/* There it is: slot->process. */
void drain_summary_attach(struct slot *slot);
/* Nobody will come. */
void drain_summary_cancel(struct slot *slot);
/* The change with this name has ended. If its summary is open no more workers are
 * added, and the summary is returned, for drain_summary_finish; else NULL. */
struct drain_summary *drain_summary_close(
    struct worker_table *table, const char *change, bool is_good, const char *text);
/* Ends it if all are gone: those who wait are told, and it is freed. */
void drain_summary_finish(
    struct worker_table *table, struct drain_summary *drain_summary);
/* The books of a process are about to be closed. */
void drain_summary_on_process_released(struct process *process);
/* Forgets all of them and who belongs to them: nobody waits for one any more. */
void drain_summary_destroy_all(struct worker_table *table);

/* All that belong to it, there or awaited. */
uint32_t drain_summary_workers(const struct drain_summary *drain_summary);
/* How it went, or goes, in one line: into text[size], which is returned. */
const char *drain_summary_format(
    const struct drain_summary *drain_summary, char *text, size_t size);
/* Since the change began, until all were gone or now. */
double drain_summary_elapsed_ms(const struct drain_summary *drain_summary);

#endif
