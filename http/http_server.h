/*
 * http_server.h - an HTTP/1.1 server for operators: one listening TCP or Unix socket
 * with libevent's evhttp in the caller's event loop. One handler gets all requests.
 *
 * The number of connections, the time and the bytes of each request are limited, and
 * the loop reads and writes in pieces, so that a client never delays the rest of the
 * loop.
 */
#ifndef HTTP_HTTP_SERVER_H
#define HTTP_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/http.h>

enum http_server_kind { HTTP_SERVER_UNIX, HTTP_SERVER_TCP, HTTP_SERVER_KINDS };

/* Connections at a time. Beyond the first number each new one closes the one that has
 * been idle longest, or for want of an idle one takes a place of the reserve; beyond
 * both numbers it waits in the accept queue. */
#define HTTP_SERVER_CLIENTS_MAX 64
#define HTTP_SERVER_CLIENTS_RESERVE 8
#define HTTP_SERVER_CLIENTS_ALL (HTTP_SERVER_CLIENTS_MAX + HTTP_SERVER_CLIENTS_RESERVE)
#define HTTP_SERVER_TIMEOUT_S 30 /* for each request */
#define HTTP_SERVER_HEADERS_MAX_BYTES 8192
#define HTTP_SERVER_BODY_MAX_BYTES 4096

struct http_server;
struct file_id;
typedef void (*http_server_handler)(
    struct evhttp_request *request, struct http_server *server, void *argument);

struct http_server_args {
	struct event_base *base;
	enum http_server_kind kind;
	const char *name;            /* path, or address as configured */
	http_server_handler handler; /* called for every request */
	void *argument;              /* of the handler */
};

/* Whether http_server_open() and giving its file to the group ((gid_t)-1: that of the
 * process) could succeed on this host, as far as it shows while the address is in use.
 * 0, or -1 with one line in error[error_size]. */
int http_server_check(const struct http_server_args *args, gid_t group, char *error,
    size_t error_size) __attribute__((warn_unused_result));
/* Binds and listens; a stale socket file is replaced (net/unix_socket.h). Beside own
 * sockets with an overlapping address it only binds: http_server_start() is due when
 * those of the same address are retired (net/listen.h). NULL with one line in
 * error[error_size]. */
struct http_server *http_server_open(const struct http_server_args *args, char *error,
    size_t error_size) __attribute__((warn_unused_result));
/* As http_server_open(), with a listening socket, which the server then owns, and its
 * socket file: another file at its path is not removed. NULL with errno, and fd stays
 * the caller's. */
struct http_server *http_server_from_fd(const struct http_server_args *args, int fd,
    const struct file_id *file) __attribute__((warn_unused_result));
/* Listens and accepts, if it does not yet. */
void http_server_start(struct http_server *server);
const struct file_id *http_server_file(const struct http_server *server);
/* Gives the socket file to a group (NULL: that of the process). 0, or -1 with errno. */
int http_server_set_group(const struct http_server *server, const char *group)
    __attribute__((warn_unused_result));
/* Clients can no longer connect: the socket file is removed, the TCP socket retired
 * (net/listen.h). Connections in the accept queue are accepted. */
void http_server_retire(struct http_server *server);
/* Stops listening and removes the socket file; open connections are still served. */
void http_server_close(struct http_server *server);
void http_server_destroy(struct http_server *server);
/* Closes its descriptors in another process, after fork(2), where the server must not
 * be used: the clients then notice when this process closes them. */
void http_server_close_in_child(struct http_server *server);

/* Stops accepting until http_server_resume(): new connections wait in the accept queue.
 * Returns the number of open connections. */
unsigned http_server_pause(struct http_server *server);
void http_server_resume(struct http_server *server);

/* False if the socket file was removed or replaced: no client can connect. */
bool http_server_is_reachable(const struct http_server *server);
enum http_server_kind http_server_kind(const struct http_server *server);
const char *http_server_name(const struct http_server *server);
/* The listening socket; -1 once closed. */
int http_server_fd(const struct http_server *server);
/* The path, or a URL with the real port, into buffer[size], returned. */
const char *http_server_format_address(
    const struct http_server *server, char *buffer, size_t size);

/* The request waits for its response: its client must take its next step within
 * `seconds` from now, and the connection makes no room for others. */
void http_server_set_deadline(
    struct http_server *server, struct evhttp_request *request, unsigned seconds);

#endif
