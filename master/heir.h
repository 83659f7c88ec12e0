/*
 * heir.h - this program image was exec'd by another one, which left it everything
 * (inheritance.h).
 *
 *   heir_guard    the first thing of all: whatever ends this image from here on, a
 *                 crash, an exit, HEIR_LIMIT_S gone by, execs the former one, which
 *                 gets its inheritance back as it was
 *   heir_read     reads it; nothing that is shared is changed yet
 *   heir_resume   from here on it acts: what it was left has become its own, an end
 *                 is the end, and so are HEIR_LIMIT_S gone by until this is over. A
 *                 service manager starts it again. (Process 1 of a container is
 *                 spared by the kernel, and hangs.)
 *
 * Once the loop turns the master is watched like any other (notify.h); workers that do
 * not come up then are a failed turnover, after which it goes back (upgrade.h).
 */
#ifndef MASTER_HEIR_H
#define MASTER_HEIR_H

#include "master/master.h"

#define HEIR_LIMIT_S 10 /* of the alarm that is set before the exec */

/* Does nothing in an image that nobody left anything. */
void heir_guard(char **argv);
/* True when this image was left something. */
bool heir_is(void);

/* 0, or -1 with the reason logged. */
int heir_read(struct master *master) __attribute__((warn_unused_result));
/* The former program goes on. Comes back when there is none, or it cannot be run. */
void heir_give_back(void);
void heir_resume(struct master *master);

#endif
