/*
 * worker_state.h - what one worker process holds, and who may touch it.
 *
 *   struct worker     one, in worker.c; everything else hangs on it
 *   struct listener   one for each listening socket; acceptor.c
 *   struct connection one for each open socket; connection.c, memory from
 * connection_pool.c
 *
 * There are no threads: every function here runs in the loop of the one process.
 */
#ifndef WORKER_WORKER_STATE_H
#define WORKER_WORKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lib/heap_trim.h"

#include "net/address.h"

#include "proto/ledger.h"

#include "conf/config.h"

#include "worker/connection_pool.h"

struct sender;
struct receiver;
struct address_limits;
struct output;

struct listener {
	struct worker *worker;
	const struct listener_config *config;
	struct ledger_block *block;  /* of the worker's books: counts of connections */
	size_t number;               /* in the configuration */
	struct event event;          /* readable: somebody waits in the accept queue */
	event_callback_fn on_event;  /* of the connections accepted here */
	int fd;                      /* -1 once closed */
	struct address address;      /* what it is bound to */
	char name[ADDRESS_TEXT_MAX]; /* the same as text: who it is at a hand-over */
	bool is_bytewise;            /* framing and reply work on each byte alone */
	bool draining_queue;         /* closes when nobody came for a while */
	bool saw_connection;  /* somebody came since the emptying timer last looked */
	unsigned quiet_turns; /* that the emptying timer looked */
};

/* What the log has been told, and when. */
struct log_state {
	bool is_logged;
	uint32_t logged_ms;
};

/* Replies made by the responder and not yet sent: one send for as many as fit. */
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
	const struct ledger *ledger;
	struct worker_ledger *worker_ledger;

	struct listener *listeners;
	size_t listener_count;
	uint64_t max_connections; /* of this process, by its descriptors */
	int descriptor_end;       /* descriptors below this one can be watched */
	int spare_fd; /* given up to refuse cleanly when there is no other */
	bool accept_paused;
	struct log_state pause_log, full_log;
	struct event accept_resume;
	struct event drain_queue_timer;

	struct address_limits
	    *address_limits; /* NULL: no listener limits single addresses */
	struct connection_pool connection_pool;
	struct heap_trim heap_trim;
	struct output
	    *queued_outputs; /* every output that waits for its peer to read */
	size_t lingering;    /* connections in that phase */
	uint32_t now_ms; /* the clock of timeouts, moved by each sweep (timeouts.c) */
	uint32_t timeouts_checked_ms;  /* CLOCK_MONOTONIC at the last one */
	uint32_t timeouts_interval_ms; /* time between sweeps */
	struct event timeouts_timer;

	uint8_t *input; /* what a read brought; used up before the callback returns */
	struct batch batch; /* emptied before the callback returns */

	struct event channel_event;
	int channel_fd;
	bool is_exiting; /* no way back */
	bool draining;   /* quiet connections are closed */
	bool listeners_closed_sent;
	struct sender *sender;      /* the hand-over that gives ours away, or NULL */
	bool awaits_transfer;       /* a hand-over will come (again) */
	struct receiver *receivers; /* hand-overs that bring us some */
	struct event drain_check;   /* not pending: made active by
				       worker_request_drain_check */
	struct event drain_timer;
	uint64_t drain_end_ns; /* CLOCK_MONOTONIC: when it runs out; 0: never */
};

#define WORKER_INPUT_BYTES (64 * 1024)

/* Runs the check of drain.c once, after the callback that is running now and before the
 * loop sleeps: for files below drain.c, when what they did may have ended the drain. */
static inline void
worker_request_drain_check(struct worker *worker)
{
	event_active(&worker->drain_check, EV_TIMEOUT, 0);
}

/* The listener's number in the ledger: the same in every worker, over reloads too. */
static inline uint32_t
listener_ledger_index(const struct listener *listener)
{
	return (
	    uint32_t)(listener->block - listener->worker->worker_ledger->by_listener);
}

#endif
