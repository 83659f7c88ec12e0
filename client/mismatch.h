/* mismatch.h - the first wrong bytes: looked into, and kept for the report. */
#ifndef CLIENT_MISMATCH_H
#define CLIENT_MISMATCH_H

#include "client/suspect.h"
#include "client/verify.h"

/* Messages of other connections that are looked at in a run, as SUSPECT_STEPS count
 * them: less than half a second's work. */
#define MISMATCH_STEPS_MAX 64000000

/* The reply that holds for all, or echo while none has told (*ret_told). */
enum reply_kind mismatch_kind(const struct verify *verify, bool *ret_told);

/* What is known where a stream and what came part; data[0] is the first wrong byte. */
struct suspect_case mismatch_case(struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t owed, const uint8_t *data,
    size_t length);

/* What it looks like. A flood is no longer looked into after a number of searches;
 * those who are few among right answers are. */
struct suspect mismatch_inspect(
    struct verify *verify, const struct suspect_case *where);

/* Keeps it, when there is room. */
void mismatch_note(struct verify *verify, const struct suspect_case *where,
    const struct suspect *suspect);

#endif
