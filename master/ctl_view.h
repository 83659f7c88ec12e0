/*
 * ctl_view.h - one view of `yodelctl top`: what the server said at two moments, and
 * what its counters did between them, each second.
 */
#ifndef MASTER_CTL_VIEW_H
#define MASTER_CTL_VIEW_H

#include <jansson.h>

/* Of two answers of /stats; before: NULL in the first view. Heap; NULL when out of
 * memory. */
char *ctl_view_format(const json_t *now, const json_t *before, double elapsed_s);

#endif
