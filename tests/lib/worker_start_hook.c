/*
 * worker_start_hook.c - a yodeld whose worker 1 does not come up as long as there is a
 * file START_HOOK in its directory: it dies, or with "hang" in the file it hangs, or
 * with "late" it waits until the file is gone. For tests of the start; linked with
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
