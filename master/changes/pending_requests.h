/*
 * pending_requests.h - those who wait for how a change ends: each request that steers
 * is answered when that is known.
 *
 *   the change has its outcome -> it failed, or nobody leaves, or only that was wanted:
 *                                 answered
 *                              -> else when those who leave are gone (drain_summary.h)
 *
 * An upgrade is an exec: the connection of whoever asked for it is left to the next
 * program image, which answers there.
 */
#ifndef MASTER_CHANGES_PENDING_REQUESTS_H
#define MASTER_CHANGES_PENDING_REQUESTS_H

#include <event2/http.h>

#include "http/http_server.h"

#include "master/changes/change.h"
#include "master/master.h"

#define PENDING_OUTCOME_TIMEOUT_S 120 /* then the answer is that it is not over */
#define PENDING_DRAIN_TIMEOUT_S 3600  /* the same for a drain that has no limit */

struct drain_summary;

/* The request is answered later; with `waits_for_drain` when those who leave are gone.
 * False when it was refused for want of memory. */
bool pending_requests_add(struct master *master, struct http_server *http_server,
    struct evhttp_request *request, enum change_kind kind, bool waits_for_drain);

/* master->changes.last is that of a change that has just ended; `departure` (or NULL)
 * are the workers that it sends away: who wants to wait for them waits on. */
void pending_requests_on_outcome(
    struct master *master, struct drain_summary *drain_summary);
void pending_requests_on_drained(
    struct master *master, const struct drain_summary *drain_summary);
/* Looks after those who went away without their answer. */
void pending_requests_check(struct master *master);
/* Whoever waits for workers to leave is told how far that is. */
void pending_requests_flush(struct master *master);
/* The loop has ended: everybody is answered now. */
void pending_requests_finish(struct master *master);

/* Who waits for an upgrade, for the next program image. */
struct pending_request_row {
	int fd;
	bool waits_for_drain;
};
/* As many as fit into ret[max]. Returns how many there are. */
size_t pending_requests_list(
    const struct master *master, struct pending_request_row *ret, size_t max);
/* One that this image inherited (its descriptor is owned). 0, or -1 with errno. */
int pending_requests_restore(struct master *master,
    const struct pending_request_row *row) __attribute__((warn_unused_result));

#endif
