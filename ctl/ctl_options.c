#include "ctl/ctl_options.h"

#include <stdlib.h>

#include "lib/options.h"

#define DEFAULT_SOCKET "/run/yodel/control.sock"
#define SECONDS_MIN 0.05
#define TIMEOUT_S 180 /* longer than the server waits for the outcome of a change */
#define QUERY_TIMEOUT_S 10

#define AT(field) offsetof(struct ctl_options, field)

static bool
parse_seconds(const char *text, double max, double *ret)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end != '\0' || !(seconds >= SECONDS_MIN) || seconds > max)
		return false;
	*ret = seconds;
	return true;
}

static const char *
parse_interval(const char *text, void *field)
{
	return parse_seconds(text, 3600, field) ? NULL : "seconds from 0.05 to 3600";
}

static const char *
parse_timeout(const char *text, void *field)
{
	return parse_seconds(text, 1e6, field) ? NULL : "seconds from 0.05 to 1000000";
}

static const struct option_row rows[] = {
	{ "socket", 's', "PATH", OPTION_TEXT, AT(socket),
	    .help = "the server's admin.socket (" DEFAULT_SOCKET ")" },
	{ "json", 'j', NULL, OPTION_FLAG, AT(is_json),
	    .help = "print the server's answer as JSON" },
	{ "frames", 'n', "N", OPTION_COUNT32, AT(frames),
	    .help = "top: end after N views", .max = 1000000000 },
	{ "interval", 'i', "SECONDS", OPTION_PARSE, AT(interval_s),
	    .help = "top: time between views (1)", .parse = parse_interval },
	{ "no-wait", 'N', NULL, OPTION_FLAG, AT(no_wait),
	    .help =
		"reload, scale, upgrade, stop: do not wait for the old workers to exit" },
	{ "force", 'f', NULL, OPTION_FLAG, AT(is_forced),
	    .help = "scale: close connections for which fewer workers have no room" },
	{ "timeout", 't', "SECONDS", OPTION_PARSE, AT(timeout_s),
	    .help =
		"commands that change the server: wait this long for the outcome (180)",
	    .parse = parse_timeout },
	{ .name = NULL },
};

double
ctl_options_query_timeout_s(const struct ctl_options *options)
{
	return options->timeout_s < QUERY_TIMEOUT_S ? options->timeout_s
						    : QUERY_TIMEOUT_S;
}

void
ctl_options_parse(int argc, char **argv, const char *notes, struct ctl_options *ret)
{
	const struct options_command command = {
		.name = "yodelctl",
		.version = "yodelctl " YODEL_VERSION,
		.operands = "COMMAND [ARGUMENT...]",
		.operands_max = 40,
		.intro = "Shows and changes the state of a running yodeld.",
		.notes = notes,
		.rows = rows,
	};
	*ret = (struct ctl_options){
		.socket = DEFAULT_SOCKET, .interval_s = 1, .timeout_s = TIMEOUT_S
	};
	char **operands = options_parse(&command, argc, argv, ret);
	ret->command = operands[0];
	ret->arguments = operands[0] != NULL ? operands + 1 : operands;
	ret->argument = ret->arguments[0];
}
