/*
 * log_config.h - makes the log what a configuration says.
 */
#ifndef CONF_LOG_CONFIG_H
#define CONF_LOG_CONFIG_H

#include "conf/config.h"

/* The name of the program in its lines; those of libevent are lines of the log, too,
 * here and in what is forked. */
void log_config_start(void);
/* Destination, level and format. 0, or -1 with one line in error[CONFIG_ERROR_MAX] and
 * the log as it was. */
int log_config_apply(const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* The log of `config`, after another one was given up. */
void log_config_restore(const struct config *config);

#endif
