/*
 * caller.h - one socket of the load: it calls, sends messages, reads answers, hangs up.
 *
 *   WAITING --dial--> CONNECTING --> OPEN --hang up--> CLOSING --> DONE
 *      ^                   |           |                  |
 *      +--- again ---------+-----------+------------------+
 *
 * A caller is an entry of an array, named by its index; a million of them must fit, so
 * it is small and holds no memory of its own. What it has in flight are records of
 * client/flight.h. Nothing here blocks.
 */
#ifndef CLIENT_CALLER_H
#define CLIENT_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/flight.h"
#include "client/sequence.h"
#include "client/tally.h"
#include "client/verify.h"

struct generator;

enum caller_state {
	CALLER_WAITING, /* for its turn to dial */
	CALLER_CONNECTING,
	CALLER_OPEN,
	CALLER_CLOSING, /* our side is shut, the peer's end is waited for */
	CALLER_DONE,
};

struct caller {
	struct cursor send;           /* the message that is, or is next, written */
	struct verify_stream answers; /* the answer that is, or is next, read */
	struct flight_queue queue;
	uint64_t scheduled;     /* messages ever made due */
	uint64_t on_connection; /* messages begun on this connection */
	uint64_t since_ns;      /* dialled, established, or shut: by state */
	uint64_t heard_ns;      /* the last byte came, or the connection */
	int fd;
	uint32_t in_flight;  /* begun to be written, not answered */
	uint32_t due;        /* their time has come, not begun */
	uint32_t active_at;  /* place in the generator's list of open callers */
	uint32_t next_ready; /* the generator's list of callers with work left over */
	uint8_t state;       /* enum caller_state */
	uint8_t address;     /* of the target's addresses */
	uint8_t failures;    /* calls that brought no answer, one after the other */
	bool is_ready;       /* in that list */
	bool has_called;     /* ever begun to dial */
	bool was_established;
	bool is_shut;   /* our sending side */
	bool expires;   /* its lifetime is over: nothing new is begun */
	bool is_paused; /* --slow-read: nothing is read until the timer */
};

void caller_init(struct caller *caller);

/* Makes a message due. False when it has none left to send, or memory ran out. */
bool caller_schedule(
    struct generator *generator, struct caller *caller, uint64_t intended_ns);

/* Does what can be done now: begins and writes messages, hangs up when all is done. */
void caller_advance(struct generator *generator, struct caller *caller);

/* The socket has something to say (epoll's event mask). */
void caller_on_event(
    struct generator *generator, struct caller *caller, uint32_t events);

/* Its turn has come to go on with work left over. */
void caller_on_ready(struct generator *generator, struct caller *caller);

/* Its timer has run out. */
void caller_on_timer(struct generator *generator, struct caller *caller);

/* Sets its timer to what must be looked at next. */
void caller_set_timer(struct generator *generator, struct caller *caller);

/* Nothing is left to send. */
bool caller_is_through(const struct generator *generator, const struct caller *caller);

/* This connection has had its messages or its time: the next one is wanted. */
bool caller_is_worn(const struct generator *generator, const struct caller *caller);

/* It sends, or may come to send: it is not through, and the run goes on or waits for
 * what was due before its end. */
bool caller_has_business(
    const struct generator *generator, const struct caller *caller);

#endif
