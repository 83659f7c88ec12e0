#include "client/verify/resync.h"

#include <string.h>

#include "client/verify/mismatch.h"

void
resync_count_unexpected(struct verify *verify, size_t length)
{
	if (verify->counters != NULL)
		counters_add(&verify->counters->bytes_unexpected, length);
}

void
resync_next(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	sequence_seek(verify->expectation->sequence, in->connection, &stream->cursor,
	    stream->cursor.message + 1);
	stream->wrong = stream->ends_with_frame = false;
	stream->header = 0;
}

static uint32_t
header_of(const struct verify *verify)
{
	return (uint32_t)verify_framing(verify)->header_bytes;
}

static uint32_t
length_at(const struct verify *verify, const struct verify_input *in, uint64_t message)
{
	return expectation_length(verify->expectation, in->connection, message);
}

/* If the gap ends inside a header, its missing bytes are assumed to be correct. */
static void
end_gap(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	uint32_t at = stream->gap_at, header_bytes = header_of(verify);
	if (at > 0 && at < header_bytes)
		stream->header =
		    (length_at(verify, in, stream->cursor.message) - header_bytes) >>
		    8 * (header_bytes - at);
	stream->cursor.at = at;
	stream->wrong = stream->gap_wrong;
	stream->gap_at = 0;
	stream->gap_wrong = false;
}

enum verify_result
resync_skip_gap(struct verify *verify, const struct verify_input *in)
{
	resync_next(verify, in);
	if (--in->stream->gap == 0)
		end_gap(verify, in);
	return VERIFY_WRONG;
}

/* The stream continues `bytes` later, perhaps in a later answer. */
static void
skip_bytes(struct verify *verify, const struct verify_input *in, uint64_t bytes)
{
	struct verify_stream *stream = in->stream;
	struct cursor to = stream->cursor;
	uint64_t at = to.at + bytes;
	while (at >= to.length) {
		at -= to.length;
		to.length = length_at(verify, in, ++to.message);
		stream->gap++;
	}
	if (stream->gap == 0)
		stream->cursor.at = (uint32_t)at;
	else
		stream->gap_at = (uint32_t)at;
	stream->gap_wrong = stream->gap > 0 && at > 0;
}

/* True for a gap that ends in the same answer. */
static bool
is_within(const struct verify_stream *stream, const struct diagnosis *found)
{
	return found->kind == DIAGNOSIS_GAP &&
	    stream->cursor.at + found->bytes < stream->cursor.length;
}

void
resync_at_mismatch(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	bool is_delimited = verify_framing(verify)->is_delimited;
	struct diagnosis_case where = mismatch_case(verify, in);
	struct diagnosis found = mismatch_diagnose(verify, &where);
	if (is_delimited && in->data[0] == '\n' &&
	    (found.kind <= DIAGNOSIS_UNSEARCHED || is_within(stream, &found)))
		found.kind = DIAGNOSIS_TRUNCATED;
	mismatch_record(verify, &where, &found);
	switch (found.kind) {
	case DIAGNOSIS_DUPLICATE:
		stream->skip = length_at(verify, in, found.message) - stream->cursor.at;
		resync_count_unexpected(verify, stream->cursor.at);
		stream->cursor.at = stream->header = 0;
		return;
	case DIAGNOSIS_MISSING:
		stream->gap = (uint32_t)(found.message - stream->cursor.message);
		stream->gap_at = stream->cursor.at;
		return;
	case DIAGNOSIS_GAP:
		stream->wrong = true;
		skip_bytes(verify, in, found.bytes);
		return;
	case DIAGNOSIS_INSERTED:
	case DIAGNOSIS_REPEATED:
		/* Between two answers it makes neither of them wrong. */
		stream->wrong = stream->cursor.at > 0;
		stream->skip = (uint32_t)found.bytes;
		return;
	default:
		stream->wrong = true;
		stream->ends_with_frame = is_delimited &&
		    (found.kind != DIAGNOSIS_ALTERED ||
			in->length < DIAGNOSIS_BYTES_MIN);
	}
}

/* True if only the length was altered on the way: the next answer follows after the
 * expected length, or the length is so large that this cannot have arrived yet. (A
 * server that sends a longer answer sends as much as its header says.) */
static bool
is_altered_length(struct verify *verify, const struct verify_input *in)
{
	const struct verify_stream *stream = in->stream;
	uint32_t expected = stream->cursor.length - header_of(verify);
	struct diagnosis_case where = mismatch_case(verify, in);
	struct cursor next = stream->cursor;
	uint8_t run[FRAMING_HEADER_MAX + 1];
	if (in->length < expected + sizeof(run) || in->unanswered < 2)
		return stream->header > in->length &&
		    stream->header > expected + UINT8_MAX;
	sequence_seek(
	    verify->expectation->sequence, in->connection, &next, next.message + 1);
	size_t n =
	    diagnosis_expected_bytes(&where, in->connection, next, 1, run, sizeof(run));
	return memcmp(run, in->data + expected, n) == 0;
}

/* Diagnoses a header with an unexpected length, and the data after it: another answer,
 * or else this one with its header, with bytes altered or left out. Records the
 * mismatch at the first wrong byte of the header. */
static struct diagnosis
diagnose_header(struct verify *verify, const struct verify_input *in)
{
	uint32_t header = in->stream->header, header_bytes = header_of(verify),
		 wrong = 0;
	uint32_t expected = in->stream->cursor.length - header_bytes;
	struct diagnosis_case where = mismatch_case(verify, in);
	struct diagnosis found = { .kind = DIAGNOSIS_UNKNOWN };
	struct verify_stream whole = *in->stream;
	uint8_t raw[DIAGNOSIS_WINDOW];
	size_t more = sizeof(raw) - header_bytes;
	if (in->length > 0)
		found = mismatch_diagnose(verify, &where);
	more = in->length < more ? in->length : more;
	for (uint32_t i = 0; i < header_bytes; i++)
		raw[i] = (uint8_t)(header >> 8 * (header_bytes - 1 - i));
	if (more > 0)
		memcpy(raw + header_bytes, in->data, more);
	whole.cursor.at = 0;
	where = mismatch_case(verify,
	    &(struct verify_input){
		in->connection, &whole, in->unanswered, raw, header_bytes + more });
	if (found.kind <= DIAGNOSIS_ALTERED || found.kind == DIAGNOSIS_REPEATED) {
		found = mismatch_diagnose(verify, &where);
		if (found.kind <= DIAGNOSIS_ALTERED && !is_altered_length(verify, in))
			found.kind =
			    header < expected ? DIAGNOSIS_TRUNCATED : DIAGNOSIS_LONGER;
	}
	while ((header ^ expected) >> 8 * (header_bytes - 1 - wrong) == 0)
		wrong++;
	whole.cursor.at = wrong;
	where.got += wrong;
	where.length -= wrong;
	mismatch_record(verify, &where, &found);
	return found;
}

/* Discards the header and the rest of the repeated bytes. If they are fewer than a
 * header, its end is the beginning of the correct header. */
static void
skip_repeated(struct verify *verify, struct verify_stream *stream, uint64_t bytes)
{
	uint32_t header_bytes = header_of(verify);
	uint32_t in_header = bytes < header_bytes ? (uint32_t)bytes : header_bytes;
	resync_count_unexpected(verify, in_header);
	stream->skip = (uint32_t)bytes - in_header;
	stream->cursor.at = header_bytes - in_header;
}

enum verify_result
resync_after_header(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	uint32_t header_bytes = header_of(verify);
	struct diagnosis found = diagnose_header(verify, in);
	switch (found.kind) {
	case DIAGNOSIS_DUPLICATE:
		resync_count_unexpected(verify, header_bytes);
		stream->skip = stream->header;
		stream->cursor.at = stream->header = 0;
		return VERIFY_MORE;
	case DIAGNOSIS_MISSING:
		stream->gap = (uint32_t)(found.message - stream->cursor.message);
		stream->gap_at = header_bytes;
		return VERIFY_MORE;
	case DIAGNOSIS_GAP:
		stream->wrong = true;
		stream->cursor.at = 0;
		skip_bytes(verify, in, found.bytes + header_bytes);
		return VERIFY_MORE;
	case DIAGNOSIS_ALTERED:
		stream->wrong = true;
		return VERIFY_MORE;
	case DIAGNOSIS_REPEATED:
		skip_repeated(verify, stream, found.bytes);
		return VERIFY_MORE;
	default:
		stream->wrong = true;
		stream->skip = stream->header;
		stream->skip_ends_answer = stream->skip > 0;
	}
	if (stream->skip > 0)
		return VERIFY_MORE;
	resync_next(verify, in);
	return VERIFY_WRONG;
}
