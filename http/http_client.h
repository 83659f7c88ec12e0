/*
 * http_client.h - one request over a connected stream socket, and its answer: HTTP/1.0
 * or 1.1 (RFC 9112) where the other end closes when it has answered. No chunks: who
 * asks as HTTP/1.0 gets none.
 */
#ifndef HTTP_HTTP_CLIENT_H
#define HTTP_HTTP_CLIENT_H

#include <stddef.h>

#define HTTP_CLIENT_RESPONSE_MAX (16 << 20) /* bytes, with its head */

struct http_client_response {
	int status;
	char *body; /* heap, with a NUL at its end and nowhere else; owned by the caller
		     */
};

/* Seconds of CLOCK_MONOTONIC. */
double http_client_now_s(void);
/* What the socket does next ends at the deadline (EAGAIN, EINPROGRESS). */
void http_client_set_deadline(int fd, double deadline_s);

/* Sends `request` whole (head and body) and reads until the end of file or the
 * deadline. 0, or -1 with errno (ETIMEDOUT; EMSGSIZE: longer than
 * HTTP_CLIENT_RESPONSE_MAX; EPROTO: no HTTP, or it broke off). */
int http_client_request(int fd, const char *request, double deadline_s,
    struct http_client_response *ret) __attribute__((warn_unused_result));

#endif
