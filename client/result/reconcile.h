/*
 * reconcile.h - compares the server's ledger with the client's counters, and finds
 * where missing connections, messages and bytes were lost.
 *
 * The server's counters are read before and after the run; the difference belongs to
 * this run, provided that there were no other clients. The differences are explained:
 *
 *   connections  never_accepted      connected, but lost in the accept queue
 *                cut                 accepted; the worker process died with them
 *   messages     not_read            sent, but never read completely
 *                answers_not_arrived answered, but the client never read the answer
 *   bytes        not_read            sent, but never read by the server
 *                not_arrived         sent by the server, but never read by the client
 *                dropped             unsent when the server closed the connection
 *
 * Bytes may be missing only if the client lost connections or messages, and not more
 * messages than it lost (framing stream has no messages that both sides can count).
 * Everything else is unexplained and fails the run. A killed worker may not have
 * counted its last work: then the server's counters may be lower.
 *
 * A server whose counters of the run are lost (it restarted, or does not answer any
 * more) does not end this: the others are added up, and can only contradict the client
 * by having counted more. Messages that neither a reply nor another server accounts for
 * are then unaccounted.
 */
#ifndef CLIENT_RESULT_RECONCILE_H
#define CLIENT_RESULT_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/result/explain.h"

struct result;

#define RECONCILE_INSTANCE_MAX 65 /* yodeld.json(5) */

/* "totals" of /stats, and the retransmits of the server's network namespace: they show
 * loss on the way back, on any of its connections (0: not known). */
struct server_totals {
	uint64_t connections_accepted, connections_open;
	uint64_t messages_received, replies_sent;
	uint64_t bytes_received, bytes_sent, bytes_dropped;
	uint64_t worker_lost; /* connections closed because their worker died */
	uint64_t retransmits;
	uint64_t faults_injected; /* on purpose (yodeld.json(5)) */
	uint64_t generation;      /* raised by each reload and upgrade; 0: not known */
	uint64_t uptime_ns;       /* 0: not known */
	char instance[RECONCILE_INSTANCE_MAX]; /* its name; "": not known */
	/* CLOCK_MONOTONIC of the client, set by the caller: it was read between these.
	 */
	uint64_t asked_ns, answered_ns;
};

enum reconcile_state {
	RECONCILE_READ,
	RECONCILE_RESTARTED, /* `after` is from another process than `before` */
	RECONCILE_GONE,      /* `after` could not be read */
};

/* A server that a run uses. */
struct reconcile_server {
	const char *where; /* operand of --ledger */
	struct server_totals before, after;
	enum reconcile_state state;
	uint64_t at_ns;  /* CLOCK_REALTIME: it restarted, or did not answer */
	char error[256]; /* RECONCILE_GONE */
	struct explain_list faults; /* of the run, owned by the caller */
};

/* The counters of a server during the run; of one that restarted, since then. */
struct reconciled_server {
	char *where;
	char *instance; /* its name; "": not known */
	char *state;    /* "reconciled", "restarted", "gone" */
	char *at;       /* of the others, RFC 3339; "": its counters are known */
	char *error;    /* of a server that is gone */
	uint64_t connections_accepted, messages_received, replies_sent;
	uint64_t bytes_received, bytes_sent;
};

/* A finding that no fault explains. */
struct unexplained_finding {
	char *time;       /* RFC 3339, by the client's clock */
	char *connection; /* address and port of the client */
	char *kind;       /* "damage", "timeout", "closed", "reset",
			     "connect timeout", "connect reset" */
	uint64_t message; /* of the connection, from 1, as faults count them */
	uint64_t offset;  /* bytes of correct answers before it */
};

/* The outcome; the members are the keys of "ledger" in a result. */
struct reconciliation {
	bool consistent;             /* nothing is unexplained */
	struct server_totals server; /* the sum of all servers */
	struct {
		uint64_t connections_established, messages_sent;
		uint64_t bytes_sent, bytes_received;
	} client;
	struct {
		uint64_t connections_failed, connections_never_accepted;
		uint64_t connections_cut, messages_not_read, answers_not_arrived;
		uint64_t bytes_not_read, bytes_not_arrived, bytes_dropped;
	} explained;
	struct {
		uint64_t connections, messages, bytes;
	} unexplained;
	bool has_faults; /* injected by the server */
	struct explained_faults faults;
	struct unexplained_finding *unexplained_findings; /* the first ones */
	size_t unexplained_finding_count;
	uint64_t unaccounted_messages; /* at most, on servers that are not read */
	struct reconciled_server
	    *servers; /* if there are several, or one is not read */
	size_t server_count;
};

/* Reads the text of /stats. 0, or -1 with one line in error. */
int reconcile_read_totals(const char *text, struct server_totals *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* False if `after` is from another server process: a counter decreased, or it is
 * younger than the time between the two. An upgrade keeps the process and raises the
 * generation. */
bool reconcile_is_later(
    const struct server_totals *after, const struct server_totals *before);

/* Servers whose counters of the run are lost. */
size_t reconcile_missing(const struct reconciliation *ledger);

/* Fills result->ledger from at least one server; `after` is later for each that is in
 * state RECONCILE_READ. */
void reconcile_servers(
    struct result *result, const struct reconcile_server *servers, size_t count);

/* True without a ledger, and if it explains every difference. */
bool reconcile_is_consistent(const struct result *result);

#endif
