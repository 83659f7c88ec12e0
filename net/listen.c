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
#include "net/mptcp.h"

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* MPTCP sockets do not know the option. */
static int
set_save_syn(int fd, const struct listen_options *options)
{
	return options->is_mptcp
	    ? 0
	    : set_option(fd, IPPROTO_TCP, TCP_SAVE_SYN, options->save_syn);
}

static int
set_congestion(int fd, const char *name)
{
	return setsockopt(
	    fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

/* Formats the error, closes fd unless it is -1. Returns -1 with errno as it was. */
static int
fail(int fd, const char *step, const struct listen_options *options, const char *remedy,
    const struct listen_error *error)
{
	int saved = errno;
	if (remedy == NULL && saved == EACCES)
		remedy =
		    "; ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE";
	else if (remedy == NULL && saved == ENOENT)
		remedy = "; expected one of net.ipv4.tcp_available_congestion_control";
	else if (remedy == NULL && saved == EPERM)
		remedy = "; expected one of net.ipv4.tcp_allowed_congestion_control";
	snprintf(error->text, error->size, "cannot %s %s: %s%s", step, options->name,
	    strerror(saved), remedy == NULL ? "" : remedy);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

/* As fail(), which closes the descriptor. */
static int
fail_congestion(
    int fd, const struct listen_options *options, const struct listen_error *error)
{
	char step[64];
	snprintf(
	    step, sizeof(step), "set congestion control %s of", options->congestion);
	return fail(fd, step, options, NULL, error);
}

static int
fail_option(int fd, enum socket_option option, const struct listen_options *options,
    const struct listen_error *error)
{
	char step[64], remedy[64] = "";
	const char *capability = socket_option_capability(option);
	snprintf(step, sizeof(step), "set %s of", socket_option_name(option));
	if (errno == EPERM && capability != NULL)
		snprintf(remedy, sizeof(remedy), "; it needs %s", capability);
	return fail(fd, step, options, remedy, error);
}

static int
fail_bind(int fd, const struct address *address, const struct listen_options *options,
    const struct listen_error *error)
{
	int saved = errno;
	char holder[128], remedy[160] = "";
	if (saved == EADDRINUSE &&
	    listen_overlap_find_other(address, holder, sizeof(holder)))
		snprintf(remedy, sizeof(remedy), "; a process listens on %s", holder);
	errno = saved;
	return fail(fd, "bind", options, remedy[0] == '\0' ? NULL : remedy, error);
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
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay) < 0 ||
	    set_save_syn(fd, options) < 0)
		return -1;
	return options->group == LISTEN_GROUP_NEXT
	    ? set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)
	    : 0;
}

/* Binds beside own sockets. SO_REUSEPORT would also share the address with other
 * processes of this user. */
static int
bind_beside_own(int fd, const struct address *address, enum listen_overlap *ret_overlap)
{
	char holder[128];
	*ret_overlap = listen_overlap_own(address);
	if (*ret_overlap == LISTEN_NO_OVERLAP ||
	    listen_overlap_find_other(address, holder, sizeof(holder))) {
		errno = EADDRINUSE;
		return -1;
	}
	if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	return bind(fd, (const struct sockaddr *)&address->storage, address->length);
}

static int
bind_to(int fd, const struct address *address, enum listen_group group,
    enum listen_overlap *ret_overlap)
{
	if (bind(fd, (const struct sockaddr *)&address->storage, address->length) < 0)
		return group == LISTEN_GROUP_FIRST && errno == EADDRINUSE
		    ? bind_beside_own(fd, address, ret_overlap)
		    : -1;
	return group == LISTEN_GROUP_FIRST ? set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)
					   : 0;
}

int
listen_bind(struct address *address, const struct listen_options *options,
    enum listen_overlap *ret_overlap, const struct listen_error *error)
{
	struct sockaddr *to = (struct sockaddr *)&address->storage;
	enum listen_overlap overlap = LISTEN_NO_OVERLAP;
	enum socket_option option;
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    address->is_mptcp ? IPPROTO_MPTCP : 0);
	if (fd < 0)
		return fail(fd, "open a socket for", options,
		    address->is_mptcp
			? "; the kernel has no MPTCP, or net.mptcp.enabled is 0"
			: NULL,
		    error);
	if (set_up(fd, to->sa_family, options) < 0)
		return fail(fd, "set up", options, NULL, error);
	if (options->congestion != NULL && set_congestion(fd, options->congestion) < 0)
		return fail_congestion(fd, options, error);
	if (options->sockets != NULL &&
	    socket_options_apply(fd, options->sockets, &option) < 0)
		return fail_option(fd, option, options, error);
	if (bind_to(fd, address, options->group, &overlap) < 0)
		return fail_bind(fd, address, options, error);
	socklen_t length = sizeof(address->storage);
	if (getsockname(fd, to, &length) < 0)
		return fail(fd, "read the address of", options, NULL, error);
	if (options->group == LISTEN_GROUP_FIRST)
		*ret_overlap = overlap;
	return fd;
}

int
listen_start(int fd, int backlog)
{
	return listen(fd, backlog);
}

int
listen_restart(int fd, const struct address *address, int backlog)
{
	/* EINVAL: it still has its address and port. */
	if (bind(fd, (const struct sockaddr *)&address->storage, address->length) < 0 &&
	    errno != EINVAL)
		return -1;
	return listen(fd, backlog);
}

bool
listen_is_active(int fd)
{
	int value = 0;
	socklen_t length = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 &&
	    value == 1;
}

int
listen_set_options(int fd, const struct listen_options *options)
{
	if (listen(fd, options->backlog) < 0 ||
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay) < 0 ||
	    set_save_syn(fd, options) < 0)
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
listen_check(const struct address *address, const struct listen_options *options,
    const struct listen_error *error)
{
	struct address any_port = *address;
	enum listen_overlap unused;
	address_set_port(&any_port, 0);
	int fd = listen_bind(&any_port, options, &unused, error);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* A socket that is bound to the index of no interface is never found by a SYN. Any user
 * may bind an unbound socket (Linux 5.7), but not undo it. */
int
listen_retire(int fd)
{
	int index = 0;
	socklen_t length = sizeof(index);
	if (set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, LISTEN_NO_INTERFACE) == 0)
		return 0;
	int saved = errno;
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &length) == 0 &&
	    index == LISTEN_NO_INTERFACE)
		return 0;
	(void)listen_block_new(fd);
	errno = saved;
	return -1;
}

void
listen_allow_others(int fd)
{
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

bool
listen_can_retire(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can_retire = fd >= 0 &&
	    set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, LISTEN_NO_INTERFACE) == 0;
	if (fd >= 0)
		close(fd);
	return can_retire;
}

static void
map_to_ipv6(const struct address *address, struct address *ret)
{
	*ret = *address;
	if (address->storage.ss_family != AF_INET)
		return;
	*ret = (struct address){ .length = sizeof(ret->in6) };
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = address->in.sin_port;
	memset(&ret->in6.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&ret->in6.sin6_addr.s6_addr[12], &address->in.sin_addr, 4);
}

/* A listening TCP socket that shares its address with others. drops_new: it gets no
 * connection where the user may attach a filter. */
static int
open_member(const struct address *address, int v6only, int backlog, bool drops_new)
{
	int family = address->storage.ss_family;
	int fd =
	    socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd >= 0 && set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
	    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0 &&
	    (family != AF_INET6 ||
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only) == 0) &&
	    bind(fd, (const struct sockaddr *)&address->storage, address->length) ==
		0 &&
	    (!drops_new || listen_block_new(fd) == 0 || errno == EPERM) &&
	    listen(fd, backlog) == 0)
		return fd;
	int saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

int
listen_open_stand_in(const struct address *address)
{
	struct address mapped;
	map_to_ipv6(address, &mapped);
	return open_member(&mapped, 0, SOMAXCONN, false);
}

int
listen_open_member(const struct address *address)
{
	return open_member(address, 1, 1, true);
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
