/*
 * top.h - `yodelctl top`: a live view of workers, rates, queues and losses.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include <jansson.h>

#include "ctl/ctl_options.h"

/* Returns the exit status: 0; 69 when the server does not answer (any more); 1 for an
 * unusable reply or when standard output cannot be written. */
int top_run(const struct ctl_options *options);

/* One view, from two replies of /stats, `elapsed_s` apart; before: NULL in the first
 * view. The caller frees the text. */
char *top_format(const json_t *now, const json_t *before, double elapsed_s);

#endif
