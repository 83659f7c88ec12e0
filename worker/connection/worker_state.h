/*
 * worker_state.h - the state of one worker process, in parts. Each part names the file
 * that changes it; other files may read it.
 *
 *   struct worker           one for each process; worker.c
 *   struct worker_listener  one for each listening socket; acceptor.c
 *   struct connection       one for each open socket; connection.c
 *
 * There are no threads: every function of worker/ runs in the process's one loop.
 */
#ifndef WORKER_WORKER_STATE_H
#define WORKER_WORKER_STATE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lib/heap_trim.h"
#include "lib/log.h"
#include "net/address.h"
#include "net/transport.h"
#include "proto/control_queue.h"
#include "proto/ledger.h"
#include "proto/reply.h"
#include "conf/config.h"
#include "worker/connection/connection_pool.h"
#include "worker/connection/crash_record.h"
#include "worker/connection/fault_state.h"
#include "worker/conversation/pauses.h"
#include "worker/conversation/session.h"

LIST_HEAD(output_list, output);
LIST_HEAD(receiver_list, receiver);

struct worker_listener {
	struct worker *worker;
	const struct listener_config *config;
	const struct transport *transport;
	event_callback_fn on_event;           /* of connections that are served */
	event_callback_fn on_header_event;    /* of those awaiting a header */
	event_callback_fn on_tls_event;       /* of those that are served with TLS */
	event_callback_fn on_handshake_event; /* of those in a TLS handshake */
	struct ledger_block *block;  /* of this worker: counts of its connections */
	size_t number;               /* in the configuration */
	struct event event;          /* readable: a connection is in the accept queue */
	int fd;                      /* -1 once closed */
	struct address address;      /* local address */
	char name[ADDRESS_TEXT_MAX]; /* `address` as text; matched in transfers */
	struct player_side side; /* of its conversation, which is NULL if it has none */
	bool is_bytewise;        /* framing and reply treat each byte by itself */
	reply_transform_fn transform; /* of the payload in a reply; NULL: unchanged */
	bool keeps_about;             /* whoami_state.h */
	bool is_witness;              /* witness_state.h */
	bool answers_alone;           /* the reply has nothing of its message */
	bool draining_queue;          /* closes after a quiet period */
	bool saw_connection;          /* since the last run of drain_queue_timer */
	unsigned busy_turns; /* runs of drain_queue_timer that saw connections */
	struct listener_faults faults;
};

/* acceptor.c */
struct worker_accept {
	struct worker_listener *listeners;
	size_t listener_count;
	int spare_fd; /* closed to refuse one connection when no other is left */
	bool is_paused;
	/* CLOCK_MONOTONIC */
	uint64_t next_pause_log_ns, next_full_log_ns, next_untrusted_log_ns;
	struct event resume_timer;
	struct event drain_queue_timer;
};

/* admission.c */
struct worker_limits {
	uint64_t max_connections;         /* of this process, by its descriptors */
	int fd_end;                       /* only descriptors below can be watched */
	struct address_limits *addresses; /* NULL: no listener limits addresses */
};

/* timeouts.c: the clock of timeouts, moved at each check */
struct worker_timeouts {
	uint32_t now_ms;
	uint32_t checked_ms;  /* CLOCK_MONOTONIC at the last check */
	uint32_t interval_ms; /* between checks */
	struct event timer;
};

/* drain.c */
struct worker_drain {
	bool is_exiting;  /* for good */
	bool closes_idle; /* timeouts.c closes idle connections */
	bool listeners_closed_sent;
	struct event check; /* made active by worker_request_drain_check() */
	struct event timer;
	uint64_t end_ns; /* CLOCK_MONOTONIC deadline; 0: none */
};

/* transfer_send.c and transfer_receive.c */
struct worker_transfers {
	struct sender *sender; /* the one transfer that sends connections, or NULL */
	bool is_expected;      /* a transfer of all connections will start (again) */
	/* Bits of the listeners whose connections the pending transfer of all may still
	 * move; a drain must not close them. */
	uint64_t movable;
	/* Bits of the listeners whose connections it moves when they are between two
	 * passes of a conversation: there each of them stops. */
	uint64_t between_passes;
	struct receiver_list receivers; /* transfers that bring connections */
};

/* fault_state.c and faults/ */
struct worker_faults {
	struct fault_timers timers;
	struct event timer_event;
	uint8_t *scratch; /* a reply while it is changed */
	size_t scratch_bytes;
};

/* tls_state.c */
struct worker_tls {
	size_t cipher_count; /* connections with cipher contexts */
	bool is_hidden;      /* this process makes no core file */
};

/* Replies made by responder.c and not yet sent: one send for all that fit. */
struct batch {
	uint8_t *data;
	size_t capacity, length; /* bytes */
	uint64_t replies;
};

struct worker {
	const struct config *config;
	uint32_t slot;
	uint32_t generation;
	struct event_base *base;
	short edge_events; /* EV_ET | EV_CLOSED where the method knows them, else 0 */
	struct ledger *ledger; /* of all workers */
	uint32_t ledger_entry;
	struct worker_ledger *worker_ledger; /* the same, writable */
	struct event channel_event;
	int channel_fd;               /* to the master */
	struct control_queue reports; /* that the channel did not take yet */

	struct crash_region region;
	struct crash_record *record; /* in the region */
	struct region_heap blocks;   /* buffers and outputs, unless on the heap */
	struct buffer_memory buffer_memory;
	uint32_t blocks_trimmed_ms; /* timeouts.now_ms */

	struct connection_pool connections;
	struct output_list queued_outputs; /* all that wait for their peer */
	size_t lingering_count;            /* connections in that phase */
	size_t handshake_count;            /* connections in such a phase */
	struct heap_trim heap_trim;
	uint8_t *input;     /* of one read, in the region; used up before the callback
				returns */
	struct batch batch; /* sent before the callback returns */

	struct worker_accept accept;
	struct worker_limits limits;
	struct worker_timeouts timeouts;
	struct worker_drain drain;
	struct worker_transfers transfers;
	struct worker_faults faults;
	struct worker_tls tls;
	struct fault_ring *fault_ring;     /* record of this worker; NULL: none */
	struct witness_book *witness_book; /* records of witnesses; NULL: none */
	struct pauses pauses;   /* of conversations and witnesses; not started if there
				   are none */
	struct session session; /* the one that is being played */
};

#define WORKER_INPUT_BYTES (64 * 1024)

/* Runs the check of drain.c once, after the current callback and before the loop
 * sleeps: for whatever may have been the last thing that a drain waited for. */
static inline void
worker_request_drain_check(struct worker *worker)
{
	event_active(&worker->drain.check, EV_TIMEOUT, 0);
}

/* Sends a control message to the master, later if the master is stopped. A failure is
 * no error here: the master finds out by the end of the process. */
static inline void
worker_report(
    struct worker *worker, enum channel_verb verb, uint32_t argument, uint64_t value)
{
	const struct channel_message message = {
		.verb = verb, .argument = argument, .value = value
	};
	if (control_queue_send(&worker->reports, worker->channel_fd, &message, -1) < 0)
		log_debug("cannot send control message %u to the master", verb);
}

/* True if its connections play a conversation. */
static inline bool
listener_plays(const struct worker_listener *listener)
{
	return listener->side.conversation != NULL;
}

/* The listener's number in the ledger: the same in every worker and across reloads. */
static inline uint32_t
listener_ledger_index(const struct worker_listener *listener)
{
	const struct ledger_block *first = listener->worker->worker_ledger->by_listener;
	return (uint32_t)(listener->block - first);
}

#endif
