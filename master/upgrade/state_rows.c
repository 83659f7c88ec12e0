#include "master/upgrade/state_rows.h"

#include <limits.h>

#include "master/changes/pending_requests.h"
#include "master/upgrade/state_save.h"

#define MEMBER(type, member) JSON_RECORD(struct type, member, JSON_RECORD_OWN)
#define NAMED(key, type, member)                                                       \
	JSON_RECORD_AS(key, struct type, member, JSON_RECORD_OWN)
#define RANGE(key, type, member, which, low, high)                                     \
	{                                                                              \
		.name = (key), .offset = offsetof(struct type, member),                \
		.kind = (which), .min = (low), .max = (high)                           \
	}

const struct json_record_field state_header_fields[] = {
	MEMBER(upgrade_state, is_rollback),
	MEMBER(upgrade_state, is_dry_run),
	MEMBER(upgrade_state, program_fd),
	MEMBER(upgrade_state, config_fd),
	{ .name = NULL },
};

const struct json_record_field state_master_fields[] = {
	RANGE("generation", master, workers.generation, JSON_RECORD_UINT32, 1,
	    UINT32_MAX),
	RANGE("slot_count", master, workers.slot_count, JSON_RECORD_UINT32, 1,
	    LEDGER_SLOTS),
	NAMED("last_transfer_id", master, workers.last_transfer_id),
	NAMED("ledger_fd", master, workers.ledger_fd),
	MEMBER(master, started_ns),
	NAMED("outcome_number", master, changes.last.number),
	NAMED("outcome_is_good", master, changes.last.is_good),
	{ .name = NULL },
};

const struct json_record_field state_request_fields[] = {
	MEMBER(pending_request_row, fd),
	MEMBER(pending_request_row, waits_for_drain),
	{ .name = NULL },
};

const struct json_record_field state_listener_fields[] = {
	RANGE("config_index", listener, config_index, JSON_RECORD_INT, -1,
	    CONFIG_LISTENERS_MAX - 1),
	MEMBER(listener, is_from_manager),
	MEMBER(listener, is_order_unknown),
	RANGE("passed_sockets", listener, passed_sockets, JSON_RECORD_UINT32, 0,
	    LEDGER_SLOTS),
	MEMBER(listener, closed_socket_drops),
	MEMBER(listener, name),
	{ .name = NULL },
};

const struct json_record_field state_slot_fields[] = {
	MEMBER(slot, failures),
	MEMBER(slot, restarts),
	{ .name = NULL },
};

const struct json_record_field state_process_fields[] = {
	RANGE("pid", process, pid, JSON_RECORD_INT, 2, INT_MAX),
	RANGE("slot", process, slot, JSON_RECORD_UINT32, 0, LEDGER_SLOTS - 1),
	MEMBER(process, generation),
	MEMBER(process, channel_fd),
	MEMBER(process, is_ready),
	RANGE("state", process, state, JSON_RECORD_UINT32, 0, PROCESS_SOCKETS_CLOSED),
	MEMBER(process, moved_in),
	MEMBER(process, moved_out),
	{ .name = NULL },
};
