/*
 * ctl_top.h - `yodelctl top`: workers, rates, queues and losses, again and again.
 */
#ifndef MASTER_CTL_TOP_H
#define MASTER_CTL_TOP_H

#include "master/ctl_options.h"

/* Returns the exit status: 0; 69 when the server does not answer (any more); 1 when
 * what it says, or standard output, is of no use; 71 when memory is short. */
int ctl_top(const struct ctl_options *options);

#endif
