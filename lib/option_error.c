#include "lib/option_error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/suggest.h"

#define WORD_MAX 64

static const char *
name_of(int key, const struct option *options)
{
	for (; options->name != NULL; options++) {
		if (options->val == key)
			return options->name;
	}
	return NULL;
}

/* "--a, --b" of the names that the word is the beginning of; how many. */
static size_t
list_matches(const char *word, const struct option *options, char *list, size_t size)
{
	size_t count = 0, at = 0;

	list[0] = '\0';
	for (; options->name != NULL; options++) {
		if (strncmp(options->name, word, strlen(word)) != 0 || at >= size)
			continue;
		at += (size_t)snprintf(list + at, size - at, "%s--%s",
		    count > 0 ? ", " : "", options->name);
		count++;
	}
	return count;
}

static const char *
nearest(const char *word, const struct option *options)
{
	const char **names, *found;
	size_t count = 0;

	while (options[count].name != NULL)
		count++;
	names = calloc(count + 1, sizeof(*names));
	if (names == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		names[i] = options[i].name;
	found = suggest_nearest(word, names);
	free(names);
	return found;
}

/* "--word" or "--word=value", which is no option or could be several. */
static void
log_long(const char *text, const struct option *options)
{
	char word[WORD_MAX], list[256];

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	if (list_matches(word, options, list, sizeof(list)) > 1) {
		log_errorx("\"--%s\" could be any of %s", word, list);
		return;
	}
	const char *meant = nearest(word, options);
	if (meant != NULL)
		log_errorx(
		    "unknown option \"--%s\"; did you mean \"--%s\"?", word, meant);
	else
		log_errorx("unknown option \"--%s\" (see --help)", word);
}

void
option_error_log(int rejected, char **argv, const struct option *options)
{
	const char *name = optopt != 0 ? name_of(optopt, options) : NULL;

	if (name != NULL)
		log_errorx("--%s: %s was wanted", name,
		    rejected == ':' ? "an argument" : "no argument");
	else if (optopt != 0)
		log_errorx("unknown option \"-%c\" (see --help)", optopt);
	else
		log_long(argv[optind - 1], options);
}

static bool
is_letter(int key)
{
	return key > ' ' && key <= '~';
}

/* The rows as getopt_long() wants them. */
static void
translate(
    const struct argp_option *rows, size_t count, struct option *options, char *letters)
{
	*letters++ = ':';
	for (size_t i = 0; i < count; i++) {
		if (rows[i].name == NULL)
			continue;
		*options++ = (struct option){ .name = rows[i].name,
			.has_arg =
			    rows[i].arg != NULL ? required_argument : no_argument,
			.val = rows[i].key };
		if (!is_letter(rows[i].key))
			continue;
		*letters++ = (char)rows[i].key;
		if (rows[i].arg != NULL)
			*letters++ = ':';
	}
}

static int
find(int argc, char **argv, const char *letters, const struct option *options)
{
	int option;

	optind = 0; /* from the beginning */
	do
		option = getopt_long(argc, argv, letters, options, NULL);
	while (option != -1 && option != ':' && option != '?');
	if (option == -1)
		return EX_OK;
	option_error_log(option, argv, options);
	return EX_USAGE;
}

int
option_error_find(int argc, char **argv, const struct argp_option *rows)
{
	size_t count = 0;
	int status = EX_OSERR;

	while (rows[count].name != NULL || rows[count].doc != NULL)
		count++;
	struct option *options = calloc(count + 1, sizeof(*options));
	char *letters = calloc(2 * count + 2, 1);
	if (options != NULL && letters != NULL) {
		translate(rows, count, options, letters);
		status = find(argc, argv, letters, options);
	} else {
		log_error("the options");
	}
	free(letters);
	free(options);
	return status;
}
