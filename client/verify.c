#include "client/verify.h"

#include <stdlib.h>
#include <string.h>

#include "client/mismatch.h"

int
verify_init(struct verify *verify, const struct expectation *expectation,
    _Atomic uint32_t *told, struct tally *tally, uint32_t connections)
{
	size_t longest = expectation->sequence->longest;

	*verify = (struct verify){
		.expectation = expectation,
		.told = told,
		.tally = tally,
		.connections = connections,
		.scratch = malloc(longest > 4096 ? longest : 4096),
		.expected = malloc(VERIFY_STEP),
	};
	if (verify->scratch != NULL && verify->expected != NULL)
		return 0;
	verify_finish(verify);
	return -1;
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

/* Nobody has told echo from upper yet: what agrees with one of them only, tells. */
static void
tell(struct verify *verify, const uint8_t *echo, const uint8_t *data, size_t n)
{
	uint32_t none = 0, told = 1 + REPLY_ECHO;

	for (size_t i = 0; i < n; i++) {
		uint8_t raised;
		reply_raise(&echo[i], 1, &raised);
		if (raised == echo[i])
			continue;
		if (data[i] == raised)
			told = 1 + REPLY_UPPER;
		else if (data[i] != echo[i])
			continue;
		atomic_compare_exchange_strong(verify->told, &none, told);
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
		bool told;
		enum reply_kind kind = mismatch_kind(verify, &told);
		at.at += (uint32_t)right;
		const uint8_t *want = expectation_wire(verify->expectation, kind,
		    connection, &at, &step, verify->scratch, verify->expected);
		if (!told) {
			tell(verify, want, data + right, step);
			kind = mismatch_kind(verify, &told);
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

static void
count_surplus(struct verify *verify, size_t length)
{
	if (verify->tally != NULL)
		tally_add(&verify->tally->bytes_surplus, length);
}

static void
next_answer(struct verify *verify, uint64_t connection, struct verify_stream *stream)
{
	sequence_seek(verify->expectation->sequence, connection, &stream->cursor,
	    stream->cursor.message + 1);
	stream->wrong = stream->free_end = false;
	stream->header = 0;
}

/* Answers that will never come are wrong one after the other; the place behind the gap
 * is then where the stream stands. */
static enum verify_result
pass_gap(struct verify *verify, uint64_t connection, struct verify_stream *stream)
{
	next_answer(verify, connection, stream);
	if (--stream->gap == 0) {
		stream->cursor.at = stream->gap_at;
		stream->wrong = stream->gap_wrong;
		stream->gap_at = 0;
		stream->gap_wrong = false;
	}
	return VERIFY_WRONG;
}

/* The stream goes on `bytes` further on, perhaps in a later answer. */
static void
jump(struct verify *verify, uint64_t connection, struct verify_stream *stream,
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

/* The first wrong byte of an answer is data[0]. Decides where the stream goes on. */
static void
on_difference(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t owed, const uint8_t *data, size_t length)
{
	enum framing framing = verify->expectation->sequence->framing;
	struct suspect_case where =
	    mismatch_case(verify, connection, stream, owed, data, length);
	struct suspect found = mismatch_inspect(verify, &where);

	if (framing == FRAMING_LINE && found.kind == SUSPECT_UNKNOWN && data[0] == '\n')
		found.kind = SUSPECT_TRUNCATED;
	mismatch_note(verify, &where, &found);
	switch (found.kind) {
	case SUSPECT_DUPLICATE:
		stream->skip =
		    expectation_length(verify->expectation, connection, found.message);
		stream->skip -= stream->cursor.at;
		count_surplus(verify, stream->cursor.at);
		stream->cursor.at = stream->header = 0;
		return;
	case SUSPECT_MISSING:
		stream->gap = (uint32_t)(found.message - stream->cursor.message);
		stream->gap_at = stream->cursor.at;
		return;
	case SUSPECT_GAP:
		stream->wrong = true;
		jump(verify, connection, stream, found.bytes);
		return;
	default:
		stream->wrong = true;
		stream->free_end = framing == FRAMING_LINE;
	}
}

/* A wrong line goes to its own end. */
static size_t
feed_line_end(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    const uint8_t *data, size_t length, enum verify_result *ret)
{
	const uint8_t *end = memchr(data, '\n', length);

	if (end == NULL)
		return length;
	next_answer(verify, connection, stream);
	*ret = VERIFY_WRONG;
	return (size_t)(end - data) + 1;
}

static size_t
feed_skip(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    size_t length, enum verify_result *ret)
{
	size_t n = length < stream->skip ? length : stream->skip;

	stream->skip -= (uint32_t)n;
	if (!stream->skip_ends) {
		count_surplus(verify, n);
	} else if (stream->skip == 0) {
		stream->skip_ends = false;
		next_answer(verify, connection, stream);
		*ret = VERIFY_WRONG;
	}
	return n;
}

static void
finish_answer(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    enum verify_result *ret)
{
	*ret = stream->wrong ? VERIFY_WRONG : VERIFY_RIGHT;
	next_answer(verify, connection, stream);
}

/* length32: the header is taken as it came, and when it says another length
 * than the expected one, so much is thrown away. */
static size_t
feed_header(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t owed, const uint8_t *data, size_t length, enum verify_result *ret)
{
	struct cursor *cursor = &stream->cursor;
	size_t n = 0;

	while (n < length && cursor->at < FRAMING_HEADER_MAX) {
		stream->header = stream->header << 8 | data[n++];
		cursor->at++;
	}
	uint32_t want = cursor->length - FRAMING_HEADER_MAX;
	if (cursor->at < FRAMING_HEADER_MAX)
		return n;
	if (stream->header == want) {
		if (want == 0)
			finish_answer(verify, connection, stream, ret);
		return n;
	}
	struct suspect_case where =
	    mismatch_case(verify, connection, stream, owed, data + n, length - n);
	struct suspect found = { .kind = SUSPECT_UNKNOWN };
	if (length - n > 0)
		found = mismatch_inspect(verify, &where);
	if (stream->header < want && found.kind <= SUSPECT_ALTERED)
		found.kind = SUSPECT_TRUNCATED;
	mismatch_note(verify, &where, &found);
	stream->skip = stream->header;
	if (found.kind == SUSPECT_DUPLICATE) {
		count_surplus(verify, FRAMING_HEADER_MAX);
		cursor->at = 0;
		stream->header = 0;
		return n;
	}
	if (found.kind == SUSPECT_MISSING) {
		stream->skip = 0;
		stream->gap = (uint32_t)(found.message - cursor->message);
		stream->gap_at = FRAMING_HEADER_MAX;
		return n;
	}
	stream->wrong = stream->skip_ends = true;
	if (stream->skip == 0)
		feed_skip(verify, connection, stream, 0, ret);
	return n;
}

static size_t
feed_bytes(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t owed, const uint8_t *data, size_t length, enum verify_result *ret)
{
	struct cursor *cursor = &stream->cursor;
	size_t left = cursor->length - cursor->at;
	size_t n = length < left ? length : left;
	size_t right = n;

	if (!stream->wrong)
		right = compare(verify, connection, cursor, data, n);
	cursor->at += (uint32_t)right;
	if (right < n)
		on_difference(
		    verify, connection, stream, owed, data + right, length - right);
	else if (cursor->at == cursor->length)
		finish_answer(verify, connection, stream, ret);
	return right;
}

size_t
verify_feed(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    uint32_t owed, const uint8_t *data, size_t length, enum verify_result *ret)
{
	enum framing framing = verify->expectation->sequence->framing;
	size_t done = 0;

	*ret = VERIFY_MORE;
	while (*ret == VERIFY_MORE) {
		struct cursor *cursor = &stream->cursor;
		if (stream->gap > 0) {
			*ret = pass_gap(verify, connection, stream);
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
		else if (stream->free_end)
			done +=
			    feed_line_end(verify, connection, stream, at, left, ret);
		else if (framing == FRAMING_LENGTH32 && cursor->at < FRAMING_HEADER_MAX)
			done += feed_header(
			    verify, connection, stream, owed, at, left, ret);
		else
			done +=
			    feed_bytes(verify, connection, stream, owed, at, left, ret);
	}
	return done;
}

void
verify_surplus(struct verify *verify, uint64_t connection, struct verify_stream *stream,
    const uint8_t *data, size_t length)
{
	struct suspect_case where =
	    mismatch_case(verify, connection, stream, 0, data, length);
	size_t expected = stream->skip < length ? stream->skip : length;

	/* The rest of a duplicate that is already noted. */
	stream->skip -= (uint32_t)expected;
	count_surplus(verify, length);
	if (expected == length)
		return;
	where.got += expected;
	where.length -= expected;
	if (verify->expectation->none) {
		struct suspect unknown = { .kind = SUSPECT_UNKNOWN };
		mismatch_note(verify, &where, &unknown);
		return;
	}
	struct suspect found = mismatch_inspect(verify, &where);
	if (found.kind == SUSPECT_DUPLICATE) {
		uint32_t whole =
		    expectation_length(verify->expectation, connection, found.message);
		if (whole > where.length)
			stream->skip = whole - (uint32_t)where.length;
	}
	mismatch_note(verify, &where, &found);
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
