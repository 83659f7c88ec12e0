/*
 * master.h - process 0 of yodeld: what it holds.
 *
 *   struct master    one; master.c fills it, everything else works on it
 *   struct slot      a place for one worker: its sockets stay when the worker goes
 *   struct process   one worker process, from fork to the close of its books
 *   struct move      one hand-over of connections between two processes
 *   struct turnover  a change of generation under way
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "proto/ledger.h"

#include "conf/config.h"

#include "master/changes/change.h"
#include "master/listeners/listener.h"
#include "master/workers/worker_table.h"

struct admin;
struct master;
struct pending_request;

/* A reload or an upgrade, from the first fork of the new generation until every slot
 * has one of its workers. */
struct reload {
	bool is_active;
	bool is_upgrade;
	bool is_repeat_requested; /* another reload was asked for meanwhile */
	struct config config;
	uint32_t generation;
	uint32_t slot_count;
	uint32_t failures;
	uint64_t started_ns;
};

/* The evening out of open connections (rebalance.c). */
struct rebalance {
	bool is_requested; /* of all listeners, until it is done; an outcome follows */
	uint32_t passes;   /* since then: each worker gives once at most in one */
	uint32_t transfers_in_progress; /* hand-overs */
	uint64_t moved;                 /* connections, since it was asked for */
	uint64_t moved_in_pass;         /* in the hand-overs under way */
	double before;                  /* fullest / mean when it was asked for */
	uint64_t started_ns;
	uint64_t retry_at_ns; /* nothing could be moved */
};

/* A file, as far as one can tell without reading it. */
struct program_file {
	dev_t device;
	ino_t inode; /* 0: there is none */
	off_t size;
	struct timespec modified;
};

/* The program on disk as a child, before it takes over (dry_run.c). */
struct dry_run {
	pid_t pid;               /* 0: none is under way */
	int output_fd, error_fd; /* its standard output and error */
	uint64_t dry_run_started_ns;
	bool is_late; /* and has been killed for that */
	struct program_file file;
};

enum upgrade_wanted {
	UPGRADE_NONE,
	UPGRADE_DRY_RUN, /* the rehearsal is to begin */
	UPGRADE_EXEC,    /* and was good: the exec is next */
	UPGRADE_ROLLBACK,
};

#define MASTER_SIGNALS 10

struct config_set {
	struct config_sources sources;
	struct config current;
	uint32_t number;        /* counts configurations that came into force */
	struct config previous; /* the one before: for who still empties its queues */
};

struct listener_set {
	struct listener *first;
};

struct scale {
	bool is_active; /* a change of size has not concluded */
};

struct shutdown {
	uint64_t deadline_ns;
	bool is_orderly;
};

struct service_manager {
	uint64_t status_ns;   /* the last status line */
	uint64_t watchdog_ns; /* the last beat for the service manager */
};

struct master {
	int exit_status;
	char **argv;             /* as it was started, for the upgrade */
	int previous_program_fd; /* the image that left us its inheritance; -1: none */
	enum upgrade_wanted upgrade_wanted;
	char rollback_reason[CONFIG_ERROR_MAX]; /* of UPGRADE_ROLLBACK */
	struct dry_run dry_run;
	struct event exec_timer; /* on the way to an exec: signals wait for the heir */
	bool is_exec_due;
	int exec_loop_turns; /* of the loop until then */
	struct event_base *base;
	struct config_set config;
	struct listener_set listeners;
	struct worker_table workers;
	struct change_log changes;
	struct reload reload;
	struct scale scale;
	struct rebalance rebalance;
	struct shutdown shutdown;
	struct service_manager manager;
	struct pending_request
	    *pending_requests; /* for the outcome of a change (pending_requests.c) */
	struct admin *admin;   /* doors for operators (admin_listener.c) */
	uint64_t started_ns;
	bool has_ended;        /* the loop has */
	uint64_t last_tick_ns; /* the last look at the workers */
	struct event tick_timer;
	struct event signals[MASTER_SIGNALS];
};

/* Runs yodeld until it is stopped. Returns the exit status (sysexits). */
int master_run(const struct config_sources *sources, char **argv);
/* Does that as far as nobody can notice it, with what lies at that descriptor
 * (dry_run.h), and ends the process. */
void master_dry_run(int state_fd) __attribute__((noreturn));

/* Closes and frees all that it holds, and itself. */
void master_finish(struct master *master);

#endif
