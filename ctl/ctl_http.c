#include "ctl/ctl_http.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
fail(const char *socket_path, const char *what, char *error)
{
	int saved = errno;
	snprintf(error, CTL_ERROR_MAX, "%.120s: %s", socket_path, what);
	errno = saved;
	return -1;
}

/* Of a step that failed: out of time, or what errno says. */
static int
fail_step(const char *path, const char *prefix, char *error)
{
	char what[128];
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	snprintf(what, sizeof(what), "%s%s", prefix,
	    errno == ETIMEDOUT    ? "no answer within the time"
		: errno == EPROTO ? "the answer broke off"
				  : strerror(errno));
	return fail(path, what, error);
}

static int
fail_to_connect(const char *path, char *error)
{
	if (errno == EACCES)
		return fail(path,
		    "Permission denied; its mode and admin.group say who may", error);
	if (errno == ENOENT)
		return fail(path,
		    "no yodeld answers there: no such file; the admin.socket of one that runs was wanted (-s)",
		    error);
	fail_step(path, "no yodeld answers there: ", error);
	errno = ENOTCONN; /* also when time ran out: nothing was asked for yet */
	return -1;
}

/* A connected socket, or -1 with the error. */
static int
connect_to_server(const char *path, double deadline_s, char *error)
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
	int rc;
	do {
		http_client_set_deadline(fd, deadline_s);
		rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return fail_to_connect(path, error);
}

int
ctl_http_request(const char *socket, const char *method, const char *target,
    double timeout_s, struct http_client_response *ret, char *error)
{
	double deadline_s = http_client_now_s() + timeout_s;
	char request[512];
	int fd = connect_to_server(socket, deadline_s, error);
	if (fd < 0)
		return -1;
	snprintf(request, sizeof(request),
	    "%s %s HTTP/1.1\r\nHost: yodeld\r\nConnection: close\r\n"
	    "Content-Length: 0\r\n\r\n",
	    method, target);
	int rc = http_client_request(fd, request, deadline_s, ret);
	int saved = errno;
	close(fd);
	errno = saved;
	return rc == 0 ? 0 : fail_step(socket, "", error);
}
