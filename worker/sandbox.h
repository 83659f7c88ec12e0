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

/* Locks the process in, for ever; it has no_new_privs from then on. A kernel without
 * Landlock is no failure, one without seccomp is, unless that is off. 0, or -1 with the
 * reason logged. */
int sandbox_enter(enum seccomp_use seccomp) __attribute__((warn_unused_result));

/* False in a program that a sanitizer was built into, which opens files and forks as it
 * likes: sandbox_enter does nothing there. */
bool sandbox_is_possible(void);

#endif
