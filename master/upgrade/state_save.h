/*
 * state_save.h - the upgrade state: what a program leaves to the one that replaces it
 * by an exec. Listening sockets, ledger and channels stay open under their numbers; the
 * rest is JSON in a memory file:
 *
 *   {"version": "1", "header": {...}, "master": {...},
 *    "origins": {KEY: SOURCE, ...}, "admin_listeners": [...],
 *    "pending_requests": [...], "listeners": [{..., "sockets": [...]}, ...],
 *    "slots": [...], "processes": [...]}
 *
 * Tables (below) describe the records; "origins" says where each value of the
 * configuration comes from that is not a default. The effective configuration is a
 * memory file of its own.
 *
 * A program that returns to the previous one appends {"rollback": REASON}, which its
 * signal handlers can do without memory (takeover.c).
 *
 * An alarm(2) is set: the kernel ends a program that does not serve in time.
 */
#ifndef MASTER_UPGRADE_STATE_SAVE_H
#define MASTER_UPGRADE_STATE_SAVE_H

#include <stdbool.h>

#include "lib/json/json_record.h"
#include "proto/channel.h"
#include "proto/transfer.h"
#include "master/master.h"

#ifndef STATE_VERSION
#define STATE_VERSION "4"
#endif
/* Versions that workers of both programs speak with the new master and with each other;
 * JSON member "protocols". */
#define STATE_PROTOCOLS                                                                \
	"channel " STATE_NUMBER(CHANNEL_VERSION) ", transfer " STATE_NUMBER(           \
	    TRANSFER_VERSION)
#define STATE_NUMBER(number) STATE_TEXT(number)
#define STATE_TEXT(number) #number
/* "STATE_FD:PROGRAM_FD:MODE" in the environment: the memory file, the program that
 * saved it, and whether this is an upgrade or the way back from one. A program can roll
 * back by this alone, before it has read the state. */
#define STATE_VARIABLE "YODELD_UPGRADE_STATE"
#define STATE_UPGRADE 'u'
#define STATE_ROLLBACK 'r'

struct upgrade_state {
	bool is_rollback;              /* for the previous program */
	bool is_dry_run;               /* for a child of the process that saved it */
	int program_fd;                /* the program that saved it */
	int config_fd;                 /* its configuration */
	char reason[CONFIG_ERROR_MAX]; /* of a rollback */
};

/* The members of the structs upgrade_state, master, pending_request_row, listener, slot
 * and process that are saved, with their constant bounds; state_load.c checks the
 * others. One that ends in fd is a descriptor that stays open over the exec. */
extern const struct json_record_field state_header_fields[], state_master_fields[],
    state_request_fields[], state_listener_fields[], state_slot_fields[],
    state_process_fields[];

/* Returns the memory file's descriptor, or -1 with errno. All descriptors named in it
 * (and itself) stay open over an exec; state_save_cancel undoes that. */
int state_save(const struct master *master, struct upgrade_state *upgrade_state)
    __attribute__((warn_unused_result));
void state_save_cancel(
    const struct master *master, const struct upgrade_state *upgrade_state);

/* Reads the state into a fresh master: configuration, ledger, listeners, slots,
 * processes. Rejects numbers out of bounds and descriptors that are missing, of another
 * kind, close-on-exec or named twice; accepted ones become close-on-exec. A process
 * that is not a child of this one has an unknown exit status (process.h).
 *
 * 0, or -1 with the reason logged and every descriptor as it was. Nothing shared is
 * changed either way. fd is closed; the caller closes the configuration's. */
int state_load(struct master *master, int fd, struct upgrade_state *ret)
    __attribute__((warn_unused_result));

#endif
