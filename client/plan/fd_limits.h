/* fd_limits.h - what one process may open, and how many processes that makes necessary.
 */
#ifndef CLIENT_PLAN_FD_LIMITS_H
#define CLIENT_PLAN_FD_LIMITS_H

#include <stdint.h>

#include "client/plan/plan.h"

/* Adds generator processes until the descriptors of each suffice. 0, or -1 with one
 * line in error[PLAN_ERROR_MAX] when that is not possible. */
int fd_limits_fit(struct plan *plan, char *error) __attribute__((warn_unused_result));

#endif
