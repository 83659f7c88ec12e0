/*
 * reconcile.h - the server's ledger against ours: where what is missing was lost.
 *
 * The server's counters are read before and after the run; their difference is this
 * run's, when nobody else called meanwhile. What the two sides count differently is
 * placed:
 *
 *   connections  never_accepted      we were connected, it was never told: in its queue
 *                cut                 it accepted them, and a worker died with them
 *                others              it accepted more than we ever called
 *   messages     not_read            we sent them, it never read them whole
 *                not_arrived         it answered them, we never read the answers
 *   bytes        not_read            we sent them, it never read them
 *                not_arrived         it sent them, we never read them
 *                dropped             it owed them when the connection ended
 *
 * Bytes may be missing only where we lost connections or messages, and no more messages
 * than we lost (framing stream has no messages that both sides see alike). What no loss
 * of ours explains is unplaced, and a failure of the run. A worker that is killed may
 * leave the last it did uncounted: then fewer may be in its ledger than in ours.
 */
#ifndef CLIENT_RESULT_RECONCILE_H
#define CLIENT_RESULT_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct result;

/* totals of /stats, and what its kernel sent again: of its whole network namespace, so
 * that it tells loss on the way back, and whose it is no better (0: not known) */
struct server_totals {
	uint64_t connections_accepted, connections_open;
	uint64_t messages_received, replies_sent;
	uint64_t bytes_received, bytes_sent, bytes_dropped;
	uint64_t worker_lost; /* of the closed connections */
	uint64_t retransmits;
};

/* Reads the text of /stats. 0, or -1 with one line in error. */
int reconcile_read_totals(const char *text, struct server_totals *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* No counter went back: what was read after may be of the same server. */
bool reconcile_is_later(
    const struct server_totals *after, const struct server_totals *before);

/* Of an `after` that follows. Puts the reconciliation into result->ledger. 0, or -1
 * when out of memory. */
int reconcile_result(struct result *result, const struct server_totals *before,
    const struct server_totals *after) __attribute__((warn_unused_result));

/* One of the servers, all of which follow. */
struct reconcile_server {
	const char *where; /* as --ledger names it */
	struct server_totals before, after;
};

/* The same with the sum of them; of several it keeps what each one had. Nothing for
 * none. */
int reconcile_result_all(struct result *result, const struct reconcile_server *servers,
    size_t count) __attribute__((warn_unused_result));

/* False when the ledger of this result holds something unplaced; true without a ledger.
 */
bool reconcile_is_consistent(const struct result *result);

#endif
