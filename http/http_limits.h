/*
 * http_limits.h - those inside a door (http_server.h): how many, and until when each
 * may stay.
 *
 * libevent's HTTP server keeps its connections to itself, and restarts its timeout with
 * each byte: one byte now and then would hold a descriptor for hours. So the
 * descriptors are known here by number and inode; one over its time is shut down, and
 * libevent then closes it as if its peer had.
 */
#ifndef HTTP_HTTP_LIMITS_H
#define HTTP_HTTP_LIMITS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/bufferevent.h>

#include "http/http_server.h"

struct http_limits_entry {
	int fd;
	ino_t inode; /* of the socket: the number may be another's by now */
	uint64_t deadline_ns;
};

struct http_limits {
	struct http_limits_entry rows[HTTP_SERVER_CLIENTS_MAX];
	unsigned count;
	struct bufferevent
	    *unregistered[HTTP_SERVER_CLIENTS_MAX]; /* a reference of each */
	unsigned unregistered_count;
};

/* Someone comes; the descriptor is not known yet. False when there is no room. */
bool http_limits_add(struct http_limits *http_limits, struct bufferevent *bev);
/* The expected ones have their descriptors now, and so many seconds. */
void http_limits_register(struct http_limits *http_limits, unsigned seconds);
void http_limits_set_deadline(
    struct http_limits *http_limits, int fd, unsigned seconds);
/* Forgets who has left, sees out who is over the time. */
void http_limits_check(struct http_limits *http_limits);
/* Forgets all. */
void http_limits_clear(struct http_limits *http_limits);
bool http_limits_are_full(const struct http_limits *http_limits);

#endif
