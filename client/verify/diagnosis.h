/*
 * diagnosis.h - what wrong bytes look like: tried against what the sequence could have
 * produced elsewhere.
 */
#ifndef CLIENT_VERIFY_DIAGNOSIS_H
#define CLIENT_VERIFY_DIAGNOSIS_H

#include <stddef.h>
#include <stdint.h>

#include "client/messages/expectation.h"

enum diagnosis_kind {
	DIAGNOSIS_UNKNOWN,
	DIAGNOSIS_UNSEARCHED, /* the same, but not all that was sent was looked at */
	DIAGNOSIS_ALTERED,    /* the same but for a byte or a few */
	DIAGNOSIS_DUPLICATE,  /* the answer to `message` once more */
	DIAGNOSIS_MISSING,    /* the answer to `message`, those between never came */
	DIAGNOSIS_GAP,        /* `bytes` bytes left out */
	DIAGNOSIS_INSERTED,   /* `bytes` bytes too many */
	DIAGNOSIS_REPEATED,   /* ... which are those that came before */
	DIAGNOSIS_CONNECTION, /* what connection `connection` should get here */
	DIAGNOSIS_TRUNCATED,
	DIAGNOSIS_LONGER, /* length32: so says its header */
};

struct diagnosis {
	enum diagnosis_kind kind;
	uint64_t message;
	uint64_t connection;
	uint64_t bytes;
};

/* What is known of the bad place. */
struct diagnosis_case {
	const struct expectation *expectation;
	enum reply_kind reply;
	uint64_t connection;
	const struct cursor *cursor; /* at the first wrong byte */
	uint32_t unanswered;  /* unanswered messages, with the one at the cursor */
	uint32_t header;      /* length32: the header that came with it */
	uint32_t connections; /* others to look at; 0: none */
	uint64_t *steps_left; /* ... at this expense, counted down (DIAGNOSIS_STEPS) */
	const uint8_t *got;   /* from the first wrong byte */
	size_t length;
	uint8_t *scratch;
};

#define DIAGNOSIS_BYTES_MIN 4     /* fewer bytes than this that agree tell nothing */
#define DIAGNOSIS_WINDOW 64       /* bytes that are compared at most */
#define DIAGNOSIS_MESSAGES_MAX 64 /* messages looked at, before and behind */
#define DIAGNOSIS_STEPS 8         /* one comparison; to pass a message is one step */

struct diagnosis diagnosis_find(const struct diagnosis_case *where);

/* Writes the words for it. */
void diagnosis_describe(const struct diagnosis *diagnosis, char *out, size_t size);

/* Bytes of the stream of answers from a cursor on, over at most `messages` answers:
 * writes up to `length`, returns how many. */
size_t diagnosis_expected_bytes(const struct diagnosis_case *where, uint64_t connection,
    struct cursor from, uint32_t messages, uint8_t *out, size_t length);

#endif
