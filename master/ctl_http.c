#include "master/ctl_http.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX (16 << 20) /* bytes; no answer of yodeld's is as long */

static int
fail(const char *socket_path, const char *what, char *error)
{
	snprintf(error, CTL_ERROR_MAX, "%s: %s", socket_path, what);
	return -1;
}

/* A connected socket, or -1 with the error. */
static int
reach(const char *path, int patience_s, char *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = patience_s };
	if (strlen(path) >= sizeof(address.sun_path))
		return fail(path, "no path of a socket is as long", error);
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(path, strerror(errno), error);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int saved = errno;
	close(fd);
	char what[128];
	snprintf(what, sizeof(what), "no yodeld answers there: %s", strerror(saved));
	return fail(path, what, error);
}

static int
ask(int fd, const char *method, const char *target)
{
	char request[512];
	int n = snprintf(request, sizeof(request),
	    "%s %s HTTP/1.1\r\nHost: yodeld\r\nConnection: close\r\n"
	    "Content-Length: 0\r\n\r\n",
	    method, target);
	return send(fd, request, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

/* Everything up to the end of file; heap with a NUL behind it, or NULL with errno. */
static char *
read_all(int fd, size_t *ret_length)
{
	size_t size = 65536, length = 0;
	char *text = malloc(size);
	ssize_t n = -1;
	while (
	    text != NULL && (n = recv(fd, text + length, size - length - 1, 0)) > 0) {
		length += (size_t)n;
		if (length + 1 < size)
			continue;
		char *longer = size >= ANSWER_MAX ? NULL : realloc(text, size *= 2);
		if (longer == NULL)
			break;
		text = longer;
	}
	if (n == 0) {
		text[length] = '\0';
		*ret_length = length;
		return text;
	}
	if (n > 0)
		errno = EMSGSIZE;
	free(text);
	return NULL;
}

/* The body and the status in an answer that is whole; -1 when it is none. */
static int
read_answer(const char *text, size_t length, struct ctl_answer *ret)
{
	int status;
	const char *end = strstr(text, "\r\n\r\n");
	const char *field = strcasestr(text, "\r\nContent-Length:");
	if (sscanf(text, "HTTP/1.%*d %d", &status) != 1 || end == NULL ||
	    field == NULL || field > end)
		return -1;
	const char *body = end + strlen("\r\n\r\n");
	size_t promised = strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
	if (length - (size_t)(body - text) != promised)
		return -1;
	ret->status = status;
	ret->body = strdup(body);
	return ret->body == NULL ? -1 : 0;
}

int
ctl_http_ask(const char *socket, const char *method, const char *target, int patience_s,
    struct ctl_answer *ret, char *error)
{
	int fd = reach(socket, patience_s, error);
	if (fd < 0)
		return -1;
	size_t length = 0;
	char *text = NULL;
	if (ask(fd, method, target) == 0)
		text = read_all(fd, &length);
	int saved = errno;
	close(fd);
	if (text == NULL)
		return fail(socket,
		    saved == EAGAIN ? "no answer within the time" : strerror(saved),
		    error);
	int rc = read_answer(text, length, ret);
	free(text);
	return rc == 0 ? 0 : fail(socket, "the answer broke off", error);
}

void
ctl_http_finish(struct ctl_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}
