/*
 * door.h - a way in for operators: one listening socket with libevent's HTTP server
 * behind it, in the master's own loop.
 *
 * Who comes in is bounded, so that none of them ever delays the workers' supervision:
 * so many at a time, each with so much time and so many bytes for a request. A request
 * is read and answered piece by piece by the loop; nothing waits for a visitor.
 *
 *   DOOR_SOCKET    a Unix socket, mode 0660: who may open it may read and steer
 *   DOOR_ADDRESS   TCP: who comes may only read
 */
#ifndef MASTER_DOOR_H
#define MASTER_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/http.h>

enum door_kind { DOOR_SOCKET, DOOR_ADDRESS, DOOR_KINDS };
extern const char *const door_kind_names[]; /* by enum door_kind */

#define DOOR_GUESTS_MAX 64    /* at a time; others wait in the kernel's queue */
#define DOOR_PATIENCE_S 30    /* for each request, from the first byte to the last */
#define DOOR_HEADERS_MAX 8192 /* bytes */
#define DOOR_BODY_MAX 4096    /* bytes */

struct door;
struct file_id;
typedef void (*door_server)(struct evhttp_request *request, struct door *door);

struct door_args {
	struct event_base *base;
	enum door_kind kind;
	const char *name; /* path, or address as configured */
	door_server serve;
	void *owner;
};

/* Binds and listens. A socket file that nobody answers on is replaced; one that is
 * answered is an error. NULL with one line in error[error_size]. */
struct door *door_open(const struct door_args *args, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same with a socket that listens already (owned from then on). Its file is not
 * known yet. NULL with errno. */
struct door *door_inherit(const struct door_args *args, int fd)
    __attribute__((warn_unused_result));
/* The socket file that is the door's: what lies at its path by now may be another's,
 * and is not removed. */
void door_set_file(struct door *door, const struct file_id *file);
const struct file_id *door_file(const struct door *door);
/* Gives the socket file to a group (NULL: the process's own). 0, or -1 with errno. */
int door_set_group(const struct door *door, const char *group)
    __attribute__((warn_unused_result));
/* No one new comes in, and the socket file is removed; who is inside is served. */
void door_close(struct door *door);
void door_destroy(struct door *door);

/* While held nobody comes in: those who try wait in the kernel's queue. Returns how
 * many are inside. */
unsigned door_hold(struct door *door);
void door_release(struct door *door);

/* False when the socket file is gone, or is another's: nobody new finds the door. */
bool door_is_there(const struct door *door);
enum door_kind door_kind(const struct door *door);
const char *door_name(const struct door *door);
void *door_owner(const struct door *door);
/* The listening socket; -1 once closed. */
int door_fd(const struct door *door);
/* Where it listens, for people: the path, or the address with its real port. Into
 * buffer[size], returned. */
const char *door_describe(const struct door *door, char *buffer, size_t size);

/* The visitor of a request has so many seconds from now on for what comes next. */
void door_grant(struct door *door, struct evhttp_request *request, unsigned seconds);

#endif
