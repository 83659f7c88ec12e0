/*
 * raw_client.c - a minimal load generator: one process, level-triggered epoll, one
 * message at a time on each connection; it counts the bytes of the answers and does not
 * verify them. The reference for the cost of yodel.
 *
 *   raw_client PORT CONNECTIONS BYTES SECONDS
 *
 * Prints messages, seconds, and CPU nanoseconds (user, system) of itself while they
 * ran.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define EVENTS 256

static char data[64 * 1024];

static void
die(const char *what)
{
	perror(what);
	exit(71);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
call(int epoll, unsigned short port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event.data.fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
	return fd;
}

static void
put(int fd, size_t length)
{
	if (send(fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
		die("send");
}

static unsigned long
run(int epoll, size_t length, double until)
{
	struct epoll_event events[EVENTS];
	unsigned long messages = 0;

	while (now() < until) {
		int n = epoll_wait(epoll, events, EVENTS, 100);
		for (int i = 0; i < n; i++) {
			ssize_t got =
			    recv(events[i].data.fd, data, sizeof(data), MSG_DONTWAIT);
			if (got != (ssize_t)length)
				die("recv: not the whole answer at once");
			messages++;
			put(events[i].data.fd, length);
		}
	}
	return messages;
}

static void
report(unsigned long messages, double seconds, const struct rusage *from)
{
	struct rusage to;

	getrusage(RUSAGE_SELF, &to);
	double user = (double)(to.ru_utime.tv_sec - from->ru_utime.tv_sec) * 1e9 +
	    (double)(to.ru_utime.tv_usec - from->ru_utime.tv_usec) * 1e3;
	double system = (double)(to.ru_stime.tv_sec - from->ru_stime.tv_sec) * 1e9 +
	    (double)(to.ru_stime.tv_usec - from->ru_stime.tv_usec) * 1e3;
	printf("%lu %.3f %.0f %.0f\n", messages, seconds, user, system);
}

int
main(int argc, char **argv)
{
	struct rusage from;

	if (argc != 5) {
		fprintf(stderr, "usage: raw_client PORT CONNECTIONS BYTES SECONDS\n");
		return 64;
	}
	int count = atoi(argv[2]), epoll = epoll_create1(0);
	size_t length = (size_t)atol(argv[3]);
	double seconds = atof(argv[4]);
	int *fds = calloc((size_t)count, sizeof(int));
	if (fds == NULL || length > sizeof(data) || epoll < 0)
		die("raw_client");
	memset(data, 'x', sizeof(data));
	for (int i = 0; i < count; i++)
		fds[i] = call(epoll, (unsigned short)atoi(argv[1]));
	getrusage(RUSAGE_SELF, &from);
	double start = now();
	for (int i = 0; i < count; i++)
		put(fds[i], length);
	unsigned long messages = run(epoll, length, start + seconds);
	report(messages, now() - start, &from);
	free(fds);
	return 0;
}
