/* yodel: the load client. The first word names the command; without one it is "run". */
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
};

/* A target has a port; a first word without one is probably a mistyped command. */
static const char *
suggested_command(const char *word)
{
	const char *names[sizeof(commands) / sizeof(commands[0]) + 1] = { NULL };
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		names[i] = commands[i].name;
	return strchr(word, ':') == NULL ? suggest_nearest(word, names) : NULL;
}

int
main(int argc, char **argv)
{
	resources_ignore_sigxfsz();
	resources_reserve_streams();
	log_detect_journal();
	log_set_name("yodel", NULL);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]);
	     i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		char program[32];
		snprintf(program, sizeof(program), "yodel %s", argv[1]);
		log_set_name(program, NULL);
		return commands[i].main(argc - 1, argv + 1);
	}
	const char *name = argc > 1 ? suggested_command(argv[1]) : NULL;
	if (name == NULL)
		return cmd_run(argc, argv);
	log_errorx("unknown command \"%s\"; did you mean \"%s\"?", argv[1], name);
	return EX_USAGE;
}
