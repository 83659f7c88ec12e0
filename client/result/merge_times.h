/* merge_times.h - puts the seconds and tenths of seconds of two results on one time
 * axis, on which the hosts may have started at different times. */
#ifndef CLIENT_RESULT_MERGE_TIMES_H
#define CLIENT_RESULT_MERGE_TIMES_H

#include "client/result/result.h"

/* Appends the rows of 100 ms, which merge_times_add() moves. To be called before the
 * ranks are added. */
void merge_times_add_tenths(struct result *into, const struct result *from);

/* Moves the rows of the later result and adds its seconds; sets start, length and rate
 * of both together. They may have run one after the other. To be called after the
 * messages are added. */
void merge_times_add(struct result *into, const struct result *from);

#endif
