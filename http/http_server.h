/*
 * http_server.h - a way in for operators: one listening socket with libevent's HTTP
 * server behind it, in the master's own loop.
 *
 * Who comes in is bounded, so that none of them ever delays the workers' supervision:
 * so many at a time, each with so much time and so many bytes for a request. A request
 * is read and answered piece by piece by the loop; nothing waits for a visitor.
 *
 *   HTTP_SERVER_UNIX    a Unix socket, mode 0660: who may open it may read and steer
 *   HTTP_SERVER_TCP   TCP: who comes may only read
 */
#ifndef HTTP_HTTP_SERVER_H
#define HTTP_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/http.h>

enum http_server_kind { HTTP_SERVER_UNIX, HTTP_SERVER_TCP, HTTP_SERVER_KINDS };

#define HTTP_SERVER_CLIENTS_MAX 64 /* at a time; others wait in the kernel's queue */
#define HTTP_SERVER_TIMEOUT_S                                                          \
	30 /* for each request, from the first byte to the last                        \
	    */
#define HTTP_SERVER_HEADERS_MAX_BYTES 8192 /* bytes */
#define HTTP_SERVER_BODY_MAX_BYTES 4096    /* bytes */

struct http_server;
struct file_id;
typedef void (*http_server_handler)(
    struct evhttp_request *request, struct http_server *http_server, void *argument);

struct http_server_args {
	struct event_base *base;
	enum http_server_kind kind;
	const char *name;            /* path, or address as configured */
	http_server_handler handler; /* called for every request */
	void *argument;              /* of the handler */
};

/* Binds and listens. A socket file that nobody answers on is replaced; one that is
 * answered is an error. NULL with one line in error[error_size]. */
struct http_server *http_server_open(const struct http_server_args *args, char *error,
    size_t error_size) __attribute__((warn_unused_result));
/* The same with a socket that listens already (owned from then on). Its file is not
 * known yet. NULL with errno. */
struct http_server *http_server_from_fd(const struct http_server_args *args, int fd)
    __attribute__((warn_unused_result));
/* The socket file that is the door's: what lies at its path by now may be another's,
 * and is not removed. */
void http_server_set_file(struct http_server *http_server, const struct file_id *file);
const struct file_id *http_server_file(const struct http_server *http_server);
/* Gives the socket file to a group (NULL: the process's own). 0, or -1 with errno. */
int http_server_set_group(const struct http_server *http_server, const char *group)
    __attribute__((warn_unused_result));
/* No one new comes in, and the socket file is removed; who is inside is served. */
void http_server_close(struct http_server *http_server);
void http_server_destroy(struct http_server *http_server);

/* While held nobody comes in: those who try wait in the kernel's queue. Returns how
 * many are inside. */
unsigned http_server_pause(struct http_server *http_server);
void http_server_resume(struct http_server *http_server);

/* False when the socket file is gone, or is another's: nobody new finds the door. */
bool http_server_is_reachable(const struct http_server *http_server);
enum http_server_kind http_server_kind(const struct http_server *http_server);
const char *http_server_name(const struct http_server *http_server);
/* The listening socket; -1 once closed. */
int http_server_fd(const struct http_server *http_server);
/* Where it listens, for people: the path, or the address with its real port. Into
 * buffer[size], returned. */
const char *http_server_format_address(
    const struct http_server *http_server, char *buffer, size_t size);

/* The visitor of a request has so many seconds from now on for what comes next. */
void http_server_set_deadline(
    struct http_server *http_server, struct evhttp_request *request, unsigned seconds);

#endif
