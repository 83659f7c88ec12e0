/*
 * ctl_top.h - `yodelctl top`: workers, rates, queues and losses, again and again.
 */
#ifndef MASTER_CTL_TOP_H
#define MASTER_CTL_TOP_H

#include "master/ctl_options.h"

/* Returns the exit status: 0, or 69 when the server does not answer (any more). */
int ctl_top(const struct ctl_options *options);

#endif
