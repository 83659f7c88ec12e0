/*
 * state_save.h - what one program image leaves to the next one over an exec: listening
 * sockets, ledger, workers. Lines of text in a memory file, the descriptors themselves
 * stay open under their numbers:
 *
 *   yodeld-inheritance 1
 *   pid 4711                                must be ours: exec keeps it
 *   purpose upgrade|back|rehearsal
 *   reason TEXT                             of going back
 *   generation N / started NS / slots N / moves N
 *   program FD                              the image that left this (O_PATH)
 *   ledger FD
 *   config FD                               the effective configuration, as JSON
 *   path PATH                               of the program (program_path.h)
 *   origin KEY SOURCE                       of a value that is no default
 *   outcome NUMBER GOOD TEXT                of the last change
 *   door KIND FD NAME                       for operators (http_server.h)
 *   file DEVICE INODE                       of the door above, as it made it
 *   waiter FD UNTIL-END                     who hears how the upgrade ends
 *   endpoint LISTENER IS-PASSED PASSED ORDER-UNKNOWN PORT NAME
 *   drops N                                 of its closed sockets
 *   socket SLOT FD STORED                   of the endpoint above, in the group's order
 *   slot NUMBER FAILURES RESTARTS
 *   process PID SLOT GENERATION CHANNEL BOOKS READY LEAVING RETIRED MOVED_IN MOVED_OUT
 *                                           the most recent first
 *
 * An alarm(2) is set: whoever gets this and does not serve within some seconds is ended
 * by the kernel.
 *
 * Up to `outcome` (but for `path` and `origin`) every line stands there once, in this
 * order; who gives it back unread puts another purpose and reason at its end.
 */
#ifndef MASTER_UPGRADE_STATE_SAVE_H
#define MASTER_UPGRADE_STATE_SAVE_H

#include <stdbool.h>

#include "master/master.h"

#ifndef STATE_VERSION
#define STATE_VERSION "1"
#endif
#define STATE_FIRST_LINE "yodeld-inheritance " STATE_VERSION
#define STATE_VARIABLE "YODELD_INHERITANCE" /* holds the memory file's number */

struct upgrade_state {
	bool is_rollback; /* to the image that was before */
	bool is_dry_run;  /* for a child of whoever wrote it, else an upgrade */
	int program_fd;
	int config_fd; /* its configuration */
	char reason[CONFIG_ERROR_MAX];
};

/* Writes it. The memory file's descriptor, or -1 with errno. All descriptors named in
 * it (and itself) are left open over an exec; state_save_cancel undoes that. */
int state_save(const struct master *master, struct upgrade_state *upgrade_state)
    __attribute__((warn_unused_result));
void state_save_cancel(
    const struct master *master, const struct upgrade_state *upgrade_state);

/* Who left it, and what for: those lines alone. -1 as the program's descriptor: that is
 * not known. */
void state_load_header(int fd, struct upgrade_state *ret);

/* Reads it into a fresh master: configuration, ledger, endpoints, slots, processes.
 * Nothing is believed that cannot be: numbers out of their bounds, descriptors that are
 * not there, of another kind or named twice. A process that is no child of ours is a
 * lost one (process.h). 0, or -1 with the reason logged and every descriptor as it was
 * left. Nothing that is shared is changed: it can have been read in vain. fd is closed,
 * the configuration's is for the caller to close. */
int state_load(struct master *master, int fd, struct upgrade_state *ret)
    __attribute__((warn_unused_result));

#endif
