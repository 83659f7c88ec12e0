/*
 * threads.c - a blocking echo server with a thread for each connection. Only for the
 * comparison of event methods.
 *
 *   threads       prints its port, serves until it is terminated
 */
#include <sys/resource.h>
#include <sys/socket.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define BACKLOG 4096
#define DATA_BYTES (16 * 1024)
#define STACK_BYTES (64 * 1024)

static void
die(const char *what)
{
	perror(what);
	exit(71);
}

static void *
serve(void *argument)
{
	char data[DATA_BYTES];
	int fd = (int)(intptr_t)argument;
	ssize_t came;

	while ((came = recv(fd, data, sizeof(data), 0)) > 0) {
		if (send(fd, data, (size_t)came, MSG_NOSIGNAL) != came)
			break;
	}
	close(fd);
	return NULL;
}

static int
listen_anywhere(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(name);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die("listen");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	getsockname(fd, (struct sockaddr *)&name, &length);
	printf("%d\n", ntohs(name.sin_port));
	fflush(stdout);
	return fd;
}

int
main(void)
{
	struct rlimit limit;
	pthread_attr_t attributes;
	pthread_t thread;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	int listener = listen_anywhere();
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			die("accept");
		if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd) !=
		    0)
			die("no thread for a connection");
	}
}
