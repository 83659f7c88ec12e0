/*
 * logging.h - makes the log what a configuration says.
 */
#ifndef MASTER_LOGGING_H
#define MASTER_LOGGING_H

#include "master/master.h"

/* Destination, level and format. 0, or -1 with one line in error[CONFIG_ERROR_MAX] and
 * the log as it was. */
int logging_apply(const struct config *config, int verbose, char *error)
    __attribute__((warn_unused_result));
/* Back to what master->config says, for a configuration that was given up. */
void logging_restore(const struct master *master);

#endif
