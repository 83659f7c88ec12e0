/*
 * loss.h - the first connections that were lost: which, when, and how far they had
 * come. Whoever looks for the cause compares that with the log of what lies between.
 */
#ifndef CLIENT_LOSS_H
#define CLIENT_LOSS_H

#include "client/caller.h"

/* Before its messages are booked and its socket is closed. */
void loss_note(
    struct generator *generator, const struct caller *caller, enum tally_loss loss);

#endif
