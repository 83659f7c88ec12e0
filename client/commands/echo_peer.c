#include "client/commands/echo_peer.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#define EVENTS_MAX 256
#define BACKLOG 4096

/* Blocks until the kernel accepts the echo, which is immediate for short messages. */
static void
echo_data(int fd)
{
	static char data[65536];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, data, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

static void
accept_connection(int epoll_fd, int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	int on = 1;
	event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (event.data.fd < 0)
		return;
	setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
		close(event.data.fd);
}

static void
serve(int listener)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0)
		return;
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_connection(epoll_fd, listener);
			else
				echo_data(events[i].data.fd);
		}
	}
}

static int
open_listener(uint16_t *ret_port)
{
	struct sockaddr_in own = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(own);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0 ||
	    listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &length) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	*ret_port = ntohs(own.sin_port);
	return fd;
}

pid_t
echo_peer_start(uint16_t *ret_port)
{
	int listener = open_listener(ret_port);
	if (listener < 0)
		return -1;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		if (getppid() == parent)
			serve(listener);
		_exit(0);
	}
	close(listener);
	return pid;
}

void
echo_peer_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
