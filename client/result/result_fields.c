#include "client/result/result_fields.h"

#define END                                                                            \
	{                                                                              \
		.name = NULL                                                           \
	}
#define COUNTS_AS(key, type, member, keys)                                             \
	{                                                                              \
		.name = (key), .offset = offsetof(type, member),                       \
		.kind = JSON_RECORD_COUNTS, .sum = JSON_RECORD_SUM, .names = (keys)    \
	}
#define COUNTS(type, member, keys) COUNTS_AS(#member, type, member, keys)
#define PART(key, type, member, fields)                                                \
	{                                                                              \
		.name = (key), .offset = offsetof(type, member),                       \
		.kind = JSON_RECORD_PART, .part = (fields)                             \
	}
/* A member of which a merge keeps the first value. `at`: the part it is in, or empty.
 */
#define PLAIN(type, at, member)                                                        \
	JSON_RECORD_AS(#member, type, at member, JSON_RECORD_OWN)
/* A part whose members are members of the whole, and whose offsets start there. */
#define OF_ALL(key, fields)                                                            \
	{                                                                              \
		.name = (key), .kind = JSON_RECORD_PART, .part = (fields)              \
	}

#define PLAN struct result_plan
#define X(name, how) JSON_RECORD(PLAN, name, JSON_RECORD_##how),
const struct json_record_field result_plan_fields[] = {
	{ .name = "targets",
	    .kind = JSON_RECORD_TEXTS,
	    .offset = offsetof(PLAN, targets),
	    .count_offset = offsetof(PLAN, target_count) },
	RESULT_PLAN_TEXTS(X)
	    JSON_RECORD_OF(PLAN, seed, JSON_RECORD_OWN, JSON_RECORD_WORD),
	RESULT_PLAN_COUNTS(X) RESULT_PLAN_REALS(X) RESULT_PLAN_FLAGS(X) END,
};
#undef X

#define CONNECTIONS struct result_connections
static const struct json_record_field connections_fields[] = {
	JSON_RECORD(CONNECTIONS, requested, JSON_RECORD_SUM),
	JSON_RECORD(CONNECTIONS, attempted, JSON_RECORD_SUM),
	JSON_RECORD(CONNECTIONS, established, JSON_RECORD_SUM),
	COUNTS(CONNECTIONS, failed, counters_connect_failure_names),
	JSON_RECORD(CONNECTIONS, reconnects, JSON_RECORD_SUM),
	JSON_RECORD(CONNECTIONS, lost, JSON_RECORD_SUM),
	JSON_RECORD(CONNECTIONS, reset, JSON_RECORD_SUM),
	JSON_RECORD(CONNECTIONS, first, JSON_RECORD_SUM),
	{ .name = "close",
	    .offset = offsetof(CONNECTIONS, close),
	    .kind = JSON_RECORD_COUNTS,
	    .sum = JSON_RECORD_SUM,
	    .names = counters_close_names,
	    .may_miss = true },
	{ .name = "sockets",
	    .offset = offsetof(CONNECTIONS, sockets),
	    .kind = JSON_RECORD_COUNTS,
	    .sum = JSON_RECORD_SUM,
	    .names = counters_socket_names,
	    .may_miss = true },
	END,
};

#define MESSAGE_FIELDS(type, at)                                                       \
	JSON_RECORD_AS("sent", type, at sent, JSON_RECORD_SUM),                        \
	    JSON_RECORD_AS("verified", type, at verified, JSON_RECORD_SUM),            \
	    JSON_RECORD_AS("wrong", type, at wrong, JSON_RECORD_SUM),                  \
	    COUNTS_AS("lost", type, at lost, counters_loss_names),                     \
	    JSON_RECORD_AS("in_flight", type, at in_flight, JSON_RECORD_SUM)
const struct json_record_field result_messages_fields[] = {
	MESSAGE_FIELDS(struct result_messages, ),
	END,
};

/* Ranks on one machine share its ports and TIME_WAIT; a merge counts them twice. */
#define PORTS struct result_ports
static const struct json_record_field ports_fields[] = {
	JSON_RECORD(PORTS, available, JSON_RECORD_SUM),
	JSON_RECORD(PORTS, held_max, JSON_RECORD_SUM),
	JSON_RECORD(PORTS, time_wait_before, JSON_RECORD_SUM),
	JSON_RECORD(PORTS, time_wait_max, JSON_RECORD_SUM),
	END,
};

#define HOST struct result_host
static const struct json_record_field host_fields[] = {
	JSON_RECORD(HOST, hostname, JSON_RECORD_OWN),
	JSON_RECORD(HOST, kernel, JSON_RECORD_OWN),
	JSON_RECORD(HOST, cpus, JSON_RECORD_SUM),
	JSON_RECORD(HOST, cpu_user_s, JSON_RECORD_SUM),
	JSON_RECORD(HOST, cpu_sys_s, JSON_RECORD_SUM),
	JSON_RECORD(HOST, throttled_s, JSON_RECORD_SUM),
	JSON_RECORD(HOST, steal_s, JSON_RECORD_SUM),
	JSON_RECORD(HOST, memory_bytes, JSON_RECORD_MOST),
	JSON_RECORD(HOST, retransmits, JSON_RECORD_SUM),
	JSON_RECORD(HOST, host_retransmits, JSON_RECORD_SUM),
	JSON_RECORD(HOST, listen_overflows, JSON_RECORD_SUM),
	JSON_RECORD(HOST, listen_drops, JSON_RECORD_SUM),
	END,
};

#define TRUST struct result_trust
const struct json_record_field result_trust_fields[] = {
	{ .name = "reasons",
	    .kind = JSON_RECORD_TEXTS,
	    .offset = offsetof(TRUST, reasons),
	    .count_offset = offsetof(TRUST, reason_count) },
	END,
};

#define RESULT struct result
static const struct json_record_field measured_fields[] = {
	MESSAGE_FIELDS(RESULT, messages.),
	JSON_RECORD_AS("due", RESULT, messages_due, JSON_RECORD_SUM),
	JSON_RECORD_AS("late", RESULT, messages_late, JSON_RECORD_SUM),
	JSON_RECORD(RESULT, oldest_lost_ns, JSON_RECORD_MOST),
	END,
};

static const struct json_record_field bytes_fields[] = {
	JSON_RECORD_AS("sent", RESULT, bytes_sent, JSON_RECORD_SUM),
	JSON_RECORD_AS("received", RESULT, bytes_received, JSON_RECORD_SUM),
	JSON_RECORD_AS("surplus", RESULT, bytes_unexpected, JSON_RECORD_SUM),
	END,
};

static const struct json_record_field rates_fields[] = {
	JSON_RECORD(RESULT, messages_per_s, JSON_RECORD_OWN),
	JSON_RECORD(RESULT, connections_per_s, JSON_RECORD_SUM),
	END,
};

#define WHOAMI struct result_whoami
static const struct json_record_field whoami_fields[] = {
	JSON_RECORD(WHOAMI, connections, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, translated, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, ports_kept, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, outside_addresses, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, shared_ports, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, headers, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, reconnected, JSON_RECORD_SUM),
	JSON_RECORD(WHOAMI, stayed, JSON_RECORD_SUM),
	END,
};

#define HOLD struct result_hold
static const struct json_record_field hold_fields[] = {
	JSON_RECORD(HOLD, periods, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, unlisted, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, connections, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, lost, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, reconnected, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, other_server, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, open, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, inexact, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, doubtful, JSON_RECORD_SUM),
	JSON_RECORD(HOLD, own_max_ns, JSON_RECORD_MOST),
	END,
};

#define TLS struct result_tls
static const struct json_record_field tls_fields[] = {
	JSON_RECORD(TLS, handshakes, JSON_RECORD_SUM),
	JSON_RECORD(TLS, resumed, JSON_RECORD_SUM),
	JSON_RECORD(TLS, offered, JSON_RECORD_SUM),
	JSON_RECORD(TLS, tickets, JSON_RECORD_SUM),
	JSON_RECORD(TLS, lost_keys, JSON_RECORD_SUM),
	JSON_RECORD(TLS, truncated, JSON_RECORD_SUM),
	JSON_RECORD(TLS, bad_records, JSON_RECORD_SUM),
	JSON_RECORD(TLS, alerts, JSON_RECORD_SUM),
	JSON_RECORD(TLS, record_bytes_sent, JSON_RECORD_SUM),
	JSON_RECORD(TLS, record_bytes_received, JSON_RECORD_SUM),
	JSON_RECORD(TLS, handshake_bytes_sent, JSON_RECORD_SUM),
	JSON_RECORD(TLS, handshake_bytes_received, JSON_RECORD_SUM),
	END,
};

const struct json_record_field result_fields[] = {
	JSON_RECORD(RESULT, version, JSON_RECORD_OWN),
	JSON_RECORD(RESULT, command, JSON_RECORD_OWN),
	PART("plan", RESULT, plan, result_plan_fields),
	JSON_RECORD(RESULT, elapsed_s, JSON_RECORD_OWN),
	JSON_RECORD(RESULT, interrupted, JSON_RECORD_MOST),
	PART("connections", RESULT, connections, connections_fields),
	OF_ALL("messages", measured_fields),
	PART("warmup", RESULT, warmup, result_messages_fields),
	OF_ALL("bytes", bytes_fields),
	OF_ALL("rates", rates_fields),
	PART("host", RESULT, host, host_fields),
	PART("ports", RESULT, ports, ports_fields),
	{ .name = "whoami",
	    .offset = offsetof(RESULT, whoami),
	    .kind = JSON_RECORD_PART,
	    .part = whoami_fields,
	    .may_miss = true },
	{ .name = "hold",
	    .offset = offsetof(RESULT, hold),
	    .kind = JSON_RECORD_PART,
	    .part = hold_fields,
	    .may_miss = true },
	{ .name = "tls",
	    .offset = offsetof(RESULT, tls),
	    .kind = JSON_RECORD_PART,
	    .part = tls_fields,
	    .may_miss = true },
	END,
};

#define TARGET struct result_target
const struct json_record_field result_target_fields[] = {
	JSON_RECORD(TARGET, name, JSON_RECORD_OWN),
	JSON_RECORD(TARGET, established, JSON_RECORD_SUM),
	COUNTS(TARGET, failed, counters_connect_failure_names),
	JSON_RECORD(TARGET, last_error, JSON_RECORD_OWN),
	JSON_RECORD(TARGET, verified, JSON_RECORD_SUM),
	JSON_RECORD(TARGET, wrong, JSON_RECORD_SUM),
	JSON_RECORD(TARGET, lost, JSON_RECORD_SUM),
	JSON_RECORD_OF(TARGET, p50_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD_OF(TARGET, p99_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	END,
};

#define ADDRESS struct result_address
const struct json_record_field result_address_fields[] = {
	JSON_RECORD(ADDRESS, target, JSON_RECORD_OWN),
	JSON_RECORD(ADDRESS, address, JSON_RECORD_OWN),
	JSON_RECORD(ADDRESS, attempted, JSON_RECORD_SUM),
	JSON_RECORD(ADDRESS, established, JSON_RECORD_SUM),
	COUNTS(ADDRESS, failed, counters_connect_failure_names),
	JSON_RECORD(ADDRESS, last_error, JSON_RECORD_OWN),
	END,
};

#define LOSSES struct result_losses
const struct json_record_field result_losses_fields[] = {
	JSON_RECORD(LOSSES, why, JSON_RECORD_OWN),
	JSON_RECORD_AS("idle", LOSSES, was_idle, JSON_RECORD_OWN),
	JSON_RECORD(LOSSES, connections, JSON_RECORD_SUM),
	JSON_RECORD(LOSSES, messages, JSON_RECORD_SUM),
	JSON_RECORD(LOSSES, silent_min_ns, JSON_RECORD_OWN),
	JSON_RECORD(LOSSES, silent_max_ns, JSON_RECORD_MOST),
	JSON_RECORD(LOSSES, age_min_ns, JSON_RECORD_OWN),
	JSON_RECORD(LOSSES, age_max_ns, JSON_RECORD_MOST),
	JSON_RECORD(LOSSES, silent_sum_ns, JSON_RECORD_SUM),
	JSON_RECORD(LOSSES, age_sum_ns, JSON_RECORD_SUM),
	JSON_RECORD(LOSSES, first_at, JSON_RECORD_OWN),
	JSON_RECORD(LOSSES, last_at, JSON_RECORD_OWN),
	END,
};

#define SERVER struct result_server
const struct json_record_field result_server_fields[] = {
	JSON_RECORD(SERVER, name, JSON_RECORD_OWN),
	JSON_RECORD(SERVER, connections, JSON_RECORD_SUM),
	JSON_RECORD(SERVER, messages, JSON_RECORD_SUM),
	JSON_RECORD(SERVER, lost, JSON_RECORD_SUM),
	END,
};

#define OUTSIDE struct result_outside
static const struct json_record_field outside_fields[] = {
	JSON_RECORD(OUTSIDE, address, JSON_RECORD_OWN),
	JSON_RECORD(OUTSIDE, connections, JSON_RECORD_SUM),
	END,
};

#define TLS_COUNT struct result_tls_count
const struct json_record_field result_tls_count_fields[] = {
	JSON_RECORD(TLS_COUNT, kind, JSON_RECORD_OWN),
	JSON_RECORD(TLS_COUNT, text, JSON_RECORD_OWN),
	JSON_RECORD(TLS_COUNT, connections, JSON_RECORD_SUM),
	END,
};

#define CERTIFICATE struct result_certificate
const struct json_record_field result_certificate_fields[] = {
	JSON_RECORD(CERTIFICATE, target, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, position, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, subject, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, issuer, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, names, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, key, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, not_before, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, not_after, JSON_RECORD_OWN),
	JSON_RECORD(CERTIFICATE, sha256, JSON_RECORD_OWN),
	END,
};

#define LOST struct result_lost_connection
static const struct json_record_field lost_connection_fields[] = {
	JSON_RECORD(LOST, connection, JSON_RECORD_OWN),
	JSON_RECORD(LOST, at, JSON_RECORD_OWN),
	JSON_RECORD(LOST, why, JSON_RECORD_OWN),
	JSON_RECORD(LOST, local, JSON_RECORD_OWN),
	JSON_RECORD(LOST, remote, JSON_RECORD_OWN),
	JSON_RECORD(LOST, messages, JSON_RECORD_OWN),
	JSON_RECORD(LOST, message, JSON_RECORD_OWN),
	JSON_RECORD(LOST, answer_bytes, JSON_RECORD_OWN),
	JSON_RECORD(LOST, answer_length, JSON_RECORD_OWN),
	JSON_RECORD(LOST, unacknowledged, JSON_RECORD_OWN),
	JSON_RECORD(LOST, waited_ns, JSON_RECORD_OWN),
	JSON_RECORD(LOST, silent_ns, JSON_RECORD_OWN),
	JSON_RECORD(LOST, line, JSON_RECORD_OWN),
	JSON_RECORD(LOST, step, JSON_RECORD_OWN),
	JSON_RECORD(LOST, waiting, JSON_RECORD_OWN),
	END,
};

#define OUTAGE struct result_outage
static const struct json_record_field outage_fields[] = {
	JSON_RECORD(OUTAGE, connection, JSON_RECORD_OWN),
	JSON_RECORD(OUTAGE, begin_ns, JSON_RECORD_OWN),
	JSON_RECORD(OUTAGE, length_ns, JSON_RECORD_OWN),
	JSON_RECORD(OUTAGE, end, JSON_RECORD_OWN),
	END,
};

#define PROCESS struct result_process
static const struct json_record_field process_fields[] = {
	JSON_RECORD(PROCESS, process, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, pid, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, connections, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, sent, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, verified, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, cpu_user_s, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, cpu_sys_s, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, cpu_share, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, cpu_wait_s, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, not_run_s, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, loop_lag_max_ns, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, silence_max_ns, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, silence_from_s, JSON_RECORD_OWN),
	JSON_RECORD(PROCESS, died, JSON_RECORD_OWN),
	END,
};

#define STEP struct result_search_step
static const struct json_record_field search_step_fields[] = {
	JSON_RECORD(STEP, rate, JSON_RECORD_OWN),
	JSON_RECORD(STEP, achieved, JSON_RECORD_OWN),
	JSON_RECORD_OF(STEP, value, JSON_RECORD_OWN, JSON_RECORD_REAL_OR_NULL),
	JSON_RECORD_OF(STEP, p50_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD_OF(STEP, p99_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD_OF(STEP, max_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD(STEP, outcome, JSON_RECORD_OWN),
	JSON_RECORD(STEP, verdict, JSON_RECORD_OWN),
	END,
};

#define DELAY struct result_client_delay
const struct json_record_field result_client_delay_fields[] = {
	JSON_RECORD(DELAY, latency, JSON_RECORD_OWN),
	JSON_RECORD(DELAY, percentile, JSON_RECORD_OWN),
	JSON_RECORD(DELAY, measured_ns, JSON_RECORD_OWN),
	JSON_RECORD(DELAY, without_client_ns, JSON_RECORD_OWN),
	END,
};

#define SECOND struct sampler_second
const struct json_record_field result_second_fields[] = {
	JSON_RECORD(SECOND, at_s, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, length_s, JSON_RECORD_MOST),
	JSON_RECORD(SECOND, connections_open, JSON_RECORD_SUM),
	JSON_RECORD(SECOND, sent, JSON_RECORD_SUM),
	JSON_RECORD(SECOND, verified, JSON_RECORD_SUM),
	JSON_RECORD(SECOND, wrong, JSON_RECORD_SUM),
	JSON_RECORD(SECOND, lost, JSON_RECORD_SUM),
	JSON_RECORD(SECOND, connections_lost, JSON_RECORD_SUM),
	JSON_RECORD(SECOND, count, JSON_RECORD_SUM),
	JSON_RECORD_OF(SECOND, mean_ns, JSON_RECORD_OWN, JSON_RECORD_REAL_OR_NULL),
	JSON_RECORD_OF(SECOND, p50_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD_OF(SECOND, p90_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD_OF(SECOND, p99_ns, JSON_RECORD_OWN, JSON_RECORD_COUNT_OR_NULL),
	JSON_RECORD(SECOND, max_ns, JSON_RECORD_MOST),
	END,
};

static const struct json_record_field tenth_fields[] = {
	JSON_RECORD(SECOND, at_s, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, length_s, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, connections_open, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, sent, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, verified, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, wrong, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, lost, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, connections_lost, JSON_RECORD_OWN),
	JSON_RECORD(SECOND, rank_index, JSON_RECORD_OWN),
	END,
};

#define RANK struct result_rank
const struct json_record_field result_rank_fields[] = {
	JSON_RECORD(RANK, rank, JSON_RECORD_OWN),
	JSON_RECORD(RANK, id, JSON_RECORD_OWN),
	JSON_RECORD(RANK, hostname, JSON_RECORD_OWN),
	JSON_RECORD(RANK, started_at, JSON_RECORD_OWN),
	JSON_RECORD(RANK, elapsed_s, JSON_RECORD_OWN),
	JSON_RECORD(RANK, messages_per_s, JSON_RECORD_OWN),
	PART("messages", RANK, messages, result_messages_fields),
	JSON_RECORD(RANK, p50_ns, JSON_RECORD_OWN),
	JSON_RECORD(RANK, p90_ns, JSON_RECORD_OWN),
	JSON_RECORD(RANK, p99_ns, JSON_RECORD_OWN),
	JSON_RECORD(RANK, p999_ns, JSON_RECORD_OWN),
	JSON_RECORD(RANK, p9999_ns, JSON_RECORD_OWN),
	JSON_RECORD(RANK, max_ns, JSON_RECORD_OWN),
	JSON_RECORD(RANK, verdict, JSON_RECORD_OWN),
	JSON_RECORD(RANK, reasons, JSON_RECORD_OWN),
	END,
};

#define LEDGER struct reconciliation
static const struct json_record_field ledger_server_fields[] = {
	PLAIN(LEDGER, server., connections_accepted),
	PLAIN(LEDGER, server., messages_received),
	PLAIN(LEDGER, server., replies_sent),
	PLAIN(LEDGER, server., bytes_received),
	PLAIN(LEDGER, server., bytes_sent),
	PLAIN(LEDGER, server., bytes_dropped),
	PLAIN(LEDGER, server., retransmits),
	END,
};
static const struct json_record_field ledger_client_fields[] = {
	PLAIN(LEDGER, client., connections_established),
	PLAIN(LEDGER, client., messages_sent),
	PLAIN(LEDGER, client., bytes_sent),
	PLAIN(LEDGER, client., bytes_received),
	END,
};
static const struct json_record_field explained_fields[] = {
	PLAIN(LEDGER, explained., connections_failed),
	PLAIN(LEDGER, explained., connections_never_accepted),
	PLAIN(LEDGER, explained., connections_cut),
	PLAIN(LEDGER, explained., messages_not_read),
	PLAIN(LEDGER, explained., answers_not_arrived),
	PLAIN(LEDGER, explained., bytes_not_read),
	PLAIN(LEDGER, explained., bytes_not_arrived),
	PLAIN(LEDGER, explained., bytes_dropped),
	END,
};
static const struct json_record_field unexplained_fields[] = {
	PLAIN(LEDGER, unexplained., connections),
	PLAIN(LEDGER, unexplained., messages),
	PLAIN(LEDGER, unexplained., bytes),
	END,
};
const struct json_record_field result_ledger_fields[] = {
	PLAIN(LEDGER, , consistent),
	PLAIN(LEDGER, , unaccounted_messages),
	OF_ALL("server", ledger_server_fields),
	OF_ALL("client", ledger_client_fields),
	OF_ALL("explained", explained_fields),
	OF_ALL("unexplained", unexplained_fields),
	END,
};

const struct json_record_field result_fault_fields[] = {
	PLAIN(LEDGER, faults., injected),
	PLAIN(LEDGER, faults., recorded),
	PLAIN(LEDGER, faults., timing),
	PLAIN(LEDGER, faults., seen),
	PLAIN(LEDGER, faults., unseen),
	PLAIN(LEDGER, faults., unseen_hidden),
	PLAIN(LEDGER, faults., unseen_lost),
	PLAIN(LEDGER, faults., findings),
	PLAIN(LEDGER, faults., explained),
	PLAIN(LEDGER, faults., unexplained),
	PLAIN(LEDGER, faults., unjudged),
	PLAIN(LEDGER, faults., translated),
	END,
};

#define RECONCILED struct reconciled_server
static const struct json_record_field reconciled_server_fields[] = {
	PLAIN(RECONCILED, , where),
	PLAIN(RECONCILED, , instance),
	PLAIN(RECONCILED, , state),
	PLAIN(RECONCILED, , at),
	PLAIN(RECONCILED, , error),
	PLAIN(RECONCILED, , connections_accepted),
	PLAIN(RECONCILED, , messages_received),
	PLAIN(RECONCILED, , replies_sent),
	PLAIN(RECONCILED, , bytes_received),
	PLAIN(RECONCILED, , bytes_sent),
	END,
};

#define UNEXPLAINED struct unexplained_finding
static const struct json_record_field unexplained_finding_fields[] = {
	PLAIN(UNEXPLAINED, , time),
	PLAIN(UNEXPLAINED, , connection),
	PLAIN(UNEXPLAINED, , kind),
	PLAIN(UNEXPLAINED, , message),
	PLAIN(UNEXPLAINED, , offset),
	END,
};

#define LIST_AS(key, at, number, ...)                                                  \
	{                                                                              \
		.name = (key), .items = offsetof(RESULT, at),                          \
		.count = offsetof(RESULT, number),                                     \
		.row_bytes = sizeof(*((RESULT *)0)->at), __VA_ARGS__                   \
	}
#define LIST(key, number, ...) LIST_AS(#key, key, number, __VA_ARGS__)
const struct result_list result_ledger_servers = LIST_AS(
    "servers", ledger.servers, ledger.server_count, .fields = reconciled_server_fields);
const struct result_list result_ledger_findings =
    LIST_AS("unexplained_findings", ledger.unexplained_findings,
	ledger.unexplained_finding_count, .fields = unexplained_finding_fields);

const struct result_list result_lists[] = {
	LIST(targets, target_count, .row = RESULT_TARGET,
	    .fields = result_target_fields),
	LIST(addresses, address_count, .fields = result_address_fields,
	    .is_optional = true),
	LIST(outages, outage_count, .fields = outage_fields, .is_appended = true,
	    .is_optional = true),
	LIST(losses, loss_count, .fields = result_losses_fields, .is_optional = true),
	LIST(
	    servers, server_count, .fields = result_server_fields, .is_optional = true),
	LIST_AS("outside", outside, outside_count, .fields = outside_fields,
	    .is_optional = true),
	LIST(tls_counts, tls_count_count, .fields = result_tls_count_fields,
	    .is_optional = true),
	LIST(certificates, certificate_count, .fields = result_certificate_fields,
	    .is_optional = true),
	LIST(lost_connections, lost_connection_count, .fields = lost_connection_fields,
	    .is_appended = true),
	LIST(mismatches, mismatch_count, .row = RESULT_MISMATCH, .is_appended = true),
	LIST(thresholds, threshold_count, .row = RESULT_THRESHOLD),
	LIST_AS("search", search_steps, search_step_count, .fields = search_step_fields,
	    .is_optional = true),
	LIST(processes, process_count, .fields = process_fields, .is_appended = true),
	LIST(client_delays, client_delay_count, .fields = result_client_delay_fields,
	    .is_optional = true),
	LIST(seconds, second_count, .fields = result_second_fields),
	LIST(tenths, tenth_count, .fields = tenth_fields, .is_optional = true),
	LIST(ranks, rank_count, .fields = result_rank_fields),
	END,
};
