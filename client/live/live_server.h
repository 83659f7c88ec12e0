/*
 * live_server.h - a run over HTTP while it goes on (--serve): the page, metrics, the
 * result so far, and events.
 *
 *   GET /         the page, which keeps itself up to date
 *   GET /report   the contents of its <main>
 *   GET /metrics  for Prometheus
 *   GET /result   the result as JSON
 *   GET /events   server-sent events, one JSON object each
 *
 * Each has the time of its figures (Last-Modified and in the text), and is made once
 * for all clients that ask for the same state (live_budget.h); only the page is
 * completed for each, with a nonce of its own.
 *
 * It only reads. The number of clients is limited (http/http_server.h), that of event
 * streams too; a client that does not read is dropped.
 */
#ifndef CLIENT_LIVE_LIVE_SERVER_H
#define CLIENT_LIVE_LIVE_SERVER_H

#include <stdbool.h>

#include <event2/event.h>

#include "client/live/live_budget.h"
#include "client/live/live_event.h"

#define LIVE_STREAMS_MAX 32

struct live_server;

struct live_server_args {
	struct event_base *base;
	const char *address; /* of --serve */
	/* The run now; its result is NULL before the run has started. */
	struct live_snapshot (*snapshot)(void *context);
	void *context;
	struct live_budget *budget; /* the texts that are made are added to it */
};

/* True for PORT, ADDRESS:PORT and unix:PATH. */
bool live_server_is_address(const char *text);

/* Listens. NULL with one line in error[error_size]. */
struct live_server *live_server_open(const struct live_server_args *args, char *error,
    size_t error_size) __attribute__((warn_unused_result));
void live_server_destroy(struct live_server *server);
/* In another process, after fork(2). */
void live_server_close_in_child(struct live_server *server);

/* "http://127.0.0.1:8080/", or the path of the socket, into out[size], returned. */
const char *live_server_url(const struct live_server *server, char *out, size_t size);

/* Sends an event to all streams. */
void live_server_send(struct live_server *server, const char *event);
/* Ends the streams, after what was sent to them. */
void live_server_end_streams(struct live_server *server);
/* Open event streams. */
unsigned live_server_streams(const struct live_server *server);

#endif
