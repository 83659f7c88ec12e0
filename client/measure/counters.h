/*
 * counters.h - the counters of the load processes: one block per process, in memory
 * shared with the parent.
 *
 * Only its process writes a block, with relaxed atomic stores (which compile to plain
 * increments); the parent reads at any time and adds up. A block stays readable when
 * its process has died. Whenever its process is not in the middle of an event, for the
 * measured messages and for those of the warm-up:
 *
 *   sent = verified + wrong + sum(lost) + in_flight
 *
 * When a process dies, the parent counts its messages in flight as lost{closed}.
 *
 *   [ struct control_block ][ struct counters | histograms ][ struct counters ... ] ...
 */
#ifndef CLIENT_MEASURE_COUNTERS_H
#define CLIENT_MEASURE_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/stats/histogram.h"
#include "lib/units.h"
#include "net/address.h"
#include "client/measure/findings.h"
#include "client/measure/outages.h"
#include "client/plan/plan.h"
#include "client/plan/threshold.h"

#define COUNTERS_MISMATCHES_MAX 16 /* recorded per process: the first ones */
#define COUNTERS_LOST_MAX 16       /* recorded lost connections, likewise */
#define COUNTERS_EXCERPT_MAX 32    /* bytes recorded of expected and received data */
#define COUNTERS_DIAGNOSIS_MAX 96
#define COUNTERS_DESCRIPTION_MAX 512
#define COUNTERS_CACHE_LINE 64
#define COUNTERS_SERVERS_MAX 32 /* that replies of whoami may name */
#define COUNTERS_TLS_TEXTS_MAX 64
#define COUNTERS_TLS_TEXT_MAX 192
#define COUNTERS_CERTIFICATES_MAX 32
#define COUNTERS_FINGERPRINT_MAX 65 /* SHA-256 in hex, and the NUL */

extern const struct histogram_config counters_latency_config; /* 1 ns, 1 h, 3 digits */

/* Why a connect failed. */
enum connect_failure {
	CONNECT_FAILURE_REFUSED,
	CONNECT_FAILURE_UNREACHABLE,
	CONNECT_FAILURE_TIMEOUT,
	CONNECT_FAILURE_RESET,
	CONNECT_FAILURE_NO_PORT, /* every local port is in use, or reserved */
	CONNECT_FAILURE_TLS,     /* connected, but the TLS handshake failed */
	CONNECT_FAILURE_OTHER,
	CONNECT_FAILURE_COUNT
};
extern const char *const counters_connect_failure_names[]; /* NULL at the end */

/* Why a message was lost. */
enum message_loss {
	MESSAGE_LOSS_TIMEOUT,
	MESSAGE_LOSS_RESET,
	MESSAGE_LOSS_CLOSED,
	MESSAGE_LOSS_MISMATCH, /* by this client, after a wrong answer */
	MESSAGE_LOSS_TLS, /* by an alert, or after a record that cannot be opened */
	MESSAGE_LOSS_COUNT
};
extern const char *const counters_loss_names[]; /* NULL at the end */

/* Events of Unix and MPTCP sockets. */
enum socket_event {
	SOCKET_QUEUE_FULL,     /* a connect found the queue of a Unix socket full */
	SOCKET_MPTCP,          /* a connection is one of MPTCP */
	SOCKET_MPTCP_FALLBACK, /* one that was to be has fallen back to TCP */
	SOCKET_SUBFLOWS,       /* of MPTCP connections, when they were closed */
	SOCKET_FAST_OPEN,      /* a connection whose SYN carried data that was taken */
	SOCKET_EVENT_COUNT
};
extern const char *const counters_socket_names[]; /* NULL at the end */

/* How the peer ended a connection that this side closed with a FIN. */
enum close_end {
	CLOSE_END_FIN,     /* in order, by its FIN */
	CLOSE_END_RESET,   /* by a RST */
	CLOSE_END_TIMEOUT, /* not at all: its FIN did not come in time */
	CLOSE_END_COUNT
};
extern const char *const counters_close_names[]; /* NULL at the end */

/* Two histograms of one sample of messages, each counted with its weight: the latency
 * as measured, and without what the load process added to it (client/load/own_delay.h).
 */
enum counters_sample {
	COUNTERS_SAMPLE_RESPONSE,
	COUNTERS_SAMPLE_SERVICE,
	COUNTERS_SAMPLE_COUNT
};
enum { COUNTERS_MEASURED, COUNTERS_WITHOUT_OWN, COUNTERS_PAIR };

#define COUNTERS_ERROR_TLS (-1) /* last_errno: the TLS handshake failed */

typedef _Atomic uint64_t counters_value;

/* All members are counters_value; counters_rows says what each one counts. */
struct counters_messages {
	counters_value sent, verified, wrong;
	counters_value lost[MESSAGE_LOSS_COUNT];
	counters_value in_flight;
};

/* Likewise. */
struct counters_tls {
	counters_value handshakes, resumed, offered, tickets;
	counters_value truncated, bad_records, alerts;
	counters_value record_bytes_sent, record_bytes_received;
	counters_value handshake_bytes_sent, handshake_bytes_received;
};

/* One address of a target. attempted = established + sum(failed) + still connecting */
struct counters_address {
	counters_value attempted, established;
	counters_value failed[CONNECT_FAILURE_COUNT];
	_Atomic int last_errno; /* of the last failure; 0: none */
};

/* A connection that fails at one address and is established at the next one has not
 * failed here. */
struct counters_target {
	counters_value established;
	/* Measured messages of this target, and their response latency (NULL: it is the
	 * only target). */
	counters_value verified, wrong, lost;
	struct histogram *response;
	counters_value failed[CONNECT_FAILURE_COUNT];
	_Atomic int last_errno; /* of the last failure; 0: none */
	struct counters_address addresses[PLAN_TARGET_ADDRESSES_MAX];
};

/* Connections lost for one cause. The times are valid if `connections` is not 0. */
struct counters_losses {
	counters_value connections, messages;
	counters_value silent_min_ns, silent_max_ns; /* since the last received byte */
	counters_value age_min_ns, age_max_ns;       /* since it was established */
	counters_value silent_sum_ns, age_sum_ns;
	counters_value first_ns, last_ns; /* CLOCK_MONOTONIC */
};

/* One of the first wrong answers. Complete once `mismatches` counts it. */
struct counters_mismatch {
	uint64_t connection;    /* in all ranks, from 0 */
	uint64_t message;       /* of that connection, from 0 */
	uint64_t offset;        /* bytes received on it before the first wrong one */
	uint64_t answer_offset; /* the same, from the start of the answer */
	uint32_t line;          /* of the conversation; 0: none */
	char step[THRESHOLD_STEP_MAX]; /* its name; "": none */
	/* Place, expected and received, in one line; "" without a conversation. */
	char description[COUNTERS_DESCRIPTION_MAX];
	uint32_t expected_length, got_length;
	uint8_t expected[COUNTERS_EXCERPT_MAX], got[COUNTERS_EXCERPT_MAX];
	char looks_like[COUNTERS_DIAGNOSIS_MAX];
	char at[UNITS_TEXT_MAX]; /* wall-clock time */
	char local[ADDRESS_TEXT_MAX];
};

/* One of the first lost connections. Complete once `lost_connections` counts it. */
struct counters_lost_connection {
	uint64_t connection; /* in all ranks, from 0 */
	uint64_t at_ns;      /* CLOCK_MONOTONIC */
	enum message_loss why;
	uint64_t messages;       /* lost with it */
	uint64_t message;        /* the first of them */
	uint64_t answer_bytes;   /* received of the answer to it */
	uint64_t answer_length;  /* length of that answer */
	uint64_t unacknowledged; /* bytes that the peer's kernel has not acknowledged */
	uint64_t waited_ns;      /* since the first one was sent */
	uint64_t silent_ns;      /* since the last received byte, or established */
	uint32_t line;           /* of the conversation, which waited; 0: none */
	char step[THRESHOLD_STEP_MAX];          /* its name; "": none */
	char waiting[COUNTERS_DESCRIPTION_MAX]; /* what was expected; "": nothing */
	char local[ADDRESS_TEXT_MAX], remote[ADDRESS_TEXT_MAX];
};

enum load_phase {
	PHASE_STARTING,   /* not yet in its loop */
	PHASE_CONNECTING, /* before the common start */
	PHASE_WAITING,    /* every connection established or failed: ready to start */
	PHASE_RUNNING,
	PHASE_DRAINING, /* sends no more, waits for answers */
	PHASE_FINISHED, /* the counters are complete */
	PHASE_DIED,     /* set by the parent: exited without finishing */
};

/* A server that replies of whoami name; its latency is that of a named step. */
struct counters_server {
	counters_value connections, messages, lost; /* measured or not */
};

/* Counts of connections, from the replies of whoami. */
struct counters_whoami {
	counters_value connections; /* that were answered */
	counters_value translated;  /* the server sees another address or port */
	counters_value ports_kept;  /* of those: the same port */
	counters_value headers;     /* a PROXY header announces this client */
	counters_value reconnected; /* connections that replaced an answered one */
	counters_value stayed;      /* of those: at the same server */
};

/* Properties of TLS connections that are counted by their text. */
enum counters_tls_kind {
	COUNTERS_TLS_VERSION,
	COUNTERS_TLS_CIPHER,
	COUNTERS_TLS_GROUP,
	COUNTERS_TLS_PROTOCOL, /* ALPN */
	COUNTERS_TLS_FAILURE,  /* why handshakes failed, in words */
	COUNTERS_TLS_ALERT,    /* "sent bad_certificate", "received ..." */
	COUNTERS_TLS_ERROR,    /* why connections ended after their handshake */
	COUNTERS_TLS_KIND_COUNT
};
extern const char *const counters_tls_kind_names[]; /* NULL at the end */

/* A text of struct control_block, added by the load processes. */
struct counters_tls_text {
	_Atomic uint32_t state; /* 0 free, 1 being written, 2 complete */
	enum counters_tls_kind kind;
	char text[COUNTERS_TLS_TEXT_MAX];
};

/* One certificate of a chain that a target has presented. */
struct counters_certificate {
	_Atomic uint32_t state; /* as above */
	uint32_t target;        /* its index */
	uint32_t position;      /* in the chain; 0: the target's own */
	char subject[COUNTERS_TLS_TEXT_MAX], issuer[COUNTERS_TLS_TEXT_MAX];
	char names[2 * COUNTERS_TLS_TEXT_MAX]; /* DNS names and addresses */
	char key[UNITS_TEXT_MAX];              /* "ECDSA P-256" */
	int64_t not_before, not_after;         /* seconds since 1970 */
	char sha256[COUNTERS_FINGERPRINT_MAX]; /* of the certificate, in hex */
};

/* The latest connection of an index. */
struct counters_seen {
	struct address_compact outside; /* as the server sees it; family 0: none */
	uint64_t opened_ns, closed_ns;  /* CLOCK_MONOTONIC; closed 0: still open */
};

/* The counters of one load process. */
struct counters {
	_Alignas(COUNTERS_CACHE_LINE) _Atomic uint32_t phase; /* enum load_phase */
	_Atomic int32_t pid;
	uint32_t process;           /* 0 .. processes - 1 */
	uint32_t connections;       /* assigned to this process */
	uint32_t first;             /* index of its first connection, in all ranks */
	counters_value rounds_done; /* lockstep; UINT64_MAX: all of them */

	/* From here to `mismatches`: one row of counters_rows each, in the same order.
	 * attempted = established + sum(failed) + still connecting */
	counters_value connections_attempted, connections_established;
	counters_value connections_failed[CONNECT_FAILURE_COUNT];
	counters_value reconnects, connections_open, connections_done;
	counters_value connections_lost, connections_reset, connections_first;
	counters_value connections_closed[CLOSE_END_COUNT];
	struct counters_messages messages, warmup;
	counters_value messages_due, messages_late;
	counters_value bytes_sent, bytes_received, bytes_unexpected;
	counters_value connected_ns, started_ns, last_answer_ns, stopped_ns,
	    finished_ns;
	counters_value oldest_lost_ns, own_delay_max_ns;
	counters_value cpu_user_ns, cpu_system_ns, context_switches;
	counters_value cpu_wait_ns, not_run_ns;
	counters_value loops, loop_lag_max_ns, retransmits;
	struct counters_tls tls;
	counters_value sockets[SOCKET_EVENT_COUNT];

	_Atomic uint32_t mismatches; /* complete entries of `mismatch` */
	_Atomic uint32_t lost_connections;
	/* Longest wait of a connection for a byte with a message in flight. */
	counters_value silence_max_ns, silence_from_ns; /* CLOCK_MONOTONIC */
	struct counters_mismatch mismatch[COUNTERS_MISMATCHES_MAX];
	struct counters_lost_connection lost_connection[COUNTERS_LOST_MAX];
	struct counters_target targets[PLAN_TARGETS_MAX];
	struct counters_whoami whoami;
	struct counters_server servers[COUNTERS_SERVERS_MAX];
	/* Connections, by control_block->tls_texts. */
	counters_value tls_texts[COUNTERS_TLS_TEXTS_MAX];
	/* [1]: with messages in flight, [0]: idle */
	struct counters_losses losses[MESSAGE_LOSS_COUNT][2];
	/* Socket options as read back from the kernel; "": not known. */
	char granted[SOCKET_OPTION_COUNT][SOCKET_OPTION_TEXT_MAX];
	_Atomic uint32_t are_granted_known;
	struct findings *findings; /* in the shared memory; NULL: none is kept */
	struct outages *outages;   /* likewise; NULL: none are looked for */

	/* In the shared memory; those of named steps as far as latency_count. */
	struct histogram *histograms[LATENCY_MAX];
	uint32_t latency_count;
	struct histogram *samples[COUNTERS_SAMPLE_COUNT][COUNTERS_PAIR]; /* likewise */
};

enum counters_unit { COUNTERS_COUNT, COUNTERS_BYTES, COUNTERS_NS, COUNTERS_TIME_NS };

/* One counter: its name, its place in struct counters, and how those of several
 * processes make one. COUNTERS_TIME_NS is a CLOCK_MONOTONIC time, 0: not yet. */
struct counters_row {
	const char *name;
	size_t offset;
	enum counters_unit unit;
	bool is_max; /* the largest of all processes, else their sum */
	const char *help;
};
extern const struct counters_row counters_rows[];
extern const size_t counters_row_count;

/* Shared by all processes of a run. The parent writes all but `expect`. */
struct control_block {
	_Alignas(
	    COUNTERS_CACHE_LINE) _Atomic uint64_t start_ns; /* MONOTONIC; 0: unset */
	_Atomic uint64_t round; /* lockstep: the round to send now */
	_Atomic uint32_t stop;  /* 1: send no more, drain; 2 and more: end now */
	_Atomic uint32_t
	    expect; /* --expect auto: 0 unknown, else 1 + enum reply_kind */
	/* Names of servers, added by the load processes: 0 free, 1 being written, 2. */
	_Atomic uint32_t server_states[COUNTERS_SERVERS_MAX];
	char server_names[COUNTERS_SERVERS_MAX][THRESHOLD_STEP_MAX];
	struct counters_tls_text tls_texts[COUNTERS_TLS_TEXTS_MAX];
	struct counters_certificate certificates[COUNTERS_CERTIFICATES_MAX];
	/* By index in this rank, each written by its load process; NULL: none. */
	struct counters_seen *seen;
	size_t seen_bytes;
	void *targets; /* histograms of the targets; NULL: none */
	size_t targets_bytes;
	uint8_t *outages; /* a list for each process; NULL: none */
	size_t outages_bytes;
	uint64_t started_at_ns; /* CLOCK_REALTIME at start_ns */
	uint32_t slots;
};

struct counters_map {
	struct control_block *control_block;
	uint8_t *first; /* block of process 0 */
	size_t slot_bytes;
	size_t total_bytes;
	uint32_t count;
};
/* Adds room for `room` periods without an answer to each process. 0, or -1 with errno.
 */
int counters_map_add_outages(struct counters_map *counters_map, uint32_t room)
    __attribute__((warn_unused_result));
/* Maps the shared memory for `count` processes, before the fork, and `steps` named
 * steps. 0, or -1 with errno. */
int counters_map_open(struct counters_map *ret, uint32_t count, uint32_t steps)
    __attribute__((warn_unused_result));
void counters_map_close(struct counters_map *counters_map);
/* Maps control_block->seen for that many connections, before the fork. 0, or -1 with
 * errno. */
int counters_map_add_seen(struct counters_map *counters_map, uint32_t connections)
    __attribute__((warn_unused_result));

/* Maps a histogram for each target in each process, before the fork. 0, or -1 with
 * errno. */
int counters_map_add_targets(struct counters_map *counters_map, uint32_t targets)
    __attribute__((warn_unused_result));

/* The index of a server by its name, which is added if it is new; -1 if there is no
 * room. */
int counters_server_index(struct control_block *control_block, const char *name);

static inline struct counters *
counters_map_at(const struct counters_map *counters_map, uint32_t process)
{
	return (struct counters *)(void *)(counters_map->first +
	    process * counters_map->slot_bytes);
}

/* One writer: a plain load and store, no bus lock. */
static inline void
counters_add(counters_value *count, uint64_t n)
{
	atomic_store_explicit(count,
	    atomic_load_explicit(count, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline void
counters_set(counters_value *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

static inline uint64_t
counters_get(const counters_value *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* Fills the counters of *ret, and nothing else in it, from all processes by the rows.
 */
void counters_sum(const struct counters_map *counters_map, struct counters *ret);

/* Sum of lost[] */
uint64_t counters_lost(const struct counters_messages *messages);

#endif
