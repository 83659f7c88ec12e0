/*
 * explain.h - which of the client's findings are faults that the server has injected on
 * purpose, by the server's record of them (GET /faults of yodeld). What is left is
 * damage of the path.
 *
 * A fault explains a finding of the same client address and port that it can cause: a
 * changed reply explains damage at its message or within its bytes, any fault explains
 * that its connection was silent for too long, and all but a delay that it was ended.
 */
#ifndef CLIENT_RESULT_EXPLAIN_H
#define CLIENT_RESULT_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "proto/fault.h"

struct finding;
struct result;

/* A fault of the record. */
struct explain_fault {
	struct address_compact client; /* family 0: of a listener */
	uint64_t message, offset, length;
	uint64_t value; /* of reorder: messages until the reply */
	enum fault_kind kind;
	bool is_seen; /* explains a finding */
};

/* The last `count` faults of a server's record, or all that it still has. */
struct explain_list {
	struct explain_fault *faults; /* heap */
	size_t count;
	uint64_t missing; /* no longer in the record */
};

/* Reads the text of /faults: those that were injected last, `injected` of them. 0 (the
 * caller frees ret->faults), or -1 with one line in error. */
int explain_read(const char *text, uint64_t injected, struct explain_list *ret,
    char *error, size_t error_size) __attribute__((warn_unused_result));

/* The outcome; the members are the keys of "faults" in the ledger of a result. */
struct explained_faults {
	uint64_t injected; /* during the run */
	uint64_t recorded; /* of those: still in the record */
	uint64_t timing;   /* delays and the like, which change no byte */
	uint64_t seen;     /* others that explain a finding */
	uint64_t unseen;
	uint64_t findings;    /* of the client */
	uint64_t explained;   /* of those: injected by the server */
	uint64_t unexplained; /* damage of the path */
	uint64_t unjudged;    /* the record, or this client's list, was too short */
};

#define EXPLAIN_NAMED_MAX 5

/* The first findings that no fault explains. */
struct explain_named {
	const struct finding *list[EXPLAIN_NAMED_MAX];
	size_t count;
};

/* Compares the findings with the faults, which it sorts. ret_named points into
 * findings. */
void explain_findings(const struct finding *findings, size_t finding_count,
    uint64_t findings_missed, struct explain_list *list, struct explained_faults *ret,
    struct explain_named *ret_named);

#endif
