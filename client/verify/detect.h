/*
 * detect.h - --expect auto: does the server echo, or answer in upper case?
 *
 * The lower-case letters among what was sent decide: an echo brings all of them back,
 * upper case none. A few altered bytes change neither, nor do missing or inserted ones.
 */
#ifndef CLIENT_VERIFY_DETECT_H
#define CLIENT_VERIFY_DETECT_H

#include "client/messages/expectation.h"

#define DETECT_LETTERS 8       /* decide at any byte */
#define DETECT_LETTERS_MIN 3   /* decide at the end of an answer */
#define DETECT_ANSWERS_MAX 8   /* after these the majority decides, */
#define DETECT_BYTES_MAX 65536 /* or after these bytes */

/* Decides by the bytes received since the reader, which ends after what is outstanding.
 * False if they are not enough. `is_last`: no more will arrive. */
bool detect_reply_kind(struct expectation_reader echo, const uint8_t *got,
    size_t length, bool is_last, enum reply_kind *ret);

/* True if echo and upper case are the same for the first `length` bytes. */
bool detect_is_same(struct expectation_reader echo, size_t length);

#endif
