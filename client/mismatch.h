/* mismatch.h - the first wrong bytes: looked into, and kept for the report. */
#ifndef CLIENT_MISMATCH_H
#define CLIENT_MISMATCH_H

#include "client/suspect.h"
#include "client/verify.h"

/* The reply that holds for all, or echo while none has told (*ret_told). */
enum reply_kind mismatch_kind(const struct verify *verify, bool *ret_told);

/* What is known where a stream and what came part; data[0] is the first wrong byte. */
struct suspect_case mismatch_case(struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t owed, const uint8_t *data,
    size_t length);

/* What it looks like; after a number of searches a flood is no longer looked into. */
struct suspect mismatch_inspect(
    struct verify *verify, const struct suspect_case *where);

/* Keeps it, when there is room. */
void mismatch_note(struct verify *verify, const struct suspect_case *where,
    const struct suspect *suspect);

#endif
