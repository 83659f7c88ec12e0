/*
 * ctl_config.h - the configuration in force as a file that yodeld reads (JSON with
 * comments), each value with where it came from behind it.
 */
#ifndef CTL_CTL_CONFIG_H
#define CTL_CTL_CONFIG_H

#include <jansson.h>
#include <stdio.h>

/* Of the answer of /config. */
void ctl_config_show(FILE *out, const json_t *answer);

#endif
