/*
 * held.h - received bytes whose verdict is not decided yet, with the times at which
 * they arrived.
 *
 * From the first wrong byte on a connection keeps what it receives until the stream is
 * found again (client/verify/resync.h). A connection without damage has none. The
 * memory of all connections of a process is limited (struct held_budget).
 *
 *   bytes:  [ decided, 0 .. start ][ undecided, start .. length ][ room ]
 */
#ifndef CLIENT_VERIFY_HELD_H
#define CLIENT_VERIFY_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/messages/sequence.h"

#define HELD_BYTES_MAX (1536u << 10)           /* undecided bytes of a connection */
#define HELD_BUDGET_BYTES (UINT64_C(64) << 20) /* of all connections of a process */
#define HELD_MARKS_MAX 32

enum held_state {
	HELD_INTACT,  /* the bytes from `start` on are compared like received ones */
	HELD_DAMAGED, /* the byte at `start` is wrong: where does the stream go on? */
	HELD_FOUND, /* that is known (`place`), but not yet all that it is judged by */
	HELD_RESUMING, /* counts the answers up to `resume` */
};

/* Where the stream goes on: bytes from the first wrong one. */
struct held_place {
	uint64_t expected; /* bytes of the expected stream that are left out */
	size_t got;        /* bytes received in place of them */
};

/* The bytes up to `end` arrived at this time or before. */
struct held_mark {
	size_t end;
	uint64_t ns;
};

struct held {
	uint8_t *bytes;
	size_t start, length, room;
	struct held_mark marks[HELD_MARKS_MAX];
	uint32_t mark_count;
	enum held_state state;
	/* HELD_INTACT: bytes whose differences belong to a damage already recorded */
	size_t recorded;
	/* HELD_DAMAGED, HELD_FOUND */
	size_t searched;      /* of the undecided bytes, by the last search */
	size_t tail_searched; /* for the end of what is outstanding */
	uint32_t tail_hits;
	uint64_t outstanding; /* expected bytes up to there, from the first wrong one */
	struct cursor outstanding_to;
	uint32_t
	    released; /* answers whose bytes have arrived, as far as one can tell */
	size_t volume_end; /* of the undecided bytes: where one more has arrived */
	size_t frame_end;  /* the same by the received frames */
	struct held_place place;
	/* HELD_RESUMING */
	struct cursor resume;      /* message and at */
	struct cursor wrong_until; /* the damage ends there */
};

struct held_budget {
	uint64_t bytes; /* allocated by all connections */
};

struct held *held_create(void);
void held_destroy(struct held *held, struct held_budget *budget); /* NULL is allowed */

/* Appends received bytes. */
void held_append(struct held *held, struct held_budget *budget, const uint8_t *data,
    size_t length, uint64_t now_ns);

/* Decides the first `n` undecided bytes. */
void held_take(struct held *held, size_t n);

/* The byte at `start` is wrong: starts a search. */
void held_damaged(struct held *held);

/* When the last decided byte arrived. */
uint64_t held_taken_ns(const struct held *held);

static inline const uint8_t *
held_data(const struct held *held)
{
	return held->bytes + held->start;
}

static inline size_t
held_length(const struct held *held)
{
	return held->length - held->start;
}

#endif
