/*
 * http_limits.h - the connections of one http_server.h: their number and deadlines.
 *
 * evhttp does not expose its connections, and restarts its timeout with each byte, so
 * that a slow client could hold a descriptor for hours. They are therefore recorded
 * here by descriptor and inode. A connection past its deadline is shut down, and
 * libevent then closes it as if the peer had.
 */
#ifndef HTTP_HTTP_LIMITS_H
#define HTTP_HTTP_LIMITS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/bufferevent.h>

#include "http/http_server.h"

/* State of a connection, which decides what is lost if it is closed. */
enum http_limits_state {
	HTTP_LIMITS_IDLE, /* no complete request: between two, or before the first */
	HTTP_LIMITS_RESPONDING, /* the client has not read the response yet */
	HTTP_LIMITS_WAITING,    /* the response waits for the outcome of a change */
};

struct http_limits_entry {
	int fd;
	ino_t inode; /* of the socket: the descriptor may be reused by now */
	enum http_limits_state state;
	bool is_closing; /* shut down to make room */
	uint64_t since_ns;
	uint64_t deadline_ns;
};

struct http_limits {
	struct http_limits_entry rows[HTTP_SERVER_CLIENTS_ALL];
	unsigned count;
	struct bufferevent
	    *unregistered[HTTP_SERVER_CLIENTS_ALL]; /* with a reference */
	unsigned unregistered_count;
};

/* Adds a connection whose descriptor is not known yet. False if there is no room. */
bool http_limits_add(struct http_limits *limits, struct bufferevent *bev);
/* Records the descriptors of the added connections, each with this deadline. */
void http_limits_register(struct http_limits *limits, unsigned seconds);
/* The connection is in this state from now on, with this deadline. */
void http_limits_set_state(
    struct http_limits *limits, int fd, enum http_limits_state state, unsigned seconds);
/* Forgets closed connections, shuts down those past their deadline. */
void http_limits_check(struct http_limits *limits);
/* Makes room for `wanted` more connections within HTTP_SERVER_CLIENTS_MAX: shuts down
 * those that have been idle longest; if none is, those that have been reading their
 * response longest, for a second at least. Returns how many. */
unsigned http_limits_make_room(struct http_limits *limits, unsigned wanted);
/* Forgets all connections. */
void http_limits_clear(struct http_limits *limits);
bool http_limits_are_full(const struct http_limits *limits);

#endif
