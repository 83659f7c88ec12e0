/*
 * text_layout.h - lays out a text report for its reader: folds long lines at spaces,
 * and colours what is marked.
 *
 * Marks are control characters, which no text of a report contains otherwise. They take
 * no room. On anything but a terminal they are left out, as with NO_COLOR
 * (https://no-color.org) and on a dumb terminal.
 */
#ifndef CLIENT_REPORT_TEXT_LAYOUT_H
#define CLIENT_REPORT_TEXT_LAYOUT_H

#include <stdbool.h>
#include <stdio.h>

#define TEXT_GOOD "\001"
#define TEXT_BAD "\002"
#define TEXT_WARN "\003"
#define TEXT_END "\004"

#define TEXT_LABEL "  %-12s " /* before each line of a report */

struct text_layout {
	size_t width; /* columns */
	bool has_colour;
};

/* Layout for a file: the width of a terminal, else COLUMNS, else 80. */
struct text_layout text_layout_of(FILE *file);

/* Writes lines of text. A line that is too long goes on below its text: below column 15
 * if it has a label (or begins there), else indented by two columns more. A word is not
 * cut: names and addresses can be copied. */
void text_layout_write(const struct text_layout *layout, const char *text, FILE *file);

/* Collects a text, which text_layout_end() lays out for `file`, writes and frees. */
struct text_layout_text {
	FILE *out; /* to be written to */
	char *text;
	size_t size;
};
void text_layout_begin(struct text_layout_text *text);
void text_layout_end(struct text_layout_text *text, FILE *file);

#endif
