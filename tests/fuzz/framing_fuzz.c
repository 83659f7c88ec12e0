/*
 * The framings. The first bytes choose the framing, max_message and the segmentation of
 * the rest. Read incrementally, the rest must give the frames that the specification
 * finds in the whole.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"
#include "tests/lib/must.h"
#include "tests/lib/specification.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER_BYTES 4

struct reader {
	enum framing framing;
	size_t max_message;
	size_t used, searched;
	struct spec_answer got; /* of an echo */
	bool is_over;
};

static void
take(struct reader *reader, const uint8_t *message, const struct frame *frame)
{
	struct frame answer = framing_for_reply(reader->framing, frame, frame->payload);
	uint8_t *out = malloc(frame_length(&answer) + 1);

	must(out != NULL && frame->payload <= reader->max_message);
	must(frame->header + frame->trailer <= FRAMING_OVERHEAD_MAX);
	memcpy(out + answer.header, message + frame->header, frame->payload);
	framing_write(reader->framing, &answer, out);
	spec_put(&reader->got, out, frame_length(&answer));
	reader->got.messages++;
	free(out);
}

/* Reads the complete frames in data[length] after the first reader->used bytes. */
static void
read_on(struct reader *reader, const uint8_t *data, size_t length)
{
	while (!reader->is_over) {
		size_t left = length - reader->used;
		/* An exact copy, so that a sanitizer detects reads beyond it. */
		uint8_t *copy = malloc(left + (left == 0));
		struct frame frame;

		must(copy != NULL);
		memcpy(copy, data + reader->used, left);
		enum frame_status status = framings[reader->framing].next(
		    copy, left, reader->searched, reader->max_message, &frame);
		if (status == FRAME_WHOLE) {
			must(frame_length(&frame) > 0 && frame_length(&frame) <= left);
			take(reader, copy, &frame);
			reader->used += frame_length(&frame);
		}
		reader->searched = status == FRAME_PARTIAL ? left : 0;
		reader->is_over = status == FRAME_TOO_LONG;
		free(copy);
		if (status != FRAME_WHOLE)
			return;
	}
}

static void
read_end(struct reader *reader, const uint8_t *data, size_t length)
{
	size_t left = length - reader->used;
	struct frame frame;

	if (reader->is_over) {
		reader->got.end = SPEC_TOO_LONG;
	} else if (framing_last(reader->framing, left, &frame) == FRAME_WHOLE) {
		must(frame_length(&frame) == left);
		take(reader, data + reader->used, &frame);
	} else if (left > 0) {
		reader->got.end = SPEC_TRUNCATED;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEADER_BYTES)
		return 0;
	struct reader reader = { .framing = (enum framing)(data[0] % 3),
		.max_message = (size_t)data[1] * 256 + data[2] };
	size_t step = (size_t)data[3] + 1;

	if (reader.max_message == 0)
		reader.max_message = 1;
	data += HEADER_BYTES;
	size -= HEADER_BYTES;
	for (size_t come = 0; come < size;) {
		come = come + step < size ? come + step : size;
		read_on(&reader, data, come);
	}
	read_end(&reader, data, size);
	struct spec_answer expected = spec_answer(
	    &spec_replies[0], reader.framing, reader.max_message, data, size);
	must(reader.got.length == expected.length && reader.got.end == expected.end);
	must(expected.length == 0 ||
	    memcmp(reader.got.bytes, expected.bytes, expected.length) == 0);
	must(reader.framing == FRAMING_STREAM ||
	    reader.got.messages == expected.messages);
	free(reader.got.bytes);
	free(expected.bytes);
	return 0;
}
