#include "proto/conversation/conversation_compiler.h"

/* "\{" ... "}": the end of the placeholder, or NULL. In alternatives "}" can be
 * escaped. */
static const char *
placeholder_end(struct compiler *compiler, const char *start)
{
	char quote[SOURCE_QUOTE_MAX];
	const char *line_end = source_line_end(&compiler->source, start);
	for (const char *at = start; at < line_end; at++) {
		if (*at == '}')
			return at;
		if (*at == '\\' && at + 1 < line_end)
			at++;
	}
	source_fail(&compiler->source, start - 2,
	    "found %s, expected } behind it in the same line",
	    source_quote(start - 2, line_end, quote));
	return NULL;
}

static bool
compile_placeholder(struct compiler *compiler)
{
	const char *start = compiler->source.at + 2;
	const char *end = placeholder_end(compiler, start);
	if (end == NULL || !conversation_placeholder_compile(compiler, start, end))
		return false;
	compiler->source.at = end + 1;
	return true;
}

/* A backslash and what follows. *ret_no_ending: it was "\c". */
static bool
compile_escape(struct compiler *compiler, bool *ret_no_ending)
{
	struct source *source = &compiler->source;
	const char *at = source->at + 1;
	const char *end = source_line_end(source, at);
	char byte;
	if (at < end && *at == '{')
		return compile_placeholder(compiler);
	if (at < end && *at == 'c') {
		char quote[SOURCE_QUOTE_MAX];
		source->at = at + 1;
		*ret_no_ending = true;
		return source_peek(source) == SOURCE_END ||
		    source_fail(source, source->at,
			"found %s behind \\c, expected the end of the text",
			source_quote(source->at, end, quote));
	}
	at = source_escape(&compiler->source, at, end, &byte);
	if (at == NULL)
		return false;
	source->at = at;
	return builder_add_byte(compiler, byte);
}

static bool
open_group(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	uint16_t begin = out->part_count;
	if (compiler->in_star && compiler->length_part < compiler->star)
		return source_fail(&compiler->source, compiler->source.at,
		    "found { in a repeated line, expected it behind the repetition: it begins the part that a length before S*: counts");
	if (builder_add_part(compiler, CONVERSATION_GROUP_BEGIN, compiler->source.at) ==
	    NULL)
		return false;
	out->parts[compiler->length_part].reference = begin;
	compiler->length_part = CONVERSATION_NONE;
	compiler->braces[compiler->depth] = 0;
	compiler->groups[compiler->depth++] = begin;
	return true;
}

static bool
close_group(struct compiler *compiler)
{
	struct conversation *out = compiler->out;
	uint16_t begin = compiler->groups[compiler->depth - 1];
	if (compiler->length_part != CONVERSATION_NONE)
		return source_fail(&compiler->source, compiler->source.at,
		    "found \"}\", expected { ... }, the part that the length before it counts");
	if (builder_add_part(compiler, CONVERSATION_GROUP_END, compiler->source.at) ==
	    NULL)
		return false;
	out->parts[begin].reference = (uint16_t)(out->part_count - 1);
	compiler->depth--;
	return true;
}

/* Braces open and close counted parts. Others within one are text, in pairs. */
static bool
compile_brace(struct compiler *compiler, char c)
{
	uint32_t *open =
	    compiler->depth > 0 ? &compiler->braces[compiler->depth - 1] : NULL;
	bool is_group = c == '{' ? compiler->length_part != CONVERSATION_NONE
				 : open != NULL && *open == 0;
	if (is_group) {
		if (!(c == '{' ? open_group(compiler) : close_group(compiler)))
			return false;
		compiler->source.at++;
		return true;
	}
	if (open != NULL)
		*open += c == '{' ? 1 : UINT32_MAX;
	compiler->source.at++;
	return builder_add_byte(compiler, c);
}

static bool
compile_character(struct compiler *compiler, bool *ret_no_ending)
{
	char c = *compiler->source.at;
	const char *behind = compiler->source.at + 1;
	if (c == '\\')
		return compile_escape(compiler, ret_no_ending);
	if (c == '{' || c == '}')
		return compile_brace(compiler, c);
	if (c == '\0')
		return source_fail(&compiler->source, compiler->source.at,
		    "found a NUL byte, expected \\0");
	if ((c == ' ' || c == '\t') &&
	    behind == source_line_end(&compiler->source, behind))
		return source_fail(&compiler->source, compiler->source.at,
		    "found a blank at the end of the line, expected \\x20 or \\t if it is meant");
	compiler->source.at = behind;
	return builder_add_byte(compiler, c);
}

static bool
add_ending(struct compiler *compiler)
{
	enum conversation_ending ending = compiler->out->ending;
	return (ending != CONVERSATION_CRLF || builder_add_byte(compiler, '\r')) &&
	    (ending == CONVERSATION_NO_ENDING || builder_add_byte(compiler, '\n'));
}

bool
conversation_text_compile(struct compiler *compiler)
{
	struct source *source = &compiler->source;
	bool no_ending = false;
	while (source_peek(source) != SOURCE_END)
		if (!compile_character(compiler, &no_ending))
			return false;
	if (compiler->depth > 0)
		return source_fail(source,
		    compiler->places[compiler->groups[compiler->depth - 1]],
		    "found { without an end in this text, expected } (an indented line continues a text)");
	return no_ending || add_ending(compiler);
}
