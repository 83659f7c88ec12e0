#include "master/changes/pending_requests.h"

#include <sys/socket.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include "lib/clock.h"
#include "lib/log.h"

#include "http/http_response.h"

#include "master/admin/stats.h"
#include "master/changes/shutdown.h"
#include "master/workers/drain_summary.h"

#define TEXT_MAX (2 * CONFIG_ERROR_MAX)

struct pending_request {
	struct pending_request *next;
	struct master *master;
	enum change_kind kind; /* of the outcome that it waits for */
	bool is_queued;        /* another reload is under way before its own */
	bool waits_for_drain;  /* it wants to wait for those who leave, too */
	struct drain_summary
	    *drain_summary; /* and does; NULL: there is no outcome yet */
	struct http_server *http_server;
	struct evhttp_request *request; /* NULL: inherited, its connection is fd */
	int fd;
	struct event timer;
};

static void
forget(struct pending_request *pending_request)
{
	struct pending_request **at = &pending_request->master->pending_requests;
	while (*at != pending_request)
		at = &(*at)->next;
	*at = pending_request->next;
	event_del(&pending_request->timer);
	if (pending_request->request != NULL) {
		struct evhttp_connection *connection =
		    evhttp_request_get_connection(pending_request->request);
		evhttp_connection_set_closecb(connection, NULL, NULL);
	} else {
		close(pending_request->fd);
	}
	free(pending_request);
}

/* What evhttp would have written: the loop that had the request is gone. */
static void
answer_on_socket(
    const struct pending_request *pending_request, bool is_good, const char *text)
{
	char whole[8 * CONFIG_ERROR_MAX];
	int n = snprintf(whole, sizeof(whole),
	    "HTTP/1.1 %s\r\nContent-Type: " HTTP_RESPONSE_JSON
	    "\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s\n",
	    is_good ? "200 OK" : "409 Conflict", strlen(text) + 1, text);
	if (n >= (int)sizeof(whole) ||
	    send(pending_request->fd, whole, (size_t)n, MSG_NOSIGNAL) != n)
		log_warn("admin: the outcome of the %s does not reach who asked",
		    change_names[pending_request->kind]);
}

static void
answer(struct pending_request *pending_request, int code, const char *text,
    const struct drain_summary *drain_summary)
{
	struct master *master = pending_request->master;
	bool is_good = code == HTTP_OK;
	char *body = stats_format_outcome(master, is_good, text, drain_summary);
	struct evhttp_request *request = pending_request->request;
	bool is_direct = request == NULL || master->has_ended;
	if (is_direct && body != NULL)
		answer_on_socket(pending_request, is_good, body);
	forget(pending_request);
	if (is_direct)
		free(body);
	else
		http_response_send(request, code, HTTP_RESPONSE_JSON, body);
}

/* Of a change that was made, and how far those are that it sent away. */
static void
answer_with_drain_summary(
    struct pending_request *pending_request, const struct drain_summary *drain_summary)
{
	char text[TEXT_MAX], left[CONFIG_ERROR_MAX] = "";
	bool has_workers = drain_summary_workers(drain_summary) > 0;
	snprintf(text, sizeof(text), "%s%s%s", drain_summary->text,
	    has_workers ? "; " : "",
	    has_workers ? drain_summary_format(drain_summary, left, sizeof(left)) : "");
	answer(pending_request, drain_summary->is_good ? HTTP_OK : HTTP_CONFLICT, text,
	    drain_summary);
}

static void
on_timeout(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct pending_request *pending_request = argument;
	char text[64];
	if (pending_request->drain_summary != NULL) {
		answer_with_drain_summary(
		    pending_request, pending_request->drain_summary);
		return;
	}
	snprintf(text, sizeof(text), "the %s is not over after %d s",
	    change_names[pending_request->kind], PENDING_OUTCOME_TIMEOUT_S);
	answer(pending_request, 504, text, NULL);
}

/* libevent frees the request after this. */
static void
on_closed(struct evhttp_connection *connection, void *argument)
{
	(void)connection;
	forget(argument);
}

static void
set_timeout(struct pending_request *pending_request, unsigned seconds)
{
	const struct timeval patience = { .tv_sec = (time_t)seconds };
	evtimer_add(&pending_request->timer, &patience);
	if (pending_request->request != NULL)
		http_server_set_deadline(pending_request->http_server,
		    pending_request->request, seconds + HTTP_SERVER_TIMEOUT_S);
}

static struct pending_request *
add(struct master *master, enum change_kind kind)
{
	struct pending_request *pending_request = calloc(1, sizeof(*pending_request));
	if (pending_request == NULL)
		return NULL;
	pending_request->master = master;
	pending_request->kind = kind;
	evtimer_assign(
	    &pending_request->timer, master->base, on_timeout, pending_request);
	struct pending_request **end = &master->pending_requests;
	while (*end != NULL)
		end = &(*end)->next;
	*end = pending_request;
	return pending_request;
}

/* Those who leave end by themselves within this time. */
static unsigned
drain_timeout_s(const struct master *master)
{
	uint64_t limit_s =
	    (master->config.current.timeouts.drain_ns + SHUTDOWN_GRACE_NS) / NS_PER_S;
	if (master->config.current.timeouts.drain_ns == 0 ||
	    limit_s > PENDING_DRAIN_TIMEOUT_S)
		return PENDING_DRAIN_TIMEOUT_S;
	return (unsigned)limit_s + HTTP_SERVER_TIMEOUT_S;
}

bool
pending_requests_add(struct master *master, struct http_server *http_server,
    struct evhttp_request *request, enum change_kind kind, bool waits_for_drain)
{
	struct pending_request *pending_request = add(master, kind);
	if (pending_request == NULL) {
		http_response_send(request, HTTP_SERVUNAVAIL, HTTP_RESPONSE_JSON, NULL);
		return false;
	}
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	pending_request->http_server = http_server;
	pending_request->request = request;
	pending_request->waits_for_drain = waits_for_drain;
	pending_request->fd =
	    bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	pending_request->is_queued = kind == CHANGE_RELOAD && master->reload.is_active;
	evhttp_connection_set_closecb(connection, on_closed, pending_request);
	set_timeout(pending_request,
	    kind == CHANGE_STOP ? drain_timeout_s(master) : PENDING_OUTCOME_TIMEOUT_S);
	return true;
}

/* A door that the change itself has closed soon cuts off who is inside. */
static bool
may_wait_for_drain(const struct pending_request *pending_request)
{
	return pending_request->waits_for_drain &&
	    (pending_request->request == NULL ||
		http_server_fd(pending_request->http_server) >= 0);
}

static void
use_outcome(
    struct pending_request *pending_request, struct drain_summary *drain_summary)
{
	const struct outcome *outcome = &pending_request->master->changes.last;
	if (drain_summary == NULL) {
		answer(pending_request, outcome->is_good ? HTTP_OK : HTTP_CONFLICT,
		    outcome->text, NULL);
	} else if (may_wait_for_drain(pending_request)) {
		pending_request->drain_summary = drain_summary;
		set_timeout(pending_request, drain_timeout_s(pending_request->master));
	} else {
		answer_with_drain_summary(pending_request, drain_summary);
	}
}

void
pending_requests_on_outcome(struct master *master, struct drain_summary *drain_summary)
{
	const struct outcome *outcome = &master->changes.last;
	struct pending_request *next;
	for (struct pending_request *pending_request = master->pending_requests;
	     pending_request != NULL; pending_request = next) {
		next = pending_request->next;
		if (pending_request->drain_summary != NULL ||
		    pending_request->kind != outcome->kind)
			continue;
		/* A reload that fails takes the one that was to follow along. */
		if (pending_request->is_queued && outcome->is_good &&
		    master->reload.is_repeat_requested) {
			pending_request->is_queued = false;
			continue;
		}
		use_outcome(pending_request, drain_summary);
	}
}

void
pending_requests_on_drained(
    struct master *master, const struct drain_summary *drain_summary)
{
	struct pending_request *next;
	for (struct pending_request *pending_request = master->pending_requests;
	     pending_request != NULL; pending_request = next) {
		next = pending_request->next;
		if (pending_request->drain_summary == drain_summary)
			answer_with_drain_summary(pending_request, drain_summary);
	}
}

void
pending_requests_flush(struct master *master)
{
	struct pending_request *next;
	for (struct pending_request *pending_request = master->pending_requests;
	     pending_request != NULL; pending_request = next) {
		next = pending_request->next;
		if (pending_request->drain_summary != NULL)
			answer_with_drain_summary(
			    pending_request, pending_request->drain_summary);
	}
}

/* libevent does not look at a connection whose request is being served. */
void
pending_requests_check(struct master *master)
{
	struct pending_request *next;
	for (struct pending_request *pending_request = master->pending_requests;
	     pending_request != NULL; pending_request = next) {
		struct pollfd look = { .fd = pending_request->fd };
		next = pending_request->next;
		if (poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)))
			answer(pending_request, HTTP_SERVUNAVAIL, "who asked has left",
			    NULL);
	}
}

void
pending_requests_finish(struct master *master)
{
	while (master->pending_requests != NULL)
		answer(master->pending_requests, HTTP_SERVUNAVAIL,
		    "the server has stopped", NULL);
	drain_summary_destroy_all(&master->workers);
}

size_t
pending_requests_list(
    const struct master *master, struct pending_request_row *ret, size_t max)
{
	size_t count = 0;
	for (const struct pending_request *w = master->pending_requests; w != NULL;
	     w = w->next) {
		if (w->kind != CHANGE_UPGRADE || w->drain_summary != NULL)
			continue;
		if (count < max)
			ret[count] = (struct pending_request_row){ .fd = w->fd,
				.waits_for_drain = w->waits_for_drain };
		count++;
	}
	return count;
}

int
pending_requests_restore(struct master *master, const struct pending_request_row *row)
{
	struct pending_request *pending_request = add(master, CHANGE_UPGRADE);
	if (pending_request == NULL)
		return -1;
	pending_request->fd = row->fd;
	pending_request->waits_for_drain = row->waits_for_drain;
	set_timeout(pending_request, PENDING_OUTCOME_TIMEOUT_S);
	return 0;
}
