/*
 * top_view.h - one view of `yodelctl top`: what the server said at two moments, and
 * what its counters did between them, each second.
 */
#ifndef CTL_TOP_VIEW_H
#define CTL_TOP_VIEW_H

#include <jansson.h>

/* Of two answers of /stats; before: NULL in the first view. Heap; NULL when out of
 * memory. */
char *top_view_format(const json_t *now, const json_t *before, double elapsed_s);

#endif
