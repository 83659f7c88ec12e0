#include "client/result_fields.h"

#define END                                                                            \
	{                                                                              \
		.name = NULL                                                           \
	}
#define COUNTS_AS(key, type, member, keys)                                             \
	{                                                                              \
		.name = (key), .offset = offsetof(type, member),                       \
		.kind = RECORD_COUNTS, .sum = RECORD_SUM, .names = (keys)              \
	}
#define COUNTS(type, member, keys) COUNTS_AS(#member, type, member, keys)
#define PART(key, type, member, fields)                                                \
	{                                                                              \
		.name = (key), .offset = offsetof(type, member), .kind = RECORD_PART,  \
		.part = (fields)                                                       \
	}

#define PLAN struct result_plan
#define X(name, how) RECORD(PLAN, name, RECORD_##how),
const struct record_field result_plan_fields[] = {
	{ .name = "targets",
	    .kind = RECORD_TEXTS,
	    .offset = offsetof(PLAN, targets),
	    .count_offset = offsetof(PLAN, target_count) },
	RESULT_PLAN_TEXTS(X) RECORD_OF(PLAN, seed, RECORD_OWN, RECORD_WORD),
	RESULT_PLAN_COUNTS(X) RESULT_PLAN_REALS(X) RESULT_PLAN_FLAGS(X) END,
};
#undef X

#define CONNECTIONS struct result_connections
static const struct record_field connections_fields[] = {
	RECORD(CONNECTIONS, requested, RECORD_SUM),
	RECORD(CONNECTIONS, attempted, RECORD_SUM),
	RECORD(CONNECTIONS, established, RECORD_SUM),
	COUNTS(CONNECTIONS, failed, tally_connect_failure_names),
	RECORD(CONNECTIONS, reconnects, RECORD_SUM),
	RECORD(CONNECTIONS, lost, RECORD_SUM),
	RECORD(CONNECTIONS, reset, RECORD_SUM),
	RECORD(CONNECTIONS, first, RECORD_SUM),
	END,
};

/* `at` is where they are in the type: `messages.`, or nothing. */
#define MESSAGE_FIELDS(type, at)                                                       \
	RECORD_AS("sent", type, at sent, RECORD_SUM),                                  \
	    RECORD_AS("verified", type, at verified, RECORD_SUM),                      \
	    RECORD_AS("wrong", type, at wrong, RECORD_SUM),                            \
	    COUNTS_AS("lost", type, at lost, tally_loss_names),                        \
	    RECORD_AS("in_flight", type, at in_flight, RECORD_SUM)
const struct record_field result_messages_fields[] = {
	MESSAGE_FIELDS(struct result_messages, ),
	END,
};

/* Each machine has its ports; ranks of one share its TIME_WAIT, then counted twice. */
#define PORTS struct result_ports
static const struct record_field ports_fields[] = {
	RECORD(PORTS, available, RECORD_SUM),
	RECORD(PORTS, held_max, RECORD_SUM),
	RECORD(PORTS, time_wait_before, RECORD_SUM),
	RECORD(PORTS, time_wait_max, RECORD_SUM),
	END,
};

#define HOST struct result_host
static const struct record_field host_fields[] = {
	RECORD(HOST, hostname, RECORD_OWN),
	RECORD(HOST, kernel, RECORD_OWN),
	RECORD(HOST, cpus, RECORD_SUM),
	RECORD(HOST, cpu_user_s, RECORD_SUM),
	RECORD(HOST, cpu_sys_s, RECORD_SUM),
	RECORD(HOST, memory_bytes, RECORD_MOST),
	RECORD(HOST, retransmits, RECORD_SUM),
	RECORD(HOST, host_retransmits, RECORD_SUM),
	RECORD(HOST, listen_overflows, RECORD_SUM),
	RECORD(HOST, listen_drops, RECORD_SUM),
	END,
};

#define TRUST struct result_trust
const struct record_field result_trust_fields[] = {
	{ .name = "reasons",
	    .kind = RECORD_TEXTS,
	    .offset = offsetof(TRUST, reasons),
	    .count_offset = offsetof(TRUST, reason_count) },
	END,
};

#define RESULT struct result
/* The measured messages, with what goes beyond their equation. */
static const struct record_field measured_fields[] = {
	MESSAGE_FIELDS(RESULT, messages.),
	RECORD_AS("due", RESULT, messages_due, RECORD_SUM),
	RECORD_AS("late", RESULT, messages_late, RECORD_SUM),
	RECORD(RESULT, oldest_lost_ns, RECORD_MOST),
	END,
};

static const struct record_field bytes_fields[] = {
	RECORD_AS("sent", RESULT, bytes_sent, RECORD_SUM),
	RECORD_AS("received", RESULT, bytes_received, RECORD_SUM),
	RECORD_AS("surplus", RESULT, bytes_surplus, RECORD_SUM),
	END,
};

static const struct record_field rates_fields[] = {
	RECORD(RESULT, messages_per_s, RECORD_OWN),
	RECORD(RESULT, connections_per_s, RECORD_SUM),
	END,
};

/* A part that is made of members of the whole begins where that does. */
#define OF_ALL(key, fields)                                                            \
	{                                                                              \
		.name = (key), .kind = RECORD_PART, .part = (fields)                   \
	}
const struct record_field result_fields[] = {
	PART("plan", RESULT, plan, result_plan_fields),
	RECORD(RESULT, elapsed_s, RECORD_OWN),
	RECORD(RESULT, interrupted, RECORD_MOST),
	PART("connections", RESULT, connections, connections_fields),
	OF_ALL("messages", measured_fields),
	PART("warmup", RESULT, warmup, result_messages_fields),
	OF_ALL("bytes", bytes_fields),
	OF_ALL("rates", rates_fields),
	PART("host", RESULT, host, host_fields),
	{ .name = "ports",
	    .kind = RECORD_PART,
	    .optional = true,
	    .offset = offsetof(RESULT, ports),
	    .part = ports_fields },
	END,
};

#define TARGET struct result_target
const struct record_field result_target_fields[] = {
	RECORD(TARGET, name, RECORD_OWN),
	RECORD(TARGET, established, RECORD_SUM),
	COUNTS(TARGET, failed, tally_connect_failure_names),
	RECORD(TARGET, last_error, RECORD_OWN),
	END,
};

#define LOST struct result_lost_connection
const struct record_field result_lost_connection_fields[] = {
	RECORD(LOST, connection, RECORD_OWN),
	RECORD(LOST, at, RECORD_OWN),
	RECORD(LOST, why, RECORD_OWN),
	RECORD(LOST, local, RECORD_OWN),
	RECORD(LOST, remote, RECORD_OWN),
	RECORD(LOST, messages, RECORD_OWN),
	RECORD(LOST, message, RECORD_OWN),
	RECORD(LOST, answer_bytes, RECORD_OWN),
	RECORD(LOST, answer_length, RECORD_OWN),
	RECORD(LOST, unacknowledged, RECORD_OWN),
	RECORD(LOST, waited_ns, RECORD_OWN),
	RECORD(LOST, silent_ns, RECORD_OWN),
	END,
};

#define PROCESS struct result_process
static const struct record_field process_fields[] = {
	RECORD(PROCESS, process, RECORD_OWN),
	RECORD(PROCESS, pid, RECORD_OWN),
	RECORD(PROCESS, connections, RECORD_OWN),
	RECORD(PROCESS, sent, RECORD_OWN),
	RECORD(PROCESS, verified, RECORD_OWN),
	RECORD(PROCESS, cpu_user_s, RECORD_OWN),
	RECORD(PROCESS, cpu_sys_s, RECORD_OWN),
	RECORD(PROCESS, cpu_share, RECORD_OWN),
	RECORD(PROCESS, loop_lag_max_ns, RECORD_OWN),
	RECORD(PROCESS, died, RECORD_OWN),
	END,
};

#define SECOND struct result_second
const struct record_field result_second_fields[] = {
	RECORD(SECOND, at_s, RECORD_OWN),
	RECORD(SECOND, length_s, RECORD_MOST),
	RECORD(SECOND, connections_open, RECORD_SUM),
	RECORD(SECOND, sent, RECORD_SUM),
	RECORD(SECOND, verified, RECORD_SUM),
	RECORD(SECOND, wrong, RECORD_SUM),
	RECORD(SECOND, lost, RECORD_SUM),
	RECORD(SECOND, count, RECORD_SUM),
	RECORD_OF(SECOND, mean_ns, RECORD_OWN, RECORD_MAYBE),
	RECORD_OF(SECOND, p50_ns, RECORD_OWN, RECORD_KNOWN),
	RECORD_OF(SECOND, p90_ns, RECORD_OWN, RECORD_KNOWN),
	RECORD_OF(SECOND, p99_ns, RECORD_OWN, RECORD_KNOWN),
	RECORD(SECOND, max_ns, RECORD_MOST),
	END,
};

#define RANK struct result_rank
const struct record_field result_rank_fields[] = {
	RECORD(RANK, rank, RECORD_OWN),
	RECORD(RANK, hostname, RECORD_OWN),
	RECORD(RANK, started_at, RECORD_OWN),
	RECORD(RANK, elapsed_s, RECORD_OWN),
	RECORD(RANK, messages_per_s, RECORD_OWN),
	PART("messages", RANK, messages, result_messages_fields),
	RECORD(RANK, p50_ns, RECORD_OWN),
	RECORD(RANK, p90_ns, RECORD_OWN),
	RECORD(RANK, p99_ns, RECORD_OWN),
	RECORD(RANK, p999_ns, RECORD_OWN),
	RECORD(RANK, p9999_ns, RECORD_OWN),
	RECORD(RANK, max_ns, RECORD_OWN),
	RECORD(RANK, verdict, RECORD_OWN),
	RECORD(RANK, reasons, RECORD_OWN),
	END,
};

#define LIST(key, number, ...)                                                         \
	{                                                                              \
		.name = #key, .items = offsetof(RESULT, key),                          \
		.count = offsetof(RESULT, number),                                     \
		.row_bytes = sizeof(*((RESULT *)0)->key), __VA_ARGS__                  \
	}
const struct result_list result_lists[] = {
	LIST(targets, target_count, .fields = result_target_fields, .optional = true),
	LIST(lost_connections, lost_connection_count,
	    .fields = result_lost_connection_fields, .optional = true),
	LIST(mismatches, mismatch_count, .row = RESULT_MISMATCH),
	LIST(thresholds, threshold_count, .row = RESULT_THRESHOLD),
	LIST(processes, process_count, .fields = process_fields),
	LIST(seconds, second_count, .fields = result_second_fields),
	LIST(ranks, rank_count, .fields = result_rank_fields),
	END,
};
