/* result_lost.h - the first connections that were lost, of a run and of its ranks. */
#ifndef CLIENT_RESULT_RESULT_LOST_H
#define CLIENT_RESULT_RESULT_LOST_H

#include <stdio.h>

#include "client/measure/counters.h"
#include "client/result/result.h"

/* Both: 0, or -1 with errno ENOMEM. */
int result_lost_collect(const struct counters_map *counters_map, struct result *ret)
    __attribute__((warn_unused_result));
int result_lost_merge(struct result *into, const struct result *from)
    __attribute__((warn_unused_result));

#endif
