/*
 * witness_state.h - what a listener with the reply "witness" keeps of a connection from
 * the greeting on: connection->about, a struct that moves with it to another worker. It
 * holds the record that the client may ask for, and what the connection still has to
 * do. worker/witness/ acts on it.
 *
 * Until the greeting, connection->about is that of whoami_state.h.
 *
 * A connection whose worker has died while it processed it (is_busy) is closed by the
 * next one: what it was about to do is not repeatable.
 */
#ifndef WORKER_WITNESS_STATE_H
#define WORKER_WITNESS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/witness/witness.h"

struct connection;

enum witness_mode {
	WITNESS_TAKES_COMMANDS,
	WITNESS_DISCARDS,
	WITNESS_ECHOES,
};

struct witness_state {
	uint64_t magic;
	uint64_t accepted_ns; /* CLOCK_MONOTONIC */
	uint64_t due_ns;      /* the same: when `due` happens; 0: nothing is due */
	struct witness_command due;
	uint32_t pattern_bytes,
	    pattern_queued;     /* of say or source; equal: none is left */
	uint32_t place;         /* of the record (witness_records.h) */
	uint8_t mode;           /* enum witness_mode */
	uint8_t says;           /* an event is due when all output is sent */
	uint8_t ends;           /* the stream ends when all output is sent */
	uint8_t has_command;    /* the first one has come */
	uint8_t peer_has_ended; /* its stream */
	uint8_t is_busy;        /* being processed */
	uint8_t line_bytes;     /* of the line that is not complete */
	uint8_t line_is_long;   /* its first bytes are missing */
	char line[WITNESS_LINE_MAX];
	struct witness_record record;
};

/* NULL before the greeting. */
struct witness_state *witness_state_find(const struct connection *connection);
/* After the greeting. */
struct witness_state *witness_state_of(const struct connection *connection);
/* Replaces that of whoami. 0, or -1 with ENOMEM or the errno of getrandom(2). */
int witness_state_create(struct connection *connection)
    __attribute__((warn_unused_result));
/* A connection has come from another worker: notes that, and drops what a correct
 * worker would not have sent with it. */
void witness_state_check(struct connection *connection);

/* The connection waits for the end of a hold. */
bool witness_state_holds(const struct witness_state *state);

/* Updates the counts of the record; with TCP_INFO if it is older than max_age_us. */
void witness_state_update(const struct connection *connection, uint64_t max_age_us);
/* Adds an event with the record as it is now. */
void witness_state_add_event(
    const struct connection *connection, enum witness_event_kind kind);
/* Makes the record visible to other workers. */
void witness_state_publish(const struct connection *connection);

/* The connection is about to be closed by this worker, or is another worker's now. */
void witness_state_on_close(
    const struct connection *connection, enum close_reason reason);
void witness_state_on_moved(const struct connection *connection);

#endif
