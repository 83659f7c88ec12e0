/*
 * pending_requests.h - HTTP requests that wait for the outcome of a change.
 *
 *   outcome known -> it failed, no worker drains, or only the outcome was requested:
 *                    answered
 *                 -> else answered when the drained workers have exited
 *                    (drain_summary.h)
 *
 * An upgrade is an exec: the connections of the requests for it are left to the next
 * program, which answers them.
 */
#ifndef MASTER_CHANGES_PENDING_REQUESTS_H
#define MASTER_CHANGES_PENDING_REQUESTS_H

#include <stddef.h>

#include <event2/http.h>

#include "http/http_server.h"
#include "master/changes/change.h"
#include "master/workers/worker_table.h"

#define PENDING_OUTCOME_TIMEOUT_S 120 /* then the answer is 504 */
#define PENDING_DRAIN_TIMEOUT_S 3600  /* the same for a drain without a limit */

struct drain_summary;
struct pending_request;

struct pending_requests {
	struct event_base *base;
	const struct worker_table *workers;
	const struct change_log *changes;
	bool loop_has_ended; /* answers are written directly */
	struct pending_request *first;
};

/* Lets the HTTP request wait for the outcome of the request of that kind which the
 * caller makes next (change_request). False when out of memory: then it has been
 * refused. */
bool pending_requests_add(struct pending_requests *pending,
    struct http_server *http_server, struct evhttp_request *request,
    enum change_kind kind, bool waits_for_drain);

/* `outcome` is that of a change that has just finished; drain_summary (or NULL) is of
 * the workers that it drains. */
void pending_requests_on_outcome(struct pending_requests *pending,
    const struct outcome *outcome, struct drain_summary *drain_summary);
void pending_requests_on_drained(
    struct pending_requests *pending, const struct drain_summary *drain_summary);
/* Forgets the requests whose client has disconnected. */
void pending_requests_check(struct pending_requests *pending);
/* Answers the requests that wait for a drain with its progress. */
void pending_requests_flush(struct pending_requests *pending);
/* The server stops: answers all. */
void pending_requests_finish(struct pending_requests *pending);

/* The outcome as JSON: {ok, text, generation, ...}, and how the workers drain (NULL:
 * none does). Heap; NULL when out of memory. */
char *pending_requests_format_outcome(const struct worker_table *workers, bool is_good,
    const char *text, const struct drain_summary *drain_summary);

/* A request for an upgrade, for the next program. */
struct pending_request_row {
	int fd;
	bool waits_for_drain;
};
/* Writes at most `max` requests to ret. Returns the total number. */
size_t pending_requests_list(const struct pending_requests *pending,
    struct pending_request_row *ret, size_t max);
/* Takes over one from the previous program, with its descriptor. 0, or -1 with errno.
 */
int pending_requests_restore(struct pending_requests *pending,
    const struct pending_request_row *row) __attribute__((warn_unused_result));

#endif
