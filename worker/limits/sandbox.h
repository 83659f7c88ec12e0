/*
 * sandbox.h - the last steps before a worker serves: it drops root permanently, keeps
 * its open descriptors, and can open no others.
 *
 *   user       another user, if configured; no capability, no_new_privs
 *   Landlock   no file is opened, created, renamed or executed by name, no TCP port
 *              bound or connected to, no abstract socket reached, no other process
 *              signalled; as far as the kernel supports it (landlock(7))
 *   seccomp    no system call that the loop does not need (seccomp(2)): no socket,
 *              connect, open, execve, fork, ptrace, no executable memory
 *
 * Anything from outside arrives as a descriptor over the channel.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <stdbool.h>

#include "conf/config.h"

/* If `user` is set and the process is root, becomes `user` and `group` (NULL: the
 * primary group of the user) permanently, with an empty bounding set. In any case the
 * process then holds no capability and gets none from a program that it executes
 * (no_new_privs). 0, or -1 with the reason logged. */
int sandbox_drop_privileges(const char *user, const char *group)
    __attribute__((warn_unused_result));
/* Warns if `user` is another user that this process, which is not root, cannot become.
 */
void sandbox_warn_about_user(const char *user);

/* Confines the process permanently. Fails without seccomp, unless that is off; a kernel
 * without Landlock is not a failure. 0, or -1 with the reason logged. */
int sandbox_enter(enum seccomp_use seccomp) __attribute__((warn_unused_result));

/* As sandbox_enter(), for a keeper (keeper/keeper.h), which accepts no connection and
 * reads no message: it may pass descriptors on, in packets. */
int sandbox_enter_keeper(enum seccomp_use seccomp) __attribute__((warn_unused_result));

/* False in a program built with a sanitizer, which opens files and forks at any time:
 * there sandbox_enter does nothing. */
bool sandbox_is_possible(void);

/* The process makes no core file, and no process of its user can read its memory: for
 * one that has keys in it. After it has opened its files in /proc/self; also inside
 * the sandbox. */
void sandbox_hide_memory(void);

#endif
