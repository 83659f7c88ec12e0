/* mismatch.h - the first wrong bytes: looked into, and kept for the report. */
#ifndef CLIENT_VERIFY_MISMATCH_H
#define CLIENT_VERIFY_MISMATCH_H

#include "client/verify/diagnosis.h"
#include "client/verify/verify.h"

/* Messages of other connections that are looked at in a run, as DIAGNOSIS_STEPS count
 * them: less than half a second's work. */
#define MISMATCH_STEPS_MAX 64000000

/* The reply that holds for all, or echo while none has told (*ret_is_detected). */
enum reply_kind mismatch_kind(const struct verify *verify, bool *ret_is_detected);

/* What is known where a stream and what came part; data[0] is the first wrong byte. */
struct diagnosis_case mismatch_case(struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length);

/* What it looks like. A flood is no longer looked into after a number of searches;
 * those who are few among right answers are. */
struct diagnosis mismatch_diagnose(
    struct verify *verify, const struct diagnosis_case *where);

/* Keeps it, when there is room. */
void mismatch_record(struct verify *verify, const struct diagnosis_case *where,
    const struct diagnosis *diagnosis);

#endif
