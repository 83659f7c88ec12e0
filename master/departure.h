/*
 * departure.h - the workers that one change sends away, and what becomes of their
 * connections: for whoever asked for the change.
 *
 *   departure_begin .. those who are told to leave belong to it .. departure_seal
 *     -> the last of them is gone: whoever waits for that hears (waiting.h)
 *
 * Every connection that such a worker held when it was told to leave is counted once:
 * handed over to another worker, drained (it ended by itself, or was quiet), forced
 * (cut when timeouts.drain was over, or its worker was told to end at once), or lost
 * with its worker.
 */
#ifndef MASTER_DEPARTURE_H
#define MASTER_DEPARTURE_H

#include <stddef.h>

#include "master/master.h"

struct departure {
	struct departure *next;      /* in master->departures */
	const char *change;          /* its name: "reload" */
	char text[CONFIG_ERROR_MAX]; /* the outcome of the change, once it is sealed */
	bool is_good;
	uint64_t started_ns; /* the change */
	uint64_t served_ns;  /* its outcome was known; 0: it is not yet */
	uint64_t ended_ns;   /* all are gone; 0: not yet */
	uint32_t workers, gone, died;
	uint32_t awaited; /* those who have yet to be forked (departure_await) */
	uint64_t moved, drained, forced, lost; /* connections */
};

/* Opens one; with one open already that goes on. Without memory nothing is counted. */
void departure_begin(struct master *master, const char *change, uint64_t started_ns);
/* A worker is told to leave now. Does nothing when none is open, or it belongs to one.
 */
void departure_add(struct process *process);
/* The one that is open; NULL: none. */
struct departure *departure_open(const struct master *master);
/* Who goes on in the place of one that died belongs to what that one belonged to (NULL:
 * nothing). */
void departure_join(struct process *process, struct departure *departure);
/* The same for who is still to be put into the slot: it is waited for. */
void departure_await(struct slot *slot, struct departure *departure);
/* There it is: slot->process. */
void departure_follow(struct slot *slot);
/* Nobody will come. */
void departure_let_go(struct slot *slot);
/* master->outcome has just come: if it is that of the change which is open, nobody more
 * belongs to it, and it is returned, to be settled; else NULL. */
struct departure *departure_seal(struct master *master);
/* Ends it if all are gone: those who wait are told, and it is freed. */
void departure_settle(struct master *master, struct departure *departure);
/* The books of a process are about to be closed. */
void departure_on_buried(struct process *process);
/* Forgets all of them and who belongs to them: nobody waits for one any more. */
void departure_forget_all(struct master *master);

/* All that belong to it, there or awaited. */
uint32_t departure_workers(const struct departure *departure);
/* How it went, or goes, in one line: into text[size], which is returned. */
const char *departure_describe(
    const struct departure *departure, char *text, size_t size);
/* Since the change began, until all were gone or now. */
double departure_ms(const struct departure *departure);

#endif
