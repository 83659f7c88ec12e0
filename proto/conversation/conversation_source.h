/*
 * conversation_source.h - the text of a conversation file while it is compiled: where
 * the compiler is, and the one error line.
 *
 * A text starts behind "C:" or "S:" and continues on indented lines. A position is a
 * pointer into the file.
 */
#ifndef PROTO_CONVERSATION_CONVERSATION_SOURCE_H
#define PROTO_CONVERSATION_CONVERSATION_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_END (-1) /* of a text */
#define SOURCE_QUOTE_MAX 48

struct source {
	const char *file;
	const char *start, *end; /* of the file */
	const char *at;
	uint32_t line; /* of `at`, from 1 */
	char *error;   /* CONVERSATION_ERROR_MAX */
	int status;    /* 0, or sysexits.h with a line in error */
};

/* "FILE:LINE:COLUMN: " and the message ("found ..., expected ..."), for a position in
 * the file. Returns false. */
bool source_fail(struct source *source, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "FILE: out of memory". Returns false. */
bool source_fail_memory(struct source *source);

/* The next byte of the text, or SOURCE_END. Goes over the end of a line if the next one
 * is indented; its indentation is no part of the text. */
int source_peek(struct source *source);
/* End of the line that holds `where`, without its "\n" or "\r\n". */
const char *source_line_end(const struct source *source, const char *where);
/* Moves to the start of the next line, or the end of the file. */
void source_next_line(struct source *source);

/* An escape, of which `at` is behind the backslash: its byte in *ret_byte. Returns its
 * end, or NULL after source_fail(). */
const char *source_escape(
    struct source *source, const char *at, const char *end, char *ret_byte);

/* The bytes as printable text in quotes, cut if they are many; "the end of the line" if
 * there are none. Returns out[SOURCE_QUOTE_MAX]. */
char *source_quote(const char *start, const char *end, char *out);

#endif
