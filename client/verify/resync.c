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
resync_next(struct verify *verify, uint64_t connection, struct verify_stream *stream)
{
	sequence_seek(verify->expectation->sequence, connection, &stream->cursor,
	    stream->cursor.message + 1);
	stream->wrong = stream->ends_with_frame = false;
	stream->header = 0;
}

static uint32_t
header_of(const struct verify *verify)
{
	return (uint32_t)verify_framing(verify)->header_bytes;
}

/* Behind the gap. Of a header that it has cut what is missing is taken as right. */
static void
end_gap(struct verify *verify, uint64_t connection, struct verify_stream *stream)
{
	struct cursor *cursor = &stream->cursor;
	uint32_t at = stream->gap_at, header_bytes = header_of(verify);

	if (at > 0 && at < header_bytes)
		stream->header = (expectation_length(verify->expectation, connection,
				      cursor->message) -
				     header_bytes) >>
		    8 * (header_bytes - at);
	cursor->at = at;
}

enum verify_result
resync_skip_gap(
    struct verify *verify, uint64_t connection, struct verify_stream *stream)
{
	resync_next(verify, connection, stream);
	if (--stream->gap == 0) {
		end_gap(verify, connection, stream);
		stream->wrong = stream->gap_wrong;
		stream->gap_at = 0;
		stream->gap_wrong = false;
	}
	return VERIFY_WRONG;
}

/* The stream goes on `bytes` further on, perhaps in a later answer. */
static void
skip_bytes(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint64_t bytes)
{
	struct cursor to = stream->cursor;
	uint64_t at = to.at + bytes;

	while (at >= to.length) {
		at -= to.length;
		sequence_seek(
		    verify->expectation->sequence, connection, &to, to.message + 1);
		to.length =
		    expectation_length(verify->expectation, connection, to.message);
		stream->gap++;
	}
	if (stream->gap == 0)
		stream->cursor.at = (uint32_t)at;
	else
		stream->gap_at = (uint32_t)at;
	stream->gap_wrong = stream->gap > 0 && at > 0;
}

/* A gap that ends in the same answer. */
static bool
is_within(const struct verify_stream *stream, const struct diagnosis *found)
{
	return found->kind == DIAGNOSIS_GAP &&
	    stream->cursor.at + found->bytes < stream->cursor.length;
}

void
resync_at_mismatch(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length)
{
	bool is_delimited = verify_framing(verify)->is_delimited;
	struct diagnosis_case where =
	    mismatch_case(verify, connection, stream, unanswered, data, length);
	struct diagnosis found = mismatch_diagnose(verify, &where);

	if (is_delimited && data[0] == '\n' &&
	    (found.kind <= DIAGNOSIS_UNSEARCHED || is_within(stream, &found)))
		found.kind = DIAGNOSIS_TRUNCATED;
	mismatch_record(verify, &where, &found);
	switch (found.kind) {
	case DIAGNOSIS_DUPLICATE:
		stream->skip =
		    expectation_length(verify->expectation, connection, found.message);
		stream->skip -= stream->cursor.at;
		resync_count_unexpected(verify, stream->cursor.at);
		stream->cursor.at = stream->header = 0;
		return;
	case DIAGNOSIS_MISSING:
		stream->gap = (uint32_t)(found.message - stream->cursor.message);
		stream->gap_at = stream->cursor.at;
		return;
	case DIAGNOSIS_GAP:
		stream->wrong = true;
		skip_bytes(verify, connection, stream, found.bytes);
		return;
	case DIAGNOSIS_INSERTED:
	case DIAGNOSIS_REPEATED:
		/* Between two answers it hurts neither. */
		stream->wrong = stream->cursor.at > 0;
		stream->skip = (uint32_t)found.bytes;
		return;
	default:
		stream->wrong = true;
		stream->ends_with_frame = is_delimited &&
		    (found.kind != DIAGNOSIS_ALTERED || length < DIAGNOSIS_BYTES_MIN);
	}
}

/* The length alone was altered on the way: what is behind the expected one is the next
 * answer, or the length is so far off that nothing of that has come. A server that says
 * a little more sends as much. */
static bool
is_altered_length(struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length)
{
	uint32_t want = stream->cursor.length - header_of(verify);
	struct diagnosis_case where =
	    mismatch_case(verify, connection, stream, unanswered, data, length);
	struct cursor next = stream->cursor;
	uint8_t run[FRAMING_HEADER_MAX + 1];

	if (length < want + sizeof(run) || unanswered < 2)
		return stream->header > length && stream->header > want + UINT8_MAX;
	sequence_seek(
	    verify->expectation->sequence, connection, &next, next.message + 1);
	size_t n =
	    diagnosis_expected_bytes(&where, connection, next, 1, run, sizeof(run));
	return memcmp(run, data + want, n) == 0;
}

/* A header that says another length than the expected one; data[length] has come behind
 * it. What it looks like: another answer, or else this one, header and all, with bytes
 * altered or left out. Noted from the first wrong byte of the header on. */
static struct diagnosis
diagnose_header(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length)
{
	uint32_t header_bytes = header_of(verify), wrong = 0;
	uint32_t want = stream->cursor.length - header_bytes;
	struct diagnosis_case where =
	    mismatch_case(verify, connection, stream, unanswered, data, length);
	struct diagnosis found = { .kind = DIAGNOSIS_UNKNOWN };
	struct verify_stream whole = *stream;
	uint8_t raw[DIAGNOSIS_WINDOW];
	size_t more = sizeof(raw) - header_bytes;

	if (length > 0)
		found = mismatch_diagnose(verify, &where);
	more = length < more ? length : more;
	for (uint32_t i = 0; i < header_bytes; i++)
		raw[i] = (uint8_t)(stream->header >> 8 * (header_bytes - 1 - i));
	if (more > 0)
		memcpy(raw + header_bytes, data, more);
	whole.cursor.at = 0;
	where = mismatch_case(
	    verify, connection, &whole, unanswered, raw, header_bytes + more);
	if (found.kind <= DIAGNOSIS_ALTERED || found.kind == DIAGNOSIS_REPEATED) {
		found = mismatch_diagnose(verify, &where);
		if (found.kind <= DIAGNOSIS_ALTERED &&
		    !is_altered_length(
			verify, connection, stream, unanswered, data, length))
			found.kind = stream->header < want ? DIAGNOSIS_TRUNCATED
							   : DIAGNOSIS_LONGER;
	}
	while ((stream->header ^ want) >> 8 * (header_bytes - 1 - wrong) == 0)
		wrong++;
	whole.cursor.at = wrong;
	where.got += wrong;
	where.length -= wrong;
	mismatch_record(verify, &where, &found);
	return found;
}

/* The header that came, and what is left of those bytes behind it, is thrown away. When
 * they are fewer, its end is the beginning of the true one, and goes on to be read. */
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
resync_after_header(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, uint32_t unanswered, const uint8_t *data,
    size_t length)
{
	struct cursor *cursor = &stream->cursor;
	uint32_t header_bytes = header_of(verify);
	struct diagnosis found =
	    diagnose_header(verify, connection, stream, unanswered, data, length);

	switch (found.kind) {
	case DIAGNOSIS_DUPLICATE:
		resync_count_unexpected(verify, header_bytes);
		stream->skip = stream->header;
		cursor->at = 0;
		stream->header = 0;
		return VERIFY_MORE;
	case DIAGNOSIS_MISSING:
		stream->gap = (uint32_t)(found.message - cursor->message);
		stream->gap_at = header_bytes;
		return VERIFY_MORE;
	case DIAGNOSIS_GAP:
		stream->wrong = true;
		cursor->at = 0;
		skip_bytes(verify, connection, stream, found.bytes + header_bytes);
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
	resync_next(verify, connection, stream);
	return VERIFY_WRONG;
}
