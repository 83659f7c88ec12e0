/*
 * accounting.h - how a message is counted: begun, answered, lost. Nobody else writes
 * the messages of a tally, so that they always add up.
 */
#ifndef CLIENT_LOAD_ACCOUNTING_H
#define CLIENT_LOAD_ACCOUNTING_H

#include "client/load/conn.h"

/* The first byte of the caller's next due message is with the kernel. */
void accounting_started(struct generator *generator, struct conn *conn);

/* The caller's oldest message is answered, rightly or not, or needs no answer. */
void accounting_answered(struct generator *generator, struct conn *conn, bool right);

/* A message, taken out of its queue, will not be answered; `wrong` when what came of
 * its answer was already wrong. */
void accounting_lost(struct generator *generator,
    const struct queued_message *queued_message, bool wrong, enum message_loss loss);

#endif
