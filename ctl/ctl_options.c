#include "ctl/ctl_options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/option_error.h"

#define DEFAULT_SOCKET "/run/yodel/control.sock"
#define SECONDS_MIN 0.05
#define INTERVAL_MAX_S 3600
#define TIMEOUT_S 180 /* the server gives a change without outcome up before */
#define TIMEOUT_MAX_S 1e6
#define QUERY_TIMEOUT_S 10

static const struct argp_option rows[] = {
	{ "socket", 's', "PATH", 0,
	    "The server's admin.socket (default: " DEFAULT_SOCKET ")", 1 },
	{ "json", 'j', NULL, 0, "Print what the server answers, as JSON", 1 },
	{ "frames", 'n', "N", 0, "top: end after so many views", 2 },
	{ "interval", 'i', "SECONDS", 0, "top: time between views (1)", 2 },
	{ "no-wait", 'N', NULL, 0,
	    "reload, scale, upgrade, stop: do not wait for the workers that leave", 3 },
	{ "timeout", 't', "SECONDS", 0,
	    "Commands that steer: how long to wait for the outcome (180)", 3 },
	{ "help", 'h', NULL, 0, "Print this and exit", -1 },
	{ "version", 'V', NULL, 0, "Print the version and exit", -1 },
	{ 0 },
};

static void __attribute__((noreturn))
usage_error(const char *option, const char *found, const char *wanted)
{
	log_errorx("%s: found \"%s\", wanted %s", option, found, wanted);
	exit(EX_USAGE);
}

static unsigned
parse_frames(const char *text)
{
	char *end;
	unsigned long frames = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || frames > 1000000000)
		usage_error("--frames", text, "a number");
	return (unsigned)frames;
}

static double
parse_seconds(const char *option, const char *text, double max, const char *wanted)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(seconds >= SECONDS_MIN) || seconds > max)
		usage_error(option, text, wanted);
	return seconds;
}

static void
take_word(struct ctl_options *options, char *word)
{
	if (options->command == NULL) {
		options->command = word;
	} else if (options->argument == NULL) {
		options->argument = word;
	} else {
		log_errorx("\"%s\" is one argument too many", word);
		exit(EX_USAGE);
	}
}

static error_t
on_option(int key, char *argument, struct argp_state *state)
{
	struct ctl_options *options = state->input;
	switch (key) {
	case 's':
		options->socket = argument;
		break;
	case 'j':
		options->is_json = true;
		break;
	case 'n':
		options->frames = parse_frames(argument);
		break;
	case 'i':
		options->interval_s = parse_seconds("--interval", argument,
		    INTERVAL_MAX_S, "seconds from 0.05 to 3600");
		break;
	case 'N':
		options->no_wait = true;
		break;
	case 't':
		options->timeout_s = parse_seconds("--timeout", argument, TIMEOUT_MAX_S,
		    "seconds from 0.05 to 1000000");
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case 'V':
		printf("yodelctl %s\n", YODEL_VERSION);
		exit(EX_OK);
	case ARGP_KEY_ARG:
		take_word(options, argument);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

double
ctl_options_query_timeout_s(const struct ctl_options *options)
{
	return options->timeout_s < QUERY_TIMEOUT_S ? options->timeout_s
						    : QUERY_TIMEOUT_S;
}

void
ctl_options_parse(int argc, char **argv, struct ctl_options *ret)
{
	static const struct argp parser = {
		.options = rows,
		.parser = on_option,
		.args_doc = "COMMAND",
		.doc =
		    "Asks and steers a running yodeld.\vCommands that look:\n"
		    "  status       one glance\n"
		    "  stats        all counters, listeners, what the kernel lost\n"
		    "  workers      a line for each worker\n"
		    "  config       the effective configuration\n"
		    "  top          a live view; q ends it\n"
		    "\n"
		    "Commands that steer; each waits for the outcome, and for the workers that leave:\n"
		    "  reload       a new generation with the file as it is now\n"
		    "  scale N      so many workers\n"
		    "  rebalance    open connections spread evenly over the workers\n"
		    "  upgrade      the program on disk takes over\n"
		    "  stop         drain, and end\n"
		    "  log LEVEL    error, warn, info or debug, until a reload\n"
		    "\n"
		    "Exit status: 0 done, 1 failed (the reason is on stderr), 64 bad usage, 69 no server answers, 75 not over within --timeout.",
	};
	static char program[] = "yodelctl";
	if (argc > 0)
		argv[0] = program;
	int error = option_error_find(argc, argv, rows);
	if (error != EX_OK)
		exit(error);
	*ret = (struct ctl_options){
		.socket = DEFAULT_SOCKET, .interval_s = 1, .timeout_s = TIMEOUT_S
	};
	error = argp_parse(&parser, argc, argv, ARGP_NO_HELP, NULL, ret);
	if (error != 0) {
		log_errorx("the options: %s", strerror(error));
		exit(EX_OSERR);
	}
}
