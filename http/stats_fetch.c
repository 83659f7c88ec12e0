#include "http/stats_fetch.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/http_client.h"
#include "net/address.h"
#include "net/connect.h"

#define TIMEOUT_S 5
#define ADDRESSES_MAX 4 /* of a name, each called in turn */
#define REQUEST_MAX 512

/* A full queue is waited for. */
bool
stats_fetch_takes(const char *where)
{
	if (strncmp(where, "unix:", 5) == 0)
		return where[5] != '\0';
	if (strncmp(where, "http://", 7) == 0)
		where += 7;
	const char *colon = memchr(where, ':', strcspn(where, "/"));
	return colon != NULL && colon[1] != '/';
}

static int
connect_unix(const char *path, double deadline_s)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	do {
		http_client_set_deadline(fd, deadline_s);
		rc = connect(fd, (const struct sockaddr *)&to, sizeof(to));
	} while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	int error = errno == EAGAIN ? ETIMEDOUT : errno;
	close(fd);
	errno = error;
	return -1;
}

/* The first address that answers, or -1 with errno. */
static int
connect_any(const struct address *addresses, int count, double deadline_s)
{
	int fd = -1;

	errno = ETIMEDOUT;
	for (int i = 0; fd < 0 && i < count; i++) {
		double left_s = deadline_s - http_client_now_s();

		if (left_s <= 0)
			break;
		fd = connect_tcp(&addresses[i], (uint64_t)(left_s * 1e9) + 1);
	}
	return fd;
}

/* HOST:PORT up to the path, which *ret_path becomes. */
static int
connect_url(const char *url, double deadline_s, const char **ret_path, char *error,
    size_t error_size)
{
	char host[256];
	struct address addresses[ADDRESSES_MAX];

	if (strncmp(url, "http://", 7) == 0)
		url += 7;
	size_t n = strcspn(url, "/");
	if (n >= sizeof(host)) {
		snprintf(error, error_size, "the name of the host is too long");
		return -1;
	}
	memcpy(host, url, n);
	host[n] = '\0';
	if (url[n] == '/' && url[n + 1] != '\0')
		*ret_path = url + n;
	int count = address_resolve(host, addresses, ADDRESSES_MAX, error, error_size);
	if (count < 1)
		return -1;
	int fd = connect_any(addresses, count, deadline_s);
	if (fd < 0)
		snprintf(error, error_size, "%s", strerror(errno));
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

static char *
ask(int fd, const char *path, double deadline_s, char *error, size_t error_size)
{
	char request[REQUEST_MAX];
	struct http_client_response answer;

	snprintf(request, sizeof(request),
	    "GET %.400s HTTP/1.0\r\nHost: yodeld\r\nConnection: close\r\n\r\n", path);
	if (http_client_request(fd, request, deadline_s, &answer) < 0) {
		snprintf(error, error_size, "%s",
		    errno == EPROTO ? "the answer is no HTTP, or broke off"
				    : strerror(errno));
		return NULL;
	}
	if (answer.status == 200)
		return answer.body;
	snprintf(
	    error, error_size, "found HTTP status %d, 200 was wanted", answer.status);
	free(answer.body);
	return NULL;
}

char *
stats_fetch(const char *where, char *error, size_t error_size)
{
	const char *path = "/stats";
	double deadline_s = http_client_now_s() + TIMEOUT_S;
	char why[256];
	int fd;

	if (strncmp(where, "unix:", 5) == 0) {
		fd = connect_unix(where + 5, deadline_s);
		snprintf(why, sizeof(why), "%s", strerror(errno));
	} else {
		fd = connect_url(where, deadline_s, &path, why, sizeof(why));
	}
	char *body = fd < 0 ? NULL : ask(fd, path, deadline_s, why, sizeof(why));
	if (fd >= 0)
		close(fd);
	if (body == NULL)
		snprintf(error, error_size, "--ledger %s: %s", where, why);
	return body;
}
