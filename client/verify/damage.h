/*
 * damage.h - which answers a damage makes wrong, once it is known where the stream goes
 * on (client/verify/resync.h).
 *
 * The same received bytes can often be explained by a damage a few bytes earlier: where
 * "ab\nac\n" was expected and "ac\n" came, "b\na" is missing, or "ab\n". The
 * explanation that damages the fewest answers counts. An answer in whose place the
 * answer to a later message came, and which came in the place of that one, was
 * exchanged with it: both are wrong.
 */
#ifndef CLIENT_VERIFY_DAMAGE_H
#define CLIENT_VERIFY_DAMAGE_H

#include "client/verify/held.h"
#include "client/verify/resync.h"

#define DAMAGE_CONTEXT 64 /* received bytes by which a damage is named, at most */

enum damage_shape {
	DAMAGE_ALTERED,  /* as many bytes as expected, some of them others */
	DAMAGE_GAP,      /* bytes are missing */
	DAMAGE_INSERTED, /* bytes too many */
	DAMAGE_REPLACED, /* other bytes, fewer or more */
	DAMAGE_FRAME,    /* one answer in a frame of another length */
	DAMAGE_EXCHANGED /* the answer to `message` */
};

struct damage {
	enum damage_shape shape;
	struct held_place place; /* corrected */
	uint32_t earlier;        /* bytes by which it lies before the first wrong one */
	struct cursor resume;    /* message and at */
	struct cursor wrong_until; /* the damage ends there */
	uint64_t message;
	size_t context; /* received bytes by which it is named */
};

/* False if more bytes are needed. where->expected.cursor.length is set. */
bool damage_judge(
    const struct resync_case *where, struct held_place place, struct damage *ret);

/* True if the inserted bytes are those before the first wrong one, again. *ret_whole:
 * these are whole answers, if they are counted up to the start of the present one. */
bool damage_is_repetition(const struct resync_case *where, size_t got, bool *ret_whole);

/* Copies up to `length` expected bytes that precede the first wrong one in its answer.
 * Returns their number. */
size_t damage_bytes_before(
    const struct resync_case *where, uint8_t *out, size_t length);

#endif
