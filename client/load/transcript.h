/*
 * transcript.h - what each socket does, in words, on stdout: for the test with a few
 * sockets. A line is written at once, in the order in which things happened. All of it
 * is nothing unless the plan asks for a transcript.
 */
#ifndef CLIENT_LOAD_TRANSCRIPT_H
#define CLIENT_LOAD_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "client/load/conn.h"

void transcript_connected(const struct generator *generator, const struct conn *conn);
void transcript_failed(const struct generator *generator, const struct conn *conn,
    const char *target, int error);
void transcript_sent(const struct generator *generator, const struct conn *conn,
    const uint8_t *data, size_t length);
void transcript_received(const struct generator *generator, const struct conn *conn,
    const uint8_t *data, size_t length);
void transcript_lost(
    const struct generator *generator, const struct conn *conn, enum message_loss loss);
void transcript_closing(const struct generator *generator, const struct conn *conn);

#endif
