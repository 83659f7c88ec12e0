/*
 * master.h - struct master: the whole state of process 0 of yodeld, in parts. A
 * function takes the part that it works on; only master/, admin/ and upgrade/ see the
 * whole.
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

#include "master/changes/pending_requests.h"
#include "master/changes/rebalance.h"
#include "master/changes/scale.h"
#include "master/changes/shutdown.h"

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
	struct pending_requests pending;
	struct admin_listeners *admin;
	uint64_t started_ns;
	struct event tick_timer;
	struct event signals[MASTER_SIGNALS];
};

/* Runs yodeld until it is stopped. Returns the exit status (sysexits). */
int master_run(const struct config_sources *sources, char **argv);
/* Sets the server up from the saved state, as a dry run (dry_run.h), and exits. */
void master_dry_run(int state_fd) __attribute__((noreturn));

/* Closes and frees everything. */
void master_finish(struct master *master);

#endif
