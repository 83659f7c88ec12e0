/* mismatch.h - names the first damages and records them for the report. */
#ifndef CLIENT_VERIFY_MISMATCH_H
#define CLIENT_VERIFY_MISMATCH_H

#include "client/verify/damage.h"
#include "client/verify/verify.h"

/* Limit, in bytes, of the search for the owner of data in a run: less than half a
 * second. */
#define MISMATCH_SEARCH_MAX (UINT64_C(256) << 20)

/* Records a damage, up to COUNTERS_MISMATCHES_MAX of them. */
void mismatch_record(struct verify *verify, const struct verify_stream *stream,
    const struct resync_case *where, const struct damage *damage);

#endif
