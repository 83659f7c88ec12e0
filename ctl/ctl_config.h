/*
 * ctl_config.h - the configuration in force as a file that yodeld reads (JSON with
 * comments); the comment behind each value names its origin.
 */
#ifndef CTL_CTL_CONFIG_H
#define CTL_CTL_CONFIG_H

#include <jansson.h>
#include <stdio.h>

/* `reply` is that of /config. */
void ctl_config_show(FILE *out, const json_t *reply);

#endif
