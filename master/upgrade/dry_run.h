/*
 * dry_run.h - tests whether the program on disk can take over: a child executes it with
 * --check and a copy of the upgrade state, which it loads as in a takeover. It stops
 * before it changes anything shared, and prints as its last line that it has passed.
 * Only that line counts: for any other program --check is harmless.
 *
 * The child holds copies of all listening sockets. Cancel the dry run before closing
 * one: otherwise connections in its queue would never be accepted.
 */
#ifndef MASTER_UPGRADE_DRY_RUN_H
#define MASTER_UPGRADE_DRY_RUN_H

#include <sys/stat.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRY_RUN_VARIABLE "YODELD_DRY_RUN"

struct master;

struct dry_run {
	pid_t pid;               /* 0: none is in progress */
	int output_fd, error_fd; /* its standard output and error */
	uint64_t started_ns;
	bool is_late;     /* it has been killed for that */
	struct stat file; /* the program */
};

/* 0, or -1 with errno. SIGCHLD reports its end. */
int dry_run_start(struct master *master) __attribute__((warn_unused_result));
/* It has exited with this status. True when the program can take over; else the reason
 * is in reason[size]. */
bool dry_run_check(struct dry_run *dry_run, int status, char *reason, size_t size);
/* To be called regularly: kills one that takes too long. */
void dry_run_check_deadline(struct dry_run *dry_run);
/* Kills the child. True if a dry run was in progress. */
bool dry_run_cancel(struct dry_run *dry_run);
/* True if the program on disk is still the one that has passed. */
bool dry_run_is_current(const struct dry_run *dry_run);

/* In the child: the descriptor of the upgrade state; -1: this is not a dry run. */
int dry_run_state_fd(void);
/* In the child: prints that it has passed. 0, or -1. */
int dry_run_report(void) __attribute__((warn_unused_result));

#endif
