/*
 * explain.h - which of the client's findings are faults that the server has injected on
 * purpose, by the server's record of them. What is left is damage of the path.
 *
 * A fault explains a finding on the same connection, that is of the same client address
 * and port and between the start of its connect and the finding, by its kind:
 *
 *   damage        a changed reply, at its message and within its bytes, if the kinds of
 *                 faults there can leave out, or add, bytes as was found; or, where
 *                 replies are alike, whole replies that came twice or not at all since
 *                 the connection began, if they account for each byte
 *   closed        close or half-close, behind the last byte received; a reply that is
 *                 outstanding and was changed; an end after stall or never-read
 *   reset         reset or close, there; refuse, if nothing was received; an end after
 *                 stall or never-read
 *   timeout       outstanding replies with bytes left out; delays of the first of them
 *                 that add up to the time for which it was awaited; what holds up the
 * connection or listener then (stall, trickle, never-read; never-accept and backlog, if
 *                 nothing was received)
 *   not connected refuse (reset); what held up the listener (timeout)
 */
#ifndef CLIENT_RESULT_EXPLAIN_H
#define CLIENT_RESULT_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/result/explain_list.h"

struct finding;
struct findings_clients;

struct explain_args {
	const struct finding *findings;
	size_t finding_count;
	uint64_t findings_missed; /* beyond those */
	/* The addresses and ports of this client; NULL: not known. If the record has
	 * others, a proxy or NAT lies between, or there are other clients. */
	const struct findings_clients *clients;
	uint32_t ranks;      /* clients like this one that use the server */
	bool has_boundaries; /* client and server count the same messages */
};

/* The outcome; the members are the keys of "faults" in the ledger of a result. */
struct explained_faults {
	uint64_t injected;      /* during the run */
	uint64_t recorded;      /* of those: still in the record */
	uint64_t timing;        /* delays and the like, which change no byte */
	uint64_t seen;          /* that explain a finding */
	uint64_t unseen;        /* others */
	uint64_t unseen_hidden; /* of those: another fault of the same reply is seen */
	uint64_t unseen_lost;   /* of those: their connection was lost */
	uint64_t findings;      /* of the client */
	uint64_t explained;     /* of those: injected by the server */
	uint64_t unexplained;   /* damage of the path */
	uint64_t unjudged;      /* the record, or this client's list, was too short, or
				   the server does not see this client's addresses */
	bool translated;        /* it does not */
};

#define EXPLAIN_NAMED_MAX 5

/* The first findings that no fault explains. */
struct explain_named {
	const struct finding *list[EXPLAIN_NAMED_MAX];
	size_t count;
};

/* Compares the findings with the faults, which it sorts. ret_named points into
 * args->findings. */
void explain_findings(const struct explain_args *args, struct explain_list *list,
    struct explained_faults *ret, struct explain_named *ret_named);

#endif
