#include "client/messages/expectation.h"

#include <string.h>

#include "proto/framing.h"

static const struct reply echo = { .kind = REPLY_ECHO };

static const struct reply *
reply_of(const struct expectation *expectation)
{
	return expectation->reply != NULL ? expectation->reply : &echo;
}

void
expectation_open(
    const struct plan *plan, const struct sequence *sequence, struct expectation *ret)
{
	struct expectation out = { .sequence = sequence };
	if (plan->expect == PLAN_EXPECT_REPLY)
		out.reply = &plan->reply;
	out.none = plan->expect == PLAN_EXPECT_NONE ||
	    (out.reply != NULL &&
		(reply_is_silent(out.reply) ||
		    (reply_is_empty(out.reply) &&
			!framings[sequence->framing].has_boundaries)));
	if (out.reply != NULL && !out.none && sequence->texts != NULL &&
	    !plan_expects_whoami(plan))
		out.wires = sequence_make_wires(sequence, out.reply);
	*ret = out;
}

void
expectation_close(struct expectation *expectation)
{
	sequence_free_wires(expectation->sequence, expectation->wires);
	expectation->wires = NULL;
}

uint32_t
expectation_length(
    const struct expectation *expectation, uint64_t connection, uint64_t message)
{
	const struct sequence *sequence = expectation->sequence;
	if (expectation->none)
		return 0;
	size_t payload = reply_length(reply_of(expectation),
	    sequence_payload_length(sequence, connection, message));
	struct frame frame = framing_for_payload(sequence->framing, payload);
	return (uint32_t)frame_length(&frame);
}

/* A range of an answer, composed from header, payload, text and trailer. */
struct part {
	size_t from; /* of the answer */
	size_t end;
	uint8_t *out;
};

/* The overlap of [begin, begin + length) with the range, relative to `begin`. Returns
 * where it goes in the output. */
static uint8_t *
overlap(const struct part *part, size_t begin, size_t length, size_t *ret_from,
    size_t *ret_length)
{
	size_t from = part->from > begin ? part->from : begin;
	size_t end = part->end < begin + length ? part->end : begin + length;
	*ret_from = from - begin;
	*ret_length = end > from ? end - from : 0;
	return part->out + (from - part->from);
}

const uint8_t *
expectation_wire(const struct expectation *expectation, enum reply_kind kind,
    uint64_t connection, const struct cursor *cursor, size_t *length, uint8_t *scratch,
    uint8_t *out)
{
	const struct sequence *sequence = expectation->sequence;
	const struct reply *reply = reply_of(expectation);
	uint32_t left = cursor->length - cursor->at;
	if (*length > left)
		*length = left;
	if (expectation->wires != NULL) {
		const uint8_t *wire =
		    expectation->wires[cursor->message % sequence->count];
		if (wire != NULL)
			return wire + cursor->at;
	}
	const struct framing_ops *ops = &framings[sequence->framing];
	size_t header = ops->header_bytes;
	size_t payload = cursor->length - header - ops->trailer_bytes;
	struct part part = { cursor->at, cursor->at + *length, out };
	size_t text = reply->text_length, body = payload - text, from, n;
	uint8_t *to = overlap(&part, header, body, &from, &n);
	if (n > 0) {
		sequence_payload(sequence, connection, cursor, from, n, scratch, to);
		reply_transform(kind, to, n);
	}
	to = overlap(&part, header + body, text, &from, &n);
	if (n > 0)
		memcpy(to, reply->text + from, n);
	if (header + ops->trailer_bytes > 0)
		framing_write_part(
		    sequence->framing, payload, cursor->at, *length, out);
	return out;
}

uint64_t
expectation_offset(const struct expectation *expectation, const struct cursor *cursor)
{
	const struct reply *reply = reply_of(expectation);
	struct frame frame = framing_for_payload(expectation->sequence->framing, 0);
	uint64_t each = frame_length(&frame) + reply->text_length;
	if (expectation->none)
		return 0;
	return cursor->message * each +
	    (reply_kinds[reply->kind].uses_payload ? cursor->offset : 0);
}

/* Bytes left of the answer at the reader; 0 at its end. */
static uint32_t
left_of_answer(struct expectation_reader *reader)
{
	struct cursor *cursor = &reader->cursor;
	const struct sequence *sequence = reader->expectation->sequence;
	while (cursor->message < reader->end) {
		if (cursor->length == 0)
			cursor->length = expectation_length(
			    reader->expectation, reader->connection, cursor->message);
		if (cursor->at < cursor->length)
			return cursor->length - cursor->at;
		sequence_seek(
		    sequence, reader->connection, cursor, cursor->message + 1);
	}
	return 0;
}

size_t
expectation_read(struct expectation_reader *reader, uint8_t *out, size_t length)
{
	size_t done = 0;
	while (done < length && left_of_answer(reader) > 0) {
		size_t n = length - done;
		const uint8_t *wire = expectation_wire(reader->expectation,
		    reader->kind, reader->connection, &reader->cursor, &n,
		    reader->scratch, out + done);
		if (wire != out + done)
			memcpy(out + done, wire, n);
		reader->cursor.at += (uint32_t)n;
		done += n;
	}
	return done;
}

uint64_t
expectation_skip(struct expectation_reader *reader, uint64_t bytes)
{
	uint64_t done = 0;
	uint32_t left;
	while (done < bytes && (left = left_of_answer(reader)) > 0) {
		uint64_t n = bytes - done < left ? bytes - done : left;
		reader->cursor.at += (uint32_t)n;
		done += n;
	}
	return done;
}
