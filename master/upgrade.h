/*
 * upgrade.h - another program takes over without a pause: USR2.
 *
 *   the binary on disk checks the configuration (a child, --check)
 *     -> exec in place: same process id, the workers stay its children and serve on
 *     -> it reads the inheritance and forks a new generation (turnover.c)
 *     -> all serve: the old generation hands over and leaves
 *
 * When the new program cannot read the inheritance or its workers do not come up, it
 * execs the old one back (kept open, so it may be gone from the disk), which goes on
 * with its workers and says why.
 */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <sys/types.h>

#include "master/master.h"

/* Begins as soon as nothing else is under way. */
void upgrade_start(struct master *master);
/* The program before this one goes on, soon. Does nothing when there is none. */
void upgrade_go_back(struct master *master);
/* The new program serves: there is no way back. */
void upgrade_done(struct master *master);
/* Does what was put off until nothing else is under way. */
void upgrade_turn(struct master *master);
/* A child that is no worker has ended. */
void upgrade_on_child(struct master *master, pid_t pid, int status);

/* True when this program image was exec'd by another one, with an inheritance. */
bool upgrade_is_heir(void);
/* Takes the inheritance over. 0, or -1 when that is impossible and so is going back. */
int upgrade_inherit(struct master *master) __attribute__((warn_unused_result));
/* What is left to do once the loop can run. */
void upgrade_resume(struct master *master);

#endif
