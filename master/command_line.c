#include "master/command_line.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/option_error.h"

enum { OPTION_PRINT_CONFIG = 256, OPTION_PRINT_SCHEMA, OPTION_SET };

static const struct argp_option rows[] = {
	{ "config", 'c', "FILE", 0,
	    "Read this configuration (default: " YODEL_SYSCONFDIR
	    "/yodeld.json if there is one)",
	    1 },
	{ "set", OPTION_SET, "KEY=VALUE", 0, "Put a value in the place of the file's",
	    1 },
	{ "listen", 'l', "ADDRESS[=REPLY]", 0,
	    "Listen here, and not where the file says; may be repeated", 1 },
	{ "workers", 'w', "N|auto", 0, "Worker processes", 1 },
	{ "check", 't', NULL, 0, "Check the configuration, open nothing, exit", 2 },
	{ "print-config", OPTION_PRINT_CONFIG, NULL, 0,
	    "Print the effective configuration and exit", 2 },
	{ "print-schema", OPTION_PRINT_SCHEMA, NULL, 0,
	    "Print the JSON Schema of the configuration and exit", 2 },
	{ "verbose", 'v', NULL, 0, "Log at debug level", 3 },
	{ "help", 'h', NULL, 0, "Print this and exit", -1 },
	{ "version", 'V', NULL, 0, "Print the version and exit", -1 },
	{ 0 },
};

/* Appends to a NULL-terminated heap array. */
static void
append(const char ***list, const char *text, struct argp_state *state)
{
	size_t n = 0;
	while (*list != NULL && (*list)[n] != NULL)
		n++;
	const char **longer = realloc(*list, (n + 2) * sizeof(*longer));
	if (longer == NULL)
		argp_failure(state, EX_OSERR, 0, "out of memory");
	longer[n] = text;
	longer[n + 1] = NULL;
	*list = longer;
}

static error_t
on_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;
	switch (key) {
	case 'c':
		options->sources.file = argument;
		break;
	case OPTION_SET:
		append(&options->set, argument, state);
		break;
	case 'l':
		append(&options->listen, argument, state);
		break;
	case 'w':
		options->sources.workers = argument;
		break;
	case 't':
		options->action = ACTION_CHECK;
		break;
	case OPTION_PRINT_CONFIG:
		options->action = ACTION_PRINT_CONFIG;
		break;
	case OPTION_PRINT_SCHEMA:
		options->action = ACTION_PRINT_SCHEMA;
		break;
	case 'v':
		options->sources.is_verbose = true;
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case 'V':
		printf("yodeld %s\n", YODEL_VERSION);
		exit(EX_OK);
	case ARGP_KEY_ARG:
		log_errorx("\"%s\" is one argument too many; options alone were wanted",
		    argument);
		exit(EX_USAGE);
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void
command_line_parse(int argc, char **argv, struct options *ret)
{
	static const struct argp parser = {
		.options = rows,
		.parser = on_option,
		.doc =
		    "A pre-fork TCP message server: what comes is answered, and nothing is lost.",
	};
	static char program[] = "yodeld";
	if (argc > 0)
		argv[0] = program;
	int error = option_error_find(argc, argv, rows);
	if (error != EX_OK)
		exit(error);
	*ret = (struct options){ .action = ACTION_RUN };
	error = argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, ret);
	/* Without memory nothing was read: that is no start with the defaults. */
	if (error != 0) {
		log_errorx("the options: %s", strerror(error));
		exit(EX_OSERR);
	}
	ret->sources.set = ret->set;
	ret->sources.listen = ret->listen;
	if (ret->sources.file == NULL &&
	    access(YODEL_SYSCONFDIR "/yodeld.json", F_OK) == 0)
		ret->sources.file = YODEL_SYSCONFDIR "/yodeld.json";
}

void
command_line_finish(struct options *options)
{
	free(options->set);
	free(options->listen);
}
