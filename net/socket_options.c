#include "net/socket_options.h"

#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/system/procfs.h"
#include "net/mptcp.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* How a value is passed to the kernel. */
enum encoding {
	PLAIN,        /* an int */
	SHIFTED,      /* DSCP: above the two bits of ECN */
	SECONDS,      /* of a time */
	MILLISECONDS, /* the same */
	DOUBLED,      /* a buffer: the kernel tells twice the value (socket(7)) */
	WIDE,         /* 64 bits */
	INVERTED,     /* 0 */
	TEXT,
};

struct row {
	const char *name;
	size_t offset, size;
	uint8_t encoding;
	uint8_t kinds;
	int level, number;
	int level6, number6; /* of IPv6 sockets; 0: the same */
	const char *capability;
};

#define FAST_OPEN_SERVER 2 /* of net.ipv4.tcp_fastopen */
#define INET (SOCKET_TCP | SOCKET_MULTIPATH)
#define ALL (INET | SOCKET_UNIX)
#define ROW(member, ...)                                                               \
	[SOCKET_OPTION_##member] = { #member, offsetof(struct socket_options, member), \
		sizeof(((struct socket_options *)0)->member), __VA_ARGS__ }

static const struct row rows[] = {
	ROW(dscp, SHIFTED, INET, IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS, NULL),
	ROW(mark, PLAIN, INET, SOL_SOCKET, SO_MARK, 0, 0, "CAP_NET_ADMIN"),
	ROW(device, TEXT, INET, SOL_SOCKET, SO_BINDTODEVICE, 0, 0, "CAP_NET_RAW"),
	ROW(mss, PLAIN, INET, IPPROTO_TCP, TCP_MAXSEG, 0, 0, NULL),
	ROW(user_timeout, MILLISECONDS, SOCKET_TCP, IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0,
	    NULL),
	ROW(keepalive, SECONDS, INET, IPPROTO_TCP, TCP_KEEPIDLE, 0, 0, NULL),
	ROW(keepalive_interval, SECONDS, INET, IPPROTO_TCP, TCP_KEEPINTVL, 0, 0, NULL),
	ROW(keepalive_count, PLAIN, INET, IPPROTO_TCP, TCP_KEEPCNT, 0, 0, NULL),
	ROW(send_buffer, DOUBLED, ALL, SOL_SOCKET, SO_SNDBUF, 0, 0, NULL),
	ROW(receive_buffer, DOUBLED, ALL, SOL_SOCKET, SO_RCVBUF, 0, 0, NULL),
	ROW(pacing_rate, WIDE, SOCKET_TCP, SOL_SOCKET, SO_MAX_PACING_RATE, 0, 0, NULL),
	ROW(freebind, PLAIN, INET, IPPROTO_IP, IP_FREEBIND, IPPROTO_IPV6, IPV6_FREEBIND,
	    NULL),
	ROW(transparent, PLAIN, INET, IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6,
	    IPV6_TRANSPARENT, "CAP_NET_ADMIN"),
	ROW(fast_open_queue, PLAIN, INET, IPPROTO_TCP, TCP_FASTOPEN, 0, 0, NULL),
	ROW(congestion, TEXT, INET, IPPROTO_TCP, TCP_CONGESTION, 0, 0, NULL),
	ROW(fast_open, PLAIN, INET, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, 0, NULL),
	ROW(nagle, INVERTED, INET, IPPROTO_TCP, TCP_NODELAY, 0, 0, NULL),
};
_Static_assert(sizeof(rows) / sizeof(rows[0]) == SOCKET_OPTION_COUNT, "one for each");

static const char *const kind_names[] = {
	[SOCKET_TCP] = "TCP",
	[SOCKET_MULTIPATH] = "MPTCP",
	[SOCKET_UNIX] = "a Unix socket",
};

enum socket_kind
socket_kind_of(const struct address *address)
{
	if (address_is_unix(address))
		return SOCKET_UNIX;
	return address->is_mptcp ? SOCKET_MULTIPATH : SOCKET_TCP;
}

const char *
socket_option_name(enum socket_option option)
{
	return rows[option].name;
}

const char *
socket_option_capability(enum socket_option option)
{
	return rows[option].capability;
}

static const char *
text_of(const struct socket_options *options, const struct row *row)
{
	const char *text;
	memcpy(&text, (const char *)options + row->offset, sizeof(text));
	return text;
}

static uint64_t
number_of(const struct socket_options *options, const struct row *row)
{
	const char *at = (const char *)options + row->offset;
	uint64_t wide = 0;
	uint32_t narrow = 0;
	if (row->size == sizeof(wide))
		memcpy(&wide, at, sizeof(wide));
	else if (row->size == sizeof(narrow))
		memcpy(&narrow, at, sizeof(narrow));
	else
		narrow = *at != 0;
	return wide + narrow;
}

bool
socket_option_is_given(const struct socket_options *options, enum socket_option option)
{
	const struct row *row = &rows[option];
	return row->encoding == TEXT ? text_of(options, row) != NULL
				     : number_of(options, row) != 0;
}

bool
socket_options_are_given(const struct socket_options *options)
{
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++) {
		if (socket_option_is_given(options, (enum socket_option)i))
			return true;
	}
	return false;
}

static bool
is_ipv6(int fd)
{
	int domain = 0;
	socklen_t length = sizeof(domain);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
	    domain == AF_INET6;
}

/* Nanoseconds of one unit of the kernel: 0 if it is not a time. */
static uint64_t
nanoseconds(const struct row *row)
{
	switch (row->encoding) {
	case SECONDS:
		return SOCKET_OPTION_S;
	case MILLISECONDS:
		return SOCKET_OPTION_S / 1000;
	default:
		return 0;
	}
}

static int
set(int fd, const struct socket_options *options, enum socket_option option)
{
	const struct row *row = &rows[option];
	bool has_other = row->level6 != 0 && is_ipv6(fd);
	int level = has_other ? row->level6 : row->level;
	int number = has_other ? row->number6 : row->number, on = 1;
	uint64_t value = row->encoding == TEXT ? 0 : number_of(options, row);
	if (row->encoding == TEXT) {
		const char *text = text_of(options, row);
		return setsockopt(fd, level, number, text, (socklen_t)strlen(text));
	}
	if (row->encoding == WIDE)
		return setsockopt(fd, level, number, &value, sizeof(value));
	if (nanoseconds(row) != 0)
		value = (value + nanoseconds(row) - 1) / nanoseconds(row);
	if (row->encoding == SHIFTED)
		value <<= 2;
	if (row->encoding == INVERTED)
		value = 0;
	if (option == SOCKET_OPTION_keepalive &&
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
		return -1;
	int plain = (int)(uint32_t)value;
	return setsockopt(fd, level, number, &plain, sizeof(plain));
}

int
socket_options_apply(
    int fd, const struct socket_options *options, enum socket_option *ret_failed)
{
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++) {
		*ret_failed = (enum socket_option)i;
		if (socket_option_is_given(options, *ret_failed) &&
		    set(fd, options, *ret_failed) < 0)
			return -1;
	}
	return 0;
}

/* TCP_CONGESTION alone gives ENOENT. */
static const char *
error_text(int error)
{
	return error == ENOENT
	    ? "the kernel has no such congestion control (see net.ipv4.tcp_available_congestion_control)"
	    : strerror(error);
}

/* The first option that has no effect without another one. */
static bool
lacks_keepalive(const struct socket_options *options, enum socket_option *ret)
{
	if (options->keepalive != 0)
		return false;
	*ret = options->keepalive_interval != 0 ? SOCKET_OPTION_keepalive_interval
						: SOCKET_OPTION_keepalive_count;
	return socket_option_is_given(options, *ret);
}

int
socket_options_try(const struct socket_options *options, const struct address *address,
    enum socket_option *ret_failed, char *error, size_t error_size)
{
	enum socket_kind kind = socket_kind_of(address);
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++) {
		*ret_failed = (enum socket_option)i;
		if (!socket_option_is_given(options, *ret_failed) ||
		    (rows[i].kinds & kind) != 0)
			continue;
		snprintf(error, error_size, "%s does not have this option",
		    kind_names[kind]);
		return -1;
	}
	if (lacks_keepalive(options, ret_failed)) {
		snprintf(error, error_size, "it has no effect without keepalive");
		errno = EINVAL;
		return -1;
	}
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC,
	    address->is_mptcp ? IPPROTO_MPTCP : 0);
	/* Without such sockets the failure to open one tells more. */
	if (fd < 0)
		return 0;
	int rc = socket_options_apply(fd, options, ret_failed);
	int saved = errno;
	close(fd);
	const char *capability = rows[*ret_failed].capability;
	if (rc < 0)
		snprintf(error, error_size, "%s%s%s", error_text(saved),
		    saved == EPERM && capability != NULL ? ": it needs " : "",
		    saved == EPERM && capability != NULL ? capability : "");
	errno = saved;
	return rc;
}

/* As units_show_duration() would, but exactly. */
static void
format_number(const struct row *row, uint64_t value, char *out)
{
	if (nanoseconds(row) == SOCKET_OPTION_S)
		snprintf(out, SOCKET_OPTION_TEXT_MAX, "%" PRIu64 "s", value);
	else if (nanoseconds(row) != 0)
		snprintf(out, SOCKET_OPTION_TEXT_MAX, "%" PRIu64 "ms", value);
	else
		snprintf(out, SOCKET_OPTION_TEXT_MAX, "%" PRIu64, value);
}

const char *
socket_option_format(
    const struct socket_options *options, enum socket_option option, char *out)
{
	const struct row *row = &rows[option];
	if (row->encoding == TEXT) {
		snprintf(out, SOCKET_OPTION_TEXT_MAX, "%s", text_of(options, row));
		return out;
	}
	uint64_t value = number_of(options, row);
	if (nanoseconds(row) != 0)
		value = (value + nanoseconds(row) - 1) / nanoseconds(row);
	format_number(row, value, out);
	return out;
}

/* The kernel takes the length of the queue, and ignores it without this bit. */
static bool
is_fast_open_on(void)
{
	return (procfs_number("/proc/sys/net/ipv4/tcp_fastopen") & FAST_OPEN_SERVER) !=
	    0;
}

const char *
socket_option_read(int fd, enum socket_option option, char *out)
{
	const struct row *row = &rows[option];
	bool has_other = row->level6 != 0 && is_ipv6(fd);
	union {
		char text[SOCKET_OPTION_TEXT_MAX];
		uint64_t wide;
		int plain;
	} value = { .wide = 0 };
	socklen_t length = row->encoding == TEXT ? sizeof(value.text) - 1
	    : row->encoding == WIDE              ? sizeof(value.wide)
						 : sizeof(value.plain);
	if (getsockopt(fd, has_other ? row->level6 : row->level,
		has_other ? row->number6 : row->number, &value, &length) < 0)
		return strcpy(out, "?");
	if (row->encoding == TEXT) {
		snprintf(out, SOCKET_OPTION_TEXT_MAX, "%s", value.text);
		return out;
	}
	uint64_t number =
	    row->encoding == WIDE ? value.wide : (uint64_t)(uint32_t)value.plain;
	if (row->encoding == SHIFTED)
		number >>= 2;
	if (row->encoding == DOUBLED)
		number /= 2;
	if (row->encoding == INVERTED)
		number = number == 0;
	if (option == SOCKET_OPTION_fast_open_queue && !is_fast_open_on())
		number = 0;
	format_number(row, number, out);
	return out;
}

const char *
socket_options_format(const struct socket_options *options, int fd, char *out)
{
	size_t used = 0;
	out[0] = '\0';
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++) {
		enum socket_option option = (enum socket_option)i;
		char value[SOCKET_OPTION_TEXT_MAX];
		if (!socket_option_is_given(options, option))
			continue;
		if (fd >= 0)
			socket_option_read(fd, option, value);
		else
			socket_option_format(options, option, value);
		int n = snprintf(out + used, SOCKET_OPTIONS_TEXT_MAX - used, "%s%s=%s",
		    used > 0 ? " " : "", rows[i].name, value);
		used += (size_t)n < SOCKET_OPTIONS_TEXT_MAX - used ? (size_t)n : 0;
	}
	return out;
}
