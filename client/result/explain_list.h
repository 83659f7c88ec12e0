/*
 * explain_list.h - the record of the faults that a server has injected on purpose (GET
 * /faults of yodeld), for explain.h.
 */
#ifndef CLIENT_RESULT_EXPLAIN_LIST_H
#define CLIENT_RESULT_EXPLAIN_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "proto/faults/fault.h"

/* A fault of the record. */
struct explain_fault {
	struct address_compact client; /* family 0: of a listener */
	/* CLOCK_REALTIME of this client; 0: not known. */
	uint64_t time_ns;
	uint64_t connected_ns; /* the server had the connection by then; 0: none */
	uint64_t message, offset, length;
	uint64_t value; /* FAULT_FOR_EVER; of reorder: messages until the reply */
	enum fault_kind kind;
	bool is_seen; /* explains a finding */
};

/* The last `count` faults of a server's record, or all that it still has. */
struct explain_list {
	struct explain_fault *faults; /* heap */
	size_t count;
	uint64_t missing;   /* no longer in the record */
	uint64_t slack_ns;  /* by which the times may be wrong */
	bool is_incomplete; /* of several servers: one could not be read */
};

/* Which faults are wanted, and when the record was read: CLOCK_REALTIME of this client.
 */
struct explain_request {
	uint64_t injected; /* the last ones, this many */
	uint64_t since_ns; /* and those of a listener that were in effect by then */
	uint64_t asked_ns, answered_ns;
};

/* Reads the text of /faults. 0 (the caller frees ret->faults), or -1 with one line in
 * error. */
int explain_list_read(const char *text, const struct explain_request *request,
    struct explain_list *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Adds the faults of another server. */
void explain_list_add(struct explain_list *to, const struct explain_list *from);

/* By client, then by offset. */
void explain_list_sort(struct explain_list *list);
/* The first fault of the client at this offset or behind it, in a sorted list; the
 * count: not found. */
size_t explain_list_find(const struct explain_list *list,
    const struct address_compact *client, uint64_t offset);

/* Clients are equal if address and port are; IPv4-mapped addresses are made IPv4. */
int explain_compare_clients(
    const struct address_compact *a, const struct address_compact *b);
void explain_unmap(struct address_compact *address);

#endif
