#include "http/http_server.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

#include "lib/log.h"
#include "http/http_body.h"
#include "http/http_limits.h"
#include "http/http_response.h"
#include "net/address.h"
#include "net/listen.h"
#include "net/unix_socket.h"

#define CHECK_INTERVAL_MS 250
#define CLOSING_MS 5 /* until libevent has freed connections that were shut down */
#define BACKLOG 128

struct http_server {
	struct http_server *next; /* in servers */
	enum http_server_kind kind;
	char *name;
	http_server_handler handler;
	void *argument; /* of the handler */
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* NULL: closed */
	int fd;                            /* the listening socket, while bound */
	bool is_paused;    /* full, or no descriptor or memory: the timer resumes */
	bool is_suspended; /* by http_server_pause(), or not started */
	bool is_started;   /* it listens */
	struct http_limits limits;
	struct event ready_event; /* new connections have their descriptor */
	struct event check_timer;
	struct file_id file; /* the socket file that this server created */
};

/* All bound servers, to find the one of a listener: evhttp uses the listener's callback
 * argument itself. */
static struct http_server *servers;

static void
schedule_check(struct http_server *server)
{
	const struct timeval interval = { .tv_usec = CHECK_INTERVAL_MS * 1000 };
	if (!evtimer_pending(&server->check_timer, NULL))
		evtimer_add(&server->check_timer, &interval);
}

/* If the listener cannot be enabled, the timer tries again. */
static void
update_accepting(struct http_server *server)
{
	struct evconnlistener *listener =
	    evhttp_bound_socket_get_listener(server->bound);
	if (server->is_paused || server->is_suspended)
		evconnlistener_disable(listener);
	else if (evconnlistener_enable(listener) < 0) {
		server->is_paused = true;
		schedule_check(server);
	}
}

static void
pause_accepting(struct http_server *server)
{
	server->is_paused = true;
	update_accepting(server);
	schedule_check(server);
}

/* libevent asks for the bufferevent of an accepted connection before it sets the
 * descriptor, which on_connection_ready() then registers. */
static struct bufferevent *
on_new_connection(struct event_base *base, void *argument)
{
	struct http_server *server = argument;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	if (bev == NULL)
		return NULL;
	(void)http_limits_make_room(&server->limits, 1);
	if (http_limits_add(&server->limits, bev))
		event_active(&server->ready_event, EV_TIMEOUT, 0);
	if (http_limits_are_full(&server->limits) && !server->is_paused)
		pause_accepting(server);
	return bev;
}

/* Connections that are accepted in the same turn of the loop cannot make room for one
 * another: they are registered only now. */
static void
make_room(struct http_server *server)
{
	const struct timeval delay = { .tv_usec = CLOSING_MS * 1000 };
	if (http_limits_make_room(&server->limits, 0) > 0)
		evtimer_add(&server->check_timer, &delay);
	else
		schedule_check(server);
}

static void
on_connection_ready(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct http_server *server = argument;
	http_limits_register(&server->limits, HTTP_SERVER_TIMEOUT_S);
	make_room(server);
}

static void
on_check_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct http_server *server = argument;
	http_limits_check(&server->limits);
	if (server->is_paused && server->bound != NULL &&
	    !http_limits_are_full(&server->limits)) {
		server->is_paused = false;
		update_accepting(server);
	}
	if (server->is_paused || server->limits.count > 0)
		make_room(server);
}

/* Without a descriptor or memory, accept(2) would fail again in every turn of the loop.
 */
static void
on_accept_error(struct evconnlistener *listener, void *argument)
{
	(void)argument;
	struct http_server *server = servers;
	while (evhttp_bound_socket_get_listener(server->bound) != listener)
		server = server->next;
	if (!server->is_paused)
		log_warn("[http_accept_failed listener] http: cannot accept on %s",
		    server->name);
	pause_accepting(server);
}

static void
set_state(struct http_server *server, struct evhttp_request *request,
    enum http_limits_state state, unsigned seconds)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
	http_limits_set_state(&server->limits, bufferevent_getfd(bev), state, seconds);
}

/* The response is sent. */
static void
on_complete(struct evhttp_request *request, void *argument)
{
	set_state(argument, request, HTTP_LIMITS_IDLE, HTTP_SERVER_TIMEOUT_S);
}

static void
on_request(struct evhttp_request *request, void *argument)
{
	struct http_server *server = argument;
	set_state(server, request, HTTP_LIMITS_RESPONDING, HTTP_SERVER_TIMEOUT_S);
	evhttp_request_set_on_complete_cb(request, on_complete, server);
	const char *error = http_body_check(request);
	if (error == NULL) {
		server->handler(request, server, server->argument);
		return;
	}
	/* Later bytes may be part of this request: they must not be parsed. */
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Connection", "close");
	http_response_send(request, HTTP_BADREQUEST, HTTP_RESPONSE_TEXT, strdup(error));
}

/* libevent does not own fd: on failure it stays the caller's, else http_server_close
 * closes it. */
static int
start_http(struct http_server *server, struct event_base *base, int fd)
{
	struct evconnlistener *listener = evconnlistener_new(
	    base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
	if (listener == NULL)
		return -1;
	server->http = evhttp_new(base);
	if (server->http != NULL)
		server->bound = evhttp_bind_listener(server->http, listener);
	if (server->bound == NULL) {
		evconnlistener_free(listener);
		return -1;
	}
	evhttp_set_timeout(server->http, HTTP_SERVER_TIMEOUT_S);
	evhttp_set_max_headers_size(server->http, HTTP_SERVER_HEADERS_MAX_BYTES);
	evhttp_set_max_body_size(server->http, HTTP_SERVER_BODY_MAX_BYTES);
	evhttp_set_allowed_methods(
	    server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
	evhttp_set_default_content_type(server->http, NULL);
	evhttp_set_gencb(server->http, on_request, server);
	evhttp_set_bevcb(server->http, on_new_connection, server);
	server->fd = fd;
	server->next = servers;
	servers = server;
	evconnlistener_set_error_cb(listener, on_accept_error);
	update_accepting(server);
	return 0;
}

static struct http_server *
create(const struct http_server_args *args, int fd, const struct file_id *file,
    bool is_started)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return NULL;
	server->kind = args->kind;
	server->handler = args->handler;
	server->argument = args->argument;
	server->file = *file;
	server->is_started = is_started;
	server->is_suspended = !is_started;
	evtimer_assign(&server->check_timer, args->base, on_check_timer, server);
	event_assign(
	    &server->ready_event, args->base, -1, 0, on_connection_ready, server);
	server->name = strdup(args->name);
	if (server->name != NULL && start_http(server, args->base, fd) == 0)
		return server;
	http_server_destroy(server);
	errno = ENOMEM;
	return NULL;
}

struct http_server *
http_server_from_fd(
    const struct http_server_args *args, int fd, const struct file_id *file)
{
	/* An earlier version has opened it without. */
	if (args->kind == HTTP_SERVER_TCP)
		listen_allow_others(fd);
	return create(args, fd, file, true);
}

static struct listen_options
options_of(const struct http_server_args *args)
{
	return (struct listen_options){
		.name = args->name, .group = LISTEN_GROUP_FIRST, .is_v6_only = true
	};
}

/* A bound socket, or -1 with the error; *ret_is_started: it listens. */
static int
open_socket(const struct http_server_args *args, bool *ret_is_started,
    const struct listen_error *error)
{
	const struct listen_options options = options_of(args);
	struct address address;
	enum listen_overlap overlap = LISTEN_NO_OVERLAP;
	*ret_is_started = true;
	if (args->kind == HTTP_SERVER_UNIX)
		return unix_socket_open(args->name, BACKLOG, error->text, error->size);
	if (address_parse(args->name, &address, error->text, error->size) < 0)
		return -1;
	int fd = listen_bind(&address, &options, &overlap, error);
	*ret_is_started = overlap == LISTEN_NO_OVERLAP;
	if (fd < 0 || overlap != LISTEN_NO_OVERLAP || listen_start(fd, BACKLOG) == 0)
		return fd;
	snprintf(error->text, error->size, "cannot listen on %s: %s", args->name,
	    strerror(errno));
	close(fd);
	return -1;
}

int
http_server_check(
    const struct http_server_args *args, gid_t group, char *error, size_t error_size)
{
	const struct listen_options options = options_of(args);
	const struct listen_error where = { error, error_size };
	const struct unix_socket_access access = { .owner = (uid_t)-1, .group = group };
	bool is_unix = args->kind == HTTP_SERVER_UNIX;
	char text[sizeof("unix:") + PATH_MAX];
	struct address address;
	snprintf(text, sizeof(text), "%s%s", is_unix ? "unix:" : "", args->name);
	if (address_parse(text, &address, error, error_size) < 0)
		return -1;
	return is_unix ? unix_socket_check(&address, &access, false, error, error_size)
		       : listen_check(&address, &options, &where);
}

struct http_server *
http_server_open(const struct http_server_args *args, char *error, size_t error_size)
{
	const struct listen_error where = { error, error_size };
	bool is_started;
	int fd = open_socket(args, &is_started, &where);
	if (fd < 0)
		return NULL;
	struct file_id file = { 0 };
	if (args->kind == HTTP_SERVER_UNIX)
		unix_socket_identify(args->name, &file);
	struct http_server *server = create(args, fd, &file, is_started);
	if (server == NULL) {
		snprintf(error, error_size, "out of memory");
		close(fd);
		unix_socket_remove(args->name, &file);
	}
	return server;
}

void
http_server_start(struct http_server *server)
{
	if (server->is_started)
		return;
	if (listen_start(server->fd, BACKLOG) < 0)
		log_warn(
		    "[listen_failed listener] http: cannot listen on %s", server->name);
	server->is_started = true;
	http_server_resume(server);
}

void
http_server_retire(struct http_server *server)
{
	if (server->kind == HTTP_SERVER_UNIX)
		unix_socket_remove(server->name, &server->file);
	else if (server->bound != NULL && listen_retire(server->fd) < 0)
		log_debug(
		    "[retire_failed listener] http: cannot retire %s", server->name);
}

const struct file_id *
http_server_file(const struct http_server *server)
{
	return &server->file;
}

int
http_server_set_group(const struct http_server *server, const char *group)
{
	return server->kind == HTTP_SERVER_UNIX
	    ? unix_socket_set_group(server->name, group)
	    : 0;
}

void
http_server_close(struct http_server *server)
{
	if (server->bound == NULL)
		return;
	struct http_server **at = &servers;
	while (*at != server)
		at = &(*at)->next;
	*at = server->next;
	evhttp_del_accept_socket(server->http, server->bound);
	server->bound = NULL;
	close(server->fd);
	if (server->kind == HTTP_SERVER_UNIX)
		unix_socket_remove(server->name, &server->file);
}

void
http_server_destroy(struct http_server *server)
{
	if (server == NULL)
		return;
	http_server_close(server);
	event_del(&server->ready_event);
	event_del(&server->check_timer);
	http_limits_clear(&server->limits);
	if (server->http != NULL)
		evhttp_free(server->http);
	free(server->name);
	free(server);
}

void
http_server_close_in_child(struct http_server *server)
{
	if (server->bound != NULL)
		close(server->fd);
	http_limits_check(&server->limits);
	for (unsigned i = 0; i < server->limits.count; i++)
		close(server->limits.rows[i].fd);
	for (unsigned i = 0; i < server->limits.unregistered_count; i++)
		if (bufferevent_getfd(server->limits.unregistered[i]) >= 0)
			close(bufferevent_getfd(server->limits.unregistered[i]));
}

unsigned
http_server_pause(struct http_server *server)
{
	server->is_suspended = true;
	if (server->bound != NULL)
		update_accepting(server);
	http_limits_check(&server->limits);
	return server->limits.count + server->limits.unregistered_count;
}

void
http_server_resume(struct http_server *server)
{
	server->is_suspended = false;
	if (server->bound != NULL)
		update_accepting(server);
}

bool
http_server_is_reachable(const struct http_server *server)
{
	return server->kind != HTTP_SERVER_UNIX ||
	    unix_socket_is_same(server->name, &server->file);
}

enum http_server_kind
http_server_kind(const struct http_server *server)
{
	return server->kind;
}

const char *
http_server_name(const struct http_server *server)
{
	return server->name;
}

int
http_server_fd(const struct http_server *server)
{
	return server->bound == NULL ? -1 : server->fd;
}

const char *
http_server_format_address(const struct http_server *server, char *buffer, size_t size)
{
	struct address address = { .length = sizeof(address.storage) };
	char text[ADDRESS_TEXT_MAX];
	if (server->kind == HTTP_SERVER_TCP && server->bound != NULL &&
	    getsockname(http_server_fd(server), (struct sockaddr *)&address.storage,
		&address.length) == 0)
		snprintf(buffer, size, "http://%s", address_format(&address, text));
	else
		snprintf(buffer, size, "%s", server->name);
	return buffer;
}

void
http_server_set_deadline(
    struct http_server *server, struct evhttp_request *request, unsigned seconds)
{
	set_state(server, request, HTTP_LIMITS_WAITING, seconds);
}
