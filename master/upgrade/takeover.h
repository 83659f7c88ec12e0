/*
 * takeover.h - this program was executed by another one, which saved its state for it
 * (state_save.h).
 *
 *   takeover_arm_rollback  called first: from here on a crash, an exit or
 *                          TAKEOVER_TIMEOUT_S executes the previous program, with its
 *                          state unchanged
 *   takeover_load          reads the state; nothing shared is changed yet
 *   takeover_resume        point of no return: from here on a crash, an exit or
 *                          TAKEOVER_TIMEOUT_S ends the process, and a service manager
 *                          starts it again
 *
 * As process 1 of a container it hangs instead: the kernel does not deliver the alarm's
 * SIGALRM to process 1.
 *
 * When the loop runs the service manager's watchdog watches the master as always; if
 * the new workers fail then, it rolls back like a failed reload (upgrade.h).
 */
#ifndef MASTER_UPGRADE_TAKEOVER_H
#define MASTER_UPGRADE_TAKEOVER_H

#include <signal.h>
#include <stdbool.h>

struct master;

#define TAKEOVER_TIMEOUT_S 10 /* of the alarm that is set before the exec */

/* Does nothing in a program that was started in another way. */
void takeover_arm_rollback(char **argv);
/* True when another program saved its state for this one. */
bool takeover_is_running(void);
/* 0, or -1 with the reason logged. */
int takeover_load(struct master *master) __attribute__((warn_unused_result));
/* Executes the previous program. Returns if none exists or it cannot be executed. */
void takeover_rollback(void);
/* 0, or -1 when the new workers cannot be started: then upgrade_rollback() is due. */
int takeover_resume(struct master *master) __attribute__((warn_unused_result));

/* Signals wait while the program replaces itself, so that none is lost: they stay
 * blocked over the exec, and takeover_resume() unblocks them. Those of a crash and
 * SIGALRM are not blocked. *ret_before may be NULL. */
void takeover_block_signals(sigset_t *ret_before);
void takeover_unblock_signals(void);

#endif
