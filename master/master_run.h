/*
 * master_run.h - starts, runs and ends the master process (master.c).
 */
#ifndef MASTER_MASTER_RUN_H
#define MASTER_MASTER_RUN_H

#include "conf/config.h"

struct master;

/* Runs yodeld until it is stopped. Returns the exit status (sysexits). */
int master_run(const struct config_sources *sources, char **argv);
/* Sets the server up from the saved state, as a dry run (dry_run.h), and exits. */
void master_dry_run(int state_fd) __attribute__((noreturn));
/* Closes and frees everything. */
void master_finish(struct master *master);

#endif
