/*
 * drain_summary.h - the workers that a change removes, and how their connections end:
 * for the outcome that the operator sees.
 *
 *   drain_summary_open .. workers that start to drain join it .. drain_summary_close
 *     -> the last of them is released: the on_drained callback, and it is freed
 *
 * Each connection that such a worker held when it started to drain is counted once:
 * moved to another worker, drained (it ended by itself, or was idle), forced (closed
 * after timeouts.drain, or by CHANNEL_EXIT), or lost with its worker.
 */
#ifndef MASTER_WORKERS_DRAIN_SUMMARY_H
#define MASTER_WORKERS_DRAIN_SUMMARY_H

#include <stddef.h>

#include "master/workers/worker_table.h"

struct drain_summary {
	struct drain_summary *next; /* in worker_table.drain_summaries */
	const char *change;         /* its name: "reload" */
	uint64_t request; /* the change's first request, which identifies it */
	char text[CONFIG_ERROR_MAX]; /* the outcome of the change, once it is closed */
	bool is_good;
	uint64_t started_ns;  /* the change */
	uint64_t finished_ns; /* its outcome; 0: none yet */
	uint64_t ended_ns;    /* the last worker was released; 0: not yet */
	uint32_t workers, exited_workers, died;
	uint32_t expected_workers; /* drain workers that have yet to start */
	uint64_t moved, drained, forced, lost; /* connections */
};

/* Opens one, or renames the open one. Without memory nothing is counted. */
void drain_summary_open(struct worker_table *table, const char *change,
    uint64_t request, uint64_t started_ns);
/* Adds a worker that starts to drain to the open summary, unless it is in one. */
void drain_summary_add(struct process *process);
/* The open one, or NULL. */
struct drain_summary *drain_summary_current(const struct worker_table *table);
/* Adds a worker that replaces one of that summary (NULL: of none). */
void drain_summary_inherit(struct process *process, struct drain_summary *summary);
/* As drain_summary_inherit(), for a drain worker that the slot has yet to start. */
void drain_summary_expect(struct slot *slot, struct drain_summary *summary);
/* The drain worker has started: slot->process. */
void drain_summary_attach(struct slot *slot);
/* The drain worker will not be started. */
void drain_summary_cancel(struct slot *slot);
/* The change with this first request has ended. If its summary is open no more workers
 * are added, and the summary is returned, for drain_summary_finish; else NULL. */
struct drain_summary *drain_summary_close(
    struct worker_table *table, uint64_t request, bool is_good, const char *text);
/* Reports and frees it, if it is closed and its workers are released. */
void drain_summary_finish(struct worker_table *table, struct drain_summary *summary);
/* To be called before the ledger block of a process is released. */
void drain_summary_on_process_released(struct process *process);
/* Frees all of them without a report. */
void drain_summary_destroy_all(struct worker_table *table);

/* All its workers, those that have yet to start included. */
uint32_t drain_summary_workers(const struct drain_summary *summary);
/* One line about it in text[size], which is returned. */
const char *drain_summary_format(
    const struct drain_summary *summary, char *text, size_t size);
/* From the start of the change until its end, or until now. */
double drain_summary_elapsed_ms(const struct drain_summary *summary);

#endif
