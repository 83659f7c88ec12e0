#include "master/steering.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>

#include "lib/log.h"

#include "proto/channel.h"

#include "master/balance.h"
#include "master/process.h"
#include "master/reply_http.h"
#include "master/scale.h"
#include "master/stats.h"
#include "master/stop.h"
#include "master/turnover.h"
#include "master/upgrade.h"

/* Whoever waits for a change to end. */
struct waiter {
	struct waiter *next;
	struct master *master;
	const char *change; /* the first word of the outcome that it waits for */
	bool is_behind;     /* another reload is under way before its own */
	struct evhttp_request *request; /* NULL: inherited, its connection is fd */
	int fd;
	struct event timer;
};

static const char change_reload[] = "reload";
static const char change_scale[] = "scale";
static const char change_upgrade[] = "upgrade";
static const char change_rebalance[] = "rebalance";

/* --- those who wait -----------------------------------------------------------------
 */

static void
forget(struct waiter *waiter)
{
	struct waiter **at = &waiter->master->waiters;
	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	event_del(&waiter->timer);
	if (waiter->request != NULL) {
		struct evhttp_connection *connection =
		    evhttp_request_get_connection(waiter->request);
		evhttp_connection_set_closecb(connection, NULL, NULL);
	} else {
		close(waiter->fd);
	}
	free(waiter);
}

/* What evhttp would have written: the loop that had the request is gone. */
static void
answer_inherited(int fd, bool is_good, const char *text)
{
	char whole[8 * CONFIG_ERROR_MAX];
	int n = snprintf(whole, sizeof(whole),
	    "HTTP/1.1 %s\r\nContent-Type: " REPLY_HTTP_JSON "\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s\n",
	    is_good ? "200 OK" : "409 Conflict", strlen(text) + 1, text);
	if (n >= (int)sizeof(whole) || send(fd, whole, (size_t)n, MSG_NOSIGNAL) != n)
		log_warn("admin: the outcome of the upgrade does not reach who asked");
}

static void
answer(struct waiter *waiter, int code, const char *text)
{
	bool is_good = code == HTTP_OK;
	char *body = stats_write_outcome(waiter->master, is_good, text);
	struct evhttp_request *request = waiter->request;
	if (request == NULL && body != NULL) {
		answer_inherited(waiter->fd, is_good, body);
		free(body);
	}
	forget(waiter);
	if (request != NULL)
		reply_http(request, code, REPLY_HTTP_JSON, body);
}

static void
on_patience_over(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct waiter *waiter = argument;
	char text[64];
	snprintf(text, sizeof(text), "the %s is not over after %d s", waiter->change,
	    STEERING_WAIT_S);
	answer(waiter, 504, text);
}

/* libevent frees the request after this. */
static void
on_closed(struct evhttp_connection *connection, void *argument)
{
	(void)connection;
	forget(argument);
}

static struct waiter *
add(struct master *master, const char *change)
{
	const struct timeval patience = { .tv_sec = STEERING_WAIT_S };
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL)
		return NULL;
	waiter->master = master;
	waiter->change = change;
	evtimer_assign(&waiter->timer, master->base, on_patience_over, waiter);
	evtimer_add(&waiter->timer, &patience);
	struct waiter **end = &master->waiters;
	while (*end != NULL)
		end = &(*end)->next;
	*end = waiter;
	return waiter;
}

static bool
wait_for(struct master *master, struct door *door, struct evhttp_request *request,
    const char *change)
{
	struct waiter *waiter = add(master, change);
	if (waiter == NULL) {
		reply_http(request, HTTP_SERVUNAVAIL, REPLY_HTTP_JSON, NULL);
		return false;
	}
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	waiter->request = request;
	waiter->fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	waiter->is_behind = change == change_reload && master->turnover.is_active;
	evhttp_connection_set_closecb(connection, on_closed, waiter);
	door_grant(door, request, STEERING_WAIT_S + DOOR_PATIENCE_S);
	return true;
}

void
steering_on_outcome(struct master *master)
{
	const struct outcome *outcome = &master->outcome;
	struct waiter *next;
	for (struct waiter *waiter = master->waiters; waiter != NULL; waiter = next) {
		next = waiter->next;
		if (strncmp(outcome->text, waiter->change, strlen(waiter->change)) != 0)
			continue;
		/* A reload that fails takes the one that was to follow along. */
		if (waiter->is_behind && outcome->is_good && master->turnover.again) {
			waiter->is_behind = false;
			continue;
		}
		answer(
		    waiter, outcome->is_good ? HTTP_OK : HTTP_CONFLICT, outcome->text);
	}
}

void
steering_finish(struct master *master)
{
	while (master->waiters != NULL)
		answer(master->waiters, HTTP_SERVUNAVAIL, "the server has stopped");
}

size_t
steering_list(const struct master *master, int *ret, size_t max)
{
	size_t count = 0;
	for (const struct waiter *w = master->waiters; w != NULL; w = w->next) {
		if (w->change != change_upgrade)
			continue;
		if (count < max)
			ret[count] = w->fd;
		count++;
	}
	return count;
}

int
steering_inherit(struct master *master, int fd)
{
	struct waiter *waiter = add(master, change_upgrade);
	if (waiter == NULL)
		return -1;
	waiter->fd = fd;
	return 0;
}

/* --- what can be asked for ----------------------------------------------------------
 */

struct visit {
	struct master *master;
	struct door *door;
	struct evhttp_request *request;
	const char *argument; /* of the query; NULL: none */
};

static void
refuse(const struct visit *visit, const char *wanted)
{
	char text[256];
	snprintf(text, sizeof(text), "found \"%.64s\", wanted %s",
	    visit->argument == NULL ? "" : visit->argument, wanted);
	reply_http_refuse(visit->master, visit->request, HTTP_BADREQUEST, text);
}

static void
accept_now(const struct visit *visit, const char *text)
{
	reply_http(visit->request, HTTP_OK, REPLY_HTTP_JSON,
	    stats_write_outcome(visit->master, true, text));
}

static void
post_reload(const struct visit *visit)
{
	if (wait_for(visit->master, visit->door, visit->request, change_reload))
		turnover_reload(visit->master);
}

static void
post_scale(const struct visit *visit)
{
	const char *digits = visit->argument == NULL ? "" : visit->argument;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > 6 || digits[length] != '\0')
		refuse(visit, "workers=N, a number of workers");
	else if (wait_for(visit->master, visit->door, visit->request, change_scale))
		scale_workers(visit->master, (uint32_t)strtoul(digits, NULL, 10));
}

static void
post_upgrade(const struct visit *visit)
{
	if (wait_for(visit->master, visit->door, visit->request, change_upgrade))
		upgrade_start(visit->master);
}

static void
post_rebalance(const struct visit *visit)
{
	if (wait_for(visit->master, visit->door, visit->request, change_rebalance))
		balance_now(visit->master);
}

static void
post_stop(const struct visit *visit)
{
	accept_now(visit, "stopping: the server drains and ends");
	stop_in_order(visit->master);
}

static void
post_log(const struct visit *visit)
{
	for (unsigned i = 0; visit->argument != NULL && log_level_names[i] != NULL;
	     i++) {
		if (strcmp(log_level_names[i], visit->argument) != 0)
			continue;
		log_set_level((enum log_level)i);
		process_tell_all(visit->master, CHANNEL_LOG_LEVEL, i);
		char text[64];
		snprintf(text, sizeof(text), "log: level %s", log_level_names[i]);
		accept_now(visit, text);
		return;
	}
	refuse(visit, "level=LEVEL: error, warn, info or debug");
}

static const struct {
	const char *path;
	const char *key; /* of its argument in the query; NULL: it has none */
	void (*post)(const struct visit *visit);
} rows[] = {
	{ "/reload", NULL, post_reload },
	{ "/scale", "workers", post_scale },
	{ "/upgrade", NULL, post_upgrade },
	{ "/rebalance", NULL, post_rebalance },
	{ "/stop", NULL, post_stop },
	{ "/log", "level", post_log },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void
serve(size_t row, struct visit *visit, const struct evhttp_uri *uri)
{
	struct evkeyvalq query;
	const char *text = evhttp_uri_get_query(uri);
	if (door_kind(visit->door) != DOOR_SOCKET) {
		reply_http_refuse(visit->master, visit->request, 403,
		    "here is only to be read; admin.socket steers");
		return;
	}
	if (evhttp_request_get_command(visit->request) != EVHTTP_REQ_POST) {
		reply_http_refuse(
		    visit->master, visit->request, HTTP_BADMETHOD, "POST was wanted");
		return;
	}
	bool has_query = text != NULL && evhttp_parse_query_str(text, &query) == 0;
	if (has_query && rows[row].key != NULL)
		visit->argument = evhttp_find_header(&query, rows[row].key);
	rows[row].post(visit);
	if (has_query)
		evhttp_clear_headers(&query);
}

bool
steering_serve(struct master *master, struct door *door, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	struct visit visit = { .master = master, .door = door, .request = request };
	for (size_t i = 0; path != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].path, path) == 0) {
			serve(i, &visit, uri);
			return true;
		}
	}
	return false;
}
