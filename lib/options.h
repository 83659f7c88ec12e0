/*
 * options.h - the command line: a table of options, parsed with getopt_long(3).
 *
 * Each row names an option, the field that it sets and its line of the help text. The
 * rows of -h, --help and -V, --version are added to every table. Values are parsed in
 * the order of the command line; operands may stand between options, and "--" ends the
 * options.
 *
 * Layout of the help text (packaging/completions/generate reads it): an option starts
 * in column 3 with "-x, --name=ARGUMENT" or "    --name", its description in column 30
 * or, after a long name, on the next line; lines of a description that continue start
 * in column 30, too. Rows stand in the order of the table.
 */
#ifndef LIB_OPTIONS_H
#define LIB_OPTIONS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {       /* and the type of the field */
	OPTION_FLAG,     /* bool, set to true; no argument */
	OPTION_VALUE,    /* int or an enum, set to row->value; no argument */
	OPTION_TEXT,     /* const char * */
	OPTION_LIST,     /* struct option_list; the option may be repeated */
	OPTION_NAME,     /* unsigned or an enum, the index in row->names */
	OPTION_COUNT,    /* uint64_t, units_parse_count() from row->min to row->max */
	OPTION_COUNT32,  /* uint32_t, as above */
	OPTION_SIZE,     /* uint64_t, units_parse_size() */
	OPTION_DURATION, /* uint64_t, nanoseconds, units_parse_duration() */
	OPTION_PARSE,    /* any, set by row->parse */
	OPTION_HELP,     /* of the two rows that are added */
	OPTION_VERSION,
};

#define OPTIONS_MEASURE_MAX UINT64_C(1000000000000000000) /* if row->max is 0 */

struct option_row {
	const char *name;     /* the long name; NULL ends a table */
	int letter;           /* the short name; 0: none */
	const char *argument; /* its name in the help text; NULL: takes none */
	enum option_kind kind;
	size_t offset; /* of the field in the struct that is filled */
	const char *help;
	const char *heading; /* of the group that starts with this row; or NULL */
	uint64_t min, max;   /* of numbers; max 0: OPTIONS_MEASURE_MAX, or 32 bits */
	const char *const *names; /* OPTION_NAME; NULL at the end; "": not an option */
	int value;                /* OPTION_VALUE */
	const char
	    *implied; /* of text: the value without an argument, which can then
			 only be given as --name=ARGUMENT; NULL: it must be given */
	/* OPTION_PARSE: sets *field and returns NULL, or returns what was expected. */
	const char *(*parse)(const char *text, void *field);
};

#define OPTIONS_UNLIMITED INT_MAX

struct options_command {
	const char *name;     /* in the usage line: "yodel merge" */
	const char *version;  /* the line that --version prints */
	const char *operands; /* in the usage line: "RESULT..."; NULL: takes none */
	int operands_min, operands_max;
	const char *intro; /* above the options; wrapped. NULL: none */
	const char
	    *notes; /* below them; wrapped, newlines and spaces kept. NULL: none */
	const struct option_row *rows;
};

struct option_list {
	const char **items; /* heap; NULL at the end, or NULL while it is empty */
	uint32_t count;
};

/* Fills *into and returns the operands, NULL-terminated, which have been moved to the
 * end of argv. Texts are argv's. Ends the process: with 0 after --help and --version,
 * with 64 (bad usage) or 71 (out of memory) after one line in the log. */
char **options_parse(
    const struct options_command *command, int argc, char **argv, void *into);

/* Adds a text, which is not copied; out of memory as above. */
void options_list_add(struct option_list *list, const char *text);

#endif
