/*
 * master.h - process 0 of yodeld: what it holds.
 *
 *   struct master     one; main.c fills it, everything else works on it
 *   struct slot       a place for one worker: its sockets stay when the worker goes
 *   struct process    one worker process, from fork to wait
 *
 * State of a slot x event (supervise.c; "-" cannot happen):
 *
 *   state        spawn      ready      died               retry     leave      gone
 *   EMPTY        STARTING   -          -                  -         EMPTY      -
 *   STARTING     -          SERVING    BACKING_OFF (1)    -         DRAINING   -
 *   SERVING      -          -          BACKING_OFF (1)    -         DRAINING   -
 *   BACKING_OFF  -          -          -                  STARTING  EMPTY      -
 *   DRAINING     -          (ignored)  EMPTY (2)          -         -          EMPTY
 *
 *   (1) the first death after a quiet time is followed by `retry` at once
 *   (2) `died` is any death that was not asked for, `gone` one that was
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "proto/ledger.h"

#include "conf/config.h"
#include "master/endpoint.h"

enum slot_state {
	SLOT_EMPTY,
	SLOT_STARTING,
	SLOT_SERVING,
	SLOT_DRAINING,
	SLOT_BACKING_OFF,
};
extern const char *const slot_state_names[]; /* by enum slot_state */

struct master;

struct process {
	struct process *next; /* in master->processes */
	struct master *master;
	pid_t pid;
	uint32_t slot;
	uint32_t generation;
	bool is_ready;
	bool is_leaving; /* its end was asked for */
	int channel_fd;
	struct event channel_event;
	struct ledger_block *block;
	uint64_t started_ns; /* CLOCK_MONOTONIC, as all times here */
	uint64_t beats;      /* last seen */
	uint64_t beat_ns;    /* when they last changed */
	uint64_t abort_ns; /* when it was told to abort for being hung; 0: it was not */
};

struct slot {
	struct master *master;
	enum slot_state state;
	struct process *process; /* the one that serves, or is meant to */
	uint32_t failures;       /* deaths in a row */
	uint64_t restarts;
	struct event retry_timer;
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING };

#define MASTER_SIGNALS 10

struct master {
	enum master_phase phase;
	int exit_status;
	struct config_sources sources;
	int verbose;
	struct config config;
	uint32_t generation;
	struct event_base *base;
	struct ledger *ledger;
	int ledger_fd;
	struct endpoint *endpoints; /* in the order of config.listeners */
	struct slot slots[LEDGER_SLOTS];
	uint32_t slot_count;
	struct process *processes;
	uint64_t stop_deadline_ns;
	struct event watch_timer;
	struct event signals[MASTER_SIGNALS];
};

/* Runs yodeld until it is stopped. Returns the exit status (sysexits). */
int master_run(const struct config_sources *sources, int verbose);

uint64_t master_now_ns(void);

#endif
