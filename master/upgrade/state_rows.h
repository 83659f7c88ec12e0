/*
 * state_rows.h - the members of the master's structs that an upgrade state holds
 * (state_save.h), as tables for lib/json/json_record.h.
 *
 * A member that ends in fd is the number of a descriptor that stays open over the exec.
 * The tables hold the constant bounds; state_load.c checks the others.
 */
#ifndef MASTER_UPGRADE_STATE_ROWS_H
#define MASTER_UPGRADE_STATE_ROWS_H

#include "lib/json/json_record.h"

/* Of the structs upgrade_state, master, pending_request_row, listener, slot, process.
 */
extern const struct json_record_field state_header_fields[], state_master_fields[],
    state_request_fields[], state_listener_fields[], state_slot_fields[],
    state_process_fields[];

#endif
