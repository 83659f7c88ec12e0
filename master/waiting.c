#include "master/waiting.h"

#include <sys/socket.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include "lib/log.h"

#include "master/departure.h"
#include "master/reply_http.h"
#include "master/stats.h"
#include "master/stop.h"

#define TEXT_MAX (2 * CONFIG_ERROR_MAX)

struct waiter {
	struct waiter *next;
	struct master *master;
	const char *change; /* the first word of the outcome that it waits for */
	bool is_behind;     /* another reload is under way before its own */
	bool until_end;     /* it wants to wait for those who leave, too */
	struct departure *departure; /* and does; NULL: there is no outcome yet */
	struct door *door;
	struct evhttp_request *request; /* NULL: inherited, its connection is fd */
	int fd;
	struct event timer;
};

const char waiting_reload[] = "reload";
const char waiting_scale[] = "scale";
const char waiting_upgrade[] = "upgrade";
const char waiting_rebalance[] = "rebalance";
const char waiting_stop[] = "stop";

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
answer_directly(const struct waiter *waiter, bool is_good, const char *text)
{
	char whole[8 * CONFIG_ERROR_MAX];
	int n = snprintf(whole, sizeof(whole),
	    "HTTP/1.1 %s\r\nContent-Type: " REPLY_HTTP_JSON "\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s\n",
	    is_good ? "200 OK" : "409 Conflict", strlen(text) + 1, text);
	if (n >= (int)sizeof(whole) ||
	    send(waiter->fd, whole, (size_t)n, MSG_NOSIGNAL) != n)
		log_warn("admin: the outcome of the %s does not reach who asked",
		    waiter->change);
}

static void
answer(struct waiter *waiter, int code, const char *text,
    const struct departure *departure)
{
	struct master *master = waiter->master;
	bool is_good = code == HTTP_OK;
	char *body = stats_write_outcome(master, is_good, text, departure);
	struct evhttp_request *request = waiter->request;
	bool is_direct = request == NULL || master->has_ended;
	if (is_direct && body != NULL)
		answer_directly(waiter, is_good, body);
	forget(waiter);
	if (is_direct)
		free(body);
	else
		reply_http(request, code, REPLY_HTTP_JSON, body);
}

/* Of a change that was made, and how far those are that it sent away. */
static void
answer_departure(struct waiter *waiter, const struct departure *departure)
{
	char text[TEXT_MAX], left[CONFIG_ERROR_MAX] = "";
	bool has_workers = departure_workers(departure) > 0;
	snprintf(text, sizeof(text), "%s%s%s", departure->text, has_workers ? "; " : "",
	    has_workers ? departure_describe(departure, left, sizeof(left)) : "");
	answer(waiter, departure->is_good ? HTTP_OK : HTTP_CONFLICT, text, departure);
}

static void
on_patience_over(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct waiter *waiter = argument;
	char text[64];
	if (waiter->departure != NULL) {
		answer_departure(waiter, waiter->departure);
		return;
	}
	snprintf(text, sizeof(text), "the %s is not over after %d s", waiter->change,
	    WAITING_OUTCOME_S);
	answer(waiter, 504, text, NULL);
}

/* libevent frees the request after this. */
static void
on_closed(struct evhttp_connection *connection, void *argument)
{
	(void)connection;
	forget(argument);
}

static void
set_patience(struct waiter *waiter, unsigned seconds)
{
	const struct timeval patience = { .tv_sec = (time_t)seconds };
	evtimer_add(&waiter->timer, &patience);
	if (waiter->request != NULL)
		door_grant(waiter->door, waiter->request, seconds + DOOR_PATIENCE_S);
}

static struct waiter *
add(struct master *master, const char *change)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL)
		return NULL;
	waiter->master = master;
	waiter->change = change;
	evtimer_assign(&waiter->timer, master->base, on_patience_over, waiter);
	struct waiter **end = &master->waiters;
	while (*end != NULL)
		end = &(*end)->next;
	*end = waiter;
	return waiter;
}

/* Those who leave end by themselves within this time. */
static unsigned
end_patience_s(const struct master *master)
{
	uint64_t limit_s =
	    (master->config.timeouts.drain_ns + STOP_GRACE_NS) / NS_PER_S;
	if (master->config.timeouts.drain_ns == 0 || limit_s > WAITING_END_S)
		return WAITING_END_S;
	return (unsigned)limit_s + DOOR_PATIENCE_S;
}

bool
waiting_add(struct master *master, struct door *door, struct evhttp_request *request,
    const char *change, bool until_end)
{
	struct waiter *waiter = add(master, change);
	if (waiter == NULL) {
		reply_http(request, HTTP_SERVUNAVAIL, REPLY_HTTP_JSON, NULL);
		return false;
	}
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	waiter->door = door;
	waiter->request = request;
	waiter->until_end = until_end;
	waiter->fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	waiter->is_behind = change == waiting_reload && master->turnover.is_active;
	evhttp_connection_set_closecb(connection, on_closed, waiter);
	set_patience(waiter,
	    change == waiting_stop ? end_patience_s(master) : WAITING_OUTCOME_S);
	return true;
}

/* A door that the change itself has closed soon cuts off who is inside. */
static bool
may_wait_on(const struct waiter *waiter)
{
	return waiter->until_end &&
	    (waiter->request == NULL || door_fd(waiter->door) >= 0);
}

static void
take_outcome(struct waiter *waiter, struct departure *departure)
{
	const struct outcome *outcome = &waiter->master->outcome;
	if (departure == NULL) {
		answer(waiter, outcome->is_good ? HTTP_OK : HTTP_CONFLICT,
		    outcome->text, NULL);
	} else if (may_wait_on(waiter)) {
		waiter->departure = departure;
		set_patience(waiter, end_patience_s(waiter->master));
	} else {
		answer_departure(waiter, departure);
	}
}

void
waiting_on_outcome(struct master *master, struct departure *departure)
{
	const struct outcome *outcome = &master->outcome;
	struct waiter *next;
	for (struct waiter *waiter = master->waiters; waiter != NULL; waiter = next) {
		next = waiter->next;
		if (waiter->departure != NULL ||
		    strncmp(outcome->text, waiter->change, strlen(waiter->change)) != 0)
			continue;
		/* A reload that fails takes the one that was to follow along. */
		if (waiter->is_behind && outcome->is_good && master->turnover.again) {
			waiter->is_behind = false;
			continue;
		}
		take_outcome(waiter, departure);
	}
}

void
waiting_on_departed(struct master *master, const struct departure *departure)
{
	struct waiter *next;
	for (struct waiter *waiter = master->waiters; waiter != NULL; waiter = next) {
		next = waiter->next;
		if (waiter->departure == departure)
			answer_departure(waiter, departure);
	}
}

void
waiting_hurry(struct master *master)
{
	struct waiter *next;
	for (struct waiter *waiter = master->waiters; waiter != NULL; waiter = next) {
		next = waiter->next;
		if (waiter->departure != NULL)
			answer_departure(waiter, waiter->departure);
	}
}

/* libevent does not look at a connection whose request is being served. */
void
waiting_turn(struct master *master)
{
	struct waiter *next;
	for (struct waiter *waiter = master->waiters; waiter != NULL; waiter = next) {
		struct pollfd look = { .fd = waiter->fd };
		next = waiter->next;
		if (poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)))
			answer(waiter, HTTP_SERVUNAVAIL, "who asked has left", NULL);
	}
}

void
waiting_finish(struct master *master)
{
	while (master->waiters != NULL)
		answer(
		    master->waiters, HTTP_SERVUNAVAIL, "the server has stopped", NULL);
	departure_forget_all(master);
}

size_t
waiting_list(const struct master *master, struct waiting_row *ret, size_t max)
{
	size_t count = 0;
	for (const struct waiter *w = master->waiters; w != NULL; w = w->next) {
		if (w->change != waiting_upgrade || w->departure != NULL)
			continue;
		if (count < max)
			ret[count] = (struct waiting_row){ .fd = w->fd,
				.until_end = w->until_end };
		count++;
	}
	return count;
}

int
waiting_inherit(struct master *master, const struct waiting_row *row)
{
	struct waiter *waiter = add(master, waiting_upgrade);
	if (waiter == NULL)
		return -1;
	waiter->fd = row->fd;
	waiter->until_end = row->until_end;
	set_patience(waiter, WAITING_OUTCOME_S);
	return 0;
}
