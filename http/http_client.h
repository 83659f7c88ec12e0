/*
 * http_client.h - one HTTP request over TCP or a Unix socket, and its response
 * (RFC 9112). The server closes the connection after the response. Requests are of
 * HTTP/1.0, so that no response is chunked.
 */
#ifndef HTTP_HTTP_CLIENT_H
#define HTTP_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CLIENT_RESPONSE_MAX (16 << 20) /* bytes, with its head */

struct http_client_request {
	const char *server; /* "unix:PATH", "HOST:PORT", "http://HOST:PORT[/TARGET]" */
	const char *method;
	const char *target; /* unless the server's URL has one */
	uint64_t
	    timeout_ns; /* for all steps together; resolving a name may exceed it */
};

struct http_client_response {
	int status;
	char *body; /* heap, with a NUL at its end and nowhere else; the caller's */
};

enum http_client_status {
	HTTP_CLIENT_OK,
	HTTP_CLIENT_NOT_CONNECTED, /* the request was not sent */
	HTTP_CLIENT_NO_RESPONSE    /* the request may have been received */
};

/* True if `server` has one of the three forms. */
bool http_client_accepts(const char *server);

/* Sends the request and waits for the response. On failure one line in
 * error[error_size], and errno (ETIMEDOUT; EMSGSIZE: the response is longer than
 * HTTP_CLIENT_RESPONSE_MAX; EPROTO: the response is incomplete or not HTTP). */
enum http_client_status http_client_send(const struct http_client_request *request,
    struct http_client_response *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* As http_client_send(), on a connected blocking socket: sends `text` (head and body),
 * and reads to the end of file or until deadline_ns (CLOCK_MONOTONIC). 0, or -1 with
 * errno. */
int http_client_exchange(int fd, const char *text, uint64_t deadline_ns,
    struct http_client_response *ret) __attribute__((warn_unused_result));

#endif
