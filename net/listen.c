#include "net/listen.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/system/procfs.h"

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int
set_congestion(int fd, const char *name)
{
	return setsockopt(
	    fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

/* Formats the error, closes fd unless it is -1. Returns -1 with errno as it was. */
static int
fail(int fd, const char *step, const struct listen_options *options, char *error,
    size_t error_size)
{
	int saved = errno;
	const char *remedy = "";
	if (saved == EACCES)
		remedy =
		    "; ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE";
	else if (saved == ENOENT)
		remedy = "; expected one of net.ipv4.tcp_available_congestion_control";
	else if (saved == EPERM)
		remedy = "; expected one of net.ipv4.tcp_allowed_congestion_control";
	snprintf(error, error_size, "cannot %s %s: %s%s", step, options->name,
	    strerror(saved), remedy);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

/* As fail(), which closes the descriptor. */
static int
fail_congestion(
    int fd, const struct listen_options *options, char *error, size_t error_size)
{
	char step[64];
	snprintf(
	    step, sizeof(step), "set congestion control %s of", options->congestion);
	return fail(fd, step, options, error, error_size);
}

/* Sets the options that must be set before bind(2). */
static int
set_up(int fd, int family, const struct listen_options *options)
{
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
		return -1;
	if (family == AF_INET6 && options->is_v6_only &&
	    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		return -1;
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay) < 0)
		return -1;
	return options->group == LISTEN_GROUP_NEXT
	    ? set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)
	    : 0;
}

int
listen_open(struct address *address, const struct listen_options *options, char *error,
    size_t error_size)
{
	struct sockaddr *to = (struct sockaddr *)&address->storage;
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(fd, "open a socket for", options, error, error_size);
	if (set_up(fd, to->sa_family, options) < 0)
		return fail(fd, "set up", options, error, error_size);
	if (options->congestion != NULL && set_congestion(fd, options->congestion) < 0)
		return fail_congestion(fd, options, error, error_size);
	if (bind(fd, to, address->length) < 0)
		return fail(fd, "bind", options, error, error_size);
	if (options->group == LISTEN_GROUP_FIRST &&
	    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return fail(fd, "share", options, error, error_size);
	socklen_t length = sizeof(address->storage);
	if (listen(fd, options->backlog) < 0 || getsockname(fd, to, &length) < 0)
		return fail(fd, "listen on", options, error, error_size);
	return fd;
}

int
listen_set_options(int fd, const struct listen_options *options)
{
	if (listen(fd, options->backlog) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay) < 0)
		return -1;
	return options->congestion == NULL ? 0
					   : set_congestion(fd, options->congestion);
}

const char *
listen_default_congestion(char *name, size_t size)
{
	procfs_read("/proc/sys/net/ipv4/tcp_congestion_control", name, size);
	name[strcspn(name, "\n")] = '\0';
	return name[0] == '\0' ? NULL : name;
}

int
listen_check_congestion(
    int family, const struct listen_options *options, char *error, size_t error_size)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(fd, "open a socket for", options, error, error_size);
	if (set_congestion(fd, options->congestion) < 0)
		return fail_congestion(fd, options, error, error_size);
	close(fd);
	return 0;
}

/* A socket filter sees the segment from its TCP header on: byte 13 holds the flags (RFC
 * 9293, 3.1). A SYN without ACK is dropped, everything else passes. */
int
listen_block_new(int fd)
{
	enum { FLAGS_OFFSET = 13, SYN = 0x02, ACK = 0x10 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program;
	memset(&program, 0, sizeof(program)); /* padding: valgrind reads it */
	program.len = sizeof(code) / sizeof(code[0]);
	program.filter = code;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void
listen_accept_new(int fd)
{
	int unused = 0;
	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}
