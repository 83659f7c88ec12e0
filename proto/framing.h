/*
 * framing.h - how a byte stream is cut into messages: one row for each framing.
 *
 *   stream    each read is a message:       [ payload ]
 *   line      to "\n", which stays:         [ payload ][\n]
 *   length32  length first, big-endian:     [ n: 4 bytes ][ payload: n bytes ]
 *
 * A reply is framed like its message: header and trailer surround the payload of the
 * reply, so that `fixed=1` answers "1\n" to a line. If a stream ends without "\n",
 * its last line is a message without a trailer, and so is the reply.
 */
#ifndef PROTO_FRAMING_H
#define PROTO_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(identifier, name, header bytes, function that writes the header, trailer, help). A
 * framing is a row here and its functions in framing.c: next_NAME finds a message. */
#define FRAMINGS(X)                                                                    \
	X(STREAM, stream, 0, NULL, "", "each read is one message")                     \
	X(LINE, line, 0, NULL, "\n", "each line is one message")                       \
	X(LENGTH32, length32, 4, write_length32, "",                                   \
	    "4 bytes of length, big-endian, then the message")

enum framing {
#define X(id, ...) FRAMING_##id,
	FRAMINGS(X)
#undef X
	    FRAMING_COUNT
};

#define FRAMING_HEADER_MAX 4
#define FRAMING_OVERHEAD_MAX 4 /* header and trailer together */

extern const char *const framing_names[]; /* by enum framing, NULL at the end */
/* 0, or -1 with errno if no framing has this name. */
int framing_parse(const char *name, enum framing *ret)
    __attribute__((warn_unused_result));

/* " stream: HELP. line: HELP. ..." as a literal. */
#define FRAMING_HELP_(id, name, header, write, trailer, help) " " #name ": " help "."
#define FRAMING_HELP FRAMINGS(FRAMING_HELP_)

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

struct framing_ops {
	const char *name;
	const char *help;
	/* Looks for the message at the front of data[length]. `searched` is the number
	 * of bytes at the front that an earlier call has found to hold no whole message
	 * (0 if unknown). max_message bounds the payload, in bytes; a stream is cut
	 * there and is never too long. An empty buffer is PARTIAL. */
	enum frame_status (*next)(const uint8_t *data, size_t length, size_t searched,
	    size_t max_message, struct frame *ret);
	void (*write_header)(uint8_t *to, size_t payload); /* NULL: no header */
	size_t header_bytes;
	size_t trailer_bytes;
	const char *trailer;
	bool has_boundaries; /* messages do not depend on how the stream is segmented */
	bool is_delimited;   /* the payload cannot contain the trailer */
};
extern const struct framing_ops framings[]; /* by enum framing */

/* The bytes that remain when the peer has ended its stream inside a message. They are
 * a message without trailer, unless the framing counts bytes. */
enum frame_status framing_last(enum framing framing, size_t length, struct frame *ret);

/* The frame around a payload of `payload` bytes that answers a message with the
 * trailer of `like`; framing_for_payload makes the frame of a message of our own. */
struct frame framing_for_reply(
    enum framing framing, const struct frame *like, size_t payload);
struct frame framing_for_payload(enum framing framing, size_t payload);

/* Writes the header before and the trailer after the payload, which is or will be at
 * out + frame->header. out has room for frame_length bytes. */
void framing_write(enum framing framing, const struct frame *frame, uint8_t *out);
/* Writes the header and trailer bytes of a message to send that are among the bytes
 * from .. from + length - 1 of its frame; byte `from` belongs at `out`. */
void framing_write_part(
    enum framing framing, size_t payload, size_t from, size_t length, uint8_t *out);

#endif
