#include "client/verify/verify.h"

#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"
#include "client/verify/mismatch.h"
#include "client/verify/resync.h"

void
verify_init(struct verify *verify, const struct expectation *expectation,
    _Atomic uint32_t *detected, struct counters *counters, uint32_t connections)
{
	size_t longest = expectation->sequence->longest;
	*verify = (struct verify){
		.expectation = expectation,
		.detected = detected,
		.counters = counters,
		.connections = connections,
		.steps_left = MISMATCH_STEPS_MAX,
		.fd = -1,
		.scratch = xmalloc(longest > 4096 ? longest : 4096),
		.expected = xmalloc(VERIFY_STEP),
	};
}

void
verify_finish(struct verify *verify)
{
	free(verify->scratch);
	free(verify->expected);
	verify->scratch = verify->expected = NULL;
}

static size_t
first_difference(const uint8_t *a, const uint8_t *b, size_t length)
{
	size_t i = 0;
	if (memcmp(a, b, length) == 0)
		return length;
	while (a[i] == b[i])
		i++;
	return i;
}

/* A byte that fits one of the possible replies only decides which of them the server
 * sends. */
static void
detect_reply_kind(
    struct verify *verify, const uint8_t *echo, const uint8_t *data, size_t n)
{
	uint32_t none = 0, detected = 0;
	for (size_t i = 0; i < n; i++) {
		int fitting = 0;
		for (uint32_t kind = 0; kind < REPLY_KIND_COUNT; kind++) {
			uint8_t byte = echo[i];
			reply_transform((enum reply_kind)kind, &byte, 1);
			if (!reply_kinds[kind].uses_payload || byte != data[i])
				continue;
			fitting++;
			detected = 1 + kind;
		}
		if (fitting != 1)
			continue;
		atomic_compare_exchange_strong(verify->detected, &none, detected);
		return;
	}
}

/* Number of correct bytes among the first n of the input, all of one answer. */
static size_t
compare(struct verify *verify, const struct verify_input *in, size_t n)
{
	size_t right = 0;
	while (right < n) {
		struct cursor at = in->stream->cursor;
		size_t step = n - right < VERIFY_STEP ? n - right : VERIFY_STEP;
		bool detected;
		enum reply_kind kind = mismatch_kind(verify, &detected);
		at.at += (uint32_t)right;
		const uint8_t *expected = expectation_wire(verify->expectation, kind,
		    in->connection, &at, &step, verify->scratch, verify->expected);
		if (!detected) {
			detect_reply_kind(verify, expected, in->data + right, step);
			kind = mismatch_kind(verify, &detected);
			expected =
			    expectation_wire(verify->expectation, kind, in->connection,
				&at, &step, verify->scratch, verify->expected);
		}
		size_t same = first_difference(expected, in->data + right, step);
		right += same;
		if (same < step)
			break;
	}
	return right;
}

static void
take(struct verify_input *in, size_t n)
{
	in->data += n;
	in->length -= n;
}

/* A wrong line ends at its line end. */
static enum verify_result
feed_line_end(struct verify *verify, struct verify_input *in)
{
	const uint8_t *end = memchr(in->data, '\n', in->length);
	take(in, end == NULL ? in->length : (size_t)(end - in->data) + 1);
	if (end == NULL)
		return VERIFY_MORE;
	resync_next(verify, in);
	return VERIFY_WRONG;
}

static enum verify_result
feed_skip(struct verify *verify, struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	size_t n = in->length < stream->skip ? in->length : stream->skip;
	stream->skip -= (uint32_t)n;
	take(in, n);
	if (!stream->skip_ends_answer)
		resync_count_unexpected(verify, n);
	if (!stream->skip_ends_answer || stream->skip > 0)
		return VERIFY_MORE;
	stream->skip_ends_answer = false;
	resync_next(verify, in);
	return VERIFY_WRONG;
}

static enum verify_result
finish_answer(struct verify *verify, const struct verify_input *in)
{
	enum verify_result result = in->stream->wrong ? VERIFY_WRONG : VERIFY_RIGHT;
	resync_next(verify, in);
	return result;
}

/* The header is read as it is; if its length is not the expected one, resync decides
 * how many bytes belong to this answer. */
static enum verify_result
feed_header(struct verify *verify, struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	uint32_t header_bytes = (uint32_t)verify_framing(verify)->header_bytes;
	uint32_t expected = stream->cursor.length - header_bytes;
	for (; in->length > 0 && stream->cursor.at < header_bytes; take(in, 1)) {
		stream->header = stream->header << 8 | in->data[0];
		stream->cursor.at++;
	}
	if (stream->cursor.at < header_bytes)
		return VERIFY_MORE;
	if (stream->header != expected)
		return resync_after_header(verify, in);
	return expected == 0 ? finish_answer(verify, in) : VERIFY_MORE;
}

static enum verify_result
feed_bytes(struct verify *verify, struct verify_input *in)
{
	struct cursor *cursor = &in->stream->cursor;
	size_t left = cursor->length - cursor->at;
	size_t n = in->length < left ? in->length : left;
	size_t right = in->stream->wrong ? n : compare(verify, in, n);
	cursor->at += (uint32_t)right;
	take(in, right);
	if (right < n)
		resync_at_mismatch(verify, in);
	else if (cursor->at == cursor->length)
		return finish_answer(verify, in);
	return VERIFY_MORE;
}

enum verify_result
verify_feed(struct verify *verify, struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	struct cursor *cursor = &stream->cursor;
	size_t header_bytes = verify_framing(verify)->header_bytes;
	enum verify_result result = VERIFY_MORE;
	while (result == VERIFY_MORE) {
		if (stream->gap > 0)
			return resync_skip_gap(verify, in);
		if (cursor->length == 0)
			cursor->length = expectation_length(
			    verify->expectation, in->connection, cursor->message);
		if (in->length == 0)
			break;
		if (stream->skip > 0)
			result = feed_skip(verify, in);
		else if (stream->ends_with_frame)
			result = feed_line_end(verify, in);
		else if (cursor->at < header_bytes)
			result = feed_header(verify, in);
		else
			result = feed_bytes(verify, in);
	}
	return result;
}

void
verify_unexpected(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	struct verify_input rest = *in;
	uint32_t known =
	    stream->skip < in->length ? stream->skip : (uint32_t)in->length;
	/* The rest of a duplicate that is already recorded. */
	stream->skip -= known;
	take(&rest, known);
	rest.unanswered = 0;
	resync_count_unexpected(verify, in->length);
	if (rest.length == 0)
		return;
	struct diagnosis_case where = mismatch_case(verify, &rest);
	struct diagnosis found = { .kind = DIAGNOSIS_UNKNOWN };
	if (!verify->expectation->none)
		found = mismatch_diagnose(verify, &where);
	if (found.kind == DIAGNOSIS_DUPLICATE) {
		uint32_t whole = expectation_length(
		    verify->expectation, in->connection, found.message);
		if (whole > rest.length)
			stream->skip = whole - (uint32_t)rest.length;
	}
	mismatch_record(verify, &where, &found);
}

uint32_t
verify_progress(const struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t *ret_length)
{
	const struct cursor *cursor = &stream->cursor;
	*ret_length = cursor->length > 0
	    ? cursor->length
	    : expectation_length(verify->expectation, connection, cursor->message);
	return cursor->at;
}
