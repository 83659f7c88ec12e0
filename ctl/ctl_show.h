/*
 * ctl_show.h - the state of a server as tables for people, from the JSON of /stats.
 */
#ifndef CTL_CTL_SHOW_H
#define CTL_CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

/* The column that holds the longest address of these listeners. */
int ctl_show_address_width(const json_t *listeners);

void ctl_show_status(FILE *out, const json_t *stats);
void ctl_show_stats(FILE *out, const json_t *stats);
void ctl_show_workers(FILE *out, const json_t *stats);

/* All that one of these (or of ctl_config.h) shows, fit for a terminal. Heap; NULL when
 * out of memory. */
typedef void (*ctl_show_function)(FILE *out, const json_t *answer);
char *ctl_show_printable(ctl_show_function shows, const json_t *answer);

#endif
