/*
 * dry_run.h - the program on disk is tried out before it takes over: a child, beside
 * the program that serves, becomes it with a copy of the very inheritance.
 *
 *   NEW --check, YODELD_DRY_RUN in its environment: the inheritance's memory file
 *     -> it loads the configuration, reads the inheritance, sets itself up
 *     -> up to where it would act: it changes nothing that is shared (no connection is
 *        accepted, no socket or file changed, nobody told anything)
 *     -> its last line on stdout: that it has rehearsed, and what; status 0
 *
 * Only that line is a yes. Another program knows nothing of it, and neither does a
 * yodeld without a rehearsal: for that, --check is a check and harmless.
 *
 * The child holds copies of all listening sockets: none may be closed while it lives
 * (who came to it then would wait for nobody), so it is given up first.
 */
#ifndef MASTER_UPGRADE_DRY_RUN_H
#define MASTER_UPGRADE_DRY_RUN_H

#include <sys/types.h>

#include "master/master.h"

#define DRY_RUN_VARIABLE "YODELD_DRY_RUN"

/* 0, or -1 with errno. SIGCHLD tells its end. */
int dry_run_start(struct master *master) __attribute__((warn_unused_result));
bool dry_run_is_running(const struct master *master);
/* It has ended with this status. True when the program can take over; else the reason
 * is in reason[size]. */
bool dry_run_check(struct master *master, int status, char *reason, size_t size);
/* From the regular look: one that takes too long is ended. */
void dry_run_check_deadline(struct master *master);
/* Ends it at once. Returns whether there was one. */
bool dry_run_cancel(struct master *master);
/* The program on the disk is the one that has rehearsed. */
bool dry_run_is_current(const struct master *master);

/* The descriptor of the inheritance; -1: this is no rehearsal. */
int dry_run_state_fd(void);
/* Says that all went well. 0, or -1 when that cannot be said. */
int dry_run_report(void) __attribute__((warn_unused_result));

#endif
