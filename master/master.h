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
#include "master/upgrade/upgrade.h"

#define MASTER_SIGNALS 10

struct master {
	int exit_status;
	struct upgrade upgrade;
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
