/*
 * suspect.h - what wrong bytes look like: tried against what the sequence could have
 * produced elsewhere.
 */
#ifndef CLIENT_SUSPECT_H
#define CLIENT_SUSPECT_H

#include <stddef.h>
#include <stdint.h>

#include "client/expectation.h"

enum suspect_kind {
	SUSPECT_UNKNOWN,
	SUSPECT_UNSEARCHED, /* the same, but not all that was sent was looked at */
	SUSPECT_ALTERED,    /* the same but for a byte or a few */
	SUSPECT_DUPLICATE,  /* the answer to `message` once more */
	SUSPECT_MISSING,    /* the answer to `message`, those between never came */
	SUSPECT_GAP,        /* `bytes` bytes left out */
	SUSPECT_INSERTED,   /* `bytes` bytes too many */
	SUSPECT_REPEATED,   /* ... which are those that came before */
	SUSPECT_CONNECTION, /* what connection `connection` should get here */
	SUSPECT_TRUNCATED,
	SUSPECT_LONGER, /* length32: so says its header */
};

struct suspect {
	enum suspect_kind kind;
	uint64_t message;
	uint64_t connection;
	uint64_t bytes;
};

/* What is known of the bad place. */
struct suspect_case {
	const struct expectation *expectation;
	enum reply_kind reply;
	uint64_t connection;
	const struct cursor *cursor; /* at the first wrong byte */
	uint32_t owed;        /* unanswered messages, with the one at the cursor */
	uint32_t header;      /* length32: the header that came with it */
	uint32_t connections; /* others to look at; 0: none */
	uint64_t *steps_left; /* ... at this expense, counted down (SUSPECT_STEPS) */
	const uint8_t *got;   /* from the first wrong byte */
	size_t length;
	uint8_t *scratch;
};

#define SUSPECT_TELLING 4   /* fewer bytes than this that agree tell nothing */
#define SUSPECT_WINDOW 64   /* bytes that are compared at most */
#define SUSPECT_MESSAGES 64 /* messages looked at, before and behind */
#define SUSPECT_STEPS 8     /* one comparison; to pass a message is one step */

struct suspect suspect_find(const struct suspect_case *where);

/* Writes the words for it. */
void suspect_describe(const struct suspect *suspect, char *out, size_t size);

/* Bytes of the stream of answers from a cursor on, over at most `messages` answers:
 * writes up to `length`, returns how many. */
size_t suspect_run(const struct suspect_case *where, uint64_t connection,
    struct cursor from, uint32_t messages, uint8_t *out, size_t length);

#endif
