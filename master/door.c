#include "master/door.h"

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

#include "net/address.h"

#include "master/door_socket.h"
#include "master/guests.h"

#define SWEEP_MS 250
#define BACKLOG 128

const char *const door_kind_names[] = { "socket", "address" };

struct door {
	struct door *next; /* in doors */
	enum door_kind kind;
	char *name;
	door_server serve;
	void *owner;
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* NULL: closed */
	bool is_paused;                    /* it is full, or descriptors are short */
	bool is_held;
	struct guests guests;
	struct event greet_event; /* those that came in just now */
	struct event sweep_timer;
	struct file_id file; /* of the socket file, as we made it */
};

/* All that are bound: evhttp keeps a listener's argument for itself. */
static struct door *doors;

static void
look_again_soon(struct door *door)
{
	const struct timeval interval = { .tv_usec = SWEEP_MS * 1000 };
	if (!evtimer_pending(&door->sweep_timer, NULL))
		evtimer_add(&door->sweep_timer, &interval);
}

/* What cannot be watched now is tried again. */
static void
listen_or_not(struct door *door)
{
	struct evconnlistener *listener = evhttp_bound_socket_get_listener(door->bound);
	if (door->is_paused || door->is_held)
		evconnlistener_disable(listener);
	else if (evconnlistener_enable(listener) < 0) {
		door->is_paused = true;
		look_again_soon(door);
	}
}

static void
pause_door(struct door *door)
{
	door->is_paused = true;
	listen_or_not(door);
	look_again_soon(door);
}

/* libevent asks for the bufferevent of a connection that it has just accepted, before
 * the connection has it: its descriptor is looked at in the greeting. */
static struct bufferevent *
on_arrival(struct event_base *base, void *argument)
{
	struct door *door = argument;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	if (bev == NULL)
		return NULL;
	if (guests_expect(&door->guests, bev))
		event_active(&door->greet_event, EV_TIMEOUT, 0);
	if (guests_are_full(&door->guests) && !door->is_paused)
		pause_door(door);
	return bev;
}

static void
on_greet(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct door *door = argument;
	guests_greet(&door->guests, DOOR_PATIENCE_S);
	look_again_soon(door);
}

static void
on_sweep(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct door *door = argument;
	guests_sweep(&door->guests);
	if (door->is_paused && door->bound != NULL && !guests_are_full(&door->guests)) {
		door->is_paused = false;
		listen_or_not(door);
	}
	if (door->is_paused || door->guests.count > 0)
		look_again_soon(door);
}

/* No descriptor, no memory: the loop would come back here at once, and again. */
static void
on_accept_error(struct evconnlistener *listener, void *argument)
{
	(void)argument;
	struct door *door = doors;
	while (evhttp_bound_socket_get_listener(door->bound) != listener)
		door = door->next;
	if (!door->is_paused)
		log_warn("admin: cannot accept on %s", door->name);
	pause_door(door);
}

static void
on_request(struct evhttp_request *request, void *argument)
{
	struct door *door = argument;
	door_grant(door, request, DOOR_PATIENCE_S);
	door->serve(request, door);
}

static int
start_http(struct door *door, struct event_base *base, int fd)
{
	door->http = evhttp_new(base);
	if (door->http == NULL)
		return -1;
	evhttp_set_timeout(door->http, DOOR_PATIENCE_S);
	evhttp_set_max_headers_size(door->http, DOOR_HEADERS_MAX);
	evhttp_set_max_body_size(door->http, DOOR_BODY_MAX);
	evhttp_set_allowed_methods(
	    door->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
	evhttp_set_default_content_type(door->http, NULL);
	evhttp_set_gencb(door->http, on_request, door);
	evhttp_set_bevcb(door->http, on_arrival, door);
	struct evconnlistener *listener = evconnlistener_new(base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
	if (listener == NULL)
		return -1;
	door->bound = evhttp_bind_listener(door->http, listener);
	if (door->bound == NULL) {
		evconnlistener_free(listener);
		return -1;
	}
	door->next = doors;
	doors = door;
	evconnlistener_set_error_cb(listener, on_accept_error);
	listen_or_not(door);
	return 0;
}

struct door *
door_inherit(const struct door_args *args, int fd)
{
	struct door *door = calloc(1, sizeof(*door));
	if (door == NULL)
		return NULL;
	door->kind = args->kind;
	door->serve = args->serve;
	door->owner = args->owner;
	evtimer_assign(&door->sweep_timer, args->base, on_sweep, door);
	event_assign(&door->greet_event, args->base, -1, 0, on_greet, door);
	door->name = strdup(args->name);
	if (door->name != NULL && start_http(door, args->base, fd) == 0)
		return door;
	door_destroy(door);
	errno = ENOMEM;
	return NULL;
}

struct door *
door_open(const struct door_args *args, char *error, size_t error_size)
{
	int fd = args->kind == DOOR_SOCKET
	    ? door_socket_open(args->name, BACKLOG, error, error_size)
	    : door_socket_open_tcp(args->name, BACKLOG, error, error_size);
	if (fd < 0)
		return NULL;
	struct door *door = door_inherit(args, fd);
	if (door != NULL) {
		if (door->kind == DOOR_SOCKET)
			door_socket_identify(args->name, &door->file);
		return door;
	}
	snprintf(error, error_size, "out of memory");
	close(fd);
	return NULL;
}

void
door_set_file(struct door *door, const struct file_id *file)
{
	door->file = *file;
}

const struct file_id *
door_file(const struct door *door)
{
	return &door->file;
}

int
door_set_group(const struct door *door, const char *group)
{
	return door->kind == DOOR_SOCKET ? door_socket_set_group(door->name, group) : 0;
}

void
door_close(struct door *door)
{
	if (door->bound == NULL)
		return;
	struct door **at = &doors;
	while (*at != door)
		at = &(*at)->next;
	*at = door->next;
	evhttp_del_accept_socket(door->http, door->bound);
	door->bound = NULL;
	if (door->kind == DOOR_SOCKET)
		door_socket_remove(door->name, &door->file);
}

void
door_destroy(struct door *door)
{
	if (door == NULL)
		return;
	door_close(door);
	event_del(&door->greet_event);
	event_del(&door->sweep_timer);
	guests_dismiss(&door->guests);
	if (door->http != NULL)
		evhttp_free(door->http);
	free(door->name);
	free(door);
}

unsigned
door_hold(struct door *door)
{
	door->is_held = true;
	if (door->bound != NULL)
		listen_or_not(door);
	guests_sweep(&door->guests);
	return door->guests.count + door->guests.expected_count;
}

void
door_release(struct door *door)
{
	door->is_held = false;
	if (door->bound != NULL)
		listen_or_not(door);
}

bool
door_is_there(const struct door *door)
{
	struct file_id now;
	if (door->kind != DOOR_SOCKET)
		return true;
	door_socket_identify(door->name, &now);
	return now.inode != 0 && now.inode == door->file.inode &&
	    now.device == door->file.device;
}

enum door_kind
door_kind(const struct door *door)
{
	return door->kind;
}

const char *
door_name(const struct door *door)
{
	return door->name;
}

void *
door_owner(const struct door *door)
{
	return door->owner;
}

int
door_fd(const struct door *door)
{
	return door->bound == NULL ? -1 : evhttp_bound_socket_get_fd(door->bound);
}

const char *
door_describe(const struct door *door, char *buffer, size_t size)
{
	struct address address = { .length = sizeof(address.storage) };
	char text[ADDRESS_TEXT_MAX];
	if (door->kind == DOOR_ADDRESS && door->bound != NULL &&
	    getsockname(door_fd(door), (struct sockaddr *)&address.storage,
		&address.length) == 0)
		snprintf(buffer, size, "http://%s", address_format(&address, text));
	else
		snprintf(buffer, size, "%s", door->name);
	return buffer;
}

void
door_grant(struct door *door, struct evhttp_request *request, unsigned seconds)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
	guests_grant(&door->guests, bufferevent_getfd(bev), seconds);
}
