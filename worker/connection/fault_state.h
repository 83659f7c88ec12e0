/*
 * fault_state.h - what a connection of a listener with faults has besides: its place in
 * the sequence of messages, and the order of what is still to be sent.
 *
 *   connection->output->bytes     | reply 7 | reply 8          | reply 9 |
 *   faults->segments              | due, 7  | due, 8 | stall 2s| due, 9  |
 *
 * Replies are output like any other, but each waits until it is due. What happens to
 * the connection between two replies is a segment without bytes. A segment is only
 * appended, or consumed from the front, so that a crash can be undone
 * (crash_record.h).
 *
 * The timers of all connections of a worker are a heap, driven by one timerfd.
 */
#ifndef WORKER_FAULT_STATE_H
#define WORKER_FAULT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "net/address.h"
#include "proto/faults/fault.h"
#include "proto/faults/fault_record.h"

struct connection;
struct worker;
struct worker_listener;

#define FAULT_NO_ACTION FAULT_KIND_COUNT

/* A part of the output, or an action after the part before it. */
struct fault_segment {
	uint64_t due_ns; /* CLOCK_MONOTONIC; 0: at once */
	/* For an action: where it happens, for the record, and its time or rate. */
	uint64_t message, offset, value;
	uint32_t length;  /* bytes of the output; 0: an action */
	uint32_t replies; /* that end in them */
	uint8_t action;   /* enum fault_kind, or FAULT_NO_ACTION */
	uint8_t is_held;  /* the next reply goes before it (reorder) */
	uint8_t unused[6];
};

/* State that changes with each message, and moves with the connection. */
struct fault_progress {
	uint64_t list_id;  /* of the faults that `fired` is about */
	uint64_t fired;    /* bit: that fault has happened to the connection */
	uint64_t messages; /* answered */
	uint64_t offset;   /* bytes of their replies, without faults */
	uint64_t accepted_ns, connected_ns; /* CLOCK_MONOTONIC, CLOCK_REALTIME */
	uint64_t last_due_ns;               /* replies keep their order */
	uint64_t stalled_until_ns;          /* FAULT_FOR_EVER */
	uint64_t trickle_rate;              /* bytes per second; 0: not limited */
	uint64_t trickle_next_ns;
	uint32_t front_sent; /* bytes of the first segment */
	uint8_t is_ending;   /* no reply is added any more: close, reset, half-close */
	uint8_t reads_no_more;
	uint8_t is_half_closed;
	uint8_t unused;
};

/* Due at a time; in a heap of the worker. */
struct fault_timer {
	uint64_t due_ns;
	size_t index_plus_one; /* in the heap; 0: not set */
	void (*on_due)(void *argument);
	void *argument;
};

struct fault_state {
	struct fault_progress progress;
	struct buffer *segments; /* struct fault_segment */
	uint64_t seed;           /* of the connection (fault_decision.h) */
	struct fault_timer timer;
};

/* A reply for FAULT_SWAP. */
struct kept_reply {
	uint8_t *data;
	size_t length, capacity;
	uint64_t seed; /* of its connection */
};

/* Faults of a struct worker_listener. */
struct listener_faults {
	const struct fault *rows; /* of the configuration, or `own` */
	size_t count;
	struct fault *own; /* set at run time; heap */
	uint64_t seed;     /* fault_listener_seed() */
	uint64_t since_ns; /* CLOCK_MONOTONIC: when they took effect */
	uint64_t fired;    /* bit: that fault of the listener has begun */
	bool refuses;      /* some connections */
	bool accepts_none; /* at the moment */
	bool has_own_backlog;
	struct kept_reply latest[2]; /* of two connections, the latest first */
	struct fault_timer timer;    /* of the faults of the listener */
};

struct fault_timers {
	struct fault_timer **heap;
	size_t count, capacity;
	uint64_t set_ns; /* of the timerfd; 0: not set */
};

/* 0, or -1 with errno. */
int fault_timers_start(struct worker *worker) __attribute__((warn_unused_result));
void fault_timers_stop(struct worker *worker);
/* FAULT_FOR_EVER: removes it. If memory runs out the timer is due with another one. */
void fault_timer_set(struct worker *worker, struct fault_timer *timer, uint64_t due_ns);

/* Gives the connection its state, with the segments of its output (now owned). NULL
 * with ENOMEM; the segments are then still the caller's. */
struct fault_state *fault_state_create(
    struct connection *connection, struct buffer *segments);
void fault_state_destroy(struct connection *connection);

static inline size_t
fault_state_segment_count(const struct fault_state *state)
{
	return buffer_length(state->segments) / sizeof(struct fault_segment);
}

/* The first segment, or NULL. */
static inline const struct fault_segment *
fault_state_front(const struct fault_state *state)
{
	return state->segments == NULL
	    ? NULL
	    : (const void *)(state->segments->data + state->segments->start);
}

/* Counts a fault and adds it to the record. `state` is NULL if it concerns no
 * connection. */
struct fault_note {
	enum fault_kind kind;
	const struct address_compact *peer; /* NULL: none */
	uint64_t message, offset, length, value;
};
void fault_state_note(const struct worker_listener *listener,
    const struct fault_state *state, const struct fault_note *note);

/* Identifies a list of faults: equal for equal ones. */
uint64_t fault_state_list_id(const struct worker_listener *listener);

#endif
