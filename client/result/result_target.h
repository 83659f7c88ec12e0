/* result_target.h - what became of the calls to each target. */
#ifndef CLIENT_RESULT_RESULT_TARGET_H
#define CLIENT_RESULT_RESULT_TARGET_H

#include "client/result/result.h"

/* Fills result->targets from what the processes counted. 0, or -1 with errno ENOMEM. */
int result_target_collect(const struct plan *plan,
    const struct counters_map *counters_map, struct result *ret)
    __attribute__((warn_unused_result));

/* Adds those of another result, by their names. 0, or -1 with errno ENOMEM. */
int result_target_merge(struct result *into, const struct result *from)
    __attribute__((warn_unused_result));

#endif
