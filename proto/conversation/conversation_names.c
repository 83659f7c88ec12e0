#include <stdio.h>
#include <string.h>

#include "lib/suggest.h"
#include "proto/conversation/conversation_compiler.h"

/* All words that are not names of captures. */
static const char *const words[] = { "connection", "message", "pid", "length", "random",
	"payload", "echo", "any", "digits", "hex", "bytes", "u8", "u16be", "u16le",
	"u24be", "u24le", "u32be", "u32le", "u64be", "u64le", "varint", "decimal",
	NULL };

bool
names_is_word(const struct word *word, const char *name)
{
	return strlen(name) == word->length &&
	    memcmp(name, word->text, word->length) == 0;
}

bool
names_is_reserved(const struct word *word)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (names_is_word(word, words[i]))
			return true;
	return false;
}

uint16_t
names_find(const struct compiler *compiler, const struct word *name)
{
	for (uint16_t i = compiler->definition_count; i-- > 0;) {
		const struct definition *definition = &compiler->definitions[i];
		uint8_t section = compiler->out->parts[definition->part].section;
		if ((section == compiler->section || section == CONVERSATION_OPENING) &&
		    !definition->is_over && names_is_word(name, definition->name))
			return definition->part;
	}
	return CONVERSATION_NONE;
}

/* The name is known elsewhere. */
static bool
fail_out_of_scope(struct compiler *compiler, const struct word *name, uint16_t part)
{
	return source_fail(&compiler->source, name->text,
	    "found \"%.*s\", which is known in the %s of line %u only, expected a name that was captured before in this section or the opening",
	    (int)name->length, name->text,
	    compiler->out->parts[part].section == compiler->section ? "S*: line"
								    : "section",
	    conversation_line(compiler->out, part));
}

bool
names_fail_unknown(struct compiler *compiler, const struct word *name)
{
	const char *known[CONVERSATION_NAMES_MAX + sizeof(words) / sizeof(*words)];
	char text[CONVERSATION_NAME_MAX], quote[SOURCE_QUOTE_MAX];
	size_t count = 0;
	for (size_t i = 0; words[i] != NULL; i++)
		known[count++] = words[i];
	for (size_t i = 0; i < compiler->definition_count; i++) {
		const struct definition *definition = &compiler->definitions[i];
		if (names_is_word(name, definition->name))
			return fail_out_of_scope(compiler, name, definition->part);
		known[count++] = definition->name;
	}
	known[count] = NULL;
	snprintf(text, sizeof(text), "%.*s", (int)name->length, name->text);
	const char *nearest = suggest_nearest(text, known);
	source_quote(name->text, name->text + name->length, quote);
	return source_fail(&compiler->source, name->text,
	    "found %s, expected a placeholder or a name that was captured before%s%s%s",
	    quote, nearest != NULL ? "; did you mean \"" : "",
	    nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

bool
names_define(struct compiler *compiler, const struct word *name, uint16_t part)
{
	if (compiler->out->parts[part].kind == CONVERSATION_REFERENCE)
		return source_fail(&compiler->source, name->text,
		    "found a second name for captured bytes, expected a form such as any or digits");
	if (names_is_reserved(name))
		return source_fail(&compiler->source, name->text,
		    "found the placeholder \"%.*s\" as a name, expected another name",
		    (int)name->length, name->text);
	if (name->length >= CONVERSATION_NAME_MAX)
		return source_fail(&compiler->source, name->text,
		    "found a name of %zu characters, expected at most %d", name->length,
		    CONVERSATION_NAME_MAX - 1);
	if (compiler->definition_count == CONVERSATION_NAMES_MAX)
		return source_fail(&compiler->source, name->text,
		    "found more captures than the %d that a file can have, expected fewer",
		    CONVERSATION_NAMES_MAX);
	struct definition *definition =
	    &compiler->definitions[compiler->definition_count++];
	*definition = (struct definition){ .part = part, .in_star = compiler->in_star };
	memcpy(definition->name, name->text, name->length);
	compiler->out->parts[part].is_captured = true;
	return true;
}
