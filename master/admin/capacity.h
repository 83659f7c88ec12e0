/*
 * capacity.h - what the system lets this server hold, beside what it is asked for: told
 * at the start, and in the metrics.
 */
#ifndef MASTER_ADMIN_CAPACITY_H
#define MASTER_ADMIN_CAPACITY_H

#include <stdint.h>

#include "master/master.h"

struct capacity {
	uint64_t descriptors;      /* of each process (RLIMIT_NOFILE) */
	uint64_t connections;      /* that all workers hold together */
	uint64_t somaxconn;        /* bounds each accept queue; 0: not known */
	uint64_t tcp_memory_bytes; /* of all TCP (tcp_mem); 0: not known */
	uint64_t tcp_migrate_req;  /* 1: queues of a closed socket move on */
};

void capacity_read(const struct master *master, struct capacity *ret);
/* Logs it, and a warning for each thing that will be less than what was asked for. */
void capacity_log(const struct master *master);

#endif
