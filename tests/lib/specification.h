/*
 * specification.h - an independent implementation of the server's replies, byte by
 * byte, with which the tests compare the code under test.
 *
 * For a stream with a suffix the answer depends on how the stream was segmented:
 * spec_is_cut_stream() checks whether an answer is one of the correct ones.
 */
#ifndef TESTS_SPECIFICATION_H
#define TESTS_SPECIFICATION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"

/* A reply: its text in the configuration, and its meaning. */
struct spec_reply {
	const char *text;
	bool keeps_payload, raises, is_discard;
	const char *added; /* the suffix, or the fixed answer */
};

static const struct spec_reply spec_replies[] = {
	{ .text = "echo", .keeps_payload = true, .added = "" },
	{ .text = "upper", .keeps_payload = true, .raises = true, .added = "" },
	{ .text = "upper,suffix=_SB",
	    .keeps_payload = true,
	    .raises = true,
	    .added = "_SB" },
	{ .text = "echo,suffix=\\u0001|", .keeps_payload = true, .added = "\1|" },
	{ .text = "fixed=my server", .added = "my server" },
	{ .text = "fixed=", .added = "" },
	{ .text = "discard", .is_discard = true, .added = "" },
};

#define SPEC_REPLIES (sizeof(spec_replies) / sizeof(spec_replies[0]))

enum spec_end { SPEC_WHOLE, SPEC_TOO_LONG, SPEC_TRUNCATED };

struct spec_answer {
	uint8_t *bytes; /* heap; free it */
	size_t length, capacity;
	uint64_t messages; /* complete ones; of a stream: 1 */
	enum spec_end end;
};

static inline uint8_t
spec_byte(const struct spec_reply *reply, uint8_t c)
{
	return reply->raises && c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

static inline void
spec_put(struct spec_answer *answer, const void *bytes, size_t length)
{
	if (length == 0)
		return;
	while (answer->length + length > answer->capacity) {
		answer->capacity = answer->capacity * 2 + 4096;
		answer->bytes = realloc(answer->bytes, answer->capacity);
	}
	if (answer->bytes == NULL)
		abort();
	memcpy(answer->bytes + answer->length, bytes, length);
	answer->length += length;
}

/* The reply to one payload, between its header and its trailer. */
static inline void
spec_one(struct spec_answer *answer, const struct spec_reply *reply,
    enum framing framing, const uint8_t *payload, size_t length, const char *trailer)
{
	size_t added = strlen(reply->added);
	size_t all = added + (reply->keeps_payload ? length : 0);
	const uint8_t header[4] = { (uint8_t)(all >> 24), (uint8_t)(all >> 16),
		(uint8_t)(all >> 8), (uint8_t)all };

	answer->messages++;
	if (reply->is_discard)
		return;
	spec_put(answer, header, framing == FRAMING_LENGTH32 ? 4 : 0);
	for (size_t i = 0; reply->keeps_payload && i < length; i++) {
		uint8_t c = spec_byte(reply, payload[i]);
		spec_put(answer, &c, 1);
	}
	spec_put(answer, reply->added, added);
	spec_put(answer, trailer, strlen(trailer));
}

static inline void
spec_lines(struct spec_answer *answer, const struct spec_reply *reply,
    size_t max_message, const uint8_t *data, size_t length)
{
	size_t start = 0;

	for (size_t i = 0; i < length; i++) {
		if (data[i] == '\n') {
			spec_one(
			    answer, reply, FRAMING_LINE, data + start, i - start, "\n");
			start = i + 1;
		} else if (i - start + 1 > max_message) {
			answer->end = SPEC_TOO_LONG;
			return;
		}
	}
	if (start < length)
		spec_one(answer, reply, FRAMING_LINE, data + start, length - start, "");
}

static inline void
spec_length32(struct spec_answer *answer, const struct spec_reply *reply,
    size_t max_message, const uint8_t *data, size_t length)
{
	size_t at = 0;

	while (at < length && answer->end == SPEC_WHOLE) {
		size_t left = length - at;
		if (left < 4) {
			answer->end = SPEC_TRUNCATED;
			return;
		}
		size_t payload = (size_t)data[at] * 16777216 +
		    (size_t)data[at + 1] * 65536 + (size_t)data[at + 2] * 256 +
		    data[at + 3];
		if (payload > max_message) {
			answer->end = SPEC_TOO_LONG;
		} else if (payload > left - 4) {
			answer->end = SPEC_TRUNCATED;
		} else {
			spec_one(answer, reply, FRAMING_LENGTH32, data + at + 4,
			    payload, "");
			at += 4 + payload;
		}
	}
}

/* The complete answer to data[length] followed by a half-close. */
static inline struct spec_answer
spec_answer(const struct spec_reply *reply, enum framing framing, size_t max_message,
    const uint8_t *data, size_t length)
{
	struct spec_answer answer = { 0 };

	if (framing == FRAMING_LINE)
		spec_lines(&answer, reply, max_message, data, length);
	else if (framing == FRAMING_LENGTH32)
		spec_length32(&answer, reply, max_message, data, length);
	else if (length > 0)
		spec_one(&answer, reply, FRAMING_STREAM, data, length, "");
	return answer;
}

/* True if the answer depends on the segmentation of the stream. */
static inline bool
spec_depends_on_cuts(const struct spec_reply *reply, enum framing framing)
{
	return framing == FRAMING_STREAM && !reply->is_discard &&
	    (!reply->keeps_payload || reply->added[0] != '\0');
}

/* True when got[got_length] answers data[length], cut into `messages` pieces of 1 to
 * max_message bytes each. */
static inline bool
spec_is_cut_stream(const struct spec_reply *reply, size_t max_message,
    const uint8_t *data, size_t length, uint64_t messages, const uint8_t *got,
    size_t got_length)
{
	size_t added = strlen(reply->added), at = 0, piece = 0;
	size_t kept = reply->keeps_payload ? length : 0;

	if (got_length != kept + messages * added || messages > length ||
	    messages * max_message < length)
		return false;
	for (size_t i = 0; !reply->keeps_payload && i < got_length; i++) {
		if (got[i] != (uint8_t)reply->added[i % added])
			return false;
	}
	for (size_t i = 0; reply->keeps_payload && i < length; i++) {
		/* Precondition: the suffix does not occur in the data. */
		if (piece > 0 && memcmp(got + at, reply->added, added) == 0) {
			at += added;
			piece = 0;
		}
		if (got[at++] != spec_byte(reply, data[i]) || ++piece > max_message)
			return false;
	}
	return !reply->keeps_payload || length == 0 ||
	    memcmp(got + at, reply->added, added) == 0;
}

#endif
