#include "client/verify/resync.h"

#include <stdlib.h>
#include <string.h>

#include "lib/xmalloc.h"

#define WINDOW 8        /* bytes that are looked up */
#define NEAR_BYTES 4096 /* shifts for which a window is evidence enough */
#define CHUNK_BYTES 65536
#define RANGE_FACTOR 16 /* expected bytes searched for each received one */
#define EVIDENCE_MAX 128
#define EVIDENCE_TEXT 16 /* texts repeat: evidence of another kind is needed */
#define TAIL_MAX 65536
#define TAIL_MESSAGES_MAX 4096
#define TAIL_HITS_MAX 16 /* for each damage: bounds the work where bytes repeat */

void
resync_init(struct resync *resync)
{
	*resync = (struct resync){
		.chunk = xmalloc(CHUNK_BYTES + EVIDENCE_MAX),
		.spare_bytes = RESYNC_SPARE_BYTES,
	};
}

void
resync_finish(struct resync *resync)
{
	free(resync->slots);
	free(resync->chunk);
	*resync = (struct resync){ .slots = NULL };
}

/* True if no two parts of the expected stream are the same. */
static bool
is_unique(const struct resync_case *where)
{
	const struct expectation *expectation = where->expected.expectation;
	const struct reply *reply = expectation->reply;
	return expectation->sequence->texts == NULL &&
	    (reply == NULL ||
		(reply_kinds[reply->kind].uses_payload && reply->text_length == 0));
}

/* Bytes that must be the same to be evidence: these of payload, and the headers and
 * trailers among them. */
static size_t
evidence_bytes(const struct resync_case *where, size_t payload)
{
	const struct sequence *sequence = where->expected.expectation->sequence;
	const struct framing_ops *framing = &framings[sequence->framing];
	size_t around = framing->header_bytes + framing->trailer_bytes;
	if (!is_unique(where))
		return EVIDENCE_TEXT;
	if (around == 0)
		return payload;
	return payload + around * (1 + payload / sequence->size_min);
}

static size_t
tail_evidence(const struct resync_case *where)
{
	const struct expectation_reader *expected = &where->expected;
	bool is_one = expected->end == expected->cursor.message + 1;
	return !is_unique(where) && (is_one || where->is_last)
	    ? RESYNC_TAIL_MIN
	    : evidence_bytes(where, RESYNC_TAIL_MIN);
}

static uint64_t
window_at(const uint8_t *bytes)
{
	uint64_t window;
	memcpy(&window, bytes, WINDOW);
	return window;
}

static size_t
slot_of(const struct resync *resync, uint64_t window)
{
	return (size_t)((window * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
	    (resync->slot_count - 1);
}

/* Indexes the windows of the received bytes, each by its first position. */
static void
index_windows(struct resync *resync, const uint8_t *got, size_t count)
{
	size_t slots = 64;
	while (slots < 2 * count)
		slots *= 2;
	if (slots > resync->slot_room) {
		resync->slots = xreallocarray(resync->slots, slots, sizeof(uint32_t));
		resync->slot_room = slots;
	}
	resync->slot_count = slots;
	memset(resync->slots, 0, slots * sizeof(uint32_t));
	for (size_t at = 0; at < count; at++) {
		uint64_t window = window_at(got + at);
		size_t slot = slot_of(resync, window);
		while (resync->slots[slot] != 0 &&
		    window_at(got + resync->slots[slot] - 1) != window)
			slot = (slot + 1) & (slots - 1);
		if (resync->slots[slot] == 0)
			resync->slots[slot] = (uint32_t)at + 1;
	}
}

/* The first received position of a window, or SIZE_MAX. */
static size_t
find_window(const struct resync *resync, const uint8_t *got, uint64_t window)
{
	size_t slot = slot_of(resync, window);
	for (; resync->slots[slot] != 0; slot = (slot + 1) & (resync->slot_count - 1))
		if (window_at(got + resync->slots[slot] - 1) == window)
			return resync->slots[slot] - 1;
	return SIZE_MAX;
}

static uint64_t
cost_of(const struct held_place *place)
{
	return place->expected > place->got ? place->expected : place->got;
}

static uint64_t
shift_of(const struct held_place *place)
{
	return place->expected > place->got ? place->expected - place->got
					    : place->got - place->expected;
}

/* Bytes altered in place are a simpler damage than bytes inserted or left out, and
 * these are simpler than bytes in place of others. Where the messages are the same, a
 * place one answer later is often as near. */
static int
complexity_of(const struct held_place *place)
{
	if (place->expected == place->got)
		return 0;
	return place->expected == 0 || place->got == 0 ? 1 : 2;
}

static bool
is_nearer(const struct held_place *a, const struct held_place *b)
{
	uint64_t cost = cost_of(a), other = cost_of(b);
	if (cost != other)
		return cost < other;
	int complexity = complexity_of(a), than = complexity_of(b);
	return complexity < than || (complexity == than && shift_of(a) < shift_of(b));
}

/* The state of one search: chunks of the expected stream against the index. */
struct scan {
	const struct resync_case *where;
	size_t limit;     /* received bytes */
	size_t near, far; /* bytes of evidence */
	struct held_place best;
	bool found;
};

static void
scan_chunk(struct scan *scan, const uint8_t *chunk, size_t length, uint64_t at)
{
	const uint8_t *got = scan->where->got;
	for (size_t i = 0; i + scan->near <= length; i++) {
		if (scan->found && at + i > cost_of(&scan->best))
			return;
		size_t j = find_window(scan->where->resync, got, window_at(chunk + i));
		struct held_place place = { at + i, j };
		if (j == SIZE_MAX || (scan->found && !is_nearer(&place, &scan->best)))
			continue;
		size_t need = cost_of(&place) < NEAR_BYTES ? scan->near : scan->far;
		if (i + need > length || j + need > scan->limit ||
		    memcmp(chunk + i, got + j, need) != 0)
			continue;
		scan->best = place;
		scan->found = true;
	}
}

/* Looks for the nearest place with `limit` received bytes, up to `range` expected ones.
 */
static bool
search(const struct resync_case *where, size_t limit, uint64_t range,
    struct held_place *ret)
{
	struct resync *resync = where->resync;
	struct expectation_reader reader = where->expected;
	struct scan scan = {
		.where = where,
		.limit = limit,
		.near = evidence_bytes(where, WINDOW),
		.far = evidence_bytes(where, 2 * WINDOW),
	};
	size_t kept = 0;
	uint64_t at = 0;
	if (limit < scan.near)
		return false;
	index_windows(resync, where->got, limit - WINDOW + 1);
	while (at + kept < range && !(scan.found && at > cost_of(&scan.best))) {
		uint64_t left = range - at - kept;
		size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
		size_t n = expectation_read(&reader, resync->chunk + kept, want);
		resync->work_bytes += n;
		scan_chunk(&scan, resync->chunk, kept + n, at);
		if (n < want)
			break;
		size_t keep = kept + n < scan.far ? kept + n : scan.far - 1;
		memmove(resync->chunk, resync->chunk + kept + n - keep, keep);
		at += kept + n - keep;
		kept = keep;
	}
	if (scan.found)
		*ret = scan.best;
	return scan.found;
}

/* The received prefix of the next search. */
static size_t
next_prefix(size_t searched)
{
	return searched == 0 ? RESYNC_FIRST : searched + searched / 4;
}

/* How far a search with `limit` received bytes goes: farther while there is work to
 * spare. When it finds a place depends on this; which place it finds does not, unless
 * expected bytes repeat. */
static uint64_t
range_of(const struct resync_case *where, size_t limit, uint64_t outstanding)
{
	struct resync *resync = where->resync;
	uint64_t usual = RANGE_FACTOR * (uint64_t)limit;
	if (where->is_last || outstanding <= usual)
		return outstanding;
	if (outstanding > resync->spare_bytes)
		return usual;
	resync->spare_bytes -= outstanding;
	return outstanding;
}

/* Where expected bytes repeat, a nearer place may still be to come. */
static bool
is_settled(
    const struct resync_case *where, size_t limit, const struct held_place *place)
{
	return where->is_last || is_unique(where) ||
	    cost_of(place) + EVIDENCE_TEXT <= limit;
}

/* The received bytes up to `end` end like the outstanding ones, and are fewer: nothing
 * else is to come if the stream goes on where the two become the same. There may be
 * another damage between: the nearest place counts. */
static bool
find_at_end(const struct resync_case *where, size_t end, uint64_t outstanding,
    struct held_place *ret)
{
	uint8_t *tail = where->resync->chunk;
	size_t length = end < TAIL_MAX ? end : TAIL_MAX, same = 0;
	struct expectation_reader reader = where->expected;
	if (length > outstanding)
		length = (size_t)outstanding;
	if (expectation_skip(&reader, outstanding - length) < outstanding - length ||
	    expectation_read(&reader, tail, length) < length)
		return false;
	where->resync->work_bytes += length;
	while (same < length && tail[length - 1 - same] == where->got[end - 1 - same])
		same++;
	*ret = (struct held_place){ outstanding - same, end - same };
	/* If at least as many bytes as expected came, nothing waits for a decision. */
	if (same < tail_evidence(where) || ret->expected <= ret->got)
		return false;
	struct held_place nearest;
	if (search(where, end, outstanding, &nearest) && is_nearer(&nearest, ret))
		*ret = nearest;
	return true;
}

/* Looks for the last bytes that are outstanding. `to`: the received bytes to look in.
 */
static bool
search_tail(const struct resync_case *where, struct held *held, size_t to,
    uint64_t outstanding, struct held_place *ret)
{
	uint8_t last[RESYNC_TAIL_MIN];
	struct expectation_reader reader = where->expected;
	size_t from = held->tail_searched;
	if (to < sizeof(last) || outstanding < sizeof(last) ||
	    reader.end - reader.cursor.message > TAIL_MESSAGES_MAX)
		return false;
	expectation_skip(&reader, outstanding - sizeof(last));
	if (expectation_read(&reader, last, sizeof(last)) < sizeof(last))
		return false;
	while (from + sizeof(last) <= to && held->tail_hits < TAIL_HITS_MAX) {
		const uint8_t *hit =
		    memmem(where->got + from, to - from, last, sizeof(last));
		if (hit == NULL)
			break;
		from = (size_t)(hit - where->got) + 1;
		held->tail_searched = from;
		held->tail_hits++;
		if (find_at_end(where, from - 1 + sizeof(last), outstanding, ret))
			return true;
	}
	held->tail_searched = to - sizeof(last) + 1;
	return false;
}

/* At the end of the stream the last few bytes are evidence, too. */
static bool
search_last(const struct resync_case *where, struct held_place *ret)
{
	struct expectation_reader reader = where->expected;
	uint8_t *chunk = where->resync->chunk;
	struct held_place best = { UINT64_MAX, SIZE_MAX };
	size_t length = where->length, enough = tail_evidence(where);
	size_t n = expectation_read(&reader, chunk, CHUNK_BYTES);
	for (size_t end = enough; end <= n; end++) {
		size_t same = 0;
		while (same < end && same < length &&
		    chunk[end - 1 - same] == where->got[length - 1 - same])
			same++;
		struct held_place place = { end - same, length - same };
		if (same >= enough && is_nearer(&place, &best))
			best = place;
	}
	*ret = best;
	return best.got != SIZE_MAX;
}

/* Includes the same bytes before the evidence. */
static void
extend_backwards(const struct resync_case *where, struct held_place *place)
{
	uint8_t *before = where->resync->chunk;
	while (place->got > 0 && place->expected > 0) {
		size_t n = place->got < CHUNK_BYTES ? place->got : CHUNK_BYTES;
		struct expectation_reader reader = where->expected;
		if (n > place->expected)
			n = (size_t)place->expected;
		expectation_skip(&reader, place->expected - n);
		if (expectation_read(&reader, before, n) < n)
			return;
		size_t same = 0;
		while (same < n &&
		    before[n - 1 - same] == where->got[place->got - 1 - same])
			same++;
		place->got -= same;
		place->expected -= same;
		if (same < n)
			return;
	}
}

/* Bytes from the first wrong one to the end of what is outstanding. */
static uint64_t
outstanding_bytes(const struct resync_case *where, struct held *held)
{
	struct expectation_reader reader = where->expected;
	if (held->outstanding_to.message > reader.cursor.message)
		reader.cursor = held->outstanding_to;
	held->outstanding += expectation_skip(&reader, UINT64_MAX);
	held->outstanding_to = reader.cursor;
	return held->outstanding;
}

bool
resync_find(const struct resync_case *where, struct held *held, struct held_place *ret)
{
	uint64_t outstanding = outstanding_bytes(where, held);
	bool found = false;
	while (!found) {
		size_t limit = next_prefix(held->searched);
		bool is_partial = limit > where->length;
		if (is_partial)
			limit = where->length;
		if (search_tail(where, held, limit, outstanding, ret))
			break;
		if (is_partial && !where->is_last)
			return false;
		held->searched = limit;
		found =
		    search(where, limit, range_of(where, limit, outstanding), ret) &&
		    is_settled(where, limit, ret);
		if (is_partial && !found && !search_last(where, ret))
			return false;
		if (is_partial)
			break;
	}
	extend_backwards(where, ret);
	return true;
}
