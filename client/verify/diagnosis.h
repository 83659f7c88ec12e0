/* diagnosis.h - names a damage: compares the received bytes with what the messages
 * could have produced at other places, with what was sent, and with other protocols. */
#ifndef CLIENT_VERIFY_DIAGNOSIS_H
#define CLIENT_VERIFY_DIAGNOSIS_H

#include <stddef.h>
#include <stdint.h>

#include "client/verify/damage.h"

enum diagnosis_kind {
	DIAGNOSIS_UNKNOWN,
	DIAGNOSIS_SEARCHED,   /* unknown; `bytes` of each connection were searched */
	DIAGNOSIS_UNSEARCHED, /* unknown, and the search was cut short */
	DIAGNOSIS_ALTERED,    /* `bytes` bytes differ */
	DIAGNOSIS_DUPLICATE,  /* the answer to `message` again */
	DIAGNOSIS_STALE,      /* the answer to `message` again, instead of another */
	DIAGNOSIS_EXCHANGED,  /* the answer to `message`, which got this one's */
	DIAGNOSIS_GAP,        /* `bytes` bytes are missing */
	DIAGNOSIS_INSERTED,   /* `bytes` bytes too many */
	DIAGNOSIS_REPEATED,   /* too many, and the same as those before them */
	DIAGNOSIS_CONNECTION, /* the data of connection `connection` */
	DIAGNOSIS_ELSEWHERE,  /* the data of this connection, near `message` */
	DIAGNOSIS_TRUNCATED,
	DIAGNOSIS_LONGER,
	DIAGNOSIS_UNCHANGED, /* what was sent */
	DIAGNOSIS_UPPER,     /* what was sent, in upper case */
	DIAGNOSIS_SUFFIX,    /* another suffix: `text` */
	DIAGNOSIS_FOREIGN,   /* `text` */
};

#define DIAGNOSIS_TEXT_MAX 80

struct diagnosis {
	enum diagnosis_kind kind;
	uint64_t message;
	uint64_t connection;
	uint64_t bytes;
	char text[DIAGNOSIS_TEXT_MAX];
};

struct diagnosis_case {
	const struct resync_case *where;
	const struct damage *damage;
	uint32_t connections; /* to search for the owner of the data */
	uint64_t
	    *search_left;   /* bytes of other connections that may still be searched */
	uint64_t displaced; /* 1 + the message in whose place a later answer came */
};

#define DIAGNOSIS_SEARCH_BYTES 65536 /* of each connection, around the same message */
#define DIAGNOSIS_BYTES_MIN 4        /* a match of fewer bytes may be a coincidence */
#define DIAGNOSIS_MESSAGES_MAX 64    /* searched in each direction */
#define DIAGNOSIS_ALTERED_MAX 9      /* differing bytes that are called altered */

struct diagnosis diagnosis_find(const struct diagnosis_case *what);

/* True if the inserted bytes are the answer to an earlier message. */
bool diagnosis_is_duplicate(const struct resync_case *where,
    const struct damage *damage, uint64_t *ret_message);

/* Writes the diagnosis as text. */
void diagnosis_describe(const struct diagnosis *diagnosis, char *out, size_t size);

#endif
