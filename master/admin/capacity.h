/*
 * capacity.h - how many connections the limits of the system allow: logged at the
 * start, and part of the metrics.
 */
#ifndef MASTER_ADMIN_CAPACITY_H
#define MASTER_ADMIN_CAPACITY_H

#include <stdint.h>

#include "master/master.h"

struct capacity {
	uint64_t descriptors; /* of each process (RLIMIT_NOFILE) */
	uint64_t workers;     /* that serve */
	/* Limit of the serving workers: the least of what descriptors,
	 * limits.max_connections and memory allow. */
	uint64_t connections;
	uint64_t memory_bytes;       /* available; 0: unknown */
	uint64_t memory_limit_bytes; /* of the control group, if that is the reason */
	uint64_t somaxconn;          /* limits each accept queue; 0: unknown */
	uint64_t tcp_memory_bytes;   /* of all TCP (tcp_mem); 0: unknown */
	uint64_t tcp_migrate_req;    /* 1: a closed socket hands its queue on */
};

void capacity_read(const struct master *master, struct capacity *ret);
/* Logs it, and a warning for each configured value that the system does not allow. */
void capacity_log(const struct master *master);

#endif
