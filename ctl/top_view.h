/*
 * top_view.h - one view of `yodelctl top`: the state of the server, and the rates of
 * its counters between two replies.
 */
#ifndef CTL_TOP_VIEW_H
#define CTL_TOP_VIEW_H

#include <jansson.h>

/* From two replies of /stats, `elapsed_s` apart; before: NULL in the first view. The
 * caller frees the text. */
char *top_view_format(const json_t *now, const json_t *before, double elapsed_s);

#endif
