/*
 * top.h - `yodelctl top`: a live view of workers, rates, queues and losses.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include "ctl/ctl_options.h"

/* Returns the exit status: 0; 69 when the server does not answer (any more); 1 for an
 * unusable reply or when standard output cannot be written. */
int top_run(const struct ctl_options *options);

#endif
