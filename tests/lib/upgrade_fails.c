/*
 * upgrade_fails.c - a yodeld that fails during an upgrade, after it has loaded the
 * state. The file UPGRADE_FAILS in its directory selects when and how: "dry_run crash",
 * "takeover exit", "takeover fail", or "takeover hang" while the file exists. Linked
 * with
 * --wrap=signals_start.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/signals.h"
#include "master/upgrade/dry_run.h"
#include "master/upgrade/takeover.h"

int __real_signals_start(struct master *master);
int __wrap_signals_start(struct master *master);

int
__wrap_signals_start(struct master *master)
{
	char where[16] = "", how[16] = "";
	const char *here = dry_run_state_fd() >= 0 ? "dry_run"
	    : takeover_is_running()                ? "takeover"
						   : "-";
	FILE *in = fopen("UPGRADE_FAILS", "re");
	if (in != NULL && fscanf(in, "%15s %15s", where, how) != 2)
		where[0] = '\0';
	if (in != NULL)
		fclose(in);
	if (strcmp(where, here) != 0)
		return __real_signals_start(master);
	if (strcmp(how, "crash") == 0) {
		/* A sanitizer's handler would exit; a takeover installs its own. */
		if (!takeover_is_running())
			signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	if (strcmp(how, "hang") == 0) {
		while (access("UPGRADE_FAILS", F_OK) == 0)
			usleep(10000);
		return __real_signals_start(master);
	}
	if (strcmp(how, "exit") == 0)
		exit(0);
	errno = ENOMEM;
	return -1;
}
