#include "client/verify/owner.h"

#include <string.h>

#define NEEDLE_BYTES 24 /* looked for, at most */
#define NEAR_BYTES 4096 /* of each connection, searched first */
#define STEP_BYTES 8    /* cost of passing a message */
#define HERE_BYTES 64   /* compared at the same place, at most */

/* A reader at a message of another connection. Messages of different lengths must be
 * walked through, which costs time. False if the search is to be cut short. */
static bool
open_reader(const struct diagnosis_case *what, uint64_t connection, uint64_t message,
    struct expectation_reader *ret)
{
	const struct sequence *sequence = what->where->expected.expectation->sequence;
	bool walks =
	    sequence->texts == NULL && sequence->size_min != sequence->size_max;
	uint64_t cost = STEP_BYTES * (walks ? message + 1 : 1);
	if (cost > *what->search_left)
		return false;
	*what->search_left -= cost;
	*ret = what->where->expected;
	ret->connection = connection;
	ret->cursor = (struct cursor){ .message = walks ? 0 : message };
	ret->end = UINT64_MAX;
	if (walks)
		sequence_seek(sequence, connection, &ret->cursor, message);
	else if (sequence->texts == NULL)
		ret->cursor.offset = message * sequence->size_min;
	ret->cursor.length = expectation_length(ret->expectation, connection, message);
	return true;
}

bool
owner_find_here(const struct diagnosis_case *what, struct diagnosis *ret)
{
	const struct resync_case *where = what->where;
	const struct cursor *cursor = &where->expected.cursor;
	uint8_t expected[HERE_BYTES];
	struct expectation_reader reader;
	size_t got = what->damage->context < sizeof(expected) ? what->damage->context
							      : sizeof(expected);
	if (!where->expected.expectation->sequence->varies || got > where->length)
		return false;
	for (uint32_t other = 0; other < what->connections; other++) {
		if (other == where->expected.connection)
			continue;
		if (!open_reader(what, other, cursor->message, &reader))
			return false;
		if (cursor->at >= reader.cursor.length)
			continue;
		uint32_t rest = reader.cursor.length - cursor->at;
		size_t n = got < rest ? got : rest;
		reader.cursor.at = cursor->at;
		if ((n < DIAGNOSIS_BYTES_MIN && (cursor->at > 0 || n < rest)) ||
		    expectation_read(&reader, expected, n) < n ||
		    memcmp(expected, where->got, n) != 0)
			continue;
		ret->kind = DIAGNOSIS_CONNECTION;
		ret->connection = other;
		return true;
	}
	return false;
}

/* Looks for the needle in `range` bytes of a connection, half of them before the same
 * message. */
static bool
search_connection(const struct diagnosis_case *what, uint64_t connection,
    const uint8_t *needle, size_t length, size_t range, struct diagnosis *ret)
{
	const struct resync_case *where = what->where;
	uint64_t present = where->expected.cursor.message, back = 0, bytes = 0;
	uint8_t *chunk = where->resync->chunk;
	struct expectation_reader reader;
	uint64_t longest =
	    expectation_length(where->expected.expectation, connection, present);
	while (back < present && bytes < range / 2) {
		bytes += longest > 0 ? longest : 1;
		back++;
	}
	if (!open_reader(what, connection, present - back, &reader) ||
	    *what->search_left < range)
		return false;
	*what->search_left -= range;
	if (bytes > range / 2 && back > 0)
		expectation_skip(&reader, bytes - range / 2);
	struct expectation_reader start = reader;
	size_t n = expectation_read(&reader, chunk, range);
	const uint8_t *hit = memmem(chunk, n, needle, length);
	if (hit == NULL)
		return true;
	expectation_skip(&start, (uint64_t)(hit - chunk));
	ret->kind = connection == where->expected.connection ? DIAGNOSIS_ELSEWHERE
							     : DIAGNOSIS_CONNECTION;
	ret->connection = connection;
	ret->message = start.cursor.message + (start.cursor.at == start.cursor.length);
	return true;
}

bool
owner_find(const struct diagnosis_case *what, struct diagnosis *ret)
{
	static const size_t ranges[] = { NEAR_BYTES, DIAGNOSIS_SEARCH_BYTES };
	const struct resync_case *where = what->where;
	size_t got = what->damage->place.got;
	size_t n = got < NEEDLE_BYTES ? got : NEEDLE_BYTES;
	enum diagnosis_kind before = ret->kind;
	if (!where->expected.expectation->sequence->varies || n < OWNER_BYTES_MIN ||
	    where->expected.expectation->none)
		return false;
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++)
		for (uint32_t other = 0; other < what->connections; other++) {
			if (!search_connection(
				what, other, where->got, n, ranges[r], ret)) {
				ret->kind = DIAGNOSIS_UNSEARCHED;
				return false;
			}
			if (ret->kind != before)
				return true;
		}
	ret->kind = DIAGNOSIS_SEARCHED;
	ret->bytes = DIAGNOSIS_SEARCH_BYTES;
	return false;
}
