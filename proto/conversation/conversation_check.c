#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "proto/conversation/conversation_compiler.h"

#define FILLER_LENGTH 2          /* what is said for \{any} */
#define CAPTURED_FILLER_LENGTH 8 /* and if it has a name */

static bool
is_digit_of(const struct conversation_part *part, uint8_t byte)
{
	return (byte >= '0' && byte <= '9') ||
	    (part->form == CONVERSATION_HEX &&
		((byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F')));
}

/* The side that hears it sees its end only by what follows. */
static bool
is_open_ended(const struct conversation_part *part)
{
	return part->kind == CONVERSATION_NUMBER &&
	    (part->form == CONVERSATION_DECIMAL || part->form == CONVERSATION_HEX) &&
	    part->term != CONVERSATION_TERM_CONSTANT &&
	    part->term != CONVERSATION_TERM_REFERENCE;
}

static bool
is_filler_byte(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '2' && byte <= '7');
}

/* A part of a text and the one behind it, NULL at the end of the text. */
struct neighbours {
	struct compiler *compiler;
	struct conversation_part *part;
	const struct conversation_part *next;
	const char *where;
};

static bool
is_next(const struct neighbours *at, enum conversation_kind kind)
{
	return at->next != NULL && at->next->kind == kind;
}

static uint8_t
next_byte(const struct neighbours *at)
{
	return at->compiler->out->bytes[at->next->at];
}

static bool
check_any(const struct neighbours *at)
{
	uint32_t filler =
	    at->part->is_captured ? CAPTURED_FILLER_LENGTH : FILLER_LENGTH;
	if (!is_next(at, CONVERSATION_LITERAL) && !is_next(at, CONVERSATION_GROUP_END))
		return source_fail(&at->compiler->source, at->where,
		    "found \\{any} without an end, expected a literal or the end of a line or counted part behind it");
	/* The first byte behind it must not be found in what is said for it. */
	bool is_ambiguous =
	    at->next->kind == CONVERSATION_LITERAL && is_filler_byte(next_byte(at));
	at->part->length = is_ambiguous ? 0 : filler;
	return true;
}

static bool
check_number(const struct neighbours *at)
{
	bool is_length = at->part->term == CONVERSATION_TERM_LENGTH;
	if (!is_open_ended(at->part))
		return true;
	if (is_next(at, CONVERSATION_LITERAL) && is_digit_of(at->part, next_byte(at)))
		return source_fail(&at->compiler->source, at->where,
		    "found digits before the literal digit \"%c\", expected a literal by which their end is seen",
		    next_byte(at));
	return is_next(at, CONVERSATION_LITERAL) ||
	    (is_next(at, CONVERSATION_GROUP_END) && !is_length) ||
	    source_fail(&at->compiler->source, at->where,
		"found digits without an end, expected a literal or the end of a line or counted part behind them");
}

static bool
check_payload(const struct neighbours *at)
{
	if (at->part->at == at->part->length || is_next(at, CONVERSATION_GROUP_END))
		return true;
	if (!at->part->is_binary && is_next(at, CONVERSATION_LITERAL) &&
	    (next_byte(at) < 0x40 || next_byte(at) > 0x7f))
		return true;
	return source_fail(&at->compiler->source, at->where,
	    "found a payload of varying size without an end, expected it at the end of a counted part or, if it is not binary, of a line");
}

/* True if the first is how the second starts. */
static bool
is_prefix(const struct conversation *out, const struct conversation_choice *a,
    const struct conversation_choice *b)
{
	return a->length <= b->length &&
	    memcmp(out->bytes + a->at, out->bytes + b->at, a->length) == 0;
}

/* One byte at a time decides: no alternative may start like another one. */
static bool
check_alternatives(const struct neighbours *at)
{
	const struct conversation *out = at->compiler->out;
	const struct conversation_choice *choices = &out->choices[at->part->at];
	struct source *source = &at->compiler->source;
	uint32_t count = at->part->length;
	for (uint32_t i = 0; i < count; i++) {
		if (i < count - 1 && choices[i].length == 0)
			return source_fail(source, at->where,
			    "found an empty alternative before others, expected it as the last");
		for (uint32_t j = 0; j < count && choices[i].length > 0; j++)
			if (i != j && is_prefix(out, &choices[i], &choices[j]))
				return source_fail(source, at->where,
				    "found alternative %u, which is how alternative %u starts, expected alternatives that differ before the shorter one ends",
				    i + 1, j + 1);
	}
	return choices[count - 1].length > 0 || is_next(at, CONVERSATION_LITERAL) ||
	    is_next(at, CONVERSATION_GROUP_END) || is_next(at, CONVERSATION_ANY) ||
	    source_fail(source, at->where,
		"found an empty alternative without an end, expected a literal behind it");
}

/* A repetition of nothing would never end. */
static bool
check_star(const struct compiler *compiler, uint16_t first)
{
	const struct conversation *out = compiler->out;
	for (uint16_t i = first; i < out->part_count; i++) {
		const struct conversation_part *part = &out->parts[i];
		if (part->kind == CONVERSATION_LITERAL ||
		    part->kind == CONVERSATION_NUMBER ||
		    part->kind == CONVERSATION_RANDOM)
			return true;
	}
	return false;
}

static bool
check_neighbours(const struct neighbours *at)
{
	switch (at->part->kind) {
	case CONVERSATION_ANY:
		return check_any(at);
	case CONVERSATION_NUMBER:
		return check_number(at);
	case CONVERSATION_PAYLOAD:
		return check_payload(at);
	case CONVERSATION_ALTERNATIVES:
		return check_alternatives(at);
	default:
		return true;
	}
}

bool
conversation_check_text(struct compiler *compiler, uint16_t first)
{
	struct conversation *out = compiler->out;
	for (uint16_t i = first; i < out->part_count; i++) {
		const struct neighbours at = {
			.compiler = compiler,
			.part = &out->parts[i],
			.next = i + 1 < out->part_count ? &out->parts[i + 1] : NULL,
			.where = compiler->places[i],
		};
		if (!check_neighbours(&at))
			return false;
	}
	return out->parts[first].kind != CONVERSATION_STAR_BEGIN ||
	    check_star(compiler, first) ||
	    source_fail(&compiler->source, compiler->places[first],
		"found S*: with a line that can be empty, expected text in it");
}

/* A pause belongs to the side that says what follows. */
static void
set_pauses(struct conversation *out, const struct conversation_range *range)
{
	uint8_t speaker = CONVERSATION_CLIENT;
	for (uint16_t i = range->end; i-- > range->first;) {
		struct conversation_part *part = &out->parts[i];
		if (part->kind == CONVERSATION_PAUSE)
			out->steps[part->step].speaker = part->speaker = speaker;
		else
			speaker = part->speaker;
	}
}

static bool
is_control(const struct conversation_part *part)
{
	return part->kind >= CONVERSATION_PAUSE;
}

static void
set_runs(struct conversation *out, const struct conversation_range *range)
{
	uint16_t begun = range->end;
	for (uint16_t i = range->end; i-- > range->first;) {
		struct conversation_part *part = &out->parts[i];
		bool is_last =
		    i + 1 == range->end || out->parts[i + 1].speaker != part->speaker;
		part->run_end = is_last ? (uint16_t)(i + 1) : out->parts[i + 1].run_end;
		/* From the end of the run: stays behind its last pause. */
		if (is_last)
			begun = part->run_end;
		bool has_control = is_control(part) ||
		    (!is_last && out->parts[i + 1].run_begun > i + 1);
		if (!has_control)
			begun = i;
		part->run_begun = begun;
	}
}

static bool
set_exchange(
    struct compiler *compiler, const struct conversation_range *range, uint16_t first)
{
	struct conversation *out = compiler->out;
	const struct conversation_step *step = &out->steps[out->parts[first].step];
	for (uint16_t i = first; i-- > range->first;) {
		const struct conversation_part *part = &out->parts[i];
		if (part->speaker != CONVERSATION_CLIENT)
			break;
		if (part->kind != CONVERSATION_PAUSE)
			return source_fail(&compiler->source, compiler->places[first],
			    "found a name at a C: line that is sent together with line %u, expected it there",
			    out->steps[part->step].line);
	}
	uint16_t answer = out->parts[first].run_end;
	if (answer == range->end)
		return source_fail(&compiler->source, compiler->places[first],
		    "found a name at a line without an answer, expected an S: line behind it");
	for (uint16_t i = answer; i < out->parts[answer].run_end; i++)
		out->parts[i].exchange = step->name;
	return true;
}

static bool
set_exchanges(struct compiler *compiler, const struct conversation_range *range)
{
	const struct conversation *out = compiler->out;
	for (uint16_t i = range->first; i < range->end; i++) {
		const struct conversation_step *step = &out->steps[out->parts[i].step];
		if (step->first == i && step->name != CONVERSATION_NONE &&
		    !set_exchange(compiler, range, i))
			return false;
	}
	return true;
}

/* Computes the failure table (Knuth, Morris, Pratt) of each literal behind an ANY. */
static bool
set_failures(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	out->failures = calloc(out->byte_count + 1, sizeof(*out->failures));
	if (out->failures == NULL)
		return source_fail_memory(&compiler->source);
	for (uint16_t i = 0; i + 1 < out->part_count; i++) {
		const struct conversation_part *needle = &out->parts[i + 1];
		if (out->parts[i].kind != CONVERSATION_ANY ||
		    needle->kind != CONVERSATION_LITERAL)
			continue;
		const uint8_t *bytes = out->bytes + needle->at;
		uint32_t *failures = out->failures + needle->at;
		uint32_t k = 0;
		for (uint32_t j = 1; j < needle->length; j++) {
			while (k > 0 && bytes[j] != bytes[k])
				k = failures[k - 1];
			k += bytes[j] == bytes[k] ? 1 : 0;
			failures[j] = k;
		}
	}
	return true;
}

static const char *
name_of(const struct compiler *compiler, uint16_t part)
{
	for (uint16_t i = 0; i < compiler->definition_count; i++)
		if (compiler->definitions[i].part == part)
			return compiler->definitions[i].name;
	return "payload";
}

/* Slots in the order of the file, so that those of the opening come first. */
static bool
set_slots(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	for (uint16_t i = 0; i < out->part_count; i++) {
		struct conversation_part *part = &out->parts[i];
		if (part->slot == CONVERSATION_NONE)
			continue;
		part->slot = out->slot_count++;
		if (part->section == CONVERSATION_OPENING)
			out->opening_slots = out->slot_count;
		if (part->kind == CONVERSATION_BYTES &&
		    part->term == CONVERSATION_TERM_CONSTANT &&
		    part->number > CONVERSATION_CAPTURE_MAX)
			return source_fail(&compiler->source, compiler->places[i],
			    "found a capture of %llu bytes, expected at most %d",
			    (unsigned long long)part->number, CONVERSATION_CAPTURE_MAX);
	}
	out->slot_names = calloc(out->slot_count + 1u, sizeof(*out->slot_names));
	if (out->slot_names == NULL)
		return source_fail_memory(&compiler->source);
	for (uint16_t i = 0; i < out->part_count; i++)
		if (out->parts[i].slot != CONVERSATION_NONE)
			snprintf(out->slot_names[out->parts[i].slot],
			    CONVERSATION_NAME_MAX, "%s", name_of(compiler, i));
	return true;
}

/* A free number is said as the smallest for which no \{bytes n-4} is negative. */
static void
set_free_numbers(struct conversation *out)
{
	for (uint16_t i = 0; i < out->part_count; i++) {
		const struct conversation_part *part = &out->parts[i];
		if (part->kind != CONVERSATION_BYTES ||
		    part->term != CONVERSATION_TERM_REFERENCE || part->add >= 0)
			continue;
		struct conversation_part *number = &out->parts[part->reference];
		if (number->term == CONVERSATION_TERM_FREE &&
		    number->number < (uint64_t)-part->add)
			number->number = (uint64_t)-part->add;
	}
}

static void
refuse(const struct compiler *compiler, char *refusal, uint16_t part, const char *why)
{
	const struct conversation *out = compiler->out;
	char file[PRINTABLE_TAIL_MAX];
	snprintf(refusal, CONVERSATION_ERROR_MAX, "%s:%u: %s",
	    printable_tail(out->file, file, sizeof(file)), conversation_line(out, part),
	    why);
}

static void
set_pipeline_refusal(const struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	const struct conversation_range *repeat = &out->sections[CONVERSATION_REPEAT];
	for (uint16_t i = repeat->first; i < repeat->end; i++) {
		const struct conversation_part *part = &out->parts[i];
		if (is_control(part)) {
			refuse(compiler, out->pipeline_refusal, i,
			    "passes with a pause or close cannot be pipelined");
			return;
		}
		if (part->speaker != CONVERSATION_CLIENT ||
		    (part->kind != CONVERSATION_REFERENCE &&
			part->term != CONVERSATION_TERM_REFERENCE))
			continue;
		const struct conversation_part *source = &out->parts[part->reference];
		if (source->speaker == CONVERSATION_SERVER &&
		    source->section == CONVERSATION_REPEAT) {
			refuse(compiler, out->pipeline_refusal, i,
			    "what is sent depends on the answer to the same pass, so that passes cannot be pipelined");
			return;
		}
	}
}

/* Between two passes the server sees by the first bytes whether the end begins. */
static void
set_server_refusal(const struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	const struct conversation_range *end = &out->sections[CONVERSATION_END];
	const struct conversation_part *pass =
	    &out->parts[out->sections[CONVERSATION_REPEAT].first];
	if (end->first == end->end)
		return;
	uint16_t at = end->first;
	while (at + 1 < end->end && out->parts[at].kind == CONVERSATION_PAUSE)
		at++;
	const struct conversation_part *part = &out->parts[at];
	if (part->speaker != CONVERSATION_CLIENT ||
	    pass->speaker != CONVERSATION_CLIENT) {
		refuse(compiler, out->server_refusal, at,
		    "a server cannot know when the end section begins; expected C: lines at the start of the repeat and end sections");
		return;
	}
	if (is_control(part))
		return;
	if (part->kind != CONVERSATION_LITERAL || pass->kind != CONVERSATION_LITERAL) {
		refuse(compiler, out->server_refusal, at,
		    "a server cannot know when the end section begins; expected literals at the start of the repeat and end sections");
		return;
	}
	uint32_t length = part->length < CONVERSATION_DECIDE_MAX
	    ? part->length
	    : CONVERSATION_DECIDE_MAX;
	if (pass->length >= length &&
	    memcmp(out->bytes + part->at, out->bytes + pass->at, length) == 0)
		refuse(compiler, out->server_refusal, at,
		    "a server cannot know when the end section begins, because the repeat section begins with the same text");
}

static bool
set_closes(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	const struct conversation_range *repeat = &out->sections[CONVERSATION_REPEAT];
	uint8_t last = out->parts[repeat->end - 1].kind;
	out->closes = last == CONVERSATION_CLOSE || last == CONVERSATION_RESET;
	bool has_client = out->closes;
	for (uint16_t i = repeat->first; i < repeat->end && !out->closes; i++) {
		has_client |= out->parts[i].speaker == CONVERSATION_CLIENT &&
		    !is_control(&out->parts[i]);
		if (out->parts[i].kind == CONVERSATION_HALF_CLOSE)
			return source_fail(&compiler->source, compiler->places[i],
			    "found a half-close in a repeat section that goes on, expected a close or reset at its end");
	}
	return has_client ||
	    source_fail(&compiler->source, compiler->places[repeat->first],
		"found no C: line in the repeat section, expected one, or a close at its end");
}

bool
conversation_check_whole(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	const struct conversation_range *repeat = &out->sections[CONVERSATION_REPEAT];
	if (repeat->first == repeat->end)
		return source_fail(&compiler->source, compiler->source.end,
		    "found no step in the repeat section, expected at least one C: or S: line");
	for (int i = 0; i < CONVERSATION_SECTION_COUNT; i++) {
		set_pauses(out, &out->sections[i]);
		set_runs(out, &out->sections[i]);
		if (!set_exchanges(compiler, &out->sections[i]))
			return false;
	}
	if (!set_closes(compiler) || !set_failures(compiler) || !set_slots(compiler))
		return false;
	set_free_numbers(out);
	set_pipeline_refusal(compiler);
	set_server_refusal(compiler);
	return true;
}
