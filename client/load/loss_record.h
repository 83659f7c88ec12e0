/*
 * loss_record.h - the first connections that were lost: which, when, and how far they
 * had come. Whoever looks for the cause compares that with the log of what lies
 * between.
 */
#ifndef CLIENT_LOAD_LOSS_RECORD_H
#define CLIENT_LOAD_LOSS_RECORD_H

#include "client/load/conn.h"

/* Before its messages are booked and its socket is closed. */
void loss_record_add(
    struct generator *generator, const struct conn *conn, enum message_loss loss);

#endif
