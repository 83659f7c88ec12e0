/*
 * plan_messages.h - what a plan sends and what must come back: --message, --file,
 * --size and --expect, checked.
 */
#ifndef CLIENT_PLAN_PLAN_MESSAGES_H
#define CLIENT_PLAN_PLAN_MESSAGES_H

#include "client/plan/plan.h"

/* As plan_check. */
int plan_messages_check(struct plan *plan, char *error)
    __attribute__((warn_unused_result));

#endif
