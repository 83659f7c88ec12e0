#include "http/http_server.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

#include "lib/log.h"

#include "http/http_limits.h"
#include "net/address.h"
#include "net/listen.h"
#include "net/unix_socket.h"

#define CHECK_INTERVAL_MS 250
#define BACKLOG 128

struct http_server {
	struct http_server *next; /* in doors */
	enum http_server_kind kind;
	char *name;
	http_server_handler handler;
	void *argument; /* of the handler */
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* NULL: closed */
	int fd;                            /* the listening socket, while bound */
	bool is_paused;                    /* it is full, or descriptors are short */
	bool is_suspended;
	struct http_limits http_limits;
	struct event ready_event; /* those that came in just now */
	struct event check_timer;
	struct file_id file; /* of the socket file, as we made it */
};

/* All that are bound: evhttp keeps a listener's argument for itself. */
static struct http_server *servers;

static void
schedule_check(struct http_server *http_server)
{
	const struct timeval interval = { .tv_usec = CHECK_INTERVAL_MS * 1000 };
	if (!evtimer_pending(&http_server->check_timer, NULL))
		evtimer_add(&http_server->check_timer, &interval);
}

/* What cannot be watched now is tried again. */
static void
update_accepting(struct http_server *http_server)
{
	struct evconnlistener *listener =
	    evhttp_bound_socket_get_listener(http_server->bound);
	if (http_server->is_paused || http_server->is_suspended)
		evconnlistener_disable(listener);
	else if (evconnlistener_enable(listener) < 0) {
		http_server->is_paused = true;
		schedule_check(http_server);
	}
}

static void
pause_accepting(struct http_server *http_server)
{
	http_server->is_paused = true;
	update_accepting(http_server);
	schedule_check(http_server);
}

/* libevent asks for the bufferevent of a connection that it has just accepted, before
 * the connection has it: its descriptor is looked at in the greeting. */
static struct bufferevent *
on_new_connection(struct event_base *base, void *argument)
{
	struct http_server *http_server = argument;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	if (bev == NULL)
		return NULL;
	if (http_limits_add(&http_server->http_limits, bev))
		event_active(&http_server->ready_event, EV_TIMEOUT, 0);
	if (http_limits_are_full(&http_server->http_limits) && !http_server->is_paused)
		pause_accepting(http_server);
	return bev;
}

static void
on_connection_ready(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct http_server *http_server = argument;
	http_limits_register(&http_server->http_limits, HTTP_SERVER_TIMEOUT_S);
	schedule_check(http_server);
}

static void
on_check_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct http_server *http_server = argument;
	http_limits_check(&http_server->http_limits);
	if (http_server->is_paused && http_server->bound != NULL &&
	    !http_limits_are_full(&http_server->http_limits)) {
		http_server->is_paused = false;
		update_accepting(http_server);
	}
	if (http_server->is_paused || http_server->http_limits.count > 0)
		schedule_check(http_server);
}

/* No descriptor, no memory: the loop would come back here at once, and again. */
static void
on_accept_error(struct evconnlistener *listener, void *argument)
{
	(void)argument;
	struct http_server *http_server = servers;
	while (evhttp_bound_socket_get_listener(http_server->bound) != listener)
		http_server = http_server->next;
	if (!http_server->is_paused)
		log_warn("admin: cannot accept on %s", http_server->name);
	pause_accepting(http_server);
}

static void
on_request(struct evhttp_request *request, void *argument)
{
	struct http_server *http_server = argument;
	http_server_set_deadline(http_server, request, HTTP_SERVER_TIMEOUT_S);
	http_server->handler(request, http_server, http_server->argument);
}

/* libevent does not own fd: on failure it stays the caller's, else http_server_close
 * closes it. */
static int
start_http(struct http_server *http_server, struct event_base *base, int fd)
{
	struct evconnlistener *listener = evconnlistener_new(
	    base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
	if (listener == NULL)
		return -1;
	http_server->http = evhttp_new(base);
	if (http_server->http != NULL)
		http_server->bound = evhttp_bind_listener(http_server->http, listener);
	if (http_server->bound == NULL) {
		evconnlistener_free(listener);
		return -1;
	}
	evhttp_set_timeout(http_server->http, HTTP_SERVER_TIMEOUT_S);
	evhttp_set_max_headers_size(http_server->http, HTTP_SERVER_HEADERS_MAX_BYTES);
	evhttp_set_max_body_size(http_server->http, HTTP_SERVER_BODY_MAX_BYTES);
	evhttp_set_allowed_methods(
	    http_server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
	evhttp_set_default_content_type(http_server->http, NULL);
	evhttp_set_gencb(http_server->http, on_request, http_server);
	evhttp_set_bevcb(http_server->http, on_new_connection, http_server);
	http_server->fd = fd;
	http_server->next = servers;
	servers = http_server;
	evconnlistener_set_error_cb(listener, on_accept_error);
	update_accepting(http_server);
	return 0;
}

struct http_server *
http_server_from_fd(const struct http_server_args *args, int fd)
{
	struct http_server *http_server = calloc(1, sizeof(*http_server));
	if (http_server == NULL)
		return NULL;
	http_server->kind = args->kind;
	http_server->handler = args->handler;
	http_server->argument = args->argument;
	evtimer_assign(
	    &http_server->check_timer, args->base, on_check_timer, http_server);
	event_assign(&http_server->ready_event, args->base, -1, 0, on_connection_ready,
	    http_server);
	http_server->name = strdup(args->name);
	if (http_server->name != NULL && start_http(http_server, args->base, fd) == 0)
		return http_server;
	http_server_destroy(http_server);
	errno = ENOMEM;
	return NULL;
}

/* A listening socket, or -1 with the error. */
static int
open_socket(const struct http_server_args *args, char *error, size_t error_size)
{
	const struct listen_options options = { .name = args->name,
		.backlog = BACKLOG };
	struct address address;
	if (args->kind == HTTP_SERVER_UNIX)
		return unix_socket_open(args->name, BACKLOG, error, error_size);
	if (address_parse(args->name, &address, error, error_size) < 0)
		return -1;
	return listen_open(&address, &options, error, error_size);
}

struct http_server *
http_server_open(const struct http_server_args *args, char *error, size_t error_size)
{
	int fd = open_socket(args, error, error_size);
	if (fd < 0)
		return NULL;
	struct http_server *http_server = http_server_from_fd(args, fd);
	if (http_server == NULL) {
		snprintf(error, error_size, "out of memory");
		close(fd);
		return NULL;
	}
	if (http_server->kind == HTTP_SERVER_UNIX)
		unix_socket_identify(args->name, &http_server->file);
	return http_server;
}

void
http_server_set_file(struct http_server *http_server, const struct file_id *file)
{
	http_server->file = *file;
}

const struct file_id *
http_server_file(const struct http_server *http_server)
{
	return &http_server->file;
}

int
http_server_set_group(const struct http_server *http_server, const char *group)
{
	return http_server->kind == HTTP_SERVER_UNIX
	    ? unix_socket_set_group(http_server->name, group)
	    : 0;
}

void
http_server_close(struct http_server *http_server)
{
	if (http_server->bound == NULL)
		return;
	struct http_server **at = &servers;
	while (*at != http_server)
		at = &(*at)->next;
	*at = http_server->next;
	evhttp_del_accept_socket(http_server->http, http_server->bound);
	http_server->bound = NULL;
	close(http_server->fd);
	if (http_server->kind == HTTP_SERVER_UNIX)
		unix_socket_remove(http_server->name, &http_server->file);
}

void
http_server_destroy(struct http_server *http_server)
{
	if (http_server == NULL)
		return;
	http_server_close(http_server);
	event_del(&http_server->ready_event);
	event_del(&http_server->check_timer);
	http_limits_clear(&http_server->http_limits);
	if (http_server->http != NULL)
		evhttp_free(http_server->http);
	free(http_server->name);
	free(http_server);
}

unsigned
http_server_pause(struct http_server *http_server)
{
	http_server->is_suspended = true;
	if (http_server->bound != NULL)
		update_accepting(http_server);
	http_limits_check(&http_server->http_limits);
	return http_server->http_limits.count +
	    http_server->http_limits.unregistered_count;
}

void
http_server_resume(struct http_server *http_server)
{
	http_server->is_suspended = false;
	if (http_server->bound != NULL)
		update_accepting(http_server);
}

bool
http_server_is_reachable(const struct http_server *http_server)
{
	return http_server->kind != HTTP_SERVER_UNIX ||
	    unix_socket_is_same(http_server->name, &http_server->file);
}

enum http_server_kind
http_server_kind(const struct http_server *http_server)
{
	return http_server->kind;
}

const char *
http_server_name(const struct http_server *http_server)
{
	return http_server->name;
}

int
http_server_fd(const struct http_server *http_server)
{
	return http_server->bound == NULL ? -1 : http_server->fd;
}

const char *
http_server_format_address(
    const struct http_server *http_server, char *buffer, size_t size)
{
	struct address address = { .length = sizeof(address.storage) };
	char text[ADDRESS_TEXT_MAX];
	if (http_server->kind == HTTP_SERVER_TCP && http_server->bound != NULL &&
	    getsockname(http_server_fd(http_server),
		(struct sockaddr *)&address.storage, &address.length) == 0)
		snprintf(buffer, size, "http://%s", address_format(&address, text));
	else
		snprintf(buffer, size, "%s", http_server->name);
	return buffer;
}

void
http_server_set_deadline(
    struct http_server *http_server, struct evhttp_request *request, unsigned seconds)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
	http_limits_set_deadline(
	    &http_server->http_limits, bufferevent_getfd(bev), seconds);
}
