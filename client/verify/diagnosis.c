#include "client/verify/diagnosis.h"

#include <stdio.h>
#include <string.h>

#include "client/verify/foreign.h"
#include "client/verify/owner.h"

#define PART_BYTES 4096 /* compared at a time */
#define HEAD_BYTES 16   /* of an answer that foreign data may share with it */

/* True if these bytes were expected at the reader. */
static bool
is_expected_at(struct expectation_reader reader, const uint8_t *bytes, size_t length)
{
	uint8_t part[PART_BYTES];
	for (size_t at = 0; at < length;) {
		size_t n = length - at < sizeof(part) ? length - at : sizeof(part);
		if (expectation_read(&reader, part, n) < n ||
		    memcmp(part, bytes + at, n) != 0)
			return false;
		at += n;
	}
	return true;
}

/* A reader at byte `at` of the answer to a message, which ends with this answer. */
static struct expectation_reader
reader_at(const struct resync_case *where, uint64_t message, uint32_t at)
{
	struct expectation_reader reader = where->expected;
	sequence_seek(
	    reader.expectation->sequence, reader.connection, &reader.cursor, message);
	reader.cursor.length =
	    expectation_length(reader.expectation, reader.connection, message);
	reader.cursor.at = at;
	reader.end = message + 1;
	return reader;
}

/* True if the bytes before the first wrong one are also those of another answer. */
static bool
begins_like(const struct resync_case *where, uint64_t message)
{
	uint8_t part[PART_BYTES];
	uint32_t at = where->expected.cursor.at;
	struct expectation_reader own =
	    reader_at(where, where->expected.cursor.message, 0);
	struct expectation_reader other = reader_at(where, message, 0);
	while (own.cursor.at < at) {
		size_t n = at - own.cursor.at < sizeof(part) ? at - own.cursor.at
							     : sizeof(part);
		expectation_read(&own, part, n);
		if (!is_expected_at(other, part, n))
			return false;
		other.cursor.at += (uint32_t)n;
	}
	return true;
}

/* True if what came from the start of the present answer on is the answer to `message`:
 * all of it, or as much as names a damage. */
static bool
is_answer_to(const struct resync_case *where, uint64_t message, size_t got)
{
	uint32_t at = where->expected.cursor.at;
	struct expectation_reader reader = reader_at(where, message, at);
	uint32_t length = reader.cursor.length;
	if (at >= length || got > where->length)
		return false;
	size_t rest = length - at < got ? length - at : got;
	size_t header = framings[reader.expectation->sequence->framing].header_bytes;
	bool is_text = reader.expectation->sequence->texts != NULL;
	/* A few bytes of payload may be a coincidence. */
	bool is_enough = at + rest >= header + DIAGNOSIS_BYTES_MIN ||
	    (is_text && rest == length - at);
	return is_enough && is_expected_at(reader, where->got, rest) &&
	    begins_like(where, message);
}

bool
diagnosis_is_duplicate(
    const struct resync_case *where, const struct damage *damage, uint64_t *ret_message)
{
	uint64_t message = where->expected.cursor.message;
	size_t got = damage->place.got;
	if (damage->shape != DAMAGE_INSERTED || damage->wrong_until.at > 0)
		return false;
	for (uint64_t i = 1; i <= message && i <= DIAGNOSIS_MESSAGES_MAX; i++) {
		uint32_t length = expectation_length(where->expected.expectation,
		    where->expected.connection, message - i);
		bool is_complete = length <= got || where->is_last;
		if (!is_complete || !is_answer_to(where, message - i, got))
			continue;
		*ret_message = message - i;
		return true;
	}
	return false;
}

static bool
is_line_end_next(const struct resync_case *where, const struct cursor *resume)
{
	const struct cursor *cursor = &where->expected.cursor;
	enum framing framing = where->expected.expectation->sequence->framing;
	return framings[framing].is_delimited && resume->message == cursor->message &&
	    resume->at == cursor->length - framings[framing].trailer_bytes;
}

/* A short text after an answer is shown. */
static void
show_inserted(const struct resync_case *where, size_t got, struct diagnosis *ret)
{
	size_t n = 0;
	if (got == 1 && where->got[0] == '\n')
		snprintf(ret->text, sizeof(ret->text), "a line end after the answer");
	if (got > HEAD_BYTES || ret->text[0] != '\0')
		return;
	while (n < got && where->got[n] >= ' ' && where->got[n] < 0x7f &&
	    where->got[n] != '"')
		n++;
	if (n == got)
		snprintf(ret->text, sizeof(ret->text), "\"%.*s\" after the answer",
		    (int)n, (const char *)where->got);
}

static bool
find_foreign(const struct resync_case *where, size_t got, struct diagnosis *ret)
{
	uint8_t head[HEAD_BYTES + DAMAGE_CONTEXT];
	size_t before = where->expected.cursor.at;
	size_t n = got < DAMAGE_CONTEXT ? got : DAMAGE_CONTEXT;
	ret->kind = DIAGNOSIS_FOREIGN;
	if (foreign_name(where->got, got, ret->text, sizeof(ret->text)))
		return true;
	if (before == 0 || before > HEAD_BYTES)
		return false;
	damage_bytes_before(where, head, before);
	memcpy(head + before, where->got, n);
	return foreign_name(head, before + n, ret->text, sizeof(ret->text));
}

static struct diagnosis
find_insertion(const struct diagnosis_case *what)
{
	const struct resync_case *where = what->where;
	size_t got = what->damage->place.got;
	struct diagnosis found = { .kind = DIAGNOSIS_DUPLICATE, .bytes = got };
	if (diagnosis_is_duplicate(where, what->damage, &found.message))
		return found;
	found.kind = DIAGNOSIS_REPEATED;
	bool is_whole;
	if (damage_is_repetition(where, got, &is_whole))
		return found;
	if (find_foreign(where, got, &found))
		return found;
	found.kind = DIAGNOSIS_LONGER;
	if (is_line_end_next(where, &where->expected.cursor))
		return found;
	found.kind = DIAGNOSIS_INSERTED;
	if (got >= OWNER_BYTES_MIN && owner_find(what, &found))
		return found;
	found.kind = DIAGNOSIS_INSERTED;
	found.bytes = got;
	if (what->damage->wrong_until.at == 0 && where->expected.cursor.message > 0)
		show_inserted(where, got, &found);
	return found;
}

/* The answer to another message in place of this one. */
static bool
find_other_answer(const struct diagnosis_case *what, struct diagnosis *ret)
{
	const struct resync_case *where = what->where;
	const struct damage *damage = what->damage;
	uint64_t present = where->expected.cursor.message;
	for (uint64_t i = 1; i <= 2 * DIAGNOSIS_MESSAGES_MAX; i++) {
		bool is_later = i > DIAGNOSIS_MESSAGES_MAX;
		uint64_t message =
		    is_later ? present + i - DIAGNOSIS_MESSAGES_MAX : present - i;
		if ((!is_later && i > present) ||
		    !is_answer_to(where, message, damage->context))
			continue;
		ret->kind = is_later || what->displaced == message + 1
		    ? DIAGNOSIS_EXCHANGED
		    : DIAGNOSIS_STALE;
		ret->message = message;
		return true;
	}
	return false;
}

/* True if the received bytes are the answer of another kind of reply. */
static bool
is_reply_of_kind(const struct diagnosis_case *what, enum reply_kind kind)
{
	const struct resync_case *where = what->where;
	struct expectation_reader reader = where->expected, other = reader;
	uint8_t part[DAMAGE_CONTEXT];
	uint32_t before =
	    reader.cursor.at < sizeof(part) ? reader.cursor.at : (uint32_t)sizeof(part);
	size_t rest = reader.cursor.length - reader.cursor.at;
	size_t n = what->damage->context < rest ? what->damage->context : rest;
	if (kind == reader.kind || !reply_kinds[reader.kind].uses_payload)
		return false;
	damage_bytes_before(where, part, before);
	other.kind = kind;
	other.cursor.at -= before;
	if (!is_expected_at(other, part, before))
		return false;
	other.cursor.at += before;
	return n <= where->length && is_expected_at(other, where->got, n);
}

/* True if the message itself came back, where another reply or a suffix was expected.
 */
static bool
is_message_itself(const struct diagnosis_case *what)
{
	const struct resync_case *where = what->where;
	const struct expectation *expectation = where->expected.expectation;
	struct cursor cursor = where->expected.cursor;
	uint8_t sent[DAMAGE_CONTEXT];
	uint32_t at = cursor.at;
	cursor.length = sequence_wire_length(
	    expectation->sequence, where->expected.connection, cursor.message);
	size_t n =
	    what->damage->context < sizeof(sent) ? what->damage->context : sizeof(sent);
	if (at >= cursor.length || n < DIAGNOSIS_BYTES_MIN || n > where->length)
		return false;
	const uint8_t *wire = sequence_wire(expectation->sequence,
	    where->expected.connection, &cursor, &n, where->expected.scratch, sent);
	return n >= DIAGNOSIS_BYTES_MIN && memcmp(wire, where->got, n) == 0;
}

/* Where the payload of the next expected answer begins among the first `n` received
 * bytes, as far as they go; `n`: nowhere, or it is too short to know. */
static size_t
next_answer_start(const struct resync_case *where, size_t n)
{
	const struct expectation *expectation = where->expected.expectation;
	uint64_t next = where->expected.cursor.message + 1;
	if (next >= where->expected.end)
		return n;
	struct expectation_reader reader = reader_at(where, next, 0);
	size_t same = reader.cursor.length - expectation->reply->text_length -
	    framings[expectation->sequence->framing].trailer_bytes;
	if (same > HEAD_BYTES)
		same = HEAD_BYTES;
	if (same < DIAGNOSIS_BYTES_MIN)
		return n;
	for (size_t at = 0; at < n && at + same <= where->length; at++)
		if (is_expected_at(reader, where->got + at, same))
			return at;
	return n;
}

/* Adds the expected bytes from `at` on, up to the end of the present answer. */
static size_t
add_rest(const struct resync_case *where, uint32_t at, uint8_t *out, size_t size)
{
	const struct cursor *cursor = &where->expected.cursor;
	if (at == 0 || at >= cursor->length)
		return 0;
	struct expectation_reader rest = reader_at(where, cursor->message, at);
	size_t left = cursor->length - at;
	return expectation_read(&rest, out, left < size ? left : size);
}

/* The payload is right, the suffix is another one, or there is none. */
static bool
find_suffix(const struct diagnosis_case *what, struct diagnosis *ret)
{
	const struct resync_case *where = what->where;
	const struct cursor *cursor = &where->expected.cursor;
	const struct expectation *expectation = where->expected.expectation;
	const struct framing_ops *framing = &framings[expectation->sequence->framing];
	const struct reply *reply = expectation->reply;
	const struct damage *damage = what->damage;
	uint8_t text[HEAD_BYTES * 2];
	if (reply == NULL || reply->text_length == 0 ||
	    !reply_kinds[reply->kind].uses_payload)
		return false;
	size_t start = cursor->length - framing->trailer_bytes - reply->text_length;
	size_t before = cursor->at - start, got = damage->place.got;
	if (cursor->at < start || before > HEAD_BYTES)
		return false;
	size_t most = got < HEAD_BYTES - before + 1 ? got : HEAD_BYTES - before + 1;
	size_t n = next_answer_start(where, most);
	bool is_next = n < most;
	bool is_end = is_next || damage->resume.at == 0 ||
	    (damage->resume.message == cursor->message && damage->resume.at > start);
	if (!is_end || before + n > HEAD_BYTES)
		return false;
	damage_bytes_before(where, text, before);
	memcpy(text + before, where->got, n);
	size_t length = before + n;
	if (!is_next)
		length += add_rest(
		    where, damage->resume.at, text + length, sizeof(text) - length);
	if (framing->trailer_bytes > 0 && length > 0 && text[length - 1] == '\n')
		length--;
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] >= 0x7f || text[i] == '"')
			return false;
	ret->kind = length > 0 ? DIAGNOSIS_SUFFIX : DIAGNOSIS_TRUNCATED;
	snprintf(
	    ret->text, sizeof(ret->text), "\"%.*s\"", (int)length, (const char *)text);
	return true;
}

static uint64_t
altered_bytes(const struct resync_case *where, size_t got)
{
	uint8_t part[PART_BYTES];
	struct expectation_reader reader = where->expected;
	uint64_t altered = 0;
	for (size_t at = 0; at < got;) {
		size_t want = got - at < sizeof(part) ? got - at : sizeof(part);
		size_t n = expectation_read(&reader, part, want);
		for (size_t i = 0; i < n; i++)
			altered += part[i] != where->got[at + i];
		if (n < want)
			break;
		at += n;
	}
	return altered;
}

static bool
find_reply(const struct diagnosis_case *what, struct diagnosis *ret)
{
	ret->kind = DIAGNOSIS_UNCHANGED;
	if (is_reply_of_kind(what, REPLY_ECHO))
		return true;
	ret->kind = DIAGNOSIS_UPPER;
	if (is_reply_of_kind(what, REPLY_UPPER))
		return true;
	ret->kind = DIAGNOSIS_UNCHANGED;
	return is_message_itself(what);
}

/* Other bytes than expected. */
static struct diagnosis
find_other_bytes(const struct diagnosis_case *what)
{
	const struct resync_case *where = what->where;
	const struct damage *damage = what->damage;
	size_t got = damage->place.got;
	struct diagnosis found = { .kind = DIAGNOSIS_UNKNOWN };
	uint64_t altered =
	    damage->shape == DAMAGE_ALTERED ? altered_bytes(where, got) : UINT64_MAX;
	if (find_other_answer(what, &found) || find_reply(what, &found) ||
	    find_foreign(where, got, &found) || find_suffix(what, &found) ||
	    owner_find_here(what, &found))
		return found;
	found.kind = DIAGNOSIS_ALTERED;
	found.bytes = altered;
	if (altered <= DIAGNOSIS_ALTERED_MAX || altered <= got / 4)
		return found;
	uint64_t rest = where->expected.cursor.length - where->expected.cursor.at;
	found.kind = got < rest ? DIAGNOSIS_TRUNCATED : DIAGNOSIS_LONGER;
	if (damage->shape == DAMAGE_FRAME)
		return found;
	found = (struct diagnosis){ .kind = DIAGNOSIS_UNKNOWN };
	owner_find(what, &found);
	return found;
}

struct diagnosis
diagnosis_find(const struct diagnosis_case *what)
{
	const struct damage *damage = what->damage;
	struct diagnosis found = { .kind = DIAGNOSIS_GAP };
	switch (damage->shape) {
	case DAMAGE_GAP:
		found.bytes = damage->place.expected;
		if (is_line_end_next(what->where, &damage->resume))
			found.kind = DIAGNOSIS_TRUNCATED;
		return found;
	case DAMAGE_INSERTED:
		return find_insertion(what);
	case DAMAGE_EXCHANGED:
		found.kind = DIAGNOSIS_EXCHANGED;
		found.message = damage->message;
		return found;
	case DAMAGE_ALTERED:
	case DAMAGE_REPLACED:
	case DAMAGE_FRAME:
		break;
	}
	return find_other_bytes(what);
}

static void
describe_bytes(const struct diagnosis *diagnosis, char *out, size_t size)
{
	unsigned long long bytes = diagnosis->bytes;
	const char *plural = bytes == 1 ? "" : "s";
	if (diagnosis->kind == DIAGNOSIS_ALTERED && bytes == 1)
		snprintf(out, size, "an altered byte");
	else if (diagnosis->kind == DIAGNOSIS_ALTERED)
		snprintf(out, size, "%llu altered bytes", bytes);
	else if (diagnosis->kind == DIAGNOSIS_GAP)
		snprintf(out, size, "a gap of %llu byte%s", bytes, plural);
	else if (diagnosis->kind == DIAGNOSIS_REPEATED)
		snprintf(out, size, "the last %llu byte%s repeated", bytes, plural);
	else if (diagnosis->kind == DIAGNOSIS_SEARCHED)
		snprintf(out, size, "not recognised (%llu KiB searched)", bytes / 1024);
	else
		snprintf(out, size, "%llu byte%s inserted%s%s", bytes, plural,
		    diagnosis->text[0] != '\0' ? ": " : "", diagnosis->text);
}

static void
describe_message(const struct diagnosis *diagnosis, char *out, size_t size)
{
	unsigned long long message = diagnosis->message;
	if (diagnosis->kind == DIAGNOSIS_DUPLICATE)
		snprintf(out, size, "a duplicate of message %llu", message);
	else if (diagnosis->kind == DIAGNOSIS_STALE)
		snprintf(out, size, "a stale answer: that to message %llu", message);
	else if (diagnosis->kind == DIAGNOSIS_EXCHANGED)
		snprintf(
		    out, size, "an exchanged answer: that to message %llu", message);
	else
		snprintf(
		    out, size, "other data of this connection (message %llu)", message);
}

void
diagnosis_describe(const struct diagnosis *diagnosis, char *out, size_t size)
{
	switch (diagnosis->kind) {
	case DIAGNOSIS_ALTERED:
	case DIAGNOSIS_GAP:
	case DIAGNOSIS_INSERTED:
	case DIAGNOSIS_REPEATED:
	case DIAGNOSIS_SEARCHED:
		describe_bytes(diagnosis, out, size);
		break;
	case DIAGNOSIS_DUPLICATE:
	case DIAGNOSIS_STALE:
	case DIAGNOSIS_EXCHANGED:
	case DIAGNOSIS_ELSEWHERE:
		describe_message(diagnosis, out, size);
		break;
	case DIAGNOSIS_CONNECTION:
		snprintf(out, size, "another connection's data (connection %llu)",
		    (unsigned long long)diagnosis->connection);
		break;
	case DIAGNOSIS_SUFFIX:
		snprintf(out, size, "another suffix: %s", diagnosis->text);
		break;
	case DIAGNOSIS_FOREIGN:
		snprintf(out, size, "%s", diagnosis->text);
		break;
	case DIAGNOSIS_UNKNOWN:
	case DIAGNOSIS_UNSEARCHED:
	case DIAGNOSIS_TRUNCATED:
	case DIAGNOSIS_LONGER:
	case DIAGNOSIS_UNCHANGED:
	case DIAGNOSIS_UPPER: {
		static const char *const fixed[] = {
			[DIAGNOSIS_UNKNOWN] = "not recognised",
			[DIAGNOSIS_UNSEARCHED] = "not recognised (search cut short)",
			[DIAGNOSIS_TRUNCATED] = "a truncated answer",
			[DIAGNOSIS_LONGER] = "a longer answer",
			[DIAGNOSIS_UNCHANGED] = "what was sent, unchanged",
			[DIAGNOSIS_UPPER] = "what was sent, in upper case",
		};
		snprintf(out, size, "%s", fixed[diagnosis->kind]);
	}
	}
}
