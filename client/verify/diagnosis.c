#include "client/verify/diagnosis.h"

#include <stdio.h>
#include <string.h>

#define INSERTION_BYTES_MIN 16 /* correct bytes required after an insertion */

size_t
diagnosis_expected_bytes(const struct diagnosis_case *where, uint64_t connection,
    struct cursor from, uint32_t messages, uint8_t *out, size_t length)
{
	uint8_t bytes[DIAGNOSIS_WINDOW];
	size_t done = 0;
	while (done < length && messages > 0) {
		if (from.length == 0)
			from.length = expectation_length(
			    where->expectation, connection, from.message);
		size_t n =
		    length - done < sizeof(bytes) ? length - done : sizeof(bytes);
		const uint8_t *wire = expectation_wire(where->expectation, where->reply,
		    connection, &from, &n, where->scratch, bytes);
		memcpy(out + done, wire, n);
		done += n;
		from.at += (uint32_t)n;
		if (from.at < from.length)
			continue;
		sequence_seek(
		    where->expectation->sequence, connection, &from, from.message + 1);
		messages--;
	}
	return done;
}

/* True if the received bytes match the expected ones of that place, for at least a few
 * bytes or a whole answer. */
static bool
matches_expected(const struct diagnosis_case *where, uint64_t connection,
    struct cursor from, uint32_t messages)
{
	uint8_t run[DIAGNOSIS_WINDOW];
	size_t want = where->length < sizeof(run) ? where->length : sizeof(run);
	size_t n =
	    diagnosis_expected_bytes(where, connection, from, messages, run, want);
	bool is_long_enough = n >= DIAGNOSIS_BYTES_MIN ||
	    (n > 0 && from.at == 0 &&
		n == expectation_length(where->expectation, connection, from.message));
	return is_long_enough && memcmp(run, where->got, n) == 0;
}

static bool
is_altered(const struct diagnosis_case *where)
{
	uint8_t run[DIAGNOSIS_WINDOW];
	size_t want = where->length < sizeof(run) ? where->length : sizeof(run);
	size_t n = diagnosis_expected_bytes(
	    where, where->connection, *where->cursor, where->unanswered, run, want);
	size_t different = 0;
	for (size_t i = 0; i < n; i++)
		different += run[i] != where->got[i];
	return n > 0 && different <= (n < DIAGNOSIS_BYTES_MIN ? 1 : 1 + n / 8);
}

/* True if this is the answer to `message`: the correct bytes before the cursor and the
 * received ones after it both match it. */
static bool
is_answer_to(const struct diagnosis_case *where, uint64_t message, uint32_t messages)
{
	const struct sequence *sequence = where->expectation->sequence;
	struct cursor here = *where->cursor, there = *where->cursor;
	uint8_t a[DIAGNOSIS_WINDOW], b[DIAGNOSIS_WINDOW];
	uint32_t at = here.at;
	uint32_t skip = (uint32_t)framings[sequence->framing].header_bytes;
	sequence_seek(sequence, where->connection, &there, message);
	there.length =
	    expectation_length(where->expectation, where->connection, message);
	if (at >= there.length)
		return false;
	if (skip > 0 && at > 0 && where->header != there.length - skip)
		return false;
	if (at > skip) {
		size_t want = at - skip < sizeof(a) ? at - skip : sizeof(a);
		here.at = there.at = skip;
		diagnosis_expected_bytes(where, where->connection, here, 1, a, want);
		diagnosis_expected_bytes(where, where->connection, there, 1, b, want);
		if (memcmp(a, b, want) != 0)
			return false;
	}
	there.at = at;
	return matches_expected(where, where->connection, there, messages);
}

static bool
find_message(const struct diagnosis_case *where, struct diagnosis *ret)
{
	uint64_t message = where->cursor->message;
	for (uint32_t i = 1; i < where->unanswered && i <= DIAGNOSIS_MESSAGES_MAX;
	     i++) {
		if (!is_answer_to(where, message + i, where->unanswered - i))
			continue;
		ret->kind = DIAGNOSIS_MISSING;
		ret->message = message + i;
		for (uint32_t k = 0; k < i; k++)
			ret->bytes += expectation_length(
			    where->expectation, where->connection, message + k);
		return true;
	}
	for (uint64_t i = 1; i <= message && i <= DIAGNOSIS_MESSAGES_MAX; i++) {
		if (!is_answer_to(where, message - i, 1))
			continue;
		ret->kind = DIAGNOSIS_DUPLICATE;
		ret->message = message - i;
		return true;
	}
	return false;
}

/* Bytes missing from the stream, within the unanswered messages. */
static bool
find_gap(const struct diagnosis_case *where, struct diagnosis *ret)
{
	uint8_t run[4096];
	size_t n = diagnosis_expected_bytes(where, where->connection, *where->cursor,
	    where->unanswered, run, sizeof(run));
	size_t window =
	    where->length < DIAGNOSIS_WINDOW ? where->length : DIAGNOSIS_WINDOW;
	for (size_t gap = 1; gap + DIAGNOSIS_BYTES_MIN <= n; gap++) {
		size_t most = n - gap < window ? n - gap : window;
		if (most < DIAGNOSIS_BYTES_MIN ||
		    memcmp(run + gap, where->got, most) != 0)
			continue;
		ret->kind = DIAGNOSIS_GAP;
		ret->bytes = gap;
		return true;
	}
	return false;
}

/* The cursor `bytes` before this one; false if that is too far back. */
static bool
step_back(const struct diagnosis_case *where, uint64_t bytes, struct cursor *ret)
{
	struct cursor from = *where->cursor;
	for (int i = 0; bytes > from.at; i++) {
		if (i == DIAGNOSIS_MESSAGES_MAX || from.message == 0)
			return false;
		bytes -= from.at;
		sequence_seek(where->expectation->sequence, where->connection, &from,
		    from.message - 1);
		from.at = from.length = expectation_length(
		    where->expectation, where->connection, from.message);
	}
	from.at -= (uint32_t)bytes;
	*ret = from;
	return true;
}

/* Bytes too many, after which the stream continues. With boundaries only repeated bytes
 * count: others may be a longer answer of the server. */
static bool
find_insertion(const struct diagnosis_case *where, struct diagnosis *ret)
{
	uint8_t run[DIAGNOSIS_WINDOW];
	struct cursor before;
	size_t n = diagnosis_expected_bytes(where, where->connection, *where->cursor,
	    where->unanswered, run, INSERTION_BYTES_MIN);
	const uint8_t *on = n < INSERTION_BYTES_MIN || where->length < 2
	    ? NULL
	    : memmem(where->got + 1, where->length - 1, run, n);
	if (on == NULL)
		return false;
	ret->bytes = (uint64_t)(on - where->got);
	ret->kind = DIAGNOSIS_INSERTED;
	if (step_back(where, ret->bytes, &before)) {
		size_t part = ret->bytes < sizeof(run) ? ret->bytes : sizeof(run);
		n = diagnosis_expected_bytes(where, where->connection, before,
		    DIAGNOSIS_MESSAGES_MAX + 1, run, part);
		if (n == part && memcmp(run, where->got, n) == 0)
			ret->kind = DIAGNOSIS_REPEATED;
	}
	return ret->kind == DIAGNOSIS_REPEATED ||
	    !framings[where->expectation->sequence->framing].has_boundaries;
}

/* The data of another connection at the same place. Messages of different lengths must
 * be walked through, which is slow with many connections. */
static bool
find_connection(const struct diagnosis_case *where, struct diagnosis *ret)
{
	const struct sequence *sequence = where->expectation->sequence;
	bool walks =
	    sequence->texts != NULL || sequence->size_min != sequence->size_max;
	uint64_t steps = DIAGNOSIS_STEPS + (walks ? where->cursor->message : 0);
	if (!sequence->varies)
		return false;
	for (uint32_t other = 0; other < where->connections; other++) {
		struct cursor there = *where->cursor;
		if (other == where->connection)
			continue;
		if (steps > *where->steps_left) {
			ret->kind = DIAGNOSIS_UNSEARCHED;
			return false;
		}
		*where->steps_left -= steps;
		if (walks) {
			there = (struct cursor){ .at = where->cursor->at };
			sequence_seek(sequence, other, &there, where->cursor->message);
			there.at = where->cursor->at;
			there.length = expectation_length(
			    where->expectation, other, there.message);
			if (there.at >= there.length)
				continue;
		}
		if (!matches_expected(where, other, there, 1))
			continue;
		ret->kind = DIAGNOSIS_CONNECTION;
		ret->connection = other;
		return true;
	}
	return false;
}

struct diagnosis
diagnosis_find(const struct diagnosis_case *where)
{
	struct diagnosis found = { .kind = DIAGNOSIS_UNKNOWN };
	if (is_altered(where))
		found.kind = DIAGNOSIS_ALTERED;
	else if (!find_message(where, &found) && !find_gap(where, &found) &&
	    !find_insertion(where, &found)) {
		found = (struct diagnosis){ .kind = DIAGNOSIS_UNKNOWN };
		find_connection(where, &found);
	}
	return found;
}

void
diagnosis_describe(const struct diagnosis *diagnosis, char *out, size_t size)
{
	static const char *const fixed[] = {
		[DIAGNOSIS_UNKNOWN] = "not recognised",
		[DIAGNOSIS_UNSEARCHED] = "not recognised (search cut short)",
		[DIAGNOSIS_ALTERED] = "an altered byte",
		[DIAGNOSIS_TRUNCATED] = "a truncated answer",
		[DIAGNOSIS_LONGER] = "a longer answer",
	};
	unsigned long long bytes = diagnosis->bytes;
	const char *plural = bytes == 1 ? "" : "s";
	switch (diagnosis->kind) {
	case DIAGNOSIS_DUPLICATE:
		snprintf(out, size, "a duplicate of message %llu",
		    (unsigned long long)diagnosis->message);
		break;
	case DIAGNOSIS_MISSING:
	case DIAGNOSIS_GAP:
		snprintf(out, size, "a gap of %llu byte%s", bytes, plural);
		break;
	case DIAGNOSIS_INSERTED:
		snprintf(out, size, "%llu byte%s inserted", bytes, plural);
		break;
	case DIAGNOSIS_REPEATED:
		snprintf(out, size, "the last %llu byte%s repeated", bytes, plural);
		break;
	case DIAGNOSIS_CONNECTION:
		snprintf(out, size, "another connection's data (connection %llu)",
		    (unsigned long long)diagnosis->connection);
		break;
	default:
		snprintf(out, size, "%s", fixed[diagnosis->kind]);
	}
}
