/*
 * raw_epoll.c - a minimal echo server: one process, level-triggered epoll, a connection
 * is just a descriptor. The reference for the cost of yodeld.
 *
 *   raw_epoll [ADDRESS [PORT]]     prints the port, serves until it is terminated
 *   raw_epoll mptcp                the same over MPTCP, on 127.0.0.1
 *   raw_epoll unix:PATH            on a Unix socket; prints 0
 *   raw_epoll filtered ADDRESS     with a filter of system calls that checks what
 * yodeld's checks of each message: sendto(2) without an address
 *
 * It has no output buffer: after a partial send it exits with an error, because the
 * comparison would be invalid.
 */
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define EVENTS 64
#define BACKLOG 4096

static char data[64 * 1024];

static void
die(const char *what)
{
	perror(what);
	exit(71);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* seccomp(2). Calls other than sendto are allowed without a look at their arguments, so
 * that the kernel knows the answer without running the filter, as with yodeld's. */
static void
enter_filter(void)
{
	const unsigned address = offsetof(struct seccomp_data, args[4]);
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, address),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, address + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = { .len = sizeof(steps) / sizeof(steps[0]),
		.filter = steps };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		die("seccomp");
}

static int
listen_on_path(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die(path);
	printf("0\n");
	fflush(stdout);
	return fd;
}

static int
listen_on(const char *address, int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t length = sizeof(name);
	int one = 1;
	bool is_mptcp = strcmp(address, "mptcp") == 0;

	if (strncmp(address, "unix:", 5) == 0)
		return listen_on_path(address + 5);
	if (is_mptcp)
		address = "127.0.0.1";
	int fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, is_mptcp ? IPPROTO_MPTCP : 0);
	if (fd < 0 || inet_pton(AF_INET, address, &name.sin_addr) != 1)
		die(address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* inherited */
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		die("bind, listen");
	getsockname(fd, (struct sockaddr *)&name, &length);
	printf("%d\n", ntohs(name.sin_port));
	fflush(stdout);
	return fd;
}

static void
watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void
take_socket(int epoll_fd, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0)
		watch(epoll_fd, fd);
}

static void
answer(int fd)
{
	ssize_t came = recv(fd, data, sizeof(data), 0);

	if (came > 0) {
		if (send(fd, data, came, MSG_NOSIGNAL) != came)
			die("send took not all");
	} else if (came == 0 || errno != EAGAIN) {
		close(fd);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int epoll_fd = epoll_create1(0);
	int listener;

	if (argc > 1 && strcmp(argv[1], "filtered") == 0) {
		enter_filter();
		argc--;
		argv++;
	}
	raise_descriptor_limit();
	listener =
	    listen_on(argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? atoi(argv[2]) : 0);
	watch(epoll_fd, listener);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == listener)
				take_socket(epoll_fd, listener);
			else
				answer(events[i].data.fd);
		}
	}
}
