#include "client/stats_fetch.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/tcp_connect.h"

#define PATIENCE_S 5
#define REQUEST_MAX 512

static int
connect_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* HOST:PORT up to the path, which *ret_path becomes. */
static int
connect_url(const char *url, const char **ret_path, char *error, size_t error_size)
{
	char host[256];
	struct address address;

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
	if (address_resolve(host, &address, 1, error, error_size) < 1)
		return -1;
	int fd = tcp_connect(&address, PATIENCE_S * UINT64_C(1000000000));
	if (fd < 0)
		snprintf(error, error_size, "%s", strerror(errno));
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* All that comes until the end (text, which holds no NUL); NULL with errno. */
static char *
read_all(int fd)
{
	FILE *file = fdopen(dup(fd), "r");
	char *text = NULL;
	size_t room = 0;

	if (file == NULL)
		return NULL;
	errno = ENODATA;
	if (getdelim(&text, &room, '\0', file) < 0 || ferror(file)) {
		free(text);
		text = NULL;
	}
	int error = errno;
	fclose(file);
	errno = error;
	return text;
}

static char *
ask(int fd, const char *path, char *error, size_t error_size)
{
	char request[REQUEST_MAX];
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int n = snprintf(request, sizeof(request),
	    "GET %.400s HTTP/1.0\r\nHost: yodeld\r\nConnection: close\r\n\r\n", path);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	char *answer = NULL;
	if (send(fd, request, (size_t)n, MSG_NOSIGNAL) == n)
		answer = read_all(fd);
	if (answer == NULL) {
		snprintf(error, error_size, "%s", strerror(errno));
		return NULL;
	}
	char *body = strstr(answer, "\r\n\r\n");
	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200", 4) != 0 ||
	    body == NULL) {
		snprintf(error, error_size,
		    "found \"%.*s\", HTTP status 200 was wanted",
		    (int)strcspn(answer, "\r\n") % 80, answer);
		free(answer);
		return NULL;
	}
	memmove(answer, body + 4, strlen(body + 4) + 1);
	return answer;
}

char *
stats_fetch(const char *where, char *error, size_t error_size)
{
	const char *path = "/stats";
	char why[256];
	int fd;

	if (strncmp(where, "unix:", 5) == 0) {
		fd = connect_unix(where + 5);
		snprintf(why, sizeof(why), "%s", strerror(errno));
	} else {
		fd = connect_url(where, &path, why, sizeof(why));
	}
	char *body = fd < 0 ? NULL : ask(fd, path, why, sizeof(why));
	if (fd >= 0)
		close(fd);
	if (body == NULL)
		snprintf(error, error_size, "--ledger %s: %s", where, why);
	return body;
}
