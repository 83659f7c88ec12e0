/*
 * top.h - `yodelctl top`: workers, rates, queues and losses, again and again.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include "ctl/ctl_options.h"

/* Returns the exit status: 0; 69 when the server does not answer (any more); 1 when
 * what it says, or standard output, is of no use; 71 when memory is short. */
int top_run(const struct ctl_options *options);

#endif
