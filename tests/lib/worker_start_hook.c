/*
 * worker_start_hook.c - a yodeld whose worker 1 does not become ready while the file
 * START_HOOK exists in its directory: it exits, hangs if the file contains "hang", or
 * waits until the file is removed if it contains "late". For tests of the start; linked
 * with
 * --wrap=worker_run.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "worker/worker.h"

int __real_worker_run(const struct worker_args *args);
int __wrap_worker_run(const struct worker_args *args);

int
__wrap_worker_run(const struct worker_args *args)
{
	char word[8] = "";
	FILE *in = args->slot == 1 ? fopen("START_HOOK", "re") : NULL;
	if (in == NULL)
		return __real_worker_run(args);
	if (fgets(word, sizeof(word), in) == NULL)
		word[0] = '\0';
	fclose(in);
	while (strncmp(word, "hang", 4) == 0)
		pause();
	if (strncmp(word, "late", 4) != 0)
		return EX_SOFTWARE;
	while (access("START_HOOK", F_OK) == 0)
		usleep(5000);
	return __real_worker_run(args);
}
