#include "proto/framing.h"

#include <errno.h>
#include <string.h>

static enum frame_status
next_stream(const uint8_t *data, size_t length, size_t searched, size_t max_message,
    struct frame *ret)
{
	(void)data;
	(void)searched;
	if (length == 0)
		return FRAME_PARTIAL;
	*ret = (struct frame){ .payload = length < max_message ? length : max_message };
	return FRAME_WHOLE;
}

static enum frame_status
next_line(const uint8_t *data, size_t length, size_t searched, size_t max_message,
    struct frame *ret)
{
	/* The end of a line that is not too long is at max_message or before it. */
	size_t window = length;
	if (window > max_message && window - max_message > 1)
		window = max_message + 1;
	const uint8_t *end = NULL;
	if (searched < window)
		end = memchr(data + searched, '\n', window - searched);
	if (end != NULL) {
		*ret = (struct frame){ .payload = (size_t)(end - data), .trailer = 1 };
		return FRAME_WHOLE;
	}
	return length > max_message ? FRAME_TOO_LONG : FRAME_PARTIAL;
}

static enum frame_status
next_length32(const uint8_t *data, size_t length, size_t searched, size_t max_message,
    struct frame *ret)
{
	enum { HEADER = 4 };
	(void)searched;
	if (length < HEADER)
		return FRAME_PARTIAL;
	size_t payload = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
	    (size_t)data[2] << 8 | data[3];
	if (payload > max_message)
		return FRAME_TOO_LONG;
	if (length - HEADER < payload)
		return FRAME_PARTIAL;
	*ret = (struct frame){ .header = HEADER, .payload = payload };
	return FRAME_WHOLE;
}

static void
write_length32(uint8_t *to, size_t payload)
{
	to[0] = (uint8_t)(payload >> 24);
	to[1] = (uint8_t)(payload >> 16);
	to[2] = (uint8_t)(payload >> 8);
	to[3] = (uint8_t)payload;
}

const struct framing_ops framings[] = {
#define X(id, word, header, write, end, text)                                          \
	{ .name = #word,                                                               \
		.help = text,                                                          \
		.next = next_##word,                                                   \
		.write_header = write,                                                 \
		.header_bytes = header,                                                \
		.trailer_bytes = sizeof(end) - 1,                                      \
		.trailer = end,                                                        \
		.has_boundaries = header + sizeof(end) > 1,                            \
		.is_delimited = sizeof(end) > 1 },
	FRAMINGS(X)
#undef X
};

const char *const framing_names[] = {
#define X(id, word, ...) #word,
	FRAMINGS(X)
#undef X
	    NULL
};

int
framing_parse(const char *name, enum framing *ret)
{
	for (int i = 0; i < FRAMING_COUNT; i++) {
		if (strcmp(name, framing_names[i]) == 0) {
			*ret = (enum framing)i;
			return 0;
		}
	}
	errno = EINVAL;
	return -1;
}

enum frame_status
framing_last(enum framing framing, size_t length, struct frame *ret)
{
	if (framings[framing].header_bytes > 0 || length == 0)
		return FRAME_PARTIAL;
	*ret = (struct frame){ .payload = length };
	return FRAME_WHOLE;
}

struct frame
framing_for_reply(enum framing framing, const struct frame *like, size_t payload)
{
	struct frame frame = framing_for_payload(framing, payload);
	frame.trailer = like->trailer;
	return frame;
}

struct frame
framing_for_payload(enum framing framing, size_t payload)
{
	return (struct frame){
		.header = framings[framing].header_bytes,
		.payload = payload,
		.trailer = framings[framing].trailer_bytes,
	};
}

void
framing_write(enum framing framing, const struct frame *frame, uint8_t *out)
{
	if (frame->header > 0)
		framings[framing].write_header(out, frame->payload);
	for (size_t i = 0; i < frame->trailer; i++)
		out[frame->header + frame->payload + i] =
		    (uint8_t)framings[framing].trailer[i];
}

void
framing_write_part(
    enum framing framing, size_t payload, size_t from, size_t length, uint8_t *out)
{
	const struct framing_ops *ops = &framings[framing];
	uint8_t header[FRAMING_HEADER_MAX];
	if (from < ops->header_bytes)
		ops->write_header(header, payload);
	for (size_t i = from; i < ops->header_bytes && i < from + length; i++)
		out[i - from] = header[i];
	for (size_t i = 0; i < ops->trailer_bytes; i++) {
		size_t at = ops->header_bytes + payload + i;
		if (at >= from && at < from + length)
			out[at - from] = (uint8_t)ops->trailer[i];
	}
}
