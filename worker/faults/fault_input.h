/*
 * fault_input.h - reads a connection with faults and answers its messages, one by one.
 * The functions return false when the connection is closed.
 */
#ifndef WORKER_FAULT_INPUT_H
#define WORKER_FAULT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/connection/responder.h"

struct connection;

/* One read; *ret_more: there may be more. */
bool fault_input_read(struct connection *connection, bool *ret_more);
/* Answers what was kept in the input. */
bool fault_input_answer_kept(struct connection *connection);
/* Answers new bytes and keeps what is left of them. */
bool fault_input_answer_new(
    struct connection *connection, uint8_t *data, size_t length);
/* Ends the connection if the status says so. */
bool fault_input_check(struct connection *connection, enum responder_status status);

#endif
