/*
 * witness_commands.h - what a witness does with the bytes of its client: takes commands
 * (proto/witness/witness.h), and acts on them at once or when they are due. It touches
 * the socket only for options and counters; witness_serve.c reads and sends.
 */
#ifndef WORKER_WITNESS_COMMANDS_H
#define WORKER_WITNESS_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/* Nothing is read, and no command taken, for the time being. */
bool witness_commands_must_wait(const struct connection *connection);

/* Takes bytes that were just read. Both return false when the connection was closed; it
 * finishes after a line that is no command. */
bool witness_commands_take(struct connection *connection, const uint8_t *data,
    size_t length) __attribute__((warn_unused_result));
/* Takes the bytes that had to wait (connection->input), unless they still have to. */
bool witness_commands_take_kept(struct connection *connection)
    __attribute__((warn_unused_result));

/* Does what is due now. False when the connection was closed. */
bool witness_commands_act_due(struct connection *connection)
    __attribute__((warn_unused_result));

#endif
