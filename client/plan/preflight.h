/*
 * preflight.h - checks before a run that the machine has what the plan needs. Each
 * missing resource is logged with a fix, and the run is refused.
 *
 * preflight_read reads the limits, preflight_check does the arithmetic: it can be
 * tested alone.
 */
#ifndef CLIENT_PLAN_PREFLIGHT_H
#define CLIENT_PLAN_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/plan/plan.h"

/* Limits and usage of the machine; 0: not known, or not limited. */
struct preflight_facts {
	uint64_t files_max; /* fs.file-max */
	uint64_t files_used;
	uint64_t ports;              /* per source address and destination */
	uint64_t ports_reserved;     /* in the range, besides */
	uint64_t time_wait;          /* sockets in TIME_WAIT, to any destination */
	uint64_t memory_bytes;       /* available */
	uint64_t memory_limit_bytes; /* of the control group, if that is the reason */
	uint64_t tcp_bytes; /* in the queues of all sockets: net.ipv4.tcp_mem */
	uint64_t tcp_used;
	uint64_t conntrack_max; /* nf_conntrack_max */
	uint64_t conntrack_used;
	uint64_t somaxconn; /* matters if the server is on this machine */
	/* An address of --source-ip that is not local, with any port; "": none. */
	char nonlocal_source[ADDRESS_TEXT_MAX];
};

#define PREFLIGHT_LINE_MAX 384

/* Adds load processes until each stays below its descriptor limit. 0, or -1 with one
 * line in error[PLAN_ERROR_MAX]. */
int preflight_fit_processes(struct plan *plan, char *error)
    __attribute__((warn_unused_result));

/* Calls `say` for each resource that is missing (`refuses`) or may distort the figures.
 * Returns the number of missing ones. */
int preflight_check(const struct plan *plan, const struct preflight_facts *facts,
    void (*say)(void *context, bool refuses, const char *line), void *context);

void preflight_read(const struct plan *plan, struct preflight_facts *ret);

/* Reads, checks, logs. 0, or -1 if something is missing. */
int preflight_run(const struct plan *plan) __attribute__((warn_unused_result));

#endif
