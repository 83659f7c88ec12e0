/*
 * busy_poll.c - a non-blocking echo server that reads from every socket in turn and
 * never waits. Only for the comparison of event methods.
 *
 *   busy_poll     prints its port, serves until it is terminated
 */
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define CONNECTIONS_MAX 65536
#define BACKLOG 4096

static char data[64 * 1024];
static int connections[CONNECTIONS_MAX];
static int count;

static void
die(const char *what)
{
	perror(what);
	exit(71);
}

static int
listen_anywhere(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(name);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die("listen");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	getsockname(fd, (struct sockaddr *)&name, &length);
	printf("%d\n", ntohs(name.sin_port));
	fflush(stdout);
	return fd;
}

/* Returns 0 when the connection has ended. */
static int
answer(int fd)
{
	ssize_t came = recv(fd, data, sizeof(data), 0);

	if (came > 0 && send(fd, data, (size_t)came, MSG_NOSIGNAL) != came)
		die("send took not all");
	if (came > 0 || (came < 0 && errno == EAGAIN))
		return 1;
	close(fd);
	return 0;
}

int
main(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	int listener = listen_anywhere();
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd >= 0 && count < CONNECTIONS_MAX)
			connections[count++] = fd;
		for (int i = 0; i < count; i++) {
			if (!answer(connections[i]))
				connections[i--] = connections[--count];
		}
	}
}
