/*
 * framing.h - what one message is, on the wire.
 *
 *   stream    each read is a message:       [ payload ]
 *   line      to "\n", which stays:         [ payload ][\n]
 *   length32  length first, big-endian:     [ n: 4 bytes ][ payload: n bytes ]
 *
 * A reply is framed as its message was: header and trailer stand around the payload of
 * the reply, so that `fixed=1` answers "1\n" to a line. The last line of a stream that
 * ends without "\n" is a message without trailer, and so is its reply.
 */
#ifndef PROTO_FRAMING_H
#define PROTO_FRAMING_H

#include <stddef.h>
#include <stdint.h>

enum framing { FRAMING_STREAM, FRAMING_LINE, FRAMING_LENGTH32 };

#define FRAMING_HEADER_MAX 4
#define FRAMING_OVERHEAD_MAX 4 /* header and trailer together */

extern const char *const framing_names[]; /* by enum framing, NULL at the end */
int framing_parse(const char *name, enum framing *ret)
    __attribute__((warn_unused_result)); /* 0, or -1 for a name that is none */

/* One message found in a buffer: header, payload and trailer follow each other. */
struct frame {
	size_t header;  /* bytes before the payload */
	size_t payload; /* bytes of the payload */
	size_t trailer; /* bytes after it */
};

static inline size_t
frame_length(const struct frame *frame)
{
	return frame->header + frame->payload + frame->trailer;
}

enum frame_status {
	FRAME_WHOLE,    /* *ret holds it */
	FRAME_PARTIAL,  /* more bytes are needed */
	FRAME_TOO_LONG, /* its payload is, or will be, over max_message */
};

/* Looks for the message at the front of data[length]. `searched` says how many bytes at
 * the front a former call has already found to be no whole line (0 when unsure).
 * max_message bounds the payload, in bytes; a stream is cut there instead, never too
 * long. An empty buffer is PARTIAL. */
enum frame_status framing_next(enum framing framing, const uint8_t *data, size_t length,
    size_t searched, size_t max_message, struct frame *ret);

/* What is left when the peer has closed its side in the middle of a message: a line
 * without its end is whole (trailer 0), a length32 message is not. */
enum frame_status framing_last(
    enum framing framing, const uint8_t *data, size_t length, struct frame *ret);

/* The frame around a payload of `payload` bytes that answers (or is sent like) a
 * message with `like`'s trailer; framing_for_payload makes one for a message of our
 * own. */
struct frame framing_for_reply(
    enum framing framing, const struct frame *like, size_t payload);
struct frame framing_for_payload(enum framing framing, size_t payload);

/* Writes the header before and the trailer after the payload that stands, or will
 * stand, at out + frame->header. out has room for frame_length bytes. */
void framing_write(enum framing framing, const struct frame *frame, uint8_t *out);

#endif
