#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/suggest.h"
#include "lib/units.h"
#include "proto/faults/fault.h"

#define WORD_MAX 64
#define DAY_NS UINT64_C(86400000000000)

/* The next word of the text; "" at its end. */
struct reader {
	const char *text, *next;
	char word[WORD_MAX];
	size_t column; /* of the word, from 1 */
	char *error;
	size_t error_size;
};

static void
advance(struct reader *reader)
{
	const char *at = reader->next + strspn(reader->next, " \t");
	size_t length = strcspn(at, " \t");
	reader->column = (size_t)(at - reader->text) + 1;
	snprintf(reader->word, sizeof(reader->word), "%.*s", (int)length, at);
	reader->next = at + length;
}

static int
fail(const struct reader *reader, const char *expected)
{
	char shown[WORD_MAX];
	printable_escape(reader->word, shown, sizeof(shown));
	if (reader->word[0] == '\0')
		snprintf(reader->error, reader->error_size,
		    "position %zu: found the end, expected %s", reader->column,
		    expected);
	else
		snprintf(reader->error, reader->error_size,
		    "position %zu: found \"%s\", expected %s", reader->column, shown,
		    expected);
	return -1;
}

static bool
is_word(const struct reader *reader, const char *word)
{
	return strcmp(reader->word, word) == 0;
}

/* True, and past it, if this is the word. */
static bool
take(struct reader *reader, const char *word)
{
	if (!is_word(reader, word))
		return false;
	advance(reader);
	return true;
}

static int
read_time(struct reader *reader, uint64_t *ret_ns)
{
	if (units_parse_duration(reader->word, ret_ns) < 0 || *ret_ns > 1000 * DAY_NS)
		return fail(reader, "a time such as \"20ms\"");
	advance(reader);
	return 0;
}

static int
read_number(struct reader *reader, uint64_t max, const char *what, uint64_t *ret)
{
	uint64_t value;
	char expected[96];
	snprintf(expected, sizeof(expected), "%s from 1 to %" PRIu64, what, max);
	if (units_parse_count(reader->word, &value) < 0 || value == 0 || value > max)
		return fail(reader, expected);
	*ret = value;
	advance(reader);
	return 0;
}

static int
read_bytes_word(struct reader *reader)
{
	if (take(reader, "bytes") || take(reader, "byte"))
		return 0;
	return fail(reader, "\"bytes\"");
}

/* "for ever", TIME, or nothing, which is for ever. */
static int
read_length(struct reader *reader, uint64_t *ret_ns)
{
	*ret_ns = FAULT_FOR_EVER;
	if (take(reader, "for"))
		return take(reader, "ever") ? 0 : fail(reader, "\"ever\"");
	if (reader->word[0] < '0' || reader->word[0] > '9')
		return 0;
	return read_time(reader, ret_ns);
}

/* "15ms..25ms" */
static int
read_range(struct reader *reader, struct fault *fault)
{
	const char *expected = "two times such as \"15ms..25ms\"";
	char low[WORD_MAX];
	snprintf(low, sizeof(low), "%s", reader->word);
	char *dots = strstr(low, "..");
	if (dots == NULL)
		return fail(reader, expected);
	*dots = '\0';
	if (units_parse_duration(low, &fault->a_ns) < 0 ||
	    units_parse_duration(dots + 2, &fault->b_ns) < 0 ||
	    fault->b_ns < fault->a_ns || fault->b_ns > 1000 * DAY_NS)
		return fail(reader, expected);
	advance(reader);
	return 0;
}

static int
read_shape(struct reader *reader, struct fault *fault)
{
	char *end;
	if (reader->word[0] >= '0' && reader->word[0] <= '9') {
		fault->shape = strtod(reader->word, &end);
		if (*end == '\0' && fault->shape >= 0.1 && fault->shape <= 100) {
			/* As it is printed, so that the text is equal. */
			fault->shape = round(fault->shape * 1000) / 1000;
			advance(reader);
			return 0;
		}
	}
	return fail(reader, "a shape from 0.1 to 100");
}

static int
read_law(struct reader *reader, struct fault *fault)
{
	int law = 0;
	while (fault_laws[law] != NULL && !is_word(reader, fault_laws[law]))
		law++;
	if (law < FAULT_LAW_COUNT)
		advance(reader);
	else
		law = FAULT_LAW_CONSTANT;
	fault->law = (enum fault_law)law;
	if (fault->law == FAULT_LAW_UNIFORM)
		return read_range(reader, fault);
	if (units_parse_duration(reader->word, &fault->a_ns) < 0)
		return fail(reader,
		    law == FAULT_LAW_CONSTANT
			? "a time such as \"20ms\", or uniform, normal, exponential or pareto"
			: "a time such as \"20ms\"");
	if (read_time(reader, &fault->a_ns) < 0)
		return -1;
	if (fault->law == FAULT_LAW_NORMAL)
		return read_time(reader, &fault->b_ns);
	return fault->law == FAULT_LAW_PARETO ? read_shape(reader, fault) : 0;
}

static int
read_argument(struct reader *reader, struct fault *fault)
{
	switch (fault_kinds[fault->kind].argument) {
	case FAULT_TAKES_NOTHING:
		return 0;
	case FAULT_TAKES_LAW:
		return read_law(reader, fault);
	case FAULT_TAKES_STALL:
		if (take(reader, "listener"))
			fault->scope = FAULT_SCOPE_LISTENER;
		else
			(void)take(reader, "connection");
		return read_length(reader, &fault->time_ns);
	case FAULT_TAKES_TIME:
		return read_length(reader, &fault->time_ns);
	case FAULT_TAKES_RATE:
		if (read_number(reader, UINT64_C(1000000000), "a number of bytes",
			&fault->count) < 0)
			return -1;
		return take(reader, "bytes/s") || take(reader, "byte/s")
		    ? 0
		    : fail(reader, "\"bytes/s\"");
	case FAULT_TAKES_BYTES:
	case FAULT_TAKES_BYTES_OR_BITS:
		if (read_number(reader, FAULT_BYTES_MAX, "a number", &fault->count) < 0)
			return -1;
		if (fault_kinds[fault->kind].argument == FAULT_TAKES_BYTES)
			return read_bytes_word(reader);
		if (take(reader, "bits") || take(reader, "bit")) {
			fault->is_bits = true;
			return 0;
		}
		return take(reader, "bytes") || take(reader, "byte")
		    ? 0
		    : fail(reader, "\"bytes\" or \"bits\"");
	case FAULT_TAKES_COUNT:
		return read_number(
		    reader, 1048576, "a number of connections", &fault->count);
	}
	return 0;
}

/* "0.1%" in parts of FAULT_SHARE_ALL. */
static int
read_share(struct reader *reader, struct fault *fault)
{
	const char *expected = "a percentage above 0% and at most 100%, such as \"1%\"";
	const char *at = reader->word;
	uint64_t value = 0, unit = FAULT_SHARE_ALL / 100;
	size_t whole = strspn(at, "0123456789");
	if (whole == 0 || whole > 3)
		return fail(reader, expected);
	for (; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	value *= unit;
	if (*at == '.') {
		size_t digits = strspn(++at, "0123456789");
		if (digits == 0 || digits > FAULT_SHARE_DIGITS)
			return fail(reader,
			    "a percentage with at most 7 digits after the point");
		for (; *at >= '0' && *at <= '9'; at++)
			value += (uint64_t)(*at - '0') * (unit /= 10);
	}
	if (strcmp(at, "%") != 0 || value == 0 || value > FAULT_SHARE_ALL)
		return fail(reader, expected);
	fault->share = value;
	advance(reader);
	fault->share_of_messages = fault->scope == FAULT_SCOPE_REPLY;
	if (!take(reader, "of"))
		return 0;
	if (take(reader, "connections"))
		fault->share_of_messages = false;
	else if (fault->scope == FAULT_SCOPE_ACCEPT)
		return fail(reader, "\"connections\"");
	else if (take(reader, "messages") || take(reader, "replies"))
		fault->share_of_messages = true;
	else
		return fail(reader, "\"connections\", \"messages\" or \"replies\"");
	return 0;
}

/* "after N bytes" or "after TIME" */
static int
read_after(struct reader *reader, struct fault *fault, bool *ret_is_bytes)
{
	uint64_t value;
	*ret_is_bytes = false;
	if (strcmp(reader->word, "0") != 0 &&
	    units_parse_duration(reader->word, &value) == 0)
		return read_time(reader, &fault->from_ns);
	if (units_parse_size(reader->word, &value) < 0)
		return fail(reader, "a number of bytes or a time such as \"20ms\"");
	*ret_is_bytes = true;
	fault->has_after_bytes = true;
	fault->after_bytes = value;
	advance(reader);
	return read_bytes_word(reader);
}

static int
read_between(struct reader *reader, struct fault *fault)
{
	if (read_time(reader, &fault->from_ns) < 0)
		return -1;
	if (!take(reader, "and"))
		return fail(reader, "\"and\"");
	struct reader before = *reader;
	if (read_time(reader, &fault->to_ns) < 0)
		return -1;
	if (fault->to_ns > fault->from_ns)
		return 0;
	return fail(&before, "a later time than the first");
}

static int
read_from(struct reader *reader, struct fault *fault)
{
	char error[192];
	if (address_prefix_parse(reader->word, &fault->from, error, sizeof(error)) < 0)
		return fail(reader, "an address such as \"10.0.0.0/8\"");
	fault->has_from = true;
	advance(reader);
	return 0;
}

enum selection {
	SELECT_SHARE = 1,
	SELECT_AT = 2,
	SELECT_EVERY = 4,
	SELECT_BYTES = 8,
	SELECT_TIME = 16,
	SELECT_FROM = 32,
	SELECT_ALL = 63,
};

static unsigned
allowed_selections(enum fault_scope scope)
{
	switch (scope) {
	case FAULT_SCOPE_ACCEPT:
		return SELECT_SHARE | SELECT_FROM;
	case FAULT_SCOPE_LISTENER:
		return SELECT_TIME;
	case FAULT_SCOPE_REPLY:
	case FAULT_SCOPE_CONNECTION:
		break;
	}
	return SELECT_ALL;
}

static const char *
expected_selections(enum fault_scope scope)
{
	switch (scope) {
	case FAULT_SCOPE_ACCEPT:
		return "on P%, from ADDRESS/BITS, or the end";
	case FAULT_SCOPE_LISTENER:
		return "after TIME, between TIME and TIME, or the end (no client is selected)";
	case FAULT_SCOPE_REPLY:
	case FAULT_SCOPE_CONNECTION:
		break;
	}
	return "on P%, at message N, every N, after N bytes, after TIME, between TIME and TIME, from ADDRESS/BITS, or the end";
}

/* The bits of the selections that this word may begin; 0: none. */
static unsigned
selections_of(const char *word)
{
	static const struct {
		const char *word;
		unsigned selections;
	} words[] = {
		{ "on", SELECT_SHARE },
		{ "at", SELECT_AT },
		{ "every", SELECT_EVERY },
		{ "after", SELECT_BYTES | SELECT_TIME },
		{ "between", SELECT_TIME },
		{ "from", SELECT_FROM },
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, word) == 0)
			return words[i].selections;
	}
	return 0;
}

/* Reads what follows the word of a selection; its bit in *ret. */
static int
read_selected(
    struct reader *reader, const char *word, struct fault *fault, unsigned *ret)
{
	const uint64_t messages_max = UINT64_C(1000000000000);
	bool is_bytes;
	*ret = selections_of(word);
	if (*ret == SELECT_SHARE)
		return read_share(reader, fault);
	if (*ret == SELECT_EVERY)
		return read_number(
		    reader, messages_max, "a number of messages", &fault->every);
	if (*ret == SELECT_FROM)
		return read_from(reader, fault);
	if (*ret == SELECT_TIME)
		return read_between(reader, fault);
	if (*ret == SELECT_AT)
		return take(reader, "message")
		    ? read_number(reader, messages_max, "a number", &fault->at_message)
		    : fail(reader, "\"message\"");
	if (read_after(reader, fault, &is_bytes) < 0)
		return -1;
	*ret = is_bytes ? SELECT_BYTES : SELECT_TIME;
	return 0;
}

static int
read_selections(struct reader *reader, struct fault *fault)
{
	unsigned seen = 0, one;
	unsigned allowed = allowed_selections(fault->scope);
	while (reader->word[0] != '\0') {
		struct reader before = *reader;
		unsigned possible = selections_of(reader->word) & allowed;
		if (possible == 0)
			return fail(reader, expected_selections(fault->scope));
		advance(reader);
		if (read_selected(reader, before.word, fault, &one) < 0)
			return -1;
		if ((one & allowed) == 0)
			return fail(&before, expected_selections(fault->scope));
		if ((one & seen) != 0)
			return fail(&before, "this selection once");
		seen |= one;
	}
	return 0;
}

static int
fail_kind(const struct reader *reader)
{
	const char *names[FAULT_KIND_COUNT + 1] = { NULL };
	char expected[320] = "";
	size_t at = 0;
	for (int i = 0; i < FAULT_KIND_COUNT; i++) {
		names[i] = fault_kinds[i].name;
		at += (size_t)snprintf(expected + at, sizeof(expected) - at, "%s%s",
		    i == 0 ? "one of " : ", ", names[i]);
	}
	const char *nearest = suggest_nearest(reader->word, names);
	if (nearest != NULL)
		snprintf(expected, sizeof(expected), "\"%s\"", nearest);
	return fail(reader, expected);
}

static uint64_t
hash_text(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

int
fault_parse(const char *text, struct fault *ret, char *error, size_t error_size)
{
	struct reader reader = {
		.text = text, .next = text, .error = error, .error_size = error_size
	};
	struct fault fault = { .share = FAULT_SHARE_ALL, .to_ns = FAULT_FOR_EVER };
	char canonical[FAULT_TEXT_MAX];
	advance(&reader);
	fault.kind = fault_kind_parse(reader.word);
	if (fault.kind == FAULT_KIND_COUNT)
		return fail_kind(&reader);
	fault.scope = fault_kinds[fault.kind].scope;
	advance(&reader);
	if (read_argument(&reader, &fault) < 0 || read_selections(&reader, &fault) < 0)
		return -1;
	fault.id = hash_text(fault_format(&fault, canonical));
	*ret = fault;
	return 0;
}
