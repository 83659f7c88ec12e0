/*
 * resync.h - finds where a damaged stream of answers goes on: the place nearest to the
 * first wrong byte at which received and expected bytes are the same again.
 *
 *   expected:  ...intact | left out (place.expected) | evidence, the same bytes
 *   received:  ...intact | in place of them (place.got) | evidence, the same bytes
 *
 * "Nearest" is the smallest larger one of the two; among equals one that needs no bytes
 * in place of others, and then the place that shifts the stream least. The searches are
 * made over growing prefixes of the received bytes, always of the same lengths, so that
 * the result does not depend on segmentation, and the work for each received byte is
 * bounded.
 */
#ifndef CLIENT_VERIFY_RESYNC_H
#define CLIENT_VERIFY_RESYNC_H

#include "client/messages/expectation.h"
#include "client/verify/held.h"

#define RESYNC_FIRST 16   /* bytes of the first prefix */
#define RESYNC_TAIL_MIN 4 /* bytes of evidence at the end of the stream */

/* Expected bytes that the searches of a process may go farther than usual, in all. */
#define RESYNC_SPARE_BYTES (UINT64_C(64) << 20)

/* Memory and work of the searches of a process. */
struct resync {
	uint32_t *slots; /* hash table of windows: position + 1; heap, owned */
	size_t slot_room, slot_count; /* allocated; used by this search */
	uint8_t *chunk;               /* of the expected stream; heap, owned */
	uint64_t work_bytes;          /* expected bytes searched */
	uint64_t spare_bytes;         /* searches that may go farther than usual */
};

struct resync_case {
	struct resync *resync;
	struct expectation_reader expected; /* at the first wrong byte */
	const uint8_t *got;                 /* from the first wrong byte on */
	size_t length;
	bool is_last; /* nothing more will arrive */
};

void resync_init(struct resync *resync);
void resync_finish(struct resync *resync);

/* Continues the search for held->place with all prefixes that have arrived. True if it
 * was found. */
bool resync_find(
    const struct resync_case *where, struct held *held, struct held_place *ret);

#endif
