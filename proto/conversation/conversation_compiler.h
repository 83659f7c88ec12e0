/*
 * conversation_compiler.h - the state of a compilation, which goes through these files:
 *
 *   conversation_compile      lines, sections, steps
 *   conversation_text         a text: literals, escapes, counted parts
 *   conversation_placeholder  \{...}
 *   conversation_names        the names of captured parts
 *   conversation_builder      the arrays
 *   conversation_check        what holds between parts, and the tables of the player
 *
 * Functions return false after source_fail().
 */
#ifndef PROTO_CONVERSATION_CONVERSATION_COMPILER_H
#define PROTO_CONVERSATION_CONVERSATION_COMPILER_H

#include "proto/conversation/conversation.h"
#include "proto/conversation/conversation_source.h"

/* A name given to a part. The latest counts. */
struct definition {
	char name[CONVERSATION_NAME_MAX];
	uint16_t part;
	bool in_star; /* known in its own S*: line only, */
	bool is_over; /* which has ended */
};

struct compiler {
	struct source source;
	struct conversation *out;
	size_t byte_capacity, part_capacity, step_capacity, choice_capacity;
	const char **places; /* of the parts in the file; heap */
	enum conversation_section section;
	struct definition definitions[CONVERSATION_NAMES_MAX];
	uint16_t definition_count;
	uint16_t payload; /* the latest, for \{echo}; or NONE */
	/* Length that the speaking side has sent without its counted part yet; or NONE.
	 */
	uint16_t length_part;
	/* Open counted parts, and the literal "{" open in each. */
	uint16_t groups[CONVERSATION_NESTING_MAX];
	uint32_t braces[CONVERSATION_NESTING_MAX];
	uint32_t depth;
	uint16_t star; /* STAR_BEGIN whose next line is expected; or NONE */
	bool in_star;  /* the line is one of S*: */
};

/* Append to the arrays of the conversation (conversation_builder). `where` is the place
 * of a part. It is valid until the next call; NULL after source_fail(). */
struct conversation_part *builder_add_part(
    struct compiler *compiler, enum conversation_kind kind, const char *where);
/* To the literal at the end of the text. */
bool builder_add_byte(struct compiler *compiler, char byte);
/* Without a part: of an alternative, */
bool builder_add_raw_byte(struct compiler *compiler, char byte);
/* which has all bytes from `at` on. */
bool builder_add_choice(struct compiler *compiler, uint32_t at);
bool builder_add_step(struct compiler *compiler, enum conversation_role speaker);

/* Names of captured parts (conversation_names). */
struct word {
	const char *text;
	size_t length;
};
bool names_is_word(const struct word *word, const char *name);
/* The word is a placeholder or a form, and cannot be a name. */
bool names_is_reserved(const struct word *word);
/* The part that a name was last given to, here or in the opening; or NONE. */
uint16_t names_find(const struct compiler *compiler, const struct word *name);
/* names_find() found none: returns false after source_fail(). */
bool names_fail_unknown(struct compiler *compiler, const struct word *name);
/* Gives the name to a part. */
bool names_define(struct compiler *compiler, const struct word *name, uint16_t part);

/* The text behind "C:" or "S:", with its line ending: parts of the current step. */
bool conversation_text_compile(struct compiler *compiler);
/* A placeholder between "\{" and "}". */
bool conversation_placeholder_compile(
    struct compiler *compiler, const char *start, const char *end);

/* Called for each text, and once at the end. */
bool conversation_check_text(struct compiler *compiler, uint16_t first);
bool conversation_check_whole(struct compiler *compiler);

#endif
