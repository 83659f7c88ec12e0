/*
 * proxy_plan.h - the PROXY header that yodel sends in place of a load balancer
 * (--proxy-protocol), and the client that it announces.
 */
#ifndef CLIENT_PLAN_PROXY_PLAN_H
#define CLIENT_PLAN_PROXY_PLAN_H

#include "client/plan/plan.h"

/* Checks and completes the options. 0, or 64 with one line in error[PLAN_ERROR_MAX]. */
int proxy_plan_check(struct plan *plan, char *error)
    __attribute__((warn_unused_result));
void proxy_plan_finish(struct plan *plan);

/* The client that connection number `connection` announces: no other one of the run has
 * the same, unless the prefix has too few addresses and ports. `own` is the local
 * address of its socket. */
void proxy_plan_source(const struct plan *plan, uint64_t connection,
    const struct address *own, struct address *ret);

/* Writes the header into out[PROXY_HEADER_MAX]; its bytes. */
size_t proxy_plan_write(const struct plan *plan, const struct address *source,
    const struct address *target, uint8_t *out);

#endif
