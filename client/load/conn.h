/*
 * conn.h - one socket of the load: it calls, sends messages, reads answers, hangs up.
 *
 *   WAITING --dial--> CONNECTING --> OPEN --hang up--> CLOSING --> DONE
 *      ^                   |           |                  |
 *      +--- again ---------+-----------+------------------+
 *
 * A caller is an entry of an array, named by its index; a million of them must fit, so
 * it is small and holds no memory of its own. What it has in flight are records of
 * client/load/message_queue.h. Nothing here blocks.
 */
#ifndef CLIENT_LOAD_CONN_H
#define CLIENT_LOAD_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "client/load/message_queue.h"
#include "client/measure/counters.h"
#include "client/messages/sequence.h"
#include "client/verify/verify.h"

struct generator;

enum conn_state {
	CONN_WAITING, /* for its turn to dial */
	CONN_CONNECTING,
	CONN_OPEN,
	CONN_CLOSING, /* our side is shut, the peer's end is waited for */
	CONN_DONE,
};

struct conn {
	struct cursor send;           /* the message that is, or is next, written */
	struct verify_stream answers; /* the answer that is, or is next, read */
	struct message_queue queue;
	uint64_t scheduled;          /* messages ever made due */
	uint64_t sent_on_connection; /* messages begun on this connection */
	uint64_t state_since_ns;     /* dialled, established, or shut: by state */
	uint64_t received_ns;        /* the last byte came, or the connection */
	int fd;
	uint32_t in_flight;    /* begun to be written, not answered */
	uint32_t due;          /* their time has come, not begun */
	uint32_t active_index; /* place in the generator's list of open callers */
	uint32_t next_ready;   /* the generator's list of callers with work left over */
	uint8_t state;         /* enum conn_state */
	uint8_t address;       /* of the target's addresses */
	uint8_t failures;      /* calls that brought no answer, one after the other */
	bool is_ready;         /* in that list */
	bool connect_started;  /* ever begun to dial */
	bool was_established;
	bool is_write_shut; /* our sending side */
	bool expires;       /* its lifetime is over: nothing new is begun */
	bool is_paused;     /* --slow-read: nothing is read until the timer */
};

void conn_init(struct conn *conn);

/* Makes a message due. False when it has none left to send, or memory ran out. */
bool conn_schedule(
    struct generator *generator, struct conn *conn, uint64_t intended_ns);

/* Does what can be done now: begins and writes messages, hangs up when all is done. */
void conn_advance(struct generator *generator, struct conn *conn);

/* The socket has something to say (epoll's event mask). */
void conn_on_event(struct generator *generator, struct conn *conn, uint32_t events);

/* Its turn has come to go on with work left over. */
void conn_on_ready(struct generator *generator, struct conn *conn);

/* Its timer has run out. */
void conn_on_timer(struct generator *generator, struct conn *conn);

/* Sets its timer to what must be looked at next. */
void conn_set_timer(struct generator *generator, struct conn *conn);

/* Nothing is left to send. */
bool conn_has_sent_all(const struct generator *generator, const struct conn *conn);

/* This connection has had its messages or its time: the next one is wanted. */
bool conn_has_expired(const struct generator *generator, const struct conn *conn);

/* It sends, or may come to send: it is not through, and the run goes on or waits for
 * what was due before its end. */
bool conn_has_work(const struct generator *generator, const struct conn *conn);

#endif
