/*
 * yodeld - a pre-fork TCP message server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/resources.h"

#include "conf/config.h"

#include "master/command_line.h"
#include "master/master.h"
#include "master/upgrade/dry_run.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/takeover.h"

static int
load(const struct config_sources *sources, struct config *ret)
{
	char error[CONFIG_ERROR_MAX];
	if (config_load(sources, ret, error) == 0)
		return 0;
	fprintf(stderr, "yodeld: %s\n", error);
	return -1;
}

static int
check(const struct config_sources *sources)
{
	struct config config;
	if (load(sources, &config) < 0)
		return EX_CONFIG;
	config_finish(&config);
	printf("%s: the configuration is good\n",
	    sources->file != NULL ? sources->file : "built-in default");
	int state_fd = dry_run_state_fd();
	if (state_fd >= 0)
		master_dry_run(state_fd);
	return EX_OK;
}

/* Prints and frees a text; NULL: out of memory. */
static int
print(char *text)
{
	if (text == NULL) {
		fprintf(stderr, "yodeld: out of memory\n");
		return EX_OSERR;
	}
	int rc = puts(text) < 0 || fflush(stdout) < 0 ? EX_IOERR : EX_OK;
	if (rc != EX_OK)
		perror("yodeld: standard output");
	free(text);
	return rc;
}

static int
print_config(const struct config_sources *sources)
{
	struct config config;
	if (load(sources, &config) < 0)
		return EX_CONFIG;
	char *text = config_print(&config);
	config_finish(&config);
	return print(text);
}

int
main(int argc, char **argv)
{
	struct options options;
	takeover_arm_rollback(argv);
	program_path_find(argc > 0 ? argv[0] : NULL);
	resources_reserve_streams();
	log_set_name("yodeld", NULL); /* without the pid, until the server starts */
	command_line_parse(argc, argv, &options);
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
	command_line_finish(&options);
	return status;
}
