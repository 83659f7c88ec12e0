/* diagnosis.h - explains wrong bytes: compares them with what the sequence of messages
 * could have produced at other places. */
#ifndef CLIENT_VERIFY_DIAGNOSIS_H
#define CLIENT_VERIFY_DIAGNOSIS_H

#include <stddef.h>
#include <stdint.h>

#include "client/messages/expectation.h"

enum diagnosis_kind {
	DIAGNOSIS_UNKNOWN,
	DIAGNOSIS_UNSEARCHED, /* unknown, and the search was cut short */
	DIAGNOSIS_ALTERED,    /* a few bytes differ */
	DIAGNOSIS_DUPLICATE,  /* the answer to `message` again */
	DIAGNOSIS_MISSING,    /* the answer to `message`; those before it are missing */
	DIAGNOSIS_GAP,        /* `bytes` bytes are missing */
	DIAGNOSIS_INSERTED,   /* `bytes` bytes too many */
	DIAGNOSIS_REPEATED,   /* too many, and the same as those before them */
	DIAGNOSIS_CONNECTION, /* the data of connection `connection` */
	DIAGNOSIS_TRUNCATED,
	DIAGNOSIS_LONGER, /* by its header */
};

struct diagnosis {
	enum diagnosis_kind kind;
	uint64_t message;
	uint64_t connection;
	uint64_t bytes;
};

/* The place of a mismatch. */
struct diagnosis_case {
	const struct expectation *expectation;
	enum reply_kind reply;
	uint64_t connection;
	const struct cursor *cursor; /* at the first wrong byte */
	uint32_t unanswered;         /* messages, including the one at the cursor */
	uint32_t header;             /* of its frame, as received */
	uint32_t connections;        /* to search for the owner of the data; 0: none */
	uint64_t *steps_left; /* cost of that search, counted down (DIAGNOSIS_STEPS) */
	const uint8_t *got;   /* from the first wrong byte on */
	size_t length;
	uint8_t *scratch;
};

#define DIAGNOSIS_BYTES_MIN 4     /* a match of fewer bytes may be a coincidence */
#define DIAGNOSIS_WINDOW 64       /* bytes compared, at most */
#define DIAGNOSIS_MESSAGES_MAX 64 /* messages searched in each direction */
#define DIAGNOSIS_STEPS 8         /* cost of a comparison; passing a message costs 1 */

struct diagnosis diagnosis_find(const struct diagnosis_case *where);

/* Writes the diagnosis as text. */
void diagnosis_describe(const struct diagnosis *diagnosis, char *out, size_t size);

/* Writes up to `length` bytes of the expected stream of a connection from a cursor on,
 * over at most `messages` answers. Returns their number. */
size_t diagnosis_expected_bytes(const struct diagnosis_case *where, uint64_t connection,
    struct cursor from, uint32_t messages, uint8_t *out, size_t length);

#endif
