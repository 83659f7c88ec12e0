#include "http/http_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"

#define FIRST_BYTES 65536
#define LATE_READS 64 /* for an answer that came in time, and was not read in time */

double
http_client_now_s(void)
{
	return (double)clock_now_ns() / 1e9;
}

/* At least a moment, for 0 is for ever. */
void
http_client_set_deadline(int fd, double deadline_s)
{
	double left_s = deadline_s - http_client_now_s();
	if (left_s < 0.001)
		left_s = 0.001;
	const struct timeval timeout = { .tv_sec = (time_t)left_s,
		.tv_usec = (suseconds_t)((left_s - (double)(time_t)left_s) * 1e6) };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

/* A process that is stopped and continued meanwhile hears EINTR (signal(7)), and asks
 * again in the time that is left. */
static ssize_t
send_some(int fd, const char *data, size_t length, double deadline_s)
{
	ssize_t n;
	do {
		http_client_set_deadline(fd, deadline_s);
		n = send(fd, data, length, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t
receive_some(int fd, char *data, size_t length, double deadline_s)
{
	ssize_t n;
	do {
		http_client_set_deadline(fd, deadline_s);
		n = recv(fd, data, length, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

static int
send_all(int fd, const char *data, size_t length, double deadline_s)
{
	for (size_t sent = 0; sent < length;) {
		ssize_t n = send_some(fd, data + sent, length - sent, deadline_s);
		if (n < 0)
			return -1;
		sent += (size_t)n;
	}
	return 0;
}

/* Heap with a NUL behind it, or NULL with errno. */
static char *
read_all(int fd, double deadline_s, size_t *ret_length)
{
	size_t size = FIRST_BYTES, length = 0, late = 0;
	char *text = malloc(size);
	ssize_t n = -1;
	while (text != NULL &&
	    (n = receive_some(fd, text + length, size - length - 1, deadline_s)) > 0) {
		length += (size_t)n;
		late += http_client_now_s() >= deadline_s;
		if (late > LATE_READS) {
			errno = ETIMEDOUT;
			break;
		}
		if (length + 1 < size)
			continue;
		errno = EMSGSIZE;
		char *longer =
		    size >= HTTP_CLIENT_RESPONSE_MAX ? NULL : realloc(text, size *= 2);
		if (longer == NULL)
			break;
		text = longer;
	}
	if (n == 0) {
		text[length] = '\0';
		*ret_length = length;
		return text;
	}
	int saved = errno;
	free(text);
	errno = saved;
	return NULL;
}

/* The body in an answer that is whole; NULL when it is none. Where no length is
 * promised it is what came. */
static const char *
find_body(const char *text, size_t length, int *ret_status)
{
	static const char field[] = "\r\nContent-Length:";
	const char *end = strstr(text, "\r\n\r\n");
	if (strlen(text) != length || end == NULL ||
	    sscanf(text, "HTTP/1.%*1[01] %3d", ret_status) != 1)
		return NULL;
	const char *body = end + strlen("\r\n\r\n");
	const char *length_field = strcasestr(text, field);
	if (length_field == NULL || length_field > end)
		return body;
	size_t content_length = strtoul(length_field + strlen(field), NULL, 10);
	return length - (size_t)(body - text) == content_length ? body : NULL;
}

int
http_client_request(
    int fd, const char *request, double deadline_s, struct http_client_response *ret)
{
	size_t length = 0;
	char *text = NULL;
	if (send_all(fd, request, strlen(request), deadline_s) == 0)
		text = read_all(fd, deadline_s, &length);
	if (text == NULL) {
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		return -1;
	}
	int status;
	const char *body = find_body(text, length, &status);
	if (body == NULL) {
		free(text);
		errno = EPROTO;
		return -1;
	}
	memmove(text, body, strlen(body) + 1);
	*ret = (struct http_client_response){ .status = status, .body = text };
	return 0;
}
