/*
 * Compares the tables of settings, counters and close reasons in the manuals, which
 * are between marks in the pages, with those in the code. With the argument --write
 * (`make tables`) it rewrites them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ledger.h"
#include "conf/config.h"

#define PAGE_BYTES 131072
#define TEXT_BYTES 1024
#define WIDTH 78 /* of a source line; mandoc -Tlint warns about longer ones */

static bool is_writing;

static void
put_word(FILE *out, const char *word, size_t length, size_t *column)
{
	bool is_first = *column == 0;
	if (!is_first && *column + 1 + length > WIDTH) {
		fputc('\n', out);
		*column = 0;
		is_first = true;
	}
	if (!is_first)
		fputc(' ', out);
	else if (word[0] == '.' || word[0] == '\'')
		fputs("\\&", out);
	for (size_t i = 0; i < length; i++)
		fputs(word[i] == '\\' ? "\\e" : (char[]){ word[i], '\0' }, out);
	*column += length + !is_first;
}

/* Lines of running text, each sentence on a line of its own. */
static void
put_text(FILE *out, const char *text)
{
	size_t column = 0;
	while (*text != '\0') {
		size_t length = strcspn(text, " ");
		put_word(out, text, length, &column);
		bool ends = text[length - 1] == '.' &&
		    (text[length] == '\0' || isupper((unsigned char)text[length + 1]));
		if (ends)
			column = 0;
		text += length;
		if (*text == ' ')
			text++;
		if (ends && *text != '\0')
			fputc('\n', out);
	}
	fputc('\n', out);
}

static void
put_setting(const char *name, const struct setting *row, void *out)
{
	char expected[SETTINGS_EXPECTED_MAX], text[TEXT_BYTES];
	/* As written in the file. */
	bool is_text = row->type != SETTING_BOOL &&
	    (row->type != SETTING_INTEGER || strcmp(row->initial, "auto") == 0);
	const char *quote = is_text ? "\"" : "";
	int length;
	if (row->type == SETTING_OBJECTS || row->type == SETTING_ANNOTATION)
		length = snprintf(text, sizeof(text), "%s", row->help);
	else if (row->initial == NULL)
		length = snprintf(text, sizeof(text), "%s The value is %s.", row->help,
		    settings_expected(row, expected));
	else
		length = snprintf(text, sizeof(text),
		    "%s The value is %s; the default is %s%s%s.", row->help,
		    settings_expected(row, expected), quote, row->initial, quote);
	assert_in_range(length, 1, sizeof(text) - 1);
	fprintf(out, ".It Va %s\n", name);
	put_text(out, text);
}

static void
put_row(FILE *out, const char *name, const char *help)
{
	char text[TEXT_BYTES];
	/* Capitalizes the first letter, except in the name of a setting, which has a
	 * dot. */
	bool is_name = memchr(help, '.', strcspn(help, " ")) != NULL;
	int length = snprintf(text, sizeof(text), "%c%s.",
	    is_name ? help[0] : toupper((unsigned char)help[0]), help + 1);
	assert_in_range(length, 1, sizeof(text) - 1);
	fprintf(out, ".It Va %s\n", name);
	put_text(out, text);
}

static void
put_settings(FILE *out)
{
	settings_walk(&config_table, put_setting, out);
}

static void
put_counters(FILE *out)
{
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++)
		put_row(out, ledger_counters[i].name, ledger_counters[i].help);
}

static void
put_reasons(FILE *out)
{
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		put_row(out, close_reasons[i].name, close_reasons[i].help);
}

static char *
read_page(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = calloc(1, PAGE_BYTES);
	assert_non_null(in);
	assert_non_null(text);
	assert_in_range(fread(text, 1, PAGE_BYTES, in), 1, PAGE_BYTES - 1);
	fclose(in);
	return text;
}

/* The page with the table of the code between its marks; heap. */
static char *
rewrite(const char *page, const char *table, void (*put)(FILE *out))
{
	char begin[64], end[64], *text = NULL;
	size_t length;
	snprintf(begin, sizeof(begin), ".\\\" begin %s:", table);
	snprintf(end, sizeof(end), ".\\\" end %s\n", table);
	const char *from = strstr(page, begin);
	const char *to = strstr(page, end);
	assert_non_null(from);
	assert_non_null(to);
	from = strchr(from, '\n') + 1;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	fwrite(page, 1, (size_t)(from - page), out);
	put(out);
	fputs(to, out);
	fclose(out);
	return text;
}

static void
check(const char *path, const char *table, void (*put)(FILE *out))
{
	char *page = read_page(path);
	char *expected = rewrite(page, table, put);
	bool is_same = strcmp(page, expected) == 0;
	if (!is_same && is_writing) {
		FILE *out = fopen(path, "w");
		assert_non_null(out);
		fputs(expected, out);
		fclose(out);
	} else if (!is_same) {
		print_error(
		    "%s: the table of %s differs from the code: run \"make tables\"\n",
		    path, table);
	}
	free(page);
	free(expected);
	assert_true(is_same || is_writing);
}

static void
test_the_manual_of_the_file_matches_the_settings_table(void **state)
{
	(void)state;
	check("conf/yodeld.json.5", "settings", put_settings);
}

static void
test_the_manual_of_the_server_has_every_counter_and_close_reason(void **state)
{
	(void)state;
	check("master/yodeld.8", "counters", put_counters);
	check("master/yodeld.8", "reasons", put_reasons);
}

int
main(int argc, char **argv)
{
	is_writing = argc > 1 && strcmp(argv[1], "--write") == 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_manual_of_the_file_matches_the_settings_table),
		cmocka_unit_test(
		    test_the_manual_of_the_server_has_every_counter_and_close_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
