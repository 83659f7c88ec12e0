#include "master/command_line.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/options.h"

#define AT(field) offsetof(struct options, field)

static const struct option_row rows[] = {
	{ "config", 'c', "FILE", OPTION_TEXT, AT(sources.file),
	    .help = "read this configuration (default: " YODEL_SYSCONFDIR
		    "/yodeld.json if it exists)" },
	{ "set", 0, "KEY=VALUE", OPTION_LIST, AT(set),
	    .help = "override a value of the file; may be repeated" },
	{ "listen", 'l', "ADDRESS[=REPLY]", OPTION_LIST, AT(listen),
	    .help = "listen here instead of on the file's listeners; may be repeated" },
	{ "workers", 'w', "N|auto", OPTION_TEXT, AT(sources.workers),
	    .help = "number of worker processes" },
	{ "check", 't', NULL, OPTION_VALUE, AT(action),
	    .help = "check the configuration, open nothing, exit",
	    .value = ACTION_CHECK },
	{ "print-config", 0, NULL, OPTION_VALUE, AT(action),
	    .help = "print the effective configuration and exit",
	    .value = ACTION_PRINT_CONFIG },
	{ "print-schema", 0, NULL, OPTION_VALUE, AT(action),
	    .help = "print the JSON Schema of the configuration and exit",
	    .value = ACTION_PRINT_SCHEMA },
	{ "verbose", 'v', NULL, OPTION_FLAG, AT(sources.is_verbose),
	    .help = "log at debug level" },
	{ .name = NULL },
};

void
command_line_parse(int argc, char **argv, struct options *ret)
{
	static const struct options_command command = {
		.name = "yodeld",
		.version = "yodeld " YODEL_VERSION,
		.intro = "A pre-fork TCP message server that loses no connection.",
		.rows = rows,
	};
	*ret = (struct options){ .action = ACTION_RUN };
	options_parse(&command, argc, argv, ret);
	ret->sources.set = ret->set.items;
	ret->sources.listen = ret->listen.items;
	if (ret->sources.file == NULL &&
	    access(YODEL_SYSCONFDIR "/yodeld.json", F_OK) == 0)
		ret->sources.file = YODEL_SYSCONFDIR "/yodeld.json";
}

void
command_line_finish(struct options *options)
{
	free(options->set.items);
	free(options->listen.items);
}
