/*
 * preflight.h - whether the machine has what a run needs, before it begins: what is
 * missing is said, with the command that mends it, and the run is refused rather than
 * cut short.
 *
 * The arithmetic is apart from the reading, so that it can be tested.
 */
#ifndef CLIENT_PLAN_PREFLIGHT_H
#define CLIENT_PLAN_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/plan/plan.h"

/* What the machine has; 0: not known, or no such limit. */
struct preflight_facts {
	uint64_t files_max; /* descriptors of the machine: fs.file-max */
	uint64_t files_used;
	uint64_t ports;        /* of one address to one destination */
	uint64_t memory_bytes; /* available */
	uint64_t tcp_bytes;    /* that all sockets may queue: net.ipv4.tcp_mem */
	uint64_t tcp_used;
	uint64_t conntrack_max; /* nf_conntrack_max */
	uint64_t conntrack_used;
	uint64_t somaxconn; /* matters when the server is on this machine */
	/* One of --source-ip that the machine has not got, with any port; "": none. */
	char nonlocal_source[ADDRESS_TEXT_MAX];
};

#define PREFLIGHT_LINE_MAX 384

/* Calls `say` for each thing that is missing (`refuses`), or that may spoil the
 * figures. Returns how many refuse. */
int preflight_check(const struct plan *plan, const struct preflight_facts *facts,
    void (*say)(void *context, bool refuses, const char *line), void *context);

void preflight_read(const struct plan *plan, struct preflight_facts *ret);

/* Reads, checks, logs. 0, or -1 when something is missing. */
int preflight_run(const struct plan *plan) __attribute__((warn_unused_result));

#endif
