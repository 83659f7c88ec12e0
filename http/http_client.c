#include "http/http_client.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "net/address.h"
#include "net/connect.h"

#define FIRST_BYTES 65536
/* Reads after the deadline, for a response that arrived in time but was read late. */
#define LATE_READS 64
#define ADDRESSES_MAX 4 /* of a name, tried in turn */
#define HOST_MAX 256
#define SERVER_MAX 8192 /* bytes of a server and a target */
#define DIGITS "0123456789"

static const char unix_prefix[] = "unix:";
static const char http_prefix[] = "http://";

/* The text after the prefix, or NULL if it starts otherwise. */
static const char *
skip_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

bool
http_client_accepts(const char *server)
{
	const char *rest = skip_prefix(server, unix_prefix);
	if (rest != NULL)
		return *rest != '\0';
	rest = skip_prefix(server, http_prefix);
	if (rest == NULL)
		rest = server;
	const char *colon = memchr(rest, ':', strcspn(rest, "/"));
	return colon != NULL && colon[1] != '/';
}

/* Time until the deadline: at least 1 ms, because 0 would mean no limit. */
static uint64_t
time_left(uint64_t deadline_ns)
{
	uint64_t now_ns = clock_now_ns();
	return deadline_ns > now_ns + NS_PER_MS ? deadline_ns - now_ns : NS_PER_MS;
}

static void
set_deadline(int fd, int option, uint64_t deadline_ns)
{
	const struct timeval timeout = clock_timeval(time_left(deadline_ns));
	setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof(timeout));
}

/* A socket call with a timeout returns EINTR after SIGSTOP and SIGCONT (signal(7)) and
 * is repeated with the time that is left. */
static int
send_all(int fd, const char *data, size_t length, uint64_t deadline_ns)
{
	while (length > 0) {
		set_deadline(fd, SO_SNDTIMEO, deadline_ns);
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			data += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

static ssize_t
receive(int fd, char *data, size_t length, uint64_t deadline_ns)
{
	ssize_t n;
	do {
		set_deadline(fd, SO_RCVTIMEO, deadline_ns);
		n = recv(fd, data, length, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Heap with a NUL behind it, or NULL with errno. */
static char *
read_all(int fd, uint64_t deadline_ns, size_t *ret_length)
{
	size_t size = FIRST_BYTES, length = 0, late = 0;
	char *text = malloc(size);
	ssize_t n = -1;
	while (text != NULL &&
	    (n = receive(fd, text + length, size - length - 1, deadline_ns)) > 0) {
		length += (size_t)n;
		late += clock_now_ns() >= deadline_ns;
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
	errno = saved == EAGAIN ? ETIMEDOUT : saved;
	return NULL;
}

/* The status, three digits (RFC 9112, 4), or -1. */
static int
parse_status(const char *text)
{
	static const char version[] = "HTTP/1.";
	const char *digits = text + strlen(version) + 2;
	if (strncmp(text, version, strlen(version)) != 0 ||
	    (digits[-2] != '0' && digits[-2] != '1') || digits[-1] != ' ' ||
	    strspn(digits, DIGITS) != 3 || strchr(" \r", digits[3]) == NULL ||
	    digits[0] == '0')
		return -1;
	return atoi(digits);
}

/* The value of a header field, in front of `end`, or NULL. */
static const char *
find_field(const char *text, const char *end, const char *name)
{
	const char *at = strcasestr(text, name);
	return at != NULL && at < end ? at + strlen(name) : NULL;
}

/* True if the field's value, digits only, is that number. */
static bool
is_number(const char *value, size_t number)
{
	char digits[24];
	value += strspn(value, " \t");
	size_t count = strspn(value, DIGITS), zeros = strspn(value, "0");
	const char *rest = value + count + strspn(value + count, " \t");
	if (count == 0 || *rest != '\r')
		return false;
	if (zeros == count)
		zeros--;
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%zu", number);
	return count - zeros == length && memcmp(value + zeros, digits, length) == 0;
}

/* The body of a complete response, or NULL. Without Content-Length the body is all that
 * arrived. The request was HTTP/1.0: no server may answer it with a transfer coding. */
static const char *
find_body(const char *text, size_t length, int *ret_status)
{
	static const char field[] = "\r\nContent-Length:";
	const char *end = strstr(text, "\r\n\r\n");
	*ret_status = parse_status(text);
	if (strlen(text) != length || end == NULL || *ret_status < 0 ||
	    find_field(text, end, "\r\nTransfer-Encoding:") != NULL)
		return NULL;
	const char *body = end + strlen("\r\n\r\n");
	size_t body_length = length - (size_t)(body - text);
	for (const char *at = text; (at = find_field(at, end, field)) != NULL;) {
		if (!is_number(at, body_length))
			return NULL;
	}
	return body;
}

int
http_client_exchange(
    int fd, const char *text, uint64_t deadline_ns, struct http_client_response *ret)
{
	if (send_all(fd, text, strlen(text), deadline_ns) < 0) {
		errno = errno == EAGAIN ? ETIMEDOUT : errno;
		return -1;
	}
	size_t length;
	char *response = read_all(fd, deadline_ns, &length);
	if (response == NULL)
		return -1;
	int status;
	const char *body = find_body(response, length, &status);
	if (body == NULL) {
		free(response);
		errno = EPROTO;
		return -1;
	}
	memmove(response, body, strlen(body) + 1);
	*ret = (struct http_client_response){ .status = status, .body = response };
	return 0;
}

/* Connects to the first address that accepts: each of those left gets its share of the
 * time that is left. A descriptor, or -1 with errno and one line that names each
 * address with its error. */
static int
connect_addresses(const struct address *addresses, int count, uint64_t deadline_ns,
    char *error, size_t error_size)
{
	char name[ADDRESS_TEXT_MAX];
	int n = snprintf(error, error_size, "cannot connect: ");
	size_t length = (size_t)n < error_size ? (size_t)n : error_size - 1;
	errno = ETIMEDOUT;
	for (int i = 0; i < count; i++) {
		uint64_t share_ns = time_left(deadline_ns) / (uint64_t)(count - i);
		int fd = connect_tcp(
		    &addresses[i], share_ns > NS_PER_MS ? share_ns : NS_PER_MS);
		if (fd >= 0)
			return fd;
		int saved = errno;
		n = count == 1
		    ? snprintf(error + length, error_size - length, "%s",
			  connect_error_text(&addresses[i], saved))
		    : snprintf(error + length, error_size - length, "%s%s: %s",
			  i > 0 ? "; " : "", address_format(&addresses[i], name),
			  connect_error_text(&addresses[i], saved));
		length += (size_t)n < error_size - length ? (size_t)n
							  : error_size - length - 1;
		errno = saved;
	}
	return -1;
}

/* Connects to the HOST:PORT at the front of `url`. A descriptor, or -1 with errno and
 * the error. */
static int
connect_host(const char *url, uint64_t deadline_ns, char *error, size_t error_size)
{
	char host[HOST_MAX];
	struct address addresses[ADDRESSES_MAX];
	size_t length = strcspn(url, "/");
	if (length >= sizeof(host)) {
		snprintf(error, error_size,
		    "found the host \"%.40s...\", expected less than %d bytes", url,
		    HOST_MAX);
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(host, url, length);
	host[length] = '\0';
	int count = address_resolve(host, addresses, ADDRESSES_MAX, error, error_size);
	if (count < 1) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	int fd = connect_addresses(addresses, count, deadline_ns, error, error_size);
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

/* *ret_target becomes the target in the server's URL, if it has one. */
static int
connect_server(const char *server, uint64_t deadline_ns, const char **ret_target,
    char *error, size_t error_size)
{
	const char *path = skip_prefix(server, unix_prefix);
	if (path != NULL) {
		int fd = connect_unix(path, time_left(deadline_ns));
		if (fd < 0)
			snprintf(
			    error, error_size, "cannot connect: %s", strerror(errno));
		return fd;
	}
	const char *url = skip_prefix(server, http_prefix);
	if (url == NULL)
		url = server;
	const char *slash = strchr(url, '/');
	if (slash != NULL && slash[1] != '\0')
		*ret_target = slash;
	return connect_host(url, deadline_ns, error, error_size);
}

enum http_client_status
http_client_send(const struct http_client_request *request,
    struct http_client_response *ret, char *error, size_t error_size)
{
	uint64_t deadline_ns = clock_now_ns() + request->timeout_ns;
	const char *target = request->target;
	if (strlen(request->server) + strlen(target) > SERVER_MAX) {
		snprintf(error, error_size,
		    "found a URL of %zu bytes, expected at most %d",
		    strlen(request->server) + strlen(target), SERVER_MAX);
		errno = ENAMETOOLONG;
		return HTTP_CLIENT_NOT_CONNECTED;
	}
	int fd =
	    connect_server(request->server, deadline_ns, &target, error, error_size);
	if (fd < 0)
		return HTTP_CLIENT_NOT_CONNECTED;
	char text[SERVER_MAX + 128];
	snprintf(text, sizeof(text),
	    "%.8s %s HTTP/1.0\r\nHost: yodeld\r\nConnection: close\r\n"
	    "Content-Length: 0\r\n\r\n",
	    request->method, target);
	int rc = http_client_exchange(fd, text, deadline_ns, ret);
	int saved = errno;
	close(fd);
	if (rc == 0)
		return HTTP_CLIENT_OK;
	if (saved == ETIMEDOUT)
		snprintf(error, error_size, "no response within %g s",
		    (double)request->timeout_ns / (double)NS_PER_S);
	else
		snprintf(error, error_size, "%s",
		    saved == EPROTO ? "the response is incomplete or not HTTP"
				    : strerror(saved));
	errno = saved;
	return HTTP_CLIENT_NO_RESPONSE;
}
