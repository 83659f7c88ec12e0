/*
 * resync.h - decides where a stream of answers continues after wrong bytes
 * (client/verify/verify.h), so that one fault is reported once and the rest is
 * verified.
 */
#ifndef CLIENT_VERIFY_RESYNC_H
#define CLIENT_VERIFY_RESYNC_H

#include "client/verify/verify.h"

/* in->data[0] is the first wrong byte of an answer: records the mismatch and moves the
 * stream to where it continues. */
void resync_at_mismatch(struct verify *verify, const struct verify_input *in);

/* A header with another length than the expected one is read; in->data follows it.
 * WRONG if the answer ends with the header. */
enum verify_result resync_after_header(struct verify *verify,
    const struct verify_input *in) __attribute__((warn_unused_result));

/* Counts one answer of a gap as wrong; after the last one the stream continues behind
 * the gap. */
enum verify_result resync_skip_gap(struct verify *verify, const struct verify_input *in)
    __attribute__((warn_unused_result));

/* Moves the stream to the next answer. */
void resync_next(struct verify *verify, const struct verify_input *in);

/* Counts bytes that belong to no expected answer. */
void resync_count_unexpected(struct verify *verify, size_t length);

#endif
