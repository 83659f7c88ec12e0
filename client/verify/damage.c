#include "client/verify/damage.h"

#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"

#define EARLIER_MAX 65536 /* bytes by which a damage is moved, at most */
#define EXCHANGE_BYTES 16 /* compared after an answer that came early */
#define EXCHANGED_ANSWER_MAX (1u << 20)
#define PART_BYTES 4096       /* compared at a time */
#define REPEATED_MAX 1048576  /* bytes looked back for a repetition */
#define FRAME_MAX (1u << 20)  /* a header with a larger number is not a length */
#define FRAME_DIFFERENCE 4096 /* between the header of the next answer and its own */

size_t
damage_bytes_before(const struct resync_case *where, uint8_t *out, size_t length)
{
	struct expectation_reader reader = where->expected;
	if (length > reader.cursor.at)
		length = reader.cursor.at;
	reader.cursor.at -= (uint32_t)length;
	return expectation_read(&reader, out, length);
}

/* The place `bytes` after the first wrong byte, or after `earlier` bytes before it; the
 * end of an answer is the start of the next one. */
static struct cursor
place_after(const struct resync_case *where, uint64_t bytes, uint32_t earlier)
{
	struct expectation_reader reader = where->expected;
	reader.end = UINT64_MAX;
	reader.cursor.at -= earlier;
	expectation_skip(&reader, bytes);
	struct cursor *cursor = &reader.cursor;
	if (cursor->length > 0 && cursor->at == cursor->length)
		sequence_seek(reader.expectation->sequence, reader.connection, cursor,
		    cursor->message + 1);
	return *cursor;
}

/* Reads expected bytes from `bytes` after the first wrong one on. */
static size_t
read_after(const struct resync_case *where, uint64_t bytes, uint8_t *out, size_t length)
{
	struct expectation_reader reader = where->expected;
	return expectation_skip(&reader, bytes) < bytes
	    ? 0
	    : expectation_read(&reader, out, length);
}

/* By how many bytes a gap may lie earlier: the bytes before it that equal its last. */
static uint32_t
gap_earlier(const struct resync_case *where, uint64_t gap)
{
	uint32_t at = where->expected.cursor.at, same = 0;
	uint32_t n = at < EARLIER_MAX ? at : EARLIER_MAX;
	if (n == 0)
		return 0;
	uint8_t *before = xmalloc(2 * (size_t)n), *last = before + n;
	struct expectation_reader reader = where->expected;
	damage_bytes_before(where, before, n);
	reader.cursor.at -= n;
	expectation_skip(&reader, gap);
	if (expectation_read(&reader, last, n) == n)
		while (same < n && before[n - 1 - same] == last[n - 1 - same])
			same++;
	free(before);
	return same;
}

static uint32_t
insertion_earlier(const struct resync_case *where, size_t inserted)
{
	uint32_t at = where->expected.cursor.at, same = 0;
	uint32_t n = at < EARLIER_MAX ? at : EARLIER_MAX;
	if (n == 0)
		return 0;
	uint8_t *before = xmalloc(n);
	damage_bytes_before(where, before, n);
	while (same < n) {
		uint8_t last = same < inserted ? where->got[inserted - 1 - same]
					       : before[n - 1 - same + inserted];
		if (before[n - 1 - same] != last)
			break;
		same++;
	}
	free(before);
	return same;
}

static uint64_t
wrong_answers(const struct resync_case *where, const struct cursor *until)
{
	return until->message - where->expected.cursor.message + (until->at > 0);
}

/* Moves a gap to where it damages the fewest answers, to the start of an answer if that
 * is as good. */
static void
place_gap(const struct resync_case *where, struct damage *damage)
{
	uint32_t most = gap_earlier(where, damage->place.expected);
	uint32_t choices[] = { where->expected.cursor.at, damage->resume.at, 0 };
	uint64_t fewest = UINT64_MAX;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (choices[i] > most)
			continue;
		struct cursor until =
		    place_after(where, damage->place.expected, choices[i]);
		uint64_t wrong = wrong_answers(where, &until);
		if (wrong >= fewest)
			continue;
		fewest = wrong;
		damage->earlier = choices[i];
		damage->wrong_until = until;
	}
}

/* True if an answer starts `bytes` before this place. */
static bool
is_answer_start(
    const struct resync_case *where, const struct cursor *place, uint64_t bytes)
{
	struct cursor cursor = *place;
	while (bytes > cursor.at && cursor.message > 0) {
		bytes -= cursor.at;
		cursor.at = expectation_length(where->expected.expectation,
		    where->expected.connection, --cursor.message);
	}
	return bytes == cursor.at;
}

bool
damage_is_repetition(const struct resync_case *where, size_t got, bool *ret_whole)
{
	uint8_t part[PART_BYTES];
	struct expectation_reader reader = where->expected;
	uint64_t missing = got;
	if (got > REPEATED_MAX)
		return false;
	for (; missing > reader.cursor.at; reader.cursor.at = reader.cursor.length) {
		if (reader.cursor.message == 0)
			return false;
		missing -= reader.cursor.at;
		sequence_seek(reader.expectation->sequence, reader.connection,
		    &reader.cursor, reader.cursor.message - 1);
		reader.cursor.length = expectation_length(
		    reader.expectation, reader.connection, reader.cursor.message);
	}
	reader.cursor.at -= (uint32_t)missing;
	*ret_whole = is_answer_start(where, &reader.cursor, where->expected.cursor.at);
	for (size_t at = 0; at < got;) {
		size_t n = got - at < sizeof(part) ? got - at : sizeof(part);
		if (expectation_read(&reader, part, n) < n ||
		    memcmp(part, where->got + at, n) != 0)
			return false;
		at += n;
	}
	return true;
}

/* Between two answers inserted bytes make neither of them wrong. The last bytes
 * repeated could as well be others inserted somewhat earlier: only whole answers count
 * as such. */
static void
place_insertion(const struct resync_case *where, struct damage *damage)
{
	uint32_t at = where->expected.cursor.at;
	bool is_whole = false;
	bool is_between = at == 0 ||
	    ((!damage_is_repetition(where, damage->place.got, &is_whole) || is_whole) &&
		insertion_earlier(where, damage->place.got) >= at);
	damage->earlier = is_between ? at : 0;
	damage->wrong_until = where->expected.cursor;
	damage->wrong_until.at = is_between ? 0 : at;
}

/* True if the received bytes from `at` on are the expected ones `bytes` after the first
 * wrong one, as far as `length`. */
static bool
goes_on_at(const struct resync_case *where, size_t at, uint64_t bytes, size_t length)
{
	uint8_t expected[EXCHANGE_BYTES];
	size_t n = read_after(where, bytes, expected, length);
	return n > 0 && memcmp(expected, where->got + at, n) == 0;
}

/* True if the present answer's first bytes were received at `at`. */
static bool
starts_present_answer(const struct resync_case *where, size_t at, size_t length)
{
	uint8_t expected[EXCHANGE_BYTES];
	struct expectation_reader reader = where->expected;
	reader.cursor.at = 0;
	reader.end = reader.cursor.message + 1;
	size_t n = expectation_read(&reader, expected, length);
	return n > 0 && memcmp(expected, where->got + at, n) == 0;
}

/* A gap of whole answers, after which the answer to a later message came: if it came in
 * place of the present one, the two were exchanged. False if more bytes are needed. */
static bool
judge_exchange(const struct resync_case *where, struct damage *damage)
{
	const struct cursor *present = &where->expected.cursor;
	uint64_t later = damage->wrong_until.message;
	uint32_t length = expectation_length(
	    where->expected.expectation, where->expected.connection, later);
	if (damage->wrong_until.at > 0 || damage->earlier != present->at ||
	    later == present->message || length <= present->at ||
	    length > EXCHANGED_ANSWER_MAX)
		return true;
	size_t end = length - present->at, n = EXCHANGE_BYTES;
	if (where->length < end + n) {
		if (!where->is_last)
			return false;
		if (where->length <= end)
			return true;
		n = where->length - end;
	}
	uint32_t rest = present->length - present->at;
	/* Answers between the two, which came between them. */
	uint64_t between = damage->place.expected - present->length;
	size_t first = between < n ? (size_t)between : n;
	if (goes_on_at(where, end, damage->place.expected + end, n) ||
	    (first > 0 && !goes_on_at(where, end, rest, first)) ||
	    (first < n && !starts_present_answer(where, end + first, n - first)))
		return true;
	damage->shape = DAMAGE_EXCHANGED;
	damage->message = later;
	damage->place = (struct held_place){ rest, end };
	damage->resume = damage->wrong_until = place_after(where, rest, 0);
	damage->earlier = 0;
	damage->context = end;
	return true;
}

enum frame_check { FRAME_NO, FRAME_YES, FRAME_UNKNOWN };

/* Does the next answer start at received byte `at`? `is_own`: its header, too, may
 * differ by the length that the server adds. */
static enum frame_check
next_starts_at(const struct resync_case *where, uint64_t at, bool is_own)
{
	uint8_t expected[FRAMING_HEADER_MAX];
	uint32_t value = 0, want = 0;
	const struct cursor *cursor = &where->expected.cursor;
	size_t n =
	    read_after(where, cursor->length - cursor->at, expected, sizeof(expected));
	if (where->length == at && where->is_last)
		return FRAME_YES;
	if (where->length < at + sizeof(expected) || n < sizeof(expected))
		return where->is_last ? FRAME_NO : FRAME_UNKNOWN;
	for (size_t i = 0; i < sizeof(expected); i++) {
		value = value << 8 | where->got[at + i];
		want = want << 8 | expected[i];
	}
	uint32_t difference = value > want ? value - want : want - value;
	return difference <= (is_own ? FRAME_DIFFERENCE : 0) ? FRAME_YES : FRAME_NO;
}

/* The payload length in the received header of the present answer. */
static uint32_t
received_header(const struct resync_case *where, uint32_t header_bytes)
{
	uint8_t raw[FRAMING_HEADER_MAX];
	uint32_t value = 0, at = where->expected.cursor.at;
	damage_bytes_before(where, raw, at);
	memcpy(raw + at, where->got, header_bytes - at);
	for (uint32_t i = 0; i < header_bytes; i++)
		value = value << 8 | raw[i];
	return value;
}

/* Bytes from the first wrong one to the end of the received frame of the present
 * answer; 0 if its header is intact or holds no length. More bytes must have arrived.
 */
static uint64_t
received_frame(const struct resync_case *where, uint32_t header_bytes)
{
	uint32_t at = where->expected.cursor.at;
	uint32_t header = received_header(where, header_bytes);
	return header > FRAME_MAX ? 0 : (uint64_t)header + header_bytes - at;
}

static void
end_with_frame(const struct resync_case *where, struct damage *damage, uint64_t frame)
{
	const struct cursor *cursor = &where->expected.cursor;
	uint32_t rest = cursor->length - cursor->at;
	damage->shape = DAMAGE_FRAME;
	damage->place = (struct held_place){ rest, (size_t)frame };
	damage->resume = damage->wrong_until = place_after(where, rest, 0);
	damage->context = (size_t)frame;
}

/* A header with another length, and an intact payload: the answer ends where this
 * length says, if the next answer starts there and not at the expected place. */
static enum frame_check
judge_frame(const struct resync_case *where, struct damage *damage)
{
	const struct cursor *cursor = &where->expected.cursor;
	const struct sequence *sequence = where->expected.expectation->sequence;
	uint32_t header_bytes = (uint32_t)framings[sequence->framing].header_bytes;
	const struct held_place *place = &damage->place;
	uint64_t rest = cursor->length - cursor->at;
	if (cursor->at >= header_bytes || where->length < header_bytes - cursor->at ||
	    cursor->length == 0)
		return FRAME_NO;
	uint64_t frame = received_frame(where, header_bytes);
	if (frame == 0 || frame == rest)
		return FRAME_NO;
	bool is_whole = place->expected == rest && place->got == frame;
	bool is_header =
	    place->expected == place->got && place->got <= header_bytes - cursor->at;
	enum frame_check usual = FRAME_NO, own = FRAME_YES;
	if (!is_whole && !is_header)
		return FRAME_NO;
	if (is_header && frame > rest)
		usual = next_starts_at(where, rest, false);
	if (usual != FRAME_NO)
		return usual == FRAME_YES ? FRAME_NO : FRAME_UNKNOWN;
	if (is_header)
		own = next_starts_at(where, frame, true);
	if (own == FRAME_YES)
		end_with_frame(where, damage, frame);
	return own;
}

/* Altered bytes are named by the rest of their answer, too. */
static bool
judge_altered(const struct resync_case *where, struct damage *damage)
{
	const struct cursor *cursor = &where->expected.cursor;
	size_t rest = cursor->length - cursor->at;
	size_t context = rest < DAMAGE_CONTEXT ? rest : DAMAGE_CONTEXT;
	damage->shape = DAMAGE_ALTERED;
	if (damage->context < context)
		damage->context = context;
	return damage->context <= where->length || where->is_last;
}

bool
damage_judge(
    const struct resync_case *where, struct held_place place, struct damage *ret)
{
	*ret = (struct damage){
		.shape = DAMAGE_REPLACED,
		.place = place,
		.resume = place_after(where, place.expected, 0),
		.context = place.got,
	};
	ret->wrong_until = ret->resume;
	enum frame_check frame = judge_frame(where, ret);
	if (frame != FRAME_NO)
		return frame == FRAME_YES;
	if (place.expected == place.got)
		return judge_altered(where, ret);
	if (place.got == 0) {
		ret->shape = DAMAGE_GAP;
		place_gap(where, ret);
		return judge_exchange(where, ret);
	}
	if (place.expected == 0) {
		ret->shape = DAMAGE_INSERTED;
		place_insertion(where, ret);
	}
	return true;
}
