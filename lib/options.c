#include "lib/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/suggest.h"
#include "lib/units.h"
#include "lib/xmalloc.h"

#define ROWS_MAX 96
#define LONG_CODE 256 /* getopt_long() returns this and the row's index */
#define WORD_MAX 64
#define LIST_MAX 256
#define HELP_WIDTH 80
#define HELP_COLUMN 29

struct parser {
	const struct option_row *rows[ROWS_MAX + 1]; /* NULL at the end */
	struct option longs[ROWS_MAX + 1];
	char letters[2 * ROWS_MAX + 2];
};

static const struct option_row common_rows[] = {
	{ "help", 'h', NULL, OPTION_HELP, 0, .help = "print this and exit" },
	{ "version", 'V', NULL, OPTION_VERSION, 0,
	    .help = "print the version and exit" },
	{ .name = NULL },
};

/* Later lines are indented; newlines and spaces of the text are kept. */
static void
print_wrapped(const char *text, size_t column, size_t indent)
{
	while (*text != '\0') {
		size_t spaces = strspn(text, " ");
		size_t length = spaces + strcspn(text + spaces, " \n");
		if (*text == '\n') {
			length = 1;
			column = 0;
		} else if (column > indent && column + length > HELP_WIDTH) {
			printf("\n%*s", (int)indent, "");
			text += spaces;
			length -= spaces;
			column = indent;
		}
		printf("%.*s", (int)length, text);
		column += *text != '\n' ? length : 0;
		text += length;
	}
	putchar('\n');
}

static void
print_row(const struct option_row *row)
{
	if (row->heading != NULL)
		printf("\n %s\n", row->heading);
	char letter[] = { '-', (char)row->letter, ',', ' ', '\0' };
	bool is_optional = row->implied != NULL;
	int n = printf("  %s--%s", row->letter != 0 ? letter : "    ", row->name);
	if (row->argument != NULL)
		n += printf("%s%s%s", is_optional ? "[=" : "=", row->argument,
		    is_optional ? "]" : "");
	if (n + 2 > HELP_COLUMN)
		n = printf("\n") - 1;
	printf("%*s", HELP_COLUMN - n, "");
	print_wrapped(row->help, HELP_COLUMN, HELP_COLUMN);
}

static _Noreturn void
exit_after_output(void)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		exit(EX_OK);
	fatal(EX_IOERR, "standard output");
}

static _Noreturn void
print_help(const struct options_command *command, const struct parser *parser)
{
	printf("Usage: %s [OPTION...]%s%s\n", command->name,
	    command->operands != NULL ? " " : "",
	    command->operands != NULL ? command->operands : "");
	if (command->intro != NULL)
		print_wrapped(command->intro, 0, 0);
	/* A heading brings its blank line along. */
	bool has_groups = parser->rows[0]->heading != NULL;
	for (size_t i = 0; parser->rows[i] != NULL; i++) {
		if (has_groups ? parser->rows[i] == common_rows : i == 0)
			putchar('\n');
		print_row(parser->rows[i]);
	}
	if (command->notes != NULL) {
		putchar('\n');
		print_wrapped(command->notes, 0, 0);
	}
	exit_after_output();
}

static _Noreturn void
reject(const struct option_row *row, const char *text, const char *expected)
{
	fatalx(EX_USAGE, "--%s: found \"%s\", expected %s", row->name, text, expected);
}

static uint64_t
parse_number(const struct option_row *row, const char *text)
{
	static const struct {
		int (*parse)(const char *text, uint64_t *ret);
		const char *(*format)(uint64_t value, char *buffer);
		const char *expected;
	} numbers[] = {
		[OPTION_COUNT] = { units_parse_count, units_format_count,
		    "a count, as in 50 or 10k" },
		[OPTION_COUNT32] = { units_parse_count, units_format_count,
		    "a count, as in 50 or 10k" },
		[OPTION_SIZE] = { units_parse_size, units_format_size,
		    "a size, as in 512 or 64k" },
		[OPTION_DURATION] = { units_parse_duration, units_format_duration,
		    "a time, as in 250ms or 30s" },
	};
	char expected[LIST_MAX], limit[UNITS_TEXT_MAX];
	uint64_t max = row->max, value = 0;
	if (max == 0)
		max = row->kind == OPTION_COUNT32 ? UINT32_MAX : OPTIONS_MEASURE_MAX;
	if (numbers[row->kind].parse(text, &value) < 0)
		reject(row, text, numbers[row->kind].expected);
	if (value >= row->min && value <= max)
		return value;
	bool is_small = value < row->min;
	const char *words = !is_small ? "at most"
	    : row->min == 1           ? "more than"
				      : "at least";
	if (is_small)
		max = row->min == 1 ? 0 : row->min;
	snprintf(expected, sizeof(expected), "%s %s", words,
	    numbers[row->kind].format(max, limit));
	reject(row, text, expected);
}

static void
append(char *list, const char *between, const char *word)
{
	size_t length = strlen(list);
	snprintf(list + length, LIST_MAX - length, "%s%s", between, word);
}

static unsigned
parse_name(const struct option_row *row, const char *text)
{
	char list[LIST_MAX] = "";
	for (unsigned i = 0; row->names[i] != NULL; i++) {
		if (row->names[i][0] == '\0')
			continue;
		if (strcmp(row->names[i], text) == 0)
			return i;
		bool is_last = row->names[i + 1] == NULL;
		const char *between = is_last ? " or " : ", ";
		append(list, list[0] == '\0' ? "" : between, row->names[i]);
	}
	reject(row, text, list);
}

static void
set(const struct option_row *row, const char *text, void *field)
{
	const char *expected;
	uint64_t number;
	unsigned name;
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		break;
	case OPTION_VALUE:
		memcpy(field, &row->value, sizeof(row->value));
		break;
	case OPTION_TEXT:
		memcpy(field, &text, sizeof(text));
		break;
	case OPTION_LIST:
		options_list_add(field, text);
		break;
	case OPTION_NAME:
		name = parse_name(row, text);
		memcpy(field, &name, sizeof(name));
		break;
	case OPTION_COUNT32:
		*(uint32_t *)field = (uint32_t)parse_number(row, text);
		break;
	case OPTION_COUNT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		number = parse_number(row, text);
		memcpy(field, &number, sizeof(number));
		break;
	case OPTION_PARSE:
		expected = row->parse(text, field);
		if (expected != NULL)
			reject(row, text, expected);
		break;
	case OPTION_HELP:
	case OPTION_VERSION:
		break;
	}
}

static void
add_rows(struct parser *parser, const struct option_row *rows)
{
	size_t count = 0;
	char *letters = parser->letters;
	while (parser->rows[count] != NULL)
		count++;
	letters += strlen(letters);
	for (const struct option_row *row = rows; row->name != NULL; row++, count++) {
		assert(count < ROWS_MAX);
		parser->rows[count] = row;
		parser->longs[count] = (struct option){ .name = row->name,
			.has_arg = row->argument == NULL ? no_argument
			    : row->implied != NULL       ? optional_argument
							 : required_argument,
			.val = LONG_CODE + (int)count };
		if (row->letter == 0)
			continue;
		*letters++ = (char)row->letter;
		if (row->argument != NULL)
			*letters++ = ':';
	}
}

/* By what getopt_long() returns, or optopt is; NULL: unknown. */
static const struct option_row *
find_row(const struct parser *parser, int code)
{
	if (code >= LONG_CODE)
		return parser->rows[code - LONG_CODE];
	for (size_t i = 0; code != 0 && parser->rows[i] != NULL; i++) {
		if (parser->rows[i]->letter == code)
			return parser->rows[i];
	}
	return NULL;
}

/* An option that is unknown or ambiguous: "--word" or "--word=VALUE". */
static _Noreturn void
reject_long(const struct parser *parser, const char *text)
{
	const char *names[ROWS_MAX + 1] = { NULL };
	char word[WORD_MAX], list[LIST_MAX] = "";
	size_t matches = 0;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	for (size_t i = 0; parser->rows[i] != NULL; i++) {
		names[i] = parser->rows[i]->name;
		if (strncmp(names[i], word, strlen(word)) == 0)
			append(list, matches++ > 0 ? ", --" : "--", names[i]);
	}
	if (matches > 1)
		fatalx(EX_USAGE, "ambiguous option \"--%s\": expected one of %s", word,
		    list);
	const char *nearest = suggest_nearest(word, names);
	if (nearest == NULL)
		fatalx(EX_USAGE, "unknown option \"--%s\" (see --help)", word);
	fatalx(
	    EX_USAGE, "unknown option \"--%s\"; did you mean \"--%s\"?", word, nearest);
}

/* getopt_long() has returned ':' or '?'. */
static _Noreturn void
reject_option(const struct parser *parser, int code, const char *text)
{
	const struct option_row *row = find_row(parser, optopt);
	if (row != NULL && code == ':')
		fatalx(EX_USAGE, "--%s: missing argument: expected %s", row->name,
		    row->argument);
	if (row != NULL)
		fatalx(EX_USAGE, "--%s: takes no argument", row->name);
	if (optopt != 0)
		fatalx(EX_USAGE, "unknown option \"-%c\" (see --help)", optopt);
	reject_long(parser, text);
}

char **
options_parse(const struct options_command *command, int argc, char **argv, void *into)
{
	/* ':' keeps getopt_long() silent and tells a missing argument apart. */
	struct parser parser = { .letters = ":" };
	int code;
	add_rows(&parser, command->rows);
	add_rows(&parser, common_rows);
	optind = 0; /* restarts getopt_long() */
	while ((code = getopt_long(argc, argv, parser.letters, parser.longs, NULL)) !=
	    -1) {
		const struct option_row *row = find_row(&parser, code);
		if (row == NULL) /* ':' or '?' */
			reject_option(&parser, code, argv[optind - 1]);
		if (row->kind == OPTION_HELP)
			print_help(command, &parser);
		if (row->kind == OPTION_VERSION) {
			puts(command->version);
			exit_after_output();
		}
		set(row, optarg != NULL ? optarg : row->implied,
		    (char *)into + row->offset);
	}
	int operands = argc - optind;
	if (operands < command->operands_min)
		fatalx(EX_USAGE, "missing operand: expected %s (see --help)",
		    command->operands);
	if (operands > command->operands_max)
		fatalx(EX_USAGE, "unexpected operand \"%s\" (see --help)",
		    argv[optind + command->operands_max]);
	return argv + optind;
}

void
options_list_add(struct option_list *list, const char *text)
{
	list->items = xreallocarray(list->items, list->count + 2, sizeof(char *));
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
}
