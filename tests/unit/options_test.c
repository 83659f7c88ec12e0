#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/wait.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/options.h"

enum mode { MODE_RUN, MODE_CHECK };

static const char *const colours[] = { "red", "green", "blue", NULL };

struct sample {
	bool is_quiet;
	enum mode mode;
	const char *file;
	struct option_list words;
	unsigned colour;
	uint64_t count;
	uint32_t few;
	uint64_t size;
	uint64_t time_ns;
	char first;
};

static const char *
parse_first(const char *text, void *field)
{
	if (text[0] < 'a' || text[0] > 'z')
		return "a word in lower case";
	*(char *)field = text[0];
	return NULL;
}

#define AT(field) offsetof(struct sample, field)

static const struct option_row rows[] = {
	{ "quiet", 'q', NULL, OPTION_FLAG, AT(is_quiet), .help = "no report",
	    .heading = "Output:" },
	{ "check", 0, NULL, OPTION_VALUE, AT(mode), .help = "check, run nothing",
	    .value = MODE_CHECK },
	{ "file", 'f', "FILE", OPTION_TEXT, AT(file), .help = "where the result goes" },
	{ "word", 'w', "TEXT", OPTION_LIST, AT(words), .help = "may be repeated" },
	{ "colour", 0, "NAME", OPTION_NAME, AT(colour), .names = colours,
	    .help =
		"red, green or blue, of what is printed on a terminal that has them" },
	{ "count", 'c', "N", OPTION_COUNT, AT(count), .help = "how many", .min = 1,
	    .heading = "Numbers:" },
	{ "count-of-a-few-with-a-long-name", 0, "N", OPTION_COUNT32, AT(few),
	    .help = "at most 32 bits", .min = 3 },
	{ "size", 's', "N", OPTION_SIZE, AT(size), .help = "bytes", .max = 1024 },
	{ "time", 't', "T", OPTION_DURATION, AT(time_ns), .help = "how long" },
	{ "first", 0, "WORD", OPTION_PARSE, AT(first), .help = "its first letter",
	    .parse = parse_first },
	{ .name = NULL },
};

static const struct options_command command = {
	.name = "sample",
	.version = "sample 1.2",
	.operands = "FROM TO",
	.operands_min = 1,
	.operands_max = 2,
	.intro =
	    "Does nothing, but in a way that takes more words to describe than fit into one line.",
	.notes = "Examples:\n  sample a\n      an example",
	.rows = rows,
};

static char **
parse(struct sample *sample, const char *line)
{
	static char text[256], *argv[32];
	int argc = 0;

	snprintf(text, sizeof(text), "sample %s", line);
	for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	*sample = (struct sample){ .colour = 9 };
	return options_parse(&command, argc, argv, sample);
}

/* Parses in a child that must exit with `status`; returns its output on `fd`. */
static const char *
print_of_exit(const char *line, int status, int fd)
{
	static char text[4096];
	int ends[2], how;
	size_t length = 0;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		struct sample sample;
		dup2(ends[1], fd);
		log_set_name("sample", NULL);
		parse(&sample, line);
		_exit(99); /* it had to exit */
	}
	close(ends[1]);
	for (ssize_t n;
	     (n = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0;)
		length += (size_t)n;
	text[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), status);
	return text;
}

static void
assert_rejected(const char *line, const char *error)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "sample: %s\n", error);
	assert_string_equal(print_of_exit(line, 64, STDERR_FILENO), expected);
}

static void
test_each_kind_sets_its_field(void **state)
{
	struct sample sample;

	(void)state;
	parse(&sample, "-q --check -f out -w one --word=two --colour blue x");
	assert_true(sample.is_quiet);
	assert_int_equal(sample.mode, MODE_CHECK);
	assert_string_equal(sample.file, "out");
	assert_int_equal(sample.words.count, 2);
	assert_string_equal(sample.words.items[1], "two");
	assert_null(sample.words.items[2]);
	assert_int_equal(sample.colour, 2);
	free(sample.words.items);
	parse(&sample, "-c 10k --count-of-a-few=7 -s 1k -t 250ms --first abc x");
	assert_int_equal(sample.count, 10000);
	assert_int_equal(sample.few, 7);
	assert_int_equal(sample.size, 1024);
	assert_int_equal(sample.time_ns, 250000000);
	assert_int_equal(sample.first, 'a');
}

static void
test_fields_without_an_option_keep_their_defaults(void **state)
{
	struct sample sample;

	(void)state;
	parse(&sample, "x");
	assert_int_equal(sample.colour, 9);
	assert_null(sample.words.items);
}

static void
test_operands_between_options_are_returned_in_order(void **state)
{
	struct sample sample;
	char **operands;

	(void)state;
	operands = parse(&sample, "one -q two --file=out");
	assert_true(sample.is_quiet);
	assert_string_equal(sample.file, "out");
	assert_string_equal(operands[0], "one");
	assert_string_equal(operands[1], "two");
	assert_null(operands[2]);
	operands = parse(&sample, "-- -q");
	assert_false(sample.is_quiet);
	assert_string_equal(operands[0], "-q");
}

static void
test_short_options_combine_and_long_ones_may_be_abbreviated(void **state)
{
	struct sample sample;

	(void)state;
	parse(&sample, "-qfout --col=green x");
	assert_true(sample.is_quiet);
	assert_string_equal(sample.file, "out");
	assert_int_equal(sample.colour, 1);
	/* An exact name wins over a longer one that begins with it. */
	parse(&sample, "--count 5 x");
	assert_int_equal(sample.count, 5);
}

static void
test_an_invalid_value_is_quoted_with_the_expected_format(void **state)
{
	(void)state;
	assert_rejected(
	    "-c many x", "--count: found \"many\", expected a count, as in 50 or 10k");
	assert_rejected("--count 0 x", "--count: found \"0\", expected more than 0");
	assert_rejected("--count-of-a-few 2 x",
	    "--count-of-a-few-with-a-long-name: found \"2\", expected at least 3");
	assert_rejected("--count-of-a-few -1 x",
	    "--count-of-a-few-with-a-long-name: found \"-1\", expected a count, as in 50 or 10k");
	assert_rejected("--count-of-a-few 4294967296 x",
	    "--count-of-a-few-with-a-long-name: found \"4294967296\", expected at most 4294967295");
	assert_rejected("-s 2k x", "--size: found \"2k\", expected at most 1k");
	assert_rejected(
	    "-t 5 x", "--time: found \"5\", expected a time, as in 250ms or 30s");
	assert_rejected(
	    "--colour pink x", "--colour: found \"pink\", expected red, green or blue");
	assert_rejected(
	    "--first X x", "--first: found \"X\", expected a word in lower case");
}

static void
test_rejects_an_unknown_option_and_suggests_the_nearest(void **state)
{
	(void)state;
	assert_rejected(
	    "--colur=red x", "unknown option \"--colur\"; did you mean \"--colour\"?");
	assert_rejected("--nonsense x", "unknown option \"--nonsense\" (see --help)");
	assert_rejected("-qx", "unknown option \"-x\" (see --help)");
	assert_rejected("--co=1 x",
	    "ambiguous option \"--co\": expected one of --colour, --count, --count-of-a-few-with-a-long-name");
}

static void
test_rejects_missing_and_surplus_arguments_and_operands(void **state)
{
	(void)state;
	assert_rejected("x -f", "--file: missing argument: expected FILE");
	assert_rejected("x --file", "--file: missing argument: expected FILE");
	assert_rejected("--quiet=yes x", "--quiet: takes no argument");
	assert_rejected("-q", "missing operand: expected FROM TO (see --help)");
	assert_rejected("a b c", "unexpected operand \"c\" (see --help)");
}

static void
test_help_has_each_row_in_its_group_and_wraps(void **state)
{
	static const char help[] =
	    "Usage: sample [OPTION...] FROM TO\n"
	    "Does nothing, but in a way that takes more words to describe than fit into one\n"
	    "line.\n"
	    "\n"
	    " Output:\n"
	    "  -q, --quiet                no report\n"
	    "      --check                check, run nothing\n"
	    "  -f, --file=FILE            where the result goes\n"
	    "  -w, --word=TEXT            may be repeated\n"
	    "      --colour=NAME          red, green or blue, of what is printed on a\n"
	    "                             terminal that has them\n"
	    "\n"
	    " Numbers:\n"
	    "  -c, --count=N              how many\n"
	    "      --count-of-a-few-with-a-long-name=N\n"
	    "                             at most 32 bits\n"
	    "  -s, --size=N               bytes\n"
	    "  -t, --time=T               how long\n"
	    "      --first=WORD           its first letter\n"
	    "\n"
	    "  -h, --help                 print this and exit\n"
	    "  -V, --version              print the version and exit\n"
	    "\n"
	    "Examples:\n"
	    "  sample a\n"
	    "      an example\n";

	(void)state;
	assert_string_equal(print_of_exit("--help", 0, STDOUT_FILENO), help);
	assert_string_equal(print_of_exit("-h --nonsense", 0, STDOUT_FILENO), help);
}

static void
test_the_version_is_one_line(void **state)
{
	(void)state;
	assert_string_equal(
	    print_of_exit("-q --version", 0, STDOUT_FILENO), "sample 1.2\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_sets_its_field),
		cmocka_unit_test(test_fields_without_an_option_keep_their_defaults),
		cmocka_unit_test(test_operands_between_options_are_returned_in_order),
		cmocka_unit_test(
		    test_short_options_combine_and_long_ones_may_be_abbreviated),
		cmocka_unit_test(
		    test_an_invalid_value_is_quoted_with_the_expected_format),
		cmocka_unit_test(
		    test_rejects_an_unknown_option_and_suggests_the_nearest),
		cmocka_unit_test(
		    test_rejects_missing_and_surplus_arguments_and_operands),
		cmocka_unit_test(test_help_has_each_row_in_its_group_and_wraps),
		cmocka_unit_test(test_the_version_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
