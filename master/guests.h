/*
 * guests.h - those inside a door (door.h): how many, and until when each may stay.
 *
 * libevent's HTTP server keeps its connections to itself, and restarts its timeout with
 * each byte: one byte now and then would hold a descriptor for hours. So the
 * descriptors are known here by number and inode; one over its time is shut down, and
 * libevent then closes it as if its peer had.
 */
#ifndef MASTER_GUESTS_H
#define MASTER_GUESTS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/bufferevent.h>

#include "master/door.h"

struct guest {
	int fd;
	ino_t inode; /* of the socket: the number may be another's by now */
	uint64_t deadline_ns;
};

struct guests {
	struct guest rows[DOOR_GUESTS_MAX];
	unsigned count;
	struct bufferevent *expected[DOOR_GUESTS_MAX]; /* a reference of each */
	unsigned expected_count;
};

/* Someone comes; the descriptor is not known yet. False when there is no room. */
bool guests_expect(struct guests *guests, struct bufferevent *bev);
/* The expected ones have their descriptors now, and so many seconds. */
void guests_greet(struct guests *guests, unsigned seconds);
void guests_grant(struct guests *guests, int fd, unsigned seconds);
/* Forgets who has left, sees out who is over the time. */
void guests_sweep(struct guests *guests);
/* Forgets all. */
void guests_dismiss(struct guests *guests);
bool guests_are_full(const struct guests *guests);

#endif
