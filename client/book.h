/*
 * book.h - how a message is counted: begun, answered, lost. Nobody else writes the
 * messages of a tally, so that they always add up.
 */
#ifndef CLIENT_BOOK_H
#define CLIENT_BOOK_H

#include "client/caller.h"

/* The first byte of the caller's next due message is with the kernel. */
void book_begun(struct generator *generator, struct caller *caller);

/* The caller's oldest message is answered, rightly or not, or needs no answer. */
void book_answered(struct generator *generator, struct caller *caller, bool right);

/* A message, taken out of its queue, will not be answered; `wrong` when what came of
 * its answer was already wrong. */
void book_lost(struct generator *generator, const struct flight *flight, bool wrong,
    enum tally_loss loss);

#endif
