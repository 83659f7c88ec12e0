#include "client/report/text_layout.h"

#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/xmalloc.h"

#define DEFAULT_WIDTH 80
#define LEAST_WIDTH 60
#define MOST_WIDTH 10000
#define UNIT_LENGTH 3 /* of "ms," */
#define LABEL_END 15  /* column of the text after a label */

/* The columns of a terminal; 0: not a terminal. */
static size_t
terminal_width(FILE *file)
{
	struct winsize window = { .ws_col = 0 };
	int fd = fileno(file);
	if (fd < 0 || isatty(fd) != 1)
		return 0;
	if (ioctl(fd, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
		return DEFAULT_WIDTH;
	return window.ws_col;
}

static size_t
given_width(void)
{
	const char *text = getenv("COLUMNS");
	long columns = text != NULL ? strtol(text, NULL, 10) : 0;
	return columns > 0 && columns <= MOST_WIDTH ? (size_t)columns : DEFAULT_WIDTH;
}

static bool
wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return (no_color == NULL || no_color[0] == '\0') && term != NULL &&
	    strcmp(term, "dumb") != 0;
}

struct text_layout
text_layout_of(FILE *file)
{
	size_t terminal = terminal_width(file);
	size_t width = terminal > 0 ? terminal : given_width();
	return (struct text_layout){
		.width = width < LEAST_WIDTH ? LEAST_WIDTH : width,
		.has_colour = terminal > 0 && wants_colour(),
	};
}

static bool
is_mark(char c)
{
	return c >= TEXT_GOOD[0] && c <= TEXT_END[0];
}

/* A continuation byte of UTF-8 takes no column of its own. */
static size_t
columns_of(char c)
{
	return is_mark(c) || ((unsigned char)c & 0xc0) == 0x80 ? 0 : 1;
}

static void
put(const struct text_layout *layout, char c, FILE *file)
{
	static const char *const colours[] = { "\033[32m", "\033[31m", "\033[33m",
		"\033[0m" };
	if (!is_mark(c))
		fputc(c, file);
	else if (layout->has_colour)
		fputs(colours[c - TEXT_GOOD[0]], file);
}

/* Where a line goes on: below its text. */
static size_t
indentation_of(const char *line, size_t length)
{
	size_t spaces = 0;
	while (spaces < length && line[spaces] == ' ')
		spaces++;
	bool has_label = spaces == 2 && length > LABEL_END &&
	    line[LABEL_END - 1] == ' ' && line[LABEL_END] != ' ' && line[2] != '-' &&
	    !is_mark(line[2]);
	size_t start = has_label || spaces == LABEL_END ? LABEL_END : spaces;
	bool is_item =
	    start + 1 < length && line[start] == '-' && line[start + 1] == ' ';
	if (start == LABEL_END)
		return start + (is_item ? 2 : 0);
	return spaces + 2;
}

/* A space at which a line may end: not the one between a number and its unit. */
static bool
is_break(const char *line, size_t at, size_t length)
{
	size_t next = at + 1;
	while (next < length && line[next] != ' ')
		next++;
	bool is_unit = at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9' &&
	    next - at - 1 <= UNIT_LENGTH;
	return line[at] == ' ' && !is_unit;
}

/* The bytes of the part of a line that fits into `room` columns, up to a space after
 * the first `from` bytes; all of them if there is no such space. */
static size_t
fitting(const char *line, size_t length, size_t from, size_t room)
{
	size_t columns = 0, space = 0;
	for (size_t i = 0; i < length; i++) {
		if (columns == room && i >= from && is_break(line, i, length))
			return i;
		if (columns + columns_of(line[i]) > room)
			return space > 0 ? space : i + strcspn(line + i, " \n");
		columns += columns_of(line[i]);
		if (i >= from && is_break(line, i, length))
			space = i;
	}
	return length;
}

static void
write_line(
    const struct text_layout *layout, const char *line, size_t length, FILE *file)
{
	size_t indentation = indentation_of(line, length), from = indentation,
	       taken = 0;
	while (taken < length) {
		size_t room = taken == 0 ? layout->width : layout->width - indentation;
		size_t part = fitting(line + taken, length - taken, from, room);
		part = part < length - taken ? part : length - taken;
		for (size_t i = 0; i < (taken == 0 ? 0 : indentation); i++)
			fputc(' ', file);
		size_t end = taken + part;
		while (end > taken + 1 && line[end - 1] == ' ')
			end--;
		for (size_t i = taken; i < end; i++)
			put(layout, line[i], file);
		fputc('\n', file);
		taken += part;
		while (taken < length && line[taken] == ' ')
			taken++;
		from = 0;
	}
	if (length == 0)
		fputc('\n', file);
}

void
text_layout_write(const struct text_layout *layout, const char *text, FILE *file)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");
		write_line(layout, text, length, file);
		text += length + (text[length] == '\n');
	}
}

void
text_layout_begin(struct text_layout_text *text)
{
	text->text = NULL;
	text->out = xmalloc_check(open_memstream(&text->text, &text->size));
}

void
text_layout_end(struct text_layout_text *text, FILE *file)
{
	const struct text_layout layout = text_layout_of(file);
	if (fclose(text->out) != 0)
		xmalloc_fail();
	text_layout_write(&layout, text->text, file);
	free(text->text);
}
