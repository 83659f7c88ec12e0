/*
 * upgrade.h - replaces the running program by the one on disk without a pause: SIGUSR2.
 *
 *   dry run of the program on disk, in a child process (dry_run.h)
 *     -> exec in place: the pid is kept, the workers remain its children and serve
 *     -> the new program takes over (takeover.h) and starts a generation (reload.h)
 *     -> all its workers are ready: the old generation drains
 *
 * After a failed dry run nothing has changed. If the new program or its workers fail
 * later, it executes the previous program, whose file it keeps open (it may be deleted
 * by then); the previous program continues with its workers and logs the reason.
 */
#ifndef MASTER_UPGRADE_UPGRADE_H
#define MASTER_UPGRADE_UPGRADE_H

#include <sys/types.h>

#include <event2/event_struct.h>

#include "conf/config.h"
#include "master/changes/change.h"
#include "master/upgrade/dry_run.h"

struct master;

enum upgrade_step { UPGRADE_NONE, UPGRADE_DRY_RUN, UPGRADE_EXEC, UPGRADE_ROLLBACK };

struct upgrade {
	char **argv;             /* as the server was started */
	int previous_program_fd; /* it saved the state of this one; -1: none */
	enum upgrade_step next;  /* as soon as no other change is in progress */
	struct change change;    /* while it is pending */
	uint64_t tried_request;  /* the last one when the dry run was started */
	char rollback_reason[CONFIG_ERROR_MAX];
	struct dry_run dry_run;
	struct event exec_timer; /* active while signals are blocked for an exec */
	bool is_exec_due;
	int exec_loop_turns; /* of the loop until the exec */
};

/* Begins as soon as no other change is in progress. */
void upgrade_start(struct master *master);
/* Returns to the previous program soon; the last outcome is the reason. Does nothing
 * without a previous program. */
void upgrade_rollback(struct master *master);
/* The workers of this program serve: a rollback is no longer possible. */
void upgrade_done(struct master *master);
/* Takes the next step if nothing else is in progress; to be called regularly. */
void upgrade_check(struct master *master);
/* A child that is not a worker has exited. */
void upgrade_on_child(struct master *master, pid_t pid, int status);
/* Another change begins, or a listening socket is about to be closed: cancels a dry run
 * in progress, which is repeated afterwards. */
void upgrade_postpone(struct master *master);
/* The server stops. */
void upgrade_cancel(struct master *master);
bool upgrade_is_pending(const struct master *master);

#endif
