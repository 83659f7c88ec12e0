/*
 * resync.h - where a stream of answers goes on behind wrong bytes
 * (client/verify/verify.h), so that one fault is told once, as what it looks like, and
 * the rest is verified.
 */
#ifndef CLIENT_VERIFY_RESYNC_H
#define CLIENT_VERIFY_RESYNC_H

#include "client/verify/verify.h"

/* The first wrong byte of an answer is data[0]: it is noted, and the stream set to
 * where it goes on. */
void resync_at_mismatch(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length);

/* length32: a header has come that says another length than the expected one, and
 * data[length] behind it. WRONG when the answer ends with it. */
enum verify_result resync_after_header(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length) __attribute__((warn_unused_result));

/* Answers that will never come are wrong one after the other; the place behind the gap
 * is then where the stream stands. */
enum verify_result resync_skip_gap(struct verify *verify, uint64_t connection,
    struct verify_stream *stream) __attribute__((warn_unused_result));

/* The next answer is awaited. */
void resync_next(
    struct verify *verify, uint64_t connection, struct verify_stream *stream);

/* Bytes came that nothing, or something else, was owed. */
void resync_count_unexpected(struct verify *verify, size_t length);

#endif
