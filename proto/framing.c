#include "proto/framing.h"

#include <errno.h>
#include <string.h>

const char *const framing_names[] = { "stream", "line", "length32", NULL };

int
framing_parse(const char *name, enum framing *ret)
{
	for (int i = 0; framing_names[i] != NULL; i++) {
		if (strcmp(name, framing_names[i]) == 0) {
			*ret = (enum framing)i;
			return 0;
		}
	}
	errno = EINVAL;
	return -1;
}

static enum frame_status
next_line(const uint8_t *data, size_t length, size_t searched, size_t max_message,
    struct frame *ret)
{
	/* A line that is too long is seen as soon as its end is known to be too far. */
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
next_length32(const uint8_t *data, size_t length, size_t max_message, struct frame *ret)
{
	if (length < FRAMING_HEADER_MAX)
		return FRAME_PARTIAL;
	size_t payload = (size_t)data[0] << 24 | (size_t)data[1] << 16 |
	    (size_t)data[2] << 8 | data[3];
	if (payload > max_message)
		return FRAME_TOO_LONG;
	if (length - FRAMING_HEADER_MAX < payload)
		return FRAME_PARTIAL;
	*ret = (struct frame){ .header = FRAMING_HEADER_MAX, .payload = payload };
	return FRAME_WHOLE;
}

enum frame_status
framing_next(enum framing framing, const uint8_t *data, size_t length, size_t searched,
    size_t max_message, struct frame *ret)
{
	if (length == 0)
		return FRAME_PARTIAL;
	switch (framing) {
	case FRAMING_LINE:
		return next_line(data, length, searched, max_message, ret);
	case FRAMING_LENGTH32:
		return next_length32(data, length, max_message, ret);
	case FRAMING_STREAM:
		break;
	}
	*ret = (struct frame){ .payload = length < max_message ? length : max_message };
	return FRAME_WHOLE;
}

enum frame_status
framing_last(
    enum framing framing, const uint8_t *data, size_t length, struct frame *ret)
{
	(void)data;
	if (framing == FRAMING_LENGTH32 || length == 0)
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
		.header = framing == FRAMING_LENGTH32 ? FRAMING_HEADER_MAX : 0,
		.payload = payload,
		.trailer = framing == FRAMING_LINE ? 1 : 0,
	};
}

void
framing_write(enum framing framing, const struct frame *frame, uint8_t *out)
{
	if (framing == FRAMING_LENGTH32) {
		out[0] = (uint8_t)(frame->payload >> 24);
		out[1] = (uint8_t)(frame->payload >> 16);
		out[2] = (uint8_t)(frame->payload >> 8);
		out[3] = (uint8_t)frame->payload;
	}
	if (frame->trailer > 0)
		out[frame->header + frame->payload] = '\n';
}
