/*
 * result.h - the result of a run: everything that a report shows and that the JSON
 * "yodel.result/1" (client/result.schema.json) contains.
 *
 * A result owns everything it points to, wherever it comes from: the counters of the
 * load processes, a file, or the merge of several results. For the measured messages:
 *
 *   sent = verified + wrong + sum(lost) + in_flight
 *
 *   sampler, counters --result_collect--> struct result --result_write_json--> file
 *                           result_merge <------------------result_read_json-- file
 */
#ifndef CLIENT_RESULT_RESULT_H
#define CLIENT_RESULT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/stats/histogram.h"
#include "lib/stats/percentile_interval.h"
#include "client/measure/counters.h"
#include "client/measure/sampler.h"
#include "client/plan/labels.h"
#include "client/plan/threshold.h"
#include "client/result/reconcile.h"

#define RESULT_SCHEMA "yodel.result/1"
#define RESULT_MISMATCHES_MAX 64
#define RESULT_LOST_MAX 64
#define RESULT_OUTAGES_MAX 200000 /* of a rank */
#define RESULT_OUTSIDE_MAX 64     /* addresses */
#define RESULT_SERVERS_MAX 256    /* of merged results */
#define RESULT_ERROR_MAX 256
#define RESULT_FIGURE_MAX 1e18 /* largest value of a figure that is not a count */

/* The plan. The names are the keys of "plan" in the JSON; beside each, how a merge
 * combines the ranks: the value of the first (OWN), the sum or the maximum (MOST). */
/* clang-format off */
#define RESULT_PLAN_TEXTS(X)                                                           \
	X(load, OWN)    /* plan_load_names */                                          \
	X(message, OWN) /* describes what is sent */                                   \
	X(conversation, OWN) /* the file; "": none */                                  \
	X(conversation_digest, OWN) /* of its text, in hex; "": none */                \
	X(expect, OWN) X(framing, OWN) X(arrivals, OWN) X(close, OWN)                  \
	X(socket_options, OWN) /* "dscp=46 mss=1200"; "": none */                      \
	X(socket_options_granted, OWN) /* as the kernel had them */                    \
	X(proxy_protocol, OWN) /* that is sent: plan_proxy_names */                    \
	X(proxy_source, OWN)   /* prefix of the announced clients; "": the sockets' */ \
	X(proxy_tlvs, OWN)     /* as given, with commas */                             \
	X(tls_verification, OWN) /* what is verified, in words; "": no TLS */
#define RESULT_PLAN_COUNTS(X)                                                          \
	X(connections, OWN) /* in all ranks; without ranks, a merge adds them */       \
	X(rank_connections, SUM)                                                       \
	X(processes, SUM) X(messages, OWN) X(pipeline, OWN) X(source_count, OWN)       \
	X(slow_read, OWN) X(messages_per_connection, OWN) X(duration_ns, OWN)          \
	X(interval_ns, OWN) X(hold_ns, OWN) X(ramp_ns, OWN) X(warmup_ns, OWN) X(drain_ns, OWN)         \
	X(spin_ns, OWN) X(timeout_ns, OWN) X(connect_timeout_ns, OWN)                  \
	X(lifetime_ns, OWN) X(tls_resume, OWN) X(rank, OWN) X(ranks, OWN)
#define RESULT_PLAN_REALS(X) X(rate, OWN) X(connect_rate, OWN)
#define RESULT_PLAN_FLAGS(X)                                                           \
	X(reconnect, OWN) X(dribble, OWN) X(half_close, OWN) X(expect_proxy, OWN)      \
	X(tls, OWN)                                                                    \
	X(tls_insecure, MOST) X(strict, MOST)
/* clang-format on */

struct result_plan {
	char **targets;
	size_t target_count;
	uint64_t seed; /* all 64 bits: a signed number in JSON */
#define X(name, how) char *name;
	RESULT_PLAN_TEXTS(X)
#undef X
#define X(name, how) uint64_t name;
	RESULT_PLAN_COUNTS(X)
#undef X
#define X(name, how) double name; /* per second, in all ranks; 0: not limited */
	RESULT_PLAN_REALS(X)
#undef X
#define X(name, how) bool name;
	RESULT_PLAN_FLAGS(X)
#undef X
};

struct result_connections {
	uint64_t requested;
	uint64_t attempted;
	uint64_t established; /* including reconnects */
	uint64_t failed[CONNECT_FAILURE_COUNT];
	uint64_t reconnects;
	uint64_t lost;                   /* closed by the peer or by a timeout */
	uint64_t reset;                  /* part of lost */
	uint64_t first;                  /* sockets that connected at least once */
	uint64_t close[CLOSE_END_COUNT]; /* how the peer ended those that we closed */
	uint64_t sockets[SOCKET_EVENT_COUNT];
};

struct result_target {
	char *name;
	uint64_t established;
	uint64_t failed[CONNECT_FAILURE_COUNT];
	char *last_error;               /* "" if no connect failed */
	uint64_t verified, wrong, lost; /* measured messages */
	uint64_t p50_ns, p99_ns;        /* response; UINT64_MAX: not known */
	/* Response latency, if there are several targets (a single one has that of the
	 * whole); NULL: not known; heap. */
	struct histogram *response;
};

/* One address of a target. */
struct result_address {
	char *target;  /* its name */
	char *address; /* with the port */
	uint64_t attempted, established;
	uint64_t failed[CONNECT_FAILURE_COUNT];
	char *last_error; /* "" if no connect failed */
};

/* All connections that were lost for one cause. The times are those of the connection
 * with the smallest and with the largest one. */
struct result_losses {
	char *why;     /* one of counters_loss_names */
	bool was_idle; /* no message was in flight */
	uint64_t connections, messages;
	uint64_t silent_min_ns, silent_max_ns; /* since the last received byte */
	uint64_t age_min_ns, age_max_ns;       /* since it was established */
	uint64_t silent_sum_ns, age_sum_ns;
	char *first_at, *last_at; /* same format as lost_connections */
};

/* One of the first RESULT_LOST_MAX connections that were lost. */
struct result_lost_connection {
	uint64_t connection;  /* in all ranks, from 0 */
	char *at;             /* same format as started_at */
	char *why;            /* one of counters_loss_names */
	char *local, *remote; /* address and port */
	/* as in struct counters_lost_connection */
	uint64_t messages, message, answer_bytes, answer_length;
	uint64_t unacknowledged, waited_ns, silent_ns;
	uint64_t line;
	char *step, *waiting;
};

/* A server that replies of whoami name; its latency is the step of that name. */
struct result_server {
	char *name;
	uint64_t connections, messages, lost; /* also those of the warm-up */
};

/* An address from which the servers see connections: of the latest of each index. */
struct result_outside {
	char *address;
	uint64_t connections;
};

/* Periods without an answer (--hold); all 0 without it. */
struct result_hold {
	uint64_t periods;     /* longer than plan.hold_ns, or the end of a connection */
	uint64_t unlisted;    /* of these: too many for the list `outages` */
	uint64_t connections; /* with at least one */
	uint64_t lost;        /* connections that were lost and not replaced */
	uint64_t reconnected; /* periods that ended on a new connection */
	uint64_t other_server; /* of these: at another server than before */
	uint64_t open;         /* periods that lasted to the end of the run */
	uint64_t inexact; /* periods uncertain by over 2 ms, for this client was late */
	uint64_t doubtful;   /* of these: maybe not longer than plan.hold_ns */
	uint64_t own_max_ns; /* largest uncertainty */
};

struct result_outage {
	uint64_t connection; /* in all ranks, from 0 */
	uint64_t begin_ns;   /* CLOCK_REALTIME */
	uint64_t length_ns;
	char *end; /* one of outages_end_names */
};

/* As in struct counters_whoami; all 0 without --expect whoami. */
struct result_whoami {
	uint64_t connections, translated, ports_kept, headers, reconnected, stayed;
	uint64_t outside_addresses;
	uint64_t shared_ports; /* connections whose outside address and port another one
				  had at the same time */
};

/* TLS; all 0 without it. The bytes of "bytes" are those of the application. */
struct result_tls {
	uint64_t handshakes; /* completed, also in the warm-up; of these resumed */
	uint64_t resumed, offered, tickets;
	uint64_t truncated, bad_records, alerts;
	uint64_t lost_keys; /* lines of --tls-keylog that were not written */
	uint64_t record_bytes_sent, record_bytes_received; /* after the handshakes */
	uint64_t handshake_bytes_sent, handshake_bytes_received;
};

/* Connections by what they negotiated, or why they failed. */
struct result_tls_count {
	char *kind; /* one of counters_tls_kind_names */
	char *text;
	uint64_t connections;
};

/* A certificate that a target has presented. */
struct result_certificate {
	char *target;      /* its name */
	uint64_t position; /* in the chain; 0: the target's own */
	char *subject, *issuer, *names, *key;
	char *not_before, *not_after; /* same format as started_at */
	char *sha256;                 /* fingerprint in hex */
};

/* Local ports. 0: not measured. */
struct result_ports {
	uint64_t available; /* for each source address and target, summed */
	uint64_t held_max;  /* open connections of yodel, and new ones in TIME_WAIT */
	uint64_t time_wait_before; /* in the network namespace, before the run */
	uint64_t time_wait_max;    /* highest number during the run */
};

struct result_messages {
	uint64_t sent, verified, wrong;
	uint64_t lost[MESSAGE_LOSS_COUNT];
	uint64_t in_flight;
};

/* One load process. */
struct result_process {
	uint64_t process, pid, connections;
	uint64_t sent, verified;
	double cpu_user_s, cpu_sys_s, cpu_share; /* share of one CPU, 0 to 1 */
	double cpu_wait_s;                       /* ready to run, but without a CPU */
	double not_run_s; /* stopped, frozen or blocked by the kernel */
	uint64_t loop_lag_max_ns;
	uint64_t silence_max_ns; /* of its connections, the longest wait for a byte */
	double silence_from_s;   /* start of that wait, from the start of the run */
	bool died;
};

/* A percentile or maximum, and its value without this client's own delays. */
struct result_client_delay {
	char *latency;    /* one of threshold_latency_names */
	char *percentile; /* one of result_percentile_names, or "max" */
	uint64_t measured_ns, without_client_ns; /* of a sample of the messages */
};

/* One of the results that were merged. */
struct result_rank {
	uint64_t rank;
	char *id; /* of the run: no two results have the same; "" if not known */
	char *hostname;
	char *started_at;
	double elapsed_s, messages_per_s;
	struct result_messages messages;
	uint64_t p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, max_ns; /* response */
	char *verdict;
	char *reasons; /* for the verdict, joined with "; " */
};

/* One run of --search. */
struct result_search_step {
	double rate, achieved;           /* messages per second */
	double value;                    /* of the threshold's figure; NAN: infinite */
	uint64_t p50_ns, p99_ns, max_ns; /* response; UINT64_MAX: not known */
	char *outcome;                   /* passed, failed or unknown */
	char *verdict;
};

/* The percentiles of each report, and their names in JSON. */
#define RESULT_PERCENTILES 5
extern const double result_percentiles[RESULT_PERCENTILES];
extern const char *const result_percentile_names[RESULT_PERCENTILES];

/* How precisely the figures of one latency are known (lib/stats/batches.h). */
struct result_precision {
	struct precision percentiles[RESULT_PERCENTILES];
	double
	    mean_half_ns; /* half the 95 % interval of the mean; NAN: not estimated */
};

struct result_host {
	char *hostname, *kernel;
	uint64_t cpus;                /* usable by yodel */
	double cpu_user_s, cpu_sys_s; /* of the load processes */
	double throttled_s; /* by a CPU quota: the control groups of yodel, together */
	double steal_s;     /* that the hypervisor used, of all CPUs of this machine */
	uint64_t memory_bytes;     /* resident, of the largest load process */
	uint64_t retransmits;      /* on the connections of this run */
	uint64_t host_retransmits; /* in the network namespace, during the run */
	uint64_t listen_overflows, listen_drops;
};

enum result_verdict { RESULT_VALID, RESULT_SUSPECT, RESULT_INVALID };
extern const char *const result_verdict_names[]; /* NULL at the end */

struct result_trust {
	enum result_verdict verdict;
	char **reasons;
	size_t reason_count;
};

struct result {
	char *version; /* of the yodel that ran */
	char *command; /* the command line; "": not known */
	struct labels labels;
	bool is_running;          /* an interim result: more is to come */
	uint64_t collected_at_ns; /* CLOCK_REALTIME of an interim result; 0: not known
				   */
	struct result_plan plan;
	uint64_t started_at_ns; /* CLOCK_REALTIME */
	double elapsed_s;       /* without the warm-up */
	bool interrupted;
	struct result_connections connections;
	struct result_target *targets;
	size_t target_count;
	struct result_ports ports;
	struct result_messages messages, warmup;
	uint64_t messages_due, messages_late, oldest_lost_ns;
	uint64_t bytes_sent, bytes_received, bytes_unexpected;
	double messages_per_s, connections_per_s;
	double rate_half; /* half the 95 % interval of messages_per_s; NAN */
	/* The kinds, then the named steps of the conversation. */
	struct histogram *latency[LATENCY_MAX];
	struct result_address *addresses;
	size_t address_count;
	struct result_losses *losses;
	size_t loss_count;
	struct result_precision precision[LATENCY_MAX];
	char **steps; /* names of the steps */
	size_t step_count;
	/* By step of a pass: passes that were lost before its answer. */
	uint64_t step_lost[LATENCY_MAX - LATENCY_STEP_FIRST];
	struct result_lost_connection *lost_connections;
	size_t lost_connection_count;
	struct finding *findings; /* not in the document */
	size_t finding_count;
	uint64_t findings_missed;
	struct findings_clients *clients; /* of --ledger; NULL: not known; heap */
	struct counters_mismatch *mismatches;
	size_t mismatch_count;
	struct result_whoami whoami;
	struct result_server *servers;
	size_t server_count;
	struct result_outside *outside;
	size_t outside_count;
	struct result_tls tls;
	struct result_tls_count *tls_counts;
	size_t tls_count_count;
	struct result_certificate *certificates;
	size_t certificate_count;
	struct result_hold hold;
	struct result_outage *outages; /* by connection, then by time */
	size_t outage_count;
	struct result_process *processes;
	size_t process_count;
	struct result_client_delay *client_delays; /* of a single rank only */
	size_t client_delay_count;
	/* Longest delay that this client added to a message; 0: not known. Not in the
	 * document. */
	uint64_t client_delay_max_ns;
	struct sampler_second *seconds;
	size_t second_count;
	struct sampler_second *tenths; /* around events */
	size_t tenth_count;
	struct result_rank *ranks; /* merged results only */
	size_t rank_count;
	struct result_search_step *search_steps; /* in order */
	size_t search_step_count;
	struct threshold_outcome *thresholds;
	size_t threshold_count;
	struct result_trust trust;
	struct result_host host;
	bool has_ledger; /* --ledger was given */
	struct reconciliation ledger;
};

/* An empty result with empty histograms; the caller calls result_finish. */
void result_init(struct result *result);
void result_finish(struct result *result);
void result_ledger_clear(struct result *result);
void result_client_delays_clear(struct result *result);
/* Adds a named step with an empty histogram, if there is room. */
void result_step_add(struct result *result, const char *name);
/* The latencies of a result: kinds and named steps. */
static inline int
result_latency_count(const struct result *result)
{
	return LATENCY_KIND_COUNT + (int)result->step_count;
}
/* The name of a latency: one of threshold_latency_names, or of a step in brackets, into
 * buffer[RESULT_LATENCY_NAME_MAX], returned. */
#define RESULT_LATENCY_NAME_MAX (THRESHOLD_STEP_MAX + 2)
const char *result_latency_name(const struct result *result, int which, char *buffer);
/* The latency of a threshold; -1: a step that this result does not have. */
int result_threshold_latency(
    const struct result *result, const struct threshold *threshold);
/* A single target has the messages and latencies of the whole. */
void result_fill_single_target(struct result *result);
void result_lost_connections_sort(struct result *result); /* by time */

/* Adds a reason; the verdict becomes the worst of all. */
void result_trust_add(struct result_trust *trust, enum result_verdict verdict,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Frees the reasons; the verdict becomes valid. */
void result_trust_clear(struct result_trust *trust);

/* Turns a result into a merged one that contains only itself; its trust then depends on
 * whether all ranks of its plan are present. */
void result_merge_start(struct result *result);

/* True if a merged result already contains every run of the other one. */
bool result_merge_contains(const struct result *merged, const struct result *result);

/* Identifies the runs of a result, "ID ID": a copy of its file has the same. "" if a
 * run cannot be identified. The caller frees it. */
char *result_merge_ids(const struct result *result);

/* Adds the result of another rank, or of ranks merged before: counts and histograms
 * exactly, seconds by their clock time. Both must have the same load and different
 * ranks. 0, or -1 with one line in error[RESULT_ERROR_MAX]; then *into is only valid
 * for result_finish. The caller evaluates the merged result. */
int result_merge(struct result *into, const struct result *from, char *error)
    __attribute__((warn_unused_result));

/* Rounds a figure; NAN and negative values become 0, large ones RESULT_FIGURE_MAX. */
static inline uint64_t
result_whole(double figure)
{
	if (!(figure > 0))
		return 0;
	return (
	    uint64_t)(figure < RESULT_FIGURE_MAX ? figure + 0.5 : RESULT_FIGURE_MAX);
}

uint64_t result_lost(const struct result_messages *messages);
/* False if every target is a Unix socket. */
bool result_uses_ports(const struct result *result);
uint64_t result_failed(const uint64_t failed[CONNECT_FAILURE_COUNT]);
/* Connections that yodel closed and the peer did not close in order. */
uint64_t result_aborted(const struct result_connections *connections);
/* Messages of all connections together, as planned; 0 if a duration ends the run. A
 * double, because the product may exceed 64 bits. */
double result_asked(const struct result *result);

bool result_adds_up(const struct result_messages *messages);

/* A percentile of a latency and its 95 % interval. Between the percentiles of
 * result_percentiles the precision is that of the next higher one. */
struct percentile_interval result_percentile(
    const struct result *result, enum latency_kind which, double percentile);
/* As above, for many percentiles in ascending order (percentile_interval.h). */
struct percentile_interval result_percentile_next(const struct result *result,
    enum latency_kind which, double percentile, struct percentile_walk *walk);
/* The number of independent values that a latency is worth: the smallest of its
 * percentiles up to p99; 0: not estimated. */
double result_effective_count(const struct result *result, enum latency_kind which);

/* 0, or -1 with errno if writing failed. */
int result_write_json(const struct result *result, FILE *file)
    __attribute__((warn_unused_result));

/* Reads one result to the end of the file. 0 (the caller calls result_finish), or -1
 * with one line in error[RESULT_ERROR_MAX]: place, value found, value expected. */
int result_read_json(FILE *file, struct result *ret, char *error)
    __attribute__((warn_unused_result));

/* Reads one result from a path ("-" is stdin), for commands. 0, or an exit status after
 * one line on stderr: 66 if it cannot be opened, 65 if it is not a result. */
int result_read_file(const char *path, struct result *ret)
    __attribute__((warn_unused_result));

#endif
