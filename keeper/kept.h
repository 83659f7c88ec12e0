/*
 * kept.h - the connections that a keeper holds after the death of its worker, until
 * they are another worker's, and their counts in the ledger.
 */
#ifndef KEEPER_KEPT_H
#define KEEPER_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "keeper/recovery.h"
#include "worker/worker.h"

struct kept_connection {
	const struct connection *connection; /* NULL: accepted, not yet served */
	int fd;
	uint32_t socket;             /* number of its listening socket */
	uint32_t rejections;         /* receivers that could not install it */
	bool needs_same_reply;       /* it is within a reply, or a pass */
	struct address_compact peer; /* of one without a connection */
};

/* Addresses of the worker's listening sockets, which transfers match. */
struct kept_names {
	char (*names)[ADDRESS_TEXT_MAX];
};

struct kept {
	const struct worker_args *args;
	char (*names)[ADDRESS_TEXT_MAX]; /* by socket */
	struct recovery recovery;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	struct kept_connection *connections;
	size_t count, capacity;
	uint8_t *fd_bits; /* descriptors of connections */
	int fd_end;
};

/* How the worker died. */
struct kept_circumstances {
	bool is_sent;      /* the batch that it was sending has been accepted */
	bool is_received;  /* so has the one that it was receiving */
	bool lacks_memory; /* the OOM killer has ended it */
};

/* Reads the record of the dead worker and completes what it was doing. 0, or -1 with
 * ENOMEM. */
int kept_start(struct kept *kept, const struct worker_args *args,
    const struct crash_region *region, const struct kept_circumstances *how)
    __attribute__((warn_unused_result));

/* The record of a connection as it is sent to another worker. */
enum recovery_status kept_read(const struct kept *kept,
    const struct kept_connection *connection, struct recovered_connection *ret);

/* Another worker owns connection i now: counts it, closes this copy, and moves the last
 * one to its place. */
void kept_moved(struct kept *kept, size_t i);
/* Counts connection i as closed for this reason, and closes it in the same way. */
void kept_close(struct kept *kept, size_t i, enum close_reason reason);

#endif
