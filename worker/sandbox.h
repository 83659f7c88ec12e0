/*
 * sandbox.h - the last thing before a worker serves: it keeps what it has, and can get
 * nothing else.
 *
 *   Landlock   no file is opened, made, renamed or run by name, no TCP port bound or
 *              connected to, no abstract socket reached, no other process signalled;
 *              as much of that as the kernel knows (landlock(7))
 *   seccomp    system calls that the loop does not make are not made (seccomp(2)): no
 *              socket, connect, open, execve, fork, ptrace, no memory that can be
 *              executed
 *
 * What must come from outside comes as a descriptor over the channel.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <stdbool.h>

#include "conf/config.h"

/* Becomes `user` and `group` (NULL: the user's own), for ever, when `user` is not NULL
 * and the process is root. Whoever it is then holds no capability, gets none from a
 * program that it executes (no_new_privs), and, where the process was root, has an
 * empty bounding set. 0, or -1 with the reason logged. */
int sandbox_drop_privileges(const char *user, const char *group)
    __attribute__((warn_unused_result));
/* Warns where `user` is somebody else whom this process cannot become: it stays what it
 * is, which is no root. */
void sandbox_warn_about_user(const char *user);

/* Locks the process in, for ever; it has no_new_privs from then on. A kernel without
 * Landlock is no failure, one without seccomp is, unless that is off. 0, or -1 with the
 * reason logged. */
int sandbox_enter(enum seccomp_use seccomp) __attribute__((warn_unused_result));

/* False in a program that a sanitizer was built into, which opens files and forks as it
 * likes: sandbox_enter does nothing there. */
bool sandbox_is_possible(void);

#endif
