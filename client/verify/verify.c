#include "client/verify/verify.h"

#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"
#include "proto/payload.h"
#include "client/verify/detect.h"
#include "client/verify/diagnosis.h"
#include "client/verify/mismatch.h"

#define FRAME_MAX (1u << 20) /* a header with a larger number is not a length */

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
		.search_left = MISMATCH_SEARCH_MAX,
		.fd = -1,
		.scratch = xmalloc(longest > 4096 ? longest : 4096),
		.expected = xmalloc(VERIFY_STEP),
	};
	resync_init(&verify->resync);
}

void
verify_finish(struct verify *verify)
{
	resync_finish(&verify->resync);
	free(verify->scratch);
	free(verify->expected);
	verify->scratch = verify->expected = NULL;
}

void
verify_stream_finish(struct verify *verify, struct verify_stream *stream)
{
	held_destroy(stream->held, &verify->budget);
	stream->held = NULL;
}

/* The reply kind of all answers. False while it is not detected: echo, so far. */
static bool
reply_kind(const struct verify *verify, enum reply_kind *ret)
{
	*ret = REPLY_ECHO;
	if (verify->expectation->reply != NULL) {
		*ret = verify->expectation->reply->kind;
		return true;
	}
	uint32_t detected =
	    atomic_load_explicit(verify->detected, memory_order_relaxed);
	if (detected != 0)
		*ret = (enum reply_kind)(detected - 1);
	return detected != 0;
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

/* Number of correct bytes among the first n of the data, all of one answer. */
static size_t
compare(
    struct verify *verify, const struct verify_input *in, const uint8_t *data, size_t n)
{
	size_t right = 0;
	enum reply_kind kind;
	reply_kind(verify, &kind);
	while (right < n) {
		struct cursor at = in->stream->cursor;
		size_t step = n - right < VERIFY_STEP ? n - right : VERIFY_STEP;
		at.at += (uint32_t)right;
		const uint8_t *expected = expectation_wire(verify->expectation, kind,
		    in->connection, &at, &step, verify->scratch, verify->expected);
		size_t same = first_difference(expected, data + right, step);
		right += same;
		if (same < step)
			break;
	}
	return right;
}

static void
count_unexpected(struct verify *verify, size_t length)
{
	if (verify->counters != NULL)
		counters_add(&verify->counters->bytes_unexpected, length);
}

static void
set_length(const struct verify *verify, const struct verify_input *in)
{
	struct cursor *cursor = &in->stream->cursor;
	if (cursor->length == 0)
		cursor->length = expectation_length(
		    verify->expectation, in->connection, cursor->message);
}

static enum verify_result
finish_answer(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	enum verify_result result = stream->wrong ? VERIFY_WRONG : VERIFY_RIGHT;
	sequence_seek(verify->expectation->sequence, in->connection, &stream->cursor,
	    stream->cursor.message + 1);
	stream->wrong = false;
	return result;
}

/* From here on data is held. */
static void
hold(struct verify *verify, struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	if (in->length == 0)
		return;
	if (stream->held == NULL)
		stream->held = held_create();
	held_append(stream->held, &verify->budget, in->data, in->length, in->now_ns);
	in->data += in->length;
	in->length = 0;
}

/* Everything that is outstanding, from the present byte on. */
static struct resync_case
case_of(struct verify *verify, const struct verify_input *in, bool is_last)
{
	const struct held *held = in->stream->held;
	struct resync_case where = {
		.resync = &verify->resync,
		.expected = {
			.expectation = verify->expectation,
			.connection = in->connection,
			.cursor = in->stream->cursor,
			.end = in->stream->cursor.message + in->unanswered,
			.scratch = verify->scratch,
		},
		.got = held_data(held),
		.length = held_length(held),
		.is_last = is_last,
	};
	reply_kind(verify, &where.expected.kind);
	return where;
}

/* The end of one more expected answer, counted in undecided bytes. */
static size_t
next_volume_end(const struct verify *verify, const struct verify_input *in)
{
	const struct held *held = in->stream->held;
	const struct cursor *cursor = &in->stream->cursor;
	if (held->volume_end == 0)
		return cursor->length - cursor->at;
	return held->volume_end +
	    expectation_length(
		verify->expectation, in->connection, cursor->message + held->released);
}

/* The end of one more received frame, counted in undecided bytes; 0: not known. */
static size_t
next_frame_end(struct verify *verify, const struct verify_input *in)
{
	const struct framing_ops *framing =
	    &framings[verify->expectation->sequence->framing];
	const struct held *held = in->stream->held;
	const uint8_t *bytes = held_data(held) + held->frame_end;
	size_t length = held_length(held);
	const struct cursor *cursor = &in->stream->cursor;
	if (held->frame_end > length)
		return 0;
	length -= held->frame_end;
	if (framing->is_delimited) {
		const uint8_t *end = memchr(bytes, framing->trailer[0], length);
		return end == NULL ? 0 : held->frame_end + (size_t)(end - bytes) + 1;
	}
	if (framing->header_bytes == 0)
		return 0;
	if (held->frame_end == 0 && cursor->at >= framing->header_bytes)
		return cursor->length - cursor->at;
	uint8_t raw[FRAMING_HEADER_MAX];
	struct resync_case where = case_of(verify, in, false);
	size_t before =
	    held->frame_end == 0 ? damage_bytes_before(&where, raw, cursor->at) : 0;
	uint32_t value = 0;
	if (length < framing->header_bytes - before)
		return 0;
	memcpy(raw + before, bytes, framing->header_bytes - before);
	for (size_t i = 0; i < framing->header_bytes; i++)
		value = value << 8 | raw[i];
	return value > FRAME_MAX
	    ? 0
	    : held->frame_end + framing->header_bytes - before + value;
}

/* Counts the answers that have arrived by their volume or by their frames. */
static void
release(struct verify *verify, const struct verify_input *in)
{
	struct held *held = in->stream->held;
	size_t length = held_length(held);
	while (held->released + in->stream->surplus < in->unanswered) {
		size_t volume = next_volume_end(verify, in);
		size_t frame = next_frame_end(verify, in);
		bool by_frame = frame > 0 && frame <= length;
		if (volume > length && !by_frame)
			return;
		if (volume <= length)
			held->volume_end = volume;
		if (by_frame)
			held->frame_end = frame;
		held->released++;
	}
}

/* The place where nothing better was found: as many bytes as came are altered. At the
 * end everything that came is in place of everything that was outstanding. */
static struct held_place
same_place(const struct resync_case *where, bool is_last)
{
	struct expectation_reader reader = where->expected;
	uint64_t outstanding = expectation_skip(&reader, where->length);
	if (outstanding == 0 || is_last)
		return (struct held_place){ outstanding, where->length };
	return (struct held_place){ outstanding, (size_t)outstanding };
}

static bool
is_too_much(const struct verify *verify, const struct held *held)
{
	return held_length(held) >= HELD_BYTES_MAX ||
	    verify->budget.bytes > HELD_BUDGET_BYTES;
}

/* Decides where the stream goes on. False if more bytes are needed. */
static bool
find_place(struct verify *verify, const struct verify_input *in, bool is_last)
{
	struct held *held = in->stream->held;
	bool is_forced = is_last || is_too_much(verify, held);
	struct resync_case where = case_of(verify, in, is_forced);
	if (resync_find(&where, held, &held->place)) {
		held->state = HELD_FOUND;
		return true;
	}
	if (!is_forced)
		return false;
	held->place = same_place(&where, is_last);
	held->state = HELD_FOUND;
	return true;
}

/* Counts and records the damage. False if more bytes are needed. */
static bool
judge(struct verify *verify, const struct verify_input *in, bool is_last)
{
	struct verify_stream *stream = in->stream;
	struct held *held = stream->held;
	struct damage damage;
	uint64_t message;
	struct resync_case where =
	    case_of(verify, in, is_last || is_too_much(verify, held));
	if (!damage_judge(&where, held->place, &damage))
		return false;
	held->released = 0;
	if (held->place.got == 0 && held->place.expected == 0) {
		held->state = HELD_INTACT; /* the answer to a message sent since */
		return true;
	}
	mismatch_record(verify, stream, &where, &damage);
	if (damage.shape == DAMAGE_ALTERED) {
		held->recorded = damage.place.got;
		held->state = HELD_INTACT;
		return true;
	}
	if (damage.shape == DAMAGE_INSERTED)
		count_unexpected(verify, damage.place.got);
	if (diagnosis_is_duplicate(&where, &damage, &message))
		stream->surplus++;
	if (damage.shape == DAMAGE_EXCHANGED)
		stream->displaced = stream->cursor.message + 1;
	held_take(held, damage.place.got);
	held->resume = damage.resume;
	held->wrong_until = damage.wrong_until;
	held->state = HELD_RESUMING;
	return true;
}

/* Counts the next answer that the damage has left behind, up to where the stream goes
 * on. */
static enum verify_result
resume(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	struct held *held = stream->held;
	struct cursor *cursor = &stream->cursor;
	const struct cursor *until = &held->wrong_until;
	if (cursor->message < until->message ||
	    (cursor->message == until->message && until->at > 0))
		stream->wrong = true;
	if (cursor->message < held->resume.message)
		return finish_answer(verify, in);
	set_length(verify, in);
	cursor->at = held->resume.at;
	held->state = HELD_INTACT;
	return VERIFY_MORE;
}

/* Compares held bytes up to the end of an answer, or to the first wrong one. */
static enum verify_result
compare_held(struct verify *verify, const struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	struct held *held = stream->held;
	struct cursor *cursor = &stream->cursor;
	size_t left = cursor->length - cursor->at, n = held_length(held);
	held->released = 0;
	held->volume_end = held->frame_end = 0;
	bool is_recorded = held->recorded > 0;
	if (n > left)
		n = left;
	if (is_recorded && n > held->recorded)
		n = held->recorded;
	size_t right = compare(verify, in, held_data(held), n);
	if (right < n && is_recorded) {
		stream->wrong = true;
		right = n;
	}
	if (is_recorded)
		held->recorded -= right;
	cursor->at += (uint32_t)right;
	held_take(held, right);
	if (right < n)
		held_damaged(held);
	else if (cursor->at == cursor->length)
		return finish_answer(verify, in);
	return VERIFY_MORE;
}

/* True if the kind of the replies is known, or does not matter for the held bytes. */
static bool
is_kind_known(struct verify *verify, const struct verify_input *in, bool is_last)
{
	enum reply_kind kind;
	uint32_t none = 0;
	struct held *held = in->stream->held;
	if (reply_kind(verify, &kind))
		return true;
	struct resync_case where = case_of(verify, in, is_last);
	if (!detect_reply_kind(where.expected, where.got, where.length, is_last, &kind))
		return in->unanswered == 0 ||
		    detect_is_same(where.expected, held_length(held));
	atomic_compare_exchange_strong(verify->detected, &none, 1 + (uint32_t)kind);
	return true;
}

/* Takes one step. False if more bytes are needed. */
static bool
step(struct verify *verify, const struct verify_input *in, bool is_last,
    enum verify_result *ret)
{
	struct held *held = in->stream->held;
	set_length(verify, in);
	if (held->state == HELD_RESUMING) {
		*ret = resume(verify, in);
		return true;
	}
	if (held_length(held) == 0 || !is_kind_known(verify, in, is_last))
		return false;
	if (held->state == HELD_DAMAGED)
		return find_place(verify, in, is_last);
	if (held->state == HELD_FOUND)
		return judge(verify, in, is_last);
	if (in->unanswered == 0)
		held_damaged(held);
	else
		*ret = compare_held(verify, in);
	return true;
}

static enum verify_result
step_held(struct verify *verify, struct verify_input *in, bool is_last)
{
	struct verify_stream *stream = in->stream;
	enum verify_result result = VERIFY_MORE;
	bool goes_on = true;
	while (goes_on && result == VERIFY_MORE)
		goes_on = step(verify, in, is_last, &result);
	if (result != VERIFY_MORE)
		in->answered_ns = held_taken_ns(stream->held);
	else if (held_length(stream->held) == 0)
		verify_stream_finish(verify, stream);
	else
		release(verify, in);
	return result;
}

/* No answer is expected: the first bytes are recorded. */
static enum verify_result
feed_unexpected(struct verify *verify, struct verify_input *in, bool is_last)
{
	struct verify_stream *stream = in->stream;
	count_unexpected(verify, in->length);
	if (stream->displaced > 0) {
		in->data += in->length;
		in->length = 0;
		return VERIFY_MORE;
	}
	hold(verify, in);
	size_t length = held_length(stream->held);
	if (length == 0 || (length < DAMAGE_CONTEXT && !is_last))
		return VERIFY_MORE;
	struct verify_input none = *in;
	none.unanswered = 0;
	struct resync_case where = case_of(verify, &none, is_last);
	struct damage damage = { .shape = DAMAGE_INSERTED, .place.got = length };
	mismatch_record(verify, stream, &where, &damage);
	stream->displaced = 1;
	verify_stream_finish(verify, stream);
	return VERIFY_MORE;
}

/* Compares data with the answers up to the end of one, or to the first wrong byte. */
static enum verify_result
feed_intact(struct verify *verify, struct verify_input *in)
{
	struct cursor *cursor = &in->stream->cursor;
	size_t left = cursor->length - cursor->at;
	size_t n = in->length < left ? in->length : left;
	size_t right = compare(verify, in, in->data, n);
	cursor->at += (uint32_t)right;
	in->data += right;
	in->length -= right;
	if (right == n)
		return cursor->at == cursor->length ? finish_answer(verify, in)
						    : VERIFY_MORE;
	hold(verify, in);
	held_damaged(in->stream->held);
	return step_held(verify, in, false);
}

/* True if the answers are the messages, byte for byte. */
static bool
is_echo(const struct verify *verify)
{
	const struct reply *reply = verify->expectation->reply;
	enum reply_kind kind;
	return reply_kind(verify, &kind) && kind == REPLY_ECHO &&
	    (reply == NULL || reply->text_length == 0);
}

uint32_t
verify_run(struct verify *verify, struct verify_input *in)
{
	const struct sequence *sequence = verify->expectation->sequence;
	struct verify_stream *stream = in->stream;
	struct cursor *cursor = &stream->cursor;
	if (!sequence->is_uniform || stream->held != NULL || stream->wrong ||
	    in->unanswered == 0 || verify->expectation->none || !is_echo(verify))
		return 0;
	uint64_t n = in->unanswered * sequence->size_min - cursor->at;
	if (n > in->length)
		n = in->length;
	size_t right = payload_same(sequence->seed, in->connection,
	    cursor->offset + cursor->at, false, in->data, n);
	uint64_t answers = sequence_advance(sequence, cursor, right);
	in->data += right;
	in->length -= right;
	in->unanswered -= (uint32_t)answers;
	return (uint32_t)answers;
}

enum verify_result
verify_feed(struct verify *verify, struct verify_input *in)
{
	struct verify_stream *stream = in->stream;
	enum reply_kind kind;
	if (stream->held == NULL && in->length == 0)
		return VERIFY_MORE;
	if (verify->expectation->none)
		return feed_unexpected(verify, in, false);
	if (stream->held == NULL && in->unanswered > 0 && reply_kind(verify, &kind)) {
		set_length(verify, in);
		return feed_intact(verify, in);
	}
	hold(verify, in);
	return step_held(verify, in, false);
}

enum verify_result
verify_end(struct verify *verify, struct verify_input *in)
{
	if (in->stream->held == NULL)
		return VERIFY_MORE;
	if (verify->expectation->none)
		return feed_unexpected(verify, in, true);
	return step_held(verify, in, true);
}

uint64_t
verify_offset(const struct expectation *expectation, const struct verify_stream *stream,
    uint64_t first, const struct cursor *cursor)
{
	const struct cursor start = { .message = first,
		.offset = stream->first_offset };
	return expectation_offset(expectation, cursor) + cursor->at -
	    expectation_offset(expectation, &start);
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
