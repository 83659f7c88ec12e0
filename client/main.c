/* yodel: the load client. The first word names the command; without one it is "run". */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/resources.h"
#include "lib/suggest.h"
#include "client/commands/commands.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", cmd_run },
	{ "talk", cmd_talk },
	{ "merge", cmd_merge },
	{ "compare", cmd_compare },
	{ "report", cmd_report },
	{ "calibrate", cmd_calibrate },
	{ "check", cmd_check },
	{ "survey", cmd_survey },
	{ "trend", cmd_trend },
};

/* A target has a port: a first word without one is no target. */
static void
refuse_command(const char *word)
{
	const char *names[sizeof(commands) / sizeof(commands[0]) + 1] = { NULL };
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		names[i] = commands[i].name;
	const char *nearest = suggest_nearest(word, names);
	if (nearest != NULL)
		log_errorx(
		    "unknown command \"%s\"; did you mean \"%s\"?", word, nearest);
	else
		log_errorx(
		    "no such command \"%s\"; expected a command (see --help) or a target HOST:PORT",
		    word);
}

/* One of the commands, or "run" for options and targets. */
static int
run_command(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]);
	     i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		char program[32];
		snprintf(program, sizeof(program), "yodel %s", argv[1]);
		log_set_name(program, NULL);
		return commands[i].main(argc - 1, argv + 1);
	}
	if (argc < 2 || argv[1][0] == '-' || strchr(argv[1], ':') != NULL)
		return cmd_run(argc, argv);
	refuse_command(argv[1]);
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	resources_ignore_sigxfsz();
	resources_reserve_streams();
	log_detect_journal();
	log_set_name("yodel", NULL);
	int status = run_command(argc, argv);
	bool failed_before = status == EX_OSERR || status == EX_IOERR;
	/* A command whose output is incomplete has failed. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && !failed_before) {
		log_errorx("cannot write to stdout");
		return EX_OSERR;
	}
	return status;
}
