/*
 * yodeld - a pre-fork TCP message server.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/options.h"
#include "lib/resources.h"
#include "lib/system/process_title.h"
#include "conf/config.h"
#include "conf/working_directory.h"
#include "master/listeners/admin_listener.h"
#include "master/listeners/certificates.h"
#include "master/listeners/listener.h"
#include "master/master_run.h"
#include "master/upgrade/dry_run.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/takeover.h"

enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT_CONFIG, ACTION_PRINT_SCHEMA };

struct options {
	enum action action;
	struct config_sources sources;
	struct option_list set;    /* sources.set points into it */
	struct option_list listen; /* sources.listen points into it */
};

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

/* Ends the process for --help and --version (0) and bad usage (64). */
static void
parse_options(int argc, char **argv, struct options *ret)
{
	static const struct options_command command = {
		.name = "yodeld",
		.version = "yodeld " YODEL_VERSION,
		.intro = "A pre-fork TCP message server that loses no connection.",
		.rows = rows,
		.notes =
		    "Exit status: 0 stopped on request, 64 unknown option or operand, or a missing argument, 71 a system call failed, 74 standard output cannot be written, 78 invalid configuration, also a value of --set, --listen or --workers.",
	};
	*ret = (struct options){ .action = ACTION_RUN };
	options_parse(&command, argc, argv, ret);
	ret->sources.set = ret->set.items;
	ret->sources.listen = ret->listen.items;
	if (ret->sources.file == NULL &&
	    access(YODEL_SYSCONFDIR "/yodeld.json", F_OK) == 0)
		ret->sources.file = YODEL_SYSCONFDIR "/yodeld.json";
}

/* Returns the exit status. */
static int
load(const struct config_sources *sources, struct config *ret)
{
	char error[CONFIG_ERROR_MAX];
	if (config_load(sources, ret, error) == 0)
		return EX_OK;
	int status = config_exit_status();
	log_errorx("[config_invalid reason] %s", error);
	return status;
}

/* Prints and frees a text; NULL: out of memory. */
static int
print(char *text)
{
	if (text == NULL) {
		log_errorx("[out_of_memory] out of memory");
		return EX_OSERR;
	}
	int rc = puts(text) < 0 || fflush(stdout) < 0 ? EX_IOERR : EX_OK;
	if (rc != EX_OK)
		log_error("[output_failed] standard output");
	free(text);
	return rc;
}

/* Checks what the configuration alone does not tell. Returns the exit status. */
static int
check_listeners(const struct config *config)
{
	char error[CONFIG_ERROR_MAX];
	int64_t checked_s = 0;
	certificates_check(config, NULL, &checked_s);
	int rc = config_check_log(config, error) < 0
	    ? -1
	    : admin_listener_check(config, error);
	for (size_t i = 0; rc == 0 && i < config->listener_count; i++)
		rc = listener_check(&config->listeners[i], error);
	if (rc == 0)
		return EX_OK;
	log_errorx("[config_invalid reason] %s", error);
	return EX_OSERR; /* as the start */
}

static int
check(const struct config_sources *sources)
{
	struct config config;
	int status = load(sources, &config);
	if (status != EX_OK)
		return status;
	int state_fd = dry_run_state_fd();
	/* The listeners of a running server are open. */
	if (state_fd < 0)
		status = check_listeners(&config);
	config_finish(&config);
	if (status != EX_OK)
		return status;
	char *text;
	if (asprintf(&text, "%s: the configuration is good",
		sources->file != NULL ? sources->file : "built-in default") < 0)
		text = NULL;
	status = print(text);
	if (state_fd >= 0)
		master_dry_run(state_fd);
	return status;
}

static int
print_config(const struct config_sources *sources)
{
	struct config config;
	int status = load(sources, &config);
	if (status != EX_OK)
		return status;
	char *text = config_print(&config);
	config_finish(&config);
	return print(text);
}

int
main(int argc, char **argv)
{
	struct options options;
	resources_ignore_sigpipe();
	resources_ignore_sigxfsz();
	process_title_init(argc, argv);
	takeover_arm_rollback(argv);
	working_directory_find();
	program_path_find();
	resources_reserve_streams();
	log_detect_journal();
	log_set_name("yodeld", NULL); /* without the pid, until the server starts */
	parse_options(argc, argv, &options);
	int status = EX_SOFTWARE;
	switch (options.action) {
	case ACTION_RUN:
		status = master_run(&options.sources, argv);
		break;
	case ACTION_CHECK:
		status = check(&options.sources);
		break;
	case ACTION_PRINT_CONFIG:
		status = print_config(&options.sources);
		break;
	case ACTION_PRINT_SCHEMA:
		status = print(config_print_schema());
		break;
	}
	free(options.set.items);
	free(options.listen.items);
	return status;
}
