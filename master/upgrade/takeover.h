/*
 * takeover.h - this program image was exec'd by another one, which left it everything
 * (state_save.h).
 *
 *   takeover_arm_rollback    the first thing of all: whatever ends this image from here
 * on, a crash, an exit, TAKEOVER_TIMEOUT_S gone by, execs the former one, which gets
 * its inheritance back as it was takeover_load     reads it; nothing that is shared is
 * changed yet takeover_resume   from here on it acts: what it was left has become its
 * own, an end is the end, and so are TAKEOVER_TIMEOUT_S gone by until this is over. A
 *                 service manager starts it again. (Process 1 of a container is
 *                 spared by the kernel, and hangs.)
 *
 * Once the loop turns the master is watched like any other (service_manager.h); workers
 * that do not come up then are a failed turnover, after which it goes back (upgrade.h).
 */
#ifndef MASTER_UPGRADE_TAKEOVER_H
#define MASTER_UPGRADE_TAKEOVER_H

#include "master/master.h"

#define TAKEOVER_TIMEOUT_S 10 /* of the alarm that is set before the exec */

/* Does nothing in an image that nobody left anything. */
void takeover_arm_rollback(char **argv);
/* True when this image was left something. */
bool takeover_is_running(void);

/* 0, or -1 with the reason logged. */
int takeover_load(struct master *master) __attribute__((warn_unused_result));
/* The former program goes on. Comes back when there is none, or it cannot be run. */
void takeover_rollback(void);
void takeover_resume(struct master *master);

#endif
