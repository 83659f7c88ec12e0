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

/* How many of data[n] are right; n is at most what is left of the answer. */
static size_t
compare(struct verify *verify, uint64_t connection, const struct cursor *cursor,
    const uint8_t *data, size_t n)
{
	size_t right = 0;

	while (right < n) {
		struct cursor at = *cursor;
		size_t step = n - right < VERIFY_STEP ? n - right : VERIFY_STEP;
		bool detected;
		enum reply_kind kind = mismatch_kind(verify, &detected);
		at.at += (uint32_t)right;
		const uint8_t *want = expectation_wire(verify->expectation, kind,
		    connection, &at, &step, verify->scratch, verify->expected);
		if (!detected) {
			detect_reply_kind(verify, want, data + right, step);
			kind = mismatch_kind(verify, &detected);
			want = expectation_wire(verify->expectation, kind, connection,
			    &at, &step, verify->scratch, verify->expected);
		}
		size_t same = first_difference(want, data + right, step);
		right += same;
		if (same < step)
			break;
	}
	return right;
}

/* A wrong line goes to its own end. */
static size_t
feed_line_end(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    const uint8_t *data, size_t length, enum verify_result *ret)
{
	const uint8_t *end = memchr(data, '\n', length);

	if (end == NULL)
		return length;
	resync_next(verify, connection, stream);
	*ret = VERIFY_WRONG;
	return (size_t)(end - data) + 1;
}

static size_t
feed_skip(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    size_t length, enum verify_result *ret)
{
	size_t n = length < stream->skip ? length : stream->skip;

	stream->skip -= (uint32_t)n;
	if (!stream->skip_ends_answer) {
		resync_count_unexpected(verify, n);
	} else if (stream->skip == 0) {
		stream->skip_ends_answer = false;
		resync_next(verify, connection, stream);
		*ret = VERIFY_WRONG;
	}
	return n;
}

static void
finish_answer(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    enum verify_result *ret)
{
	*ret = stream->wrong ? VERIFY_WRONG : VERIFY_RIGHT;
	resync_next(verify, connection, stream);
}

/* length32: the header is taken as it came, and when it says another length
 * than the expected one, so much is thrown away. */
static size_t
feed_header(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t unanswered, const uint8_t *data, size_t length, enum verify_result *ret)
{
	struct cursor *cursor = &stream->cursor;
	uint32_t header_bytes = (uint32_t)verify_framing(verify)->header_bytes;
	uint32_t want = cursor->length - header_bytes;
	size_t n = 0;

	while (n < length && cursor->at < header_bytes) {
		stream->header = stream->header << 8 | data[n++];
		cursor->at++;
	}
	if (cursor->at < header_bytes)
		return n;
	if (stream->header == want) {
		if (want == 0)
			finish_answer(verify, connection, stream, ret);
		return n;
	}
	*ret = resync_after_header(
	    verify, connection, stream, unanswered, data + n, length - n);
	return n;
}

static size_t
feed_bytes(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t unanswered, const uint8_t *data, size_t length, enum verify_result *ret)
{
	struct cursor *cursor = &stream->cursor;
	size_t left = cursor->length - cursor->at;
	size_t n = length < left ? length : left;
	size_t right = n;

	if (!stream->wrong)
		right = compare(verify, connection, cursor, data, n);
	cursor->at += (uint32_t)right;
	if (right < n)
		resync_at_mismatch(verify, connection, stream, unanswered, data + right,
		    length - right);
	else if (cursor->at == cursor->length)
		finish_answer(verify, connection, stream, ret);
	return right;
}

size_t
verify_feed(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t unanswered, const uint8_t *data, size_t length, enum verify_result *ret)
{
	size_t header_bytes = verify_framing(verify)->header_bytes, done = 0;

	*ret = VERIFY_MORE;
	while (*ret == VERIFY_MORE) {
		struct cursor *cursor = &stream->cursor;
		if (stream->gap > 0) {
			*ret = resync_skip_gap(verify, connection, stream);
			break;
		}
		if (cursor->length == 0)
			cursor->length = expectation_length(
			    verify->expectation, connection, cursor->message);
		if (done == length)
			break;
		const uint8_t *at = data + done;
		size_t left = length - done;
		if (stream->skip > 0)
			done += feed_skip(verify, connection, stream, left, ret);
		else if (stream->ends_with_frame)
			done +=
			    feed_line_end(verify, connection, stream, at, left, ret);
		else if (cursor->at < header_bytes)
			done += feed_header(
			    verify, connection, stream, unanswered, at, left, ret);
		else
			done += feed_bytes(
			    verify, connection, stream, unanswered, at, left, ret);
	}
	return done;
}

void
verify_unexpected(struct verify *verify, uint64_t connection,
    struct verify_stream *stream, const uint8_t *data, size_t length)
{
	struct diagnosis_case where =
	    mismatch_case(verify, connection, stream, 0, data, length);
	size_t expected = stream->skip < length ? stream->skip : length;

	/* The rest of a duplicate that is already noted. */
	stream->skip -= (uint32_t)expected;
	resync_count_unexpected(verify, length);
	if (expected == length)
		return;
	where.got += expected;
	where.length -= expected;
	if (verify->expectation->none) {
		struct diagnosis unknown = { .kind = DIAGNOSIS_UNKNOWN };
		mismatch_record(verify, &where, &unknown);
		return;
	}
	struct diagnosis found = mismatch_diagnose(verify, &where);
	if (found.kind == DIAGNOSIS_DUPLICATE) {
		uint32_t whole =
		    expectation_length(verify->expectation, connection, found.message);
		if (whole > where.length)
			stream->skip = whole - (uint32_t)where.length;
	}
	mismatch_record(verify, &where, &found);
}

uint32_t
verify_progress(const struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t *ret_length)
{
	const struct cursor *cursor = &stream->cursor;

	*ret_length = cursor->length;
	if (cursor->length == 0)
		*ret_length = expectation_length(
		    verify->expectation, connection, cursor->message);
	return cursor->at;
}
