/*
 * fault_output.h - sends what is due on a connection with faults, and carries out the
 * actions between replies.
 */
#ifndef WORKER_FAULT_OUTPUT_H
#define WORKER_FAULT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

struct connection;

enum flush_status {
	FLUSH_CLOSED,
	FLUSH_AGAIN,   /* more may be due */
	FLUSH_WAITS,   /* for a time */
	FLUSH_BLOCKED, /* for room in the socket */
	FLUSH_EMPTY,
};

/* Removes the segments whose bytes have been sent. */
void fault_output_consume_sent(struct connection *connection);
/* One step: an action, or one send. */
enum flush_status fault_output_step(struct connection *connection);
/* After FLUSH_EMPTY: everything is sent. False when the connection is closed. */
bool fault_output_on_empty(struct connection *connection);
/* When the connection has something to do without an event of its socket
 * (CLOCK_MONOTONIC, FAULT_FOR_EVER), after that status of the last step. */
uint64_t fault_output_next_due_ns(
    const struct connection *connection, enum flush_status status);

#endif
