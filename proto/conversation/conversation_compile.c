#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/units.h"
#include "proto/conversation/conversation_compiler.h"

static bool
is_ending(enum conversation_kind kind)
{
	return kind == CONVERSATION_CLOSE || kind == CONVERSATION_RESET;
}

/* After a close nothing is said; after a half-close the client says nothing. */
static bool
check_order(struct compiler *compiler, enum conversation_role speaker, bool is_end)
{
	const struct conversation *out = compiler->out;
	for (uint16_t i = out->step_count; i-- > 0;) {
		if (out->steps[i].first == out->part_count)
			continue; /* the step itself */
		const struct conversation_part *part = &out->parts[out->steps[i].first];
		if (is_ending(part->kind))
			return source_fail(&compiler->source, compiler->source.at,
			    "found a step behind the close in line %u, expected none",
			    out->steps[i].line);
		if (part->kind == CONVERSATION_HALF_CLOSE && part->speaker == speaker &&
		    !is_end)
			return source_fail(&compiler->source, compiler->source.at,
			    "found a step behind the half-close in line %u, expected only a close or reset from this side",
			    out->steps[i].line);
	}
	return true;
}

/* Checks that the next step continues what is incomplete. */
static bool
check_pending(struct compiler *compiler, int speaker)
{
	const struct conversation *out = compiler->out;
	if (compiler->length_part != CONVERSATION_NONE &&
	    out->parts[compiler->length_part].speaker != speaker)
		return source_fail(&compiler->source,
		    compiler->places[compiler->length_part],
		    "found a length without a counted part, expected { ... } behind it or in the next lines of this side");
	if (compiler->star != CONVERSATION_NONE &&
	    (out->parts[compiler->star].speaker != speaker || compiler->in_star))
		return source_fail(&compiler->source, compiler->places[compiler->star],
		    "found S*: without an S: line behind it, expected the line that ends the repetition");
	return true;
}

/* "[NAME]" before the colon. */
static bool
read_step_name(struct compiler *compiler, const char *end)
{
	struct source *source = &compiler->source;
	struct conversation *out = compiler->out;
	const char *start = ++source->at;
	char quote[SOURCE_QUOTE_MAX];
	while (source->at < end && *source->at != ']')
		source->at++;
	size_t length = (size_t)(source->at - start);
	if (source->at == end || length == 0 || length >= CONVERSATION_NAME_MAX ||
	    strspn(start,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") <
		length)
		return source_fail(source, start - 1,
		    "found %s, expected [NAME]: letters, digits, - and _, at most %d",
		    source_quote(
			start - 1, source->at < end ? source->at + 1 : end, quote),
		    CONVERSATION_NAME_MAX - 1);
	for (uint16_t i = 0; i < out->step_name_count; i++)
		if (strlen(out->step_names[i]) == length &&
		    memcmp(out->step_names[i], start, length) == 0)
			return source_fail(source, start - 1,
			    "found the name \"%s\" again, expected another name",
			    out->step_names[i]);
	if (out->step_name_count == CONVERSATION_NAMES_MAX)
		return source_fail(source, start - 1,
		    "found more names than the %d that a file can have, expected fewer",
		    CONVERSATION_NAMES_MAX);
	memcpy(out->step_names[out->step_name_count], start, length);
	out->steps[out->step_count - 1].name = out->step_name_count++;
	source->at++;
	return true;
}

static bool
open_star(struct compiler *compiler, const char *where)
{
	struct conversation *out = compiler->out;
	if (out->steps[out->step_count - 1].speaker != CONVERSATION_SERVER)
		return source_fail(&compiler->source, where,
		    "found \"C*:\", expected \"C:\", \"S:\" or \"S*:\"");
	out->steps[out->step_count - 1].is_repeated = true;
	compiler->in_star = true;
	compiler->star = out->part_count;
	return builder_add_part(compiler, CONVERSATION_STAR_BEGIN, where) != NULL;
}

static bool
close_star(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	struct conversation_part *end =
	    builder_add_part(compiler, CONVERSATION_STAR_END, compiler->source.at);
	if (end == NULL)
		return false;
	end->reference = compiler->star;
	compiler->in_star = false;
	for (uint16_t i = 0; i < compiler->definition_count; i++)
		compiler->definitions[i].is_over = compiler->definitions[i].in_star;
	/* A length from before the repetition still waits. */
	if (compiler->length_part != CONVERSATION_NONE &&
	    compiler->length_part > compiler->star)
		return source_fail(&compiler->source,
		    compiler->places[compiler->length_part],
		    "found a length without a counted part, expected { ... } in the same S*: line");
	return conversation_check_text(compiler, out->steps[out->step_count - 1].first);
}

/* The line behind S*: decides when the repetition ends. */
static bool
end_repetition(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	uint16_t first = out->steps[out->step_count - 1].first;
	if (compiler->star == CONVERSATION_NONE)
		return true;
	if (first == out->part_count || out->parts[first].kind != CONVERSATION_LITERAL)
		return source_fail(&compiler->source, compiler->places[compiler->star],
		    "found S*: before a line that does not start with a literal, expected text by which line %u ends the repetition",
		    out->steps[out->step_count - 1].line);
	out->parts[compiler->star].reference = first;
	compiler->star = CONVERSATION_NONE;
	return true;
}

/* The text of a line of C or S; `where` is its start. */
static bool
compile_text(struct compiler *compiler, const char *where)
{
	struct conversation *out = compiler->out;
	struct source *source = &compiler->source;
	struct conversation_step *step = &out->steps[out->step_count - 1];
	uint16_t first = step->first;
	bool in_star = compiler->in_star;
	if (source->at < source->end && *source->at == ' ')
		source->at++;
	if (!conversation_text_compile(compiler))
		return false;
	if (first + (in_star ? 1 : 0) == out->part_count)
		return source_fail(source, where,
		    "found a line without text, expected at least one byte");
	if (in_star) {
		if (!close_star(compiler))
			return false;
	} else if (!conversation_check_text(compiler, first) ||
	    !end_repetition(compiler)) {
		return false;
	}
	step->end = out->part_count;
	return true;
}

static bool
compile_action(struct compiler *compiler, const char *where, const char *end)
{
	static const struct {
		const char *word;
		enum conversation_kind kind;
	} actions[] = {
		{ "close", CONVERSATION_CLOSE },
		{ "reset", CONVERSATION_RESET },
		{ "half-close", CONVERSATION_HALF_CLOSE },
	};
	struct conversation *out = compiler->out;
	struct source *source = &compiler->source;
	char quote[SOURCE_QUOTE_MAX];
	size_t length = (size_t)(end - source->at);
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strlen(actions[i].word) != length ||
		    memcmp(actions[i].word, source->at, length) != 0)
			continue;
		if (compiler->section == CONVERSATION_OPENING)
			return source_fail(source, where,
			    "found a close in the opening, expected it in the repeat or end section");
		if (!check_pending(compiler, -1) ||
		    (actions[i].kind == CONVERSATION_HALF_CLOSE &&
			!check_order(compiler,
			    (enum conversation_role)out->steps[out->step_count - 1]
				.speaker,
			    false)))
			return false;
		source->at = end;
		out->steps[out->step_count - 1].end++;
		return builder_add_part(compiler, actions[i].kind, where) != NULL;
	}
	return source_fail(source, source->at,
	    "found %s, expected close, half-close or reset, or \":\" and a text",
	    source_quote(source->at, end, quote));
}

/* A line that starts with C or S. */
static bool
compile_step(struct compiler *compiler)
{
	struct source *source = &compiler->source;
	const char *where = source->at;
	const char *end = source_line_end(source, where);
	enum conversation_role speaker =
	    *where == 'C' ? CONVERSATION_CLIENT : CONVERSATION_SERVER;
	const char *name = NULL;
	char quote[SOURCE_QUOTE_MAX];
	bool is_action =
	    where + 1 < end && where[1] == ' ' && !(where + 2 < end && where[2] == '[');
	if (!check_order(compiler, speaker, is_action) ||
	    !builder_add_step(compiler, speaker))
		return false;
	source->at++;
	if (is_action) {
		source->at++;
		return compile_action(compiler, where, end);
	}
	if (source->at < end && *source->at == '*') {
		source->at++;
		if (!check_pending(compiler, speaker) ||
		    (compiler->star != CONVERSATION_NONE &&
			!source_fail(source, where,
			    "found S*: behind S*:, expected the S: line that ends the first repetition")) ||
		    !open_star(compiler, where))
			return false;
	} else if (!check_pending(compiler, speaker)) {
		return false;
	}
	if (end - source->at > 1 && source->at[0] == ' ' && source->at[1] == '[') {
		name = ++source->at;
		if (speaker != CONVERSATION_CLIENT)
			return source_fail(source, name,
			    "found a name at an S: line, expected it at the C: line that it answers");
		if (!read_step_name(compiler, end))
			return false;
	}
	if (source->at == end || *source->at != ':')
		return source_fail(source, source->at,
		    "found %s, expected \":\" and a text",
		    source_quote(source->at, end, quote));
	source->at++;
	return compile_text(compiler, where);
}

/* The word at `at`, if it is there with a blank or the end behind it: its end. */
static const char *
behind_word(const char *at, const char *end, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(end - at) < length || memcmp(at, word, length) != 0)
		return NULL;
	at += length;
	if (at < end && *at != ' ')
		return NULL;
	return at < end ? at + 1 : at;
}

/* The side that says what follows pauses; conversation_check sets it. */
static bool
compile_pause(struct compiler *compiler, const char *at, const char *end)
{
	struct source *source = &compiler->source;
	struct conversation_part *part;
	const char *where = source->at;
	char text[UNITS_TEXT_MAX], quote[SOURCE_QUOTE_MAX];
	uint64_t ns;
	snprintf(text, sizeof(text), "%.*s",
	    (int)(end - at < UNITS_TEXT_MAX ? end - at : UNITS_TEXT_MAX - 1), at);
	if (end - at >= UNITS_TEXT_MAX || units_parse_duration(text, &ns) < 0 ||
	    ns > UINT64_C(3600000000000))
		return source_fail(source, at,
		    "found %s, expected a duration up to 1h such as 100ms",
		    source_quote(at, end, quote));
	if (!check_pending(compiler, -1) ||
	    !check_order(compiler, CONVERSATION_CLIENT, true) ||
	    !builder_add_step(compiler, CONVERSATION_CLIENT) ||
	    (part = builder_add_part(compiler, CONVERSATION_PAUSE, where)) == NULL)
		return false;
	compiler->out->steps[compiler->out->step_count - 1].end++;
	part->number = ns;
	source->at = end;
	return true;
}

static bool
compile_ending(struct compiler *compiler, const char *at, const char *end)
{
	static const char *const names[] = { "crlf", "lf", "none" };
	struct source *source = &compiler->source;
	char quote[SOURCE_QUOTE_MAX];
	if (compiler->out->step_count > 0)
		return source_fail(source, source->at,
		    "found \"ending\" behind a step, expected it at the top of the file");
	for (int i = 0; i < 3; i++) {
		if (strlen(names[i]) != (size_t)(end - at) ||
		    memcmp(names[i], at, (size_t)(end - at)) != 0)
			continue;
		compiler->out->ending = (enum conversation_ending)i;
		source->at = end;
		return true;
	}
	return source_fail(source, at, "found %s, expected crlf, lf or none",
	    source_quote(at, end, quote));
}

static void
end_section(struct compiler *compiler)
{
	compiler->out->sections[compiler->section].end = compiler->out->part_count;
}

static bool
compile_section(struct compiler *compiler, const char *at, const char *end)
{
	static const char *const names[] = { "repeat", "end" };
	struct source *source = &compiler->source;
	char quote[SOURCE_QUOTE_MAX];
	enum conversation_section next = CONVERSATION_SECTION_COUNT;
	for (int i = 0; i < 2; i++)
		if (strlen(names[i]) == (size_t)(end - at) &&
		    memcmp(names[i], at, (size_t)(end - at)) == 0)
			next = i == 0 ? CONVERSATION_REPEAT : CONVERSATION_END;
	if (next == CONVERSATION_SECTION_COUNT)
		return source_fail(source, at, "found %s, expected repeat or end",
		    source_quote(at, end, quote));
	if (next <= compiler->section)
		return source_fail(source, source->at,
		    "found \"--- %s\" %s, expected each section once, repeat before end",
		    names[next - 1],
		    next == compiler->section ? "again" : "behind the end section");
	if (!check_pending(compiler, -1))
		return false;
	end_section(compiler);
	compiler->section = next;
	compiler->out->sections[next].first = compiler->out->part_count;
	source->at = end;
	return true;
}

static bool
compile_line(struct compiler *compiler)
{
	struct source *source = &compiler->source;
	const char *end = source_line_end(source, source->at);
	const char *behind;
	char quote[SOURCE_QUOTE_MAX];
	if (source->at == end || *source->at == '#')
		return true;
	if ((*source->at == 'C' || *source->at == 'S') &&
	    (source->at + 1 == end || strchr(":* [", source->at[1]) != NULL))
		return compile_step(compiler);
	if ((behind = behind_word(source->at, end, "pause")) != NULL)
		return compile_pause(compiler, behind, end);
	if ((behind = behind_word(source->at, end, "ending")) != NULL)
		return compile_ending(compiler, behind, end);
	if ((behind = behind_word(source->at, end, "---")) != NULL)
		return compile_section(compiler, behind, end);
	if (*source->at == ' ' || *source->at == '\t') {
		if (strspn(source->at, " \t") >= (size_t)(end - source->at))
			return true;
		return source_fail(source, source->at,
		    "found an indented line, expected it only behind the text that it continues");
	}
	return source_fail(source, source->at,
	    "found %s, expected \"C:\", \"S:\", \"S*:\", \"C close\", \"pause\", \"--- repeat\", \"--- end\", \"ending\" or #",
	    source_quote(source->at, end, quote));
}

/* Without marks the whole file is the repeat section; so is what precedes "--- end". */
static bool
has_opening(const struct source *source)
{
	struct source at = *source;
	for (; at.at < at.end; source_next_line(&at)) {
		const char *end = source_line_end(&at, at.at);
		const char *behind = behind_word(at.at, end, "---");
		if (behind != NULL && behind_word(behind, end, "repeat") != NULL)
			return true;
	}
	return false;
}

static bool
compile_lines(struct compiler *compiler)
{
	struct source *source = &compiler->source;
	compiler->section =
	    has_opening(source) ? CONVERSATION_OPENING : CONVERSATION_REPEAT;
	for (; source->at < source->end; source_next_line(source))
		if (!compile_line(compiler))
			return false;
	if (!check_pending(compiler, -1))
		return false;
	end_section(compiler);
	if (compiler->section == CONVERSATION_REPEAT)
		compiler->out->sections[CONVERSATION_END] =
		    (struct conversation_range){ .first = compiler->out->part_count,
			    .end = compiler->out->part_count };
	return true;
}

/* FNV-1a, 64 bits (draft-eastlake-fnv). */
static uint64_t
digest(const char *text, size_t length)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* `text` ends with a NUL. */
static bool
compile(struct compiler *compiler, const char *text, size_t length)
{
	struct source *source = &compiler->source;
	struct conversation *out = compiler->out;
	source->start = source->at = text;
	source->end = text + length;
	out->file = strdup(source->file);
	out->step_names = calloc(CONVERSATION_NAMES_MAX, sizeof(*out->step_names));
	if (out->file == NULL || out->step_names == NULL)
		return source_fail_memory(source);
	if (length > CONVERSATION_FILE_MAX)
		return source_fail(source, text,
		    "found a file of %zu bytes, expected at most %d", length,
		    CONVERSATION_FILE_MAX);
	return compile_lines(compiler) && conversation_check_whole(compiler);
}

int
conversation_compile(const char *file, const char *text, size_t length,
    struct conversation *ret, char *error)
{
	struct conversation out = { .digest = digest(text, length) };
	struct source source = { .file = file, .line = 1, .error = error };
	struct compiler *compiler = calloc(1, sizeof(*compiler));
	char *copy = malloc(length + 1);
	if (compiler == NULL || copy == NULL) {
		source_fail_memory(&source);
		goto done;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	compiler->source = source;
	compiler->out = &out;
	compiler->payload = compiler->length_part = compiler->star = CONVERSATION_NONE;
	if (compile(compiler, copy, length))
		*ret = out;
	else
		conversation_finish(&out);
	source.status = compiler->source.status;
	free(compiler->places);
done:
	free(copy);
	free(compiler);
	return source.status;
}
