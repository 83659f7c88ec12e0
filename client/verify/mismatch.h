/* mismatch.h - diagnoses a mismatch, and records the first ones for the report. */
#ifndef CLIENT_VERIFY_MISMATCH_H
#define CLIENT_VERIFY_MISMATCH_H

#include "client/verify/diagnosis.h"
#include "client/verify/verify.h"

/* Limit, in steps of diagnosis.h, of the search among other connections in a run: less
 * than half a second. */
#define MISMATCH_STEPS_MAX 64000000

/* The reply kind of all answers; echo while not detected (*ret_is_detected). */
enum reply_kind mismatch_kind(const struct verify *verify, bool *ret_is_detected);

/* The case to diagnose; in->data[0] is the first wrong byte. */
struct diagnosis_case mismatch_case(
    struct verify *verify, const struct verify_input *in);

/* Diagnoses a mismatch. The number of searches is limited if most answers are wrong; a
 * few wrong answers among many correct ones are all diagnosed. */
struct diagnosis mismatch_diagnose(
    struct verify *verify, const struct diagnosis_case *where);

/* Records a mismatch, up to COUNTERS_MISMATCHES_MAX. */
void mismatch_record(struct verify *verify, const struct diagnosis_case *where,
    const struct diagnosis *diagnosis);

#endif
