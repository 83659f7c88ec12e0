/* dial.h - how a caller's connection begins, or fails to. */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include "client/caller.h"

/* Begins to connect; the outcome comes as an event, or at once. */
void dial(struct generator *generator, struct caller *caller);

/* The socket of a connecting caller has an outcome. */
void dial_on_event(struct generator *generator, struct caller *caller);

/* No answer within --connect-timeout. */
void dial_on_timeout(struct generator *generator, struct caller *caller);

/* How long to wait before the next call, after one that brought no answer: longer with
 * each. */
uint64_t dial_delay(struct caller *caller);

/* Given up before there was an outcome: the run ends. */
void dial_cancel(struct generator *generator, struct caller *caller);

#endif
