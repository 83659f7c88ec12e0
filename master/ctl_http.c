#include "master/ctl_http.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (16 << 20) /* bytes; no answer of yodeld's is as long */

static int
fail(const char *socket_path, const char *what, char *error)
{
	int saved = errno;
	snprintf(error, CTL_ERROR_MAX, "%s: %s", socket_path, what);
	errno = saved;
	return -1;
}

static double
now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What is left of the time is that of the next step; at least a moment, for 0 is for
 * ever. */
static void
set_patience(int fd, double deadline_s)
{
	double left_s = deadline_s - now_s();
	if (left_s < 0.001)
		left_s = 0.001;
	const struct timeval patience = { .tv_sec = (time_t)left_s,
		.tv_usec = (suseconds_t)((left_s - (double)(time_t)left_s) * 1e6) };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* Of a step that failed: out of time, or what errno says. */
static int
fail_step(const char *path, const char *prefix, char *error)
{
	char what[128];
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	snprintf(what, sizeof(what), "%s%s", prefix,
	    errno == ETIMEDOUT ? "no answer within the time" : strerror(errno));
	return fail(path, what, error);
}

/* A connected socket, or -1 with the error. */
static int
reach(const char *path, double deadline_s, char *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return fail(path, "no path of a socket is as long", error);
	}
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(path, strerror(errno), error);
	set_patience(fd, deadline_s);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return fail_step(path, "no yodeld answers there: ", error);
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
read_all(int fd, double deadline_s, size_t *ret_length)
{
	size_t size = 65536, length = 0;
	char *text = malloc(size);
	ssize_t n = -1;
	while (
	    text != NULL && (n = recv(fd, text + length, size - length - 1, 0)) > 0) {
		length += (size_t)n;
		set_patience(fd, deadline_s);
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
ctl_http_ask(const char *socket, const char *method, const char *target,
    double patience_s, struct ctl_answer *ret, char *error)
{
	double deadline_s = now_s() + patience_s;
	int fd = reach(socket, deadline_s, error);
	if (fd < 0)
		return -1;
	size_t length = 0;
	char *text = NULL;
	if (ask(fd, method, target) == 0)
		text = read_all(fd, deadline_s, &length);
	int saved = errno;
	close(fd);
	errno = saved;
	if (text == NULL)
		return fail_step(socket, "", error);
	int rc = read_answer(text, length, ret);
	free(text);
	errno = EPROTO;
	return rc == 0 ? 0 : fail(socket, "the answer broke off", error);
}

void
ctl_http_finish(struct ctl_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}
