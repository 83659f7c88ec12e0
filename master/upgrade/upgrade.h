/*
 * upgrade.h - another program takes over without a pause: USR2.
 *
 *   the program on disk rehearses it beside the one that serves (dry_run.h)
 *     -> exec in place: same process id, the workers stay its children and serve on
 *     -> it takes the inheritance over (takeover.h) and forks a new generation
 * (reload.c)
 *     -> all serve: the old generation hands over and leaves
 *
 * When it has not rehearsed well nothing has happened. When it does not set itself up
 * after all, or its workers do not come up, it execs the old one back (kept open, so it
 * may be gone from the disk), which goes on with its workers and says why.
 */
#ifndef MASTER_UPGRADE_UPGRADE_H
#define MASTER_UPGRADE_UPGRADE_H

#include <sys/types.h>

#include "master/master.h"

/* Begins as soon as nothing else is under way. */
void upgrade_start(struct master *master);
/* The program before this one goes on, soon: the last outcome is the reason. Does
 * nothing when there is none. */
void upgrade_rollback(struct master *master);
/* The new program serves: there is no way back. */
void upgrade_done(struct master *master);
/* Does what was put off until nothing else is under way. */
void upgrade_check(struct master *master);
/* A child that is no worker has ended. */
void upgrade_on_child(struct master *master, pid_t pid, int status);
/* Another change begins, or a listening socket is about to be closed: a rehearsal that
 * is under way is given up, and begins anew when it may. */
void upgrade_postpone(struct master *master);
/* The server stops. */
void upgrade_cancel(struct master *master);

#endif
