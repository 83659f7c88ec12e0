/*
 * ctl_show.h - prints the state of a server as tables, from the JSON of /stats.
 */
#ifndef CTL_CTL_SHOW_H
#define CTL_CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

/* Width of a column that fits the longest address. */
int ctl_show_address_width(const json_t *listeners);

void ctl_show_status(FILE *out, const json_t *stats);
void ctl_show_stats(FILE *out, const json_t *stats);
void ctl_show_workers(FILE *out, const json_t *stats);

/* The output of one of these functions, safe for a terminal. The caller frees it. */
typedef void (*ctl_show_function)(FILE *out, const json_t *reply);
char *ctl_show_printable(ctl_show_function show, const json_t *reply);

#endif
