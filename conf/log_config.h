/*
 * log_config.h - opens the log that a configuration names.
 */
#ifndef CONF_LOG_CONFIG_H
#define CONF_LOG_CONFIG_H

#include "conf/config.h"

/* Sets destination, level and format. 0, or -1 with one line in error[CONFIG_ERROR_MAX]
 * and the log unchanged. */
int log_config_apply(const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* Returns to the log of `config` after a reload has failed; logs an error. */
void log_config_restore(const struct config *config);

#endif
