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
#include "lib/json/json_record.h"
#include "lib/log.h"
#include "http/http_response.h"
#include "master/changes/shutdown.h"
#include "master/workers/drain_summary.h"
#include "master/workers/slot.h"

#define TEXT_MAX (2 * CONFIG_ERROR_MAX + 4)

struct pending_request {
	struct pending_request *next;
	struct pending_requests *pending;
	enum change_kind kind;
	uint64_t number; /* change_request */
	bool waits_for_drain;
	struct drain_summary
	    *drain_summary; /* that it waits for; NULL: no outcome yet */
	struct http_server *http_server;
	struct evhttp_request *request; /* NULL: of the previous program, on fd */
	int fd;
	struct event timer;
};

static void
forget(struct pending_request *request)
{
	struct pending_request **at = &request->pending->first;
	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	event_del(&request->timer);
	if (request->request != NULL)
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(request->request), NULL, NULL);
	else
		close(request->fd);
	free(request);
}

/* The response that evhttp would write, sent without the event loop that received the
 * request. */
static void
send_directly(const struct pending_request *request, bool is_good, const char *text)
{
	char whole[8 * CONFIG_ERROR_MAX];
	int n = snprintf(whole, sizeof(whole),
	    "HTTP/1.1 %s\r\nContent-Type: " HTTP_RESPONSE_JSON
	    "\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s\n",
	    is_good ? "200 OK" : "409 Conflict", strlen(text) + 1, text);
	if (n >= (int)sizeof(whole) ||
	    send(request->fd, whole, (size_t)n, MSG_NOSIGNAL) != n)
		log_warn("[admin_reply_failed change] "
			 "admin: cannot send the outcome of the %s to its client",
		    change_names[request->kind]);
}

static void
answer(struct pending_request *request, int code, const char *text,
    const struct drain_summary *drain_summary)
{
	const struct pending_requests *pending = request->pending;
	struct evhttp_request *evhttp_request = request->request;
	bool is_good = code == HTTP_OK;
	bool is_direct = evhttp_request == NULL || pending->loop_has_ended;
	char *body = pending_requests_format_outcome(
	    pending->workers, is_good, text, drain_summary);
	if (is_direct && body != NULL)
		send_directly(request, is_good, body);
	forget(request);
	if (is_direct)
		free(body);
	else
		http_response_send(evhttp_request, code, HTTP_RESPONSE_JSON, body);
}

static void
answer_with_drain(
    struct pending_request *request, const struct drain_summary *drain_summary)
{
	char text[TEXT_MAX], drain[CONFIG_ERROR_MAX] = "";
	bool has_workers = drain_summary_workers(drain_summary) > 0;
	if (has_workers)
		drain_summary_format(drain_summary, drain, sizeof(drain));
	snprintf(text, sizeof(text), "%s%s%s", drain_summary->text,
	    has_workers ? "; " : "", drain);
	answer(request, drain_summary->is_good ? HTTP_OK : HTTP_CONFLICT, text,
	    drain_summary);
}

static void
on_timeout(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct pending_request *request = argument;
	char text[64];
	if (request->drain_summary != NULL) {
		answer_with_drain(request, request->drain_summary);
		return;
	}
	snprintf(text, sizeof(text), "the %s has not finished after %d s",
	    change_names[request->kind], PENDING_OUTCOME_TIMEOUT_S);
	answer(request, 504, text, NULL);
}

/* libevent frees the request afterwards. */
static void
on_closed(struct evhttp_connection *connection, void *argument)
{
	(void)connection;
	forget(argument);
}

static void
set_timeout(struct pending_request *request, unsigned seconds)
{
	const struct timeval timeout = { .tv_sec = (time_t)seconds };
	evtimer_add(&request->timer, &timeout);
	if (request->request != NULL)
		http_server_set_deadline(request->http_server, request->request,
		    seconds + HTTP_SERVER_TIMEOUT_S);
}

/* Appends it to the list. NULL when out of memory. */
static struct pending_request *
create(struct pending_requests *pending, enum change_kind kind)
{
	struct pending_request *request = calloc(1, sizeof(*request));
	if (request == NULL)
		return NULL;
	request->pending = pending;
	request->kind = kind;
	evtimer_assign(&request->timer, pending->base, on_timeout, request);
	struct pending_request **end = &pending->first;
	while (*end != NULL)
		end = &(*end)->next;
	*end = request;
	return request;
}

/* Draining workers exit within this time. */
static unsigned
drain_timeout_s(const struct pending_requests *pending)
{
	uint64_t drain_ns = pending->workers->config->current.timeouts.drain_ns;
	uint64_t limit_s = (drain_ns + SHUTDOWN_GRACE_NS) / NS_PER_S;
	if (drain_ns == 0 || limit_s > PENDING_DRAIN_TIMEOUT_S)
		return PENDING_DRAIN_TIMEOUT_S;
	return (unsigned)limit_s + HTTP_SERVER_TIMEOUT_S;
}

bool
pending_requests_add(struct pending_requests *pending, struct http_server *http_server,
    struct evhttp_request *evhttp_request, enum change_kind kind, bool waits_for_drain)
{
	struct evhttp_connection *connection =
	    evhttp_request_get_connection(evhttp_request);
	struct pending_request *request = create(pending, kind);
	if (request == NULL) {
		http_response_send(
		    evhttp_request, HTTP_SERVUNAVAIL, HTTP_RESPONSE_JSON, NULL);
		return false;
	}
	request->http_server = http_server;
	request->request = evhttp_request;
	request->waits_for_drain = waits_for_drain;
	request->fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	request->number = pending->changes->last_request + 1;
	evhttp_connection_set_closecb(connection, on_closed, request);
	set_timeout(request,
	    kind == CHANGE_STOP ? drain_timeout_s(pending) : PENDING_OUTCOME_TIMEOUT_S);
	return true;
}

/* False on an admin listener that the change itself has closed: its connections are
 * closed soon. */
static bool
may_wait_for_drain(const struct pending_request *request)
{
	return request->waits_for_drain &&
	    (request->request == NULL || http_server_fd(request->http_server) >= 0);
}

static void
use_outcome(struct pending_request *request, const struct outcome *outcome,
    struct drain_summary *drain_summary)
{
	if (drain_summary == NULL) {
		answer(request, outcome->is_good ? HTTP_OK : HTTP_CONFLICT,
		    outcome->text, NULL);
	} else if (may_wait_for_drain(request)) {
		request->drain_summary = drain_summary;
		set_timeout(request, drain_timeout_s(request->pending));
	} else {
		answer_with_drain(request, drain_summary);
	}
}

void
pending_requests_on_outcome(struct pending_requests *pending,
    const struct outcome *outcome, struct drain_summary *drain_summary)
{
	struct pending_request *next;
	for (struct pending_request *r = pending->first; r != NULL; r = next) {
		next = r->next;
		if (r->drain_summary == NULL &&
		    change_serves(&outcome->change, r->kind, r->number))
			use_outcome(r, outcome, drain_summary);
	}
}

void
pending_requests_on_drained(
    struct pending_requests *pending, const struct drain_summary *drain_summary)
{
	struct pending_request *next;
	for (struct pending_request *r = pending->first; r != NULL; r = next) {
		next = r->next;
		if (r->drain_summary == drain_summary)
			answer_with_drain(r, drain_summary);
	}
}

void
pending_requests_flush(struct pending_requests *pending)
{
	struct pending_request *next;
	for (struct pending_request *r = pending->first; r != NULL; r = next) {
		next = r->next;
		if (r->drain_summary != NULL)
			answer_with_drain(r, r->drain_summary);
	}
}

/* libevent does not watch a connection while its request is being served. */
void
pending_requests_check(struct pending_requests *pending)
{
	struct pending_request *next;
	for (struct pending_request *r = pending->first; r != NULL; r = next) {
		struct pollfd poll_fd = { .fd = r->fd };
		next = r->next;
		if (poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLERR)))
			answer(
			    r, HTTP_SERVUNAVAIL, "the client has disconnected", NULL);
	}
}

void
pending_requests_finish(struct pending_requests *pending)
{
	while (pending->first != NULL)
		answer(
		    pending->first, HTTP_SERVUNAVAIL, "the server has stopped", NULL);
}

static json_t *
make_drain(const struct drain_summary *drain_summary)
{
	uint32_t workers = drain_summary_workers(drain_summary);
	return json_pack("{s:b, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "is_over",
	    drain_summary->exited_workers == workers, "ms",
	    drain_summary_elapsed_ms(drain_summary), "workers", (json_int_t)workers,
	    "workers_gone", (json_int_t)drain_summary->exited_workers, "workers_died",
	    (json_int_t)drain_summary->died, "connections_handed_over",
	    (json_int_t)drain_summary->moved, "connections_drained",
	    (json_int_t)drain_summary->drained, "connections_forced",
	    (json_int_t)drain_summary->forced, "connections_lost",
	    (json_int_t)drain_summary->lost);
}

char *
pending_requests_format_outcome(const struct worker_table *workers, bool is_good,
    const char *text, const struct drain_summary *drain_summary)
{
	json_t *object =
	    json_pack("{s:b, s:o, s:I, s:I, s:I, s:I}", "ok", is_good, "text",
		json_record_text(text), "generation", (json_int_t)workers->generation,
		"pid", (json_int_t)getpid(), "workers", (json_int_t)workers->slot_count,
		"serving", (json_int_t)slot_count_in(workers, SLOT_SERVING));
	if (drain_summary != NULL) {
		uint64_t outcome_ns =
		    drain_summary->finished_ns - drain_summary->started_ns;
		json_record_put(&object, "outcome_ms",
		    json_real((double)outcome_ns / (double)NS_PER_MS));
		json_record_put(&object, "drain", make_drain(drain_summary));
	}
	char *body = object == NULL
	    ? NULL
	    : json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(object);
	return body;
}

size_t
pending_requests_list(
    const struct pending_requests *pending, struct pending_request_row *ret, size_t max)
{
	size_t count = 0;
	for (const struct pending_request *r = pending->first; r != NULL; r = r->next) {
		if (r->kind != CHANGE_UPGRADE || r->drain_summary != NULL)
			continue;
		if (count < max)
			ret[count] = (struct pending_request_row){ .fd = r->fd,
				.waits_for_drain = r->waits_for_drain };
		count++;
	}
	return count;
}

int
pending_requests_restore(
    struct pending_requests *pending, const struct pending_request_row *row)
{
	struct pending_request *request = create(pending, CHANGE_UPGRADE);
	if (request == NULL)
		return -1;
	request->fd = row->fd;
	request->number = pending->changes->last_request;
	request->waits_for_drain = row->waits_for_drain;
	set_timeout(request, PENDING_OUTCOME_TIMEOUT_S);
	return 0;
}
