/*
 * socket_options.h - options of stream sockets: one table, from whose rows come the
 * settings of a listener and the options of yodel (socket(7), ip(7), ipv6(7), tcp(7)).
 *
 * A value that is 0, false or NULL is not given, and the kernel's default stays. The
 * kernel changes some values without an error: so each is read back.
 */
#ifndef NET_SOCKET_OPTIONS_H
#define NET_SOCKET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

#define SOCKET_OPTION_S UINT64_C(1000000000)
#define SOCKET_OPTION_BYTES_MAX (UINT64_C(1) << 30)

/* X(member, type, name on the command line, argument, least, most, help). Types:
 *   NUMBER  uint32_t     BYTES, RATE (bytes a second), TIME (ns)  uint64_t
 *   FLAG    bool         TEXT  char * */
#define SOCKET_OPTIONS_BOTH(X)                                                           \
	X(dscp, NUMBER, "dscp", "N", 1, 63,                                              \
	    "DSCP of the packets, such as 46 (EF) (IP_TOS, IPV6_TCLASS)")                \
	X(mark, NUMBER, "mark", "N", 1, UINT32_MAX,                                      \
	    "firewall mark of the packets (SO_MARK); needs CAP_NET_ADMIN")               \
	X(device, TEXT, "device", "NAME", 0, 0,                                          \
	    "use this interface or VRF alone (SO_BINDTODEVICE)")                         \
	X(mss, NUMBER, "mss", "BYTES", 88, 32767,                                        \
	    "largest segment to send and to announce (TCP_MAXSEG)")                      \
	X(user_timeout, TIME, "user-timeout", "T", 1000000, 86400 * SOCKET_OPTION_S,     \
	    "give up a connection whose data is not acknowledged for this long "         \
	    "(TCP_USER_TIMEOUT)")                                                        \
	X(keepalive, TIME, "keepalive", "T", SOCKET_OPTION_S, 32767 * SOCKET_OPTION_S,   \
	    "probe a connection that was idle this long (SO_KEEPALIVE, TCP_KEEPIDLE)")   \
	X(keepalive_interval, TIME, "keepalive-interval", "T", SOCKET_OPTION_S,          \
	    32767 * SOCKET_OPTION_S,                                                     \
	    "time between keep-alive probes (TCP_KEEPINTVL); requires keepalive")        \
	X(keepalive_count, NUMBER, "keepalive-count", "N", 1, 127,                       \
	    "unanswered probes that end a connection (TCP_KEEPCNT); requires keepalive") \
	X(send_buffer, BYTES, "send-buffer", "BYTES", 1024, SOCKET_OPTION_BYTES_MAX,     \
	    "send buffer (SO_SNDBUF); the kernel limits it to net.core.wmem_max")        \
	X(receive_buffer, BYTES, "receive-buffer", "BYTES", 1024,                        \
	    SOCKET_OPTION_BYTES_MAX,                                                     \
	    "receive buffer (SO_RCVBUF); the kernel limits it to net.core.rmem_max")     \
	X(pacing_rate, RATE, "pacing-rate", "RATE", 1, UINT64_C(1) << 40,                \
	    "send at most this many bytes per second (SO_MAX_PACING_RATE)")              \
	X(freebind, FLAG, "freebind", NULL, 0, 0,                                        \
	    "bind addresses that this host does not have yet (IP_FREEBIND)")             \
	X(transparent, FLAG, "transparent", NULL, 0, 0,                                  \
	    "bind addresses of other hosts (IP_TRANSPARENT); needs CAP_NET_ADMIN")
#define SOCKET_OPTIONS_SERVER(X)                                                       \
	X(fast_open_queue, NUMBER, "fast-open-queue", "N", 1, 65535,                   \
	    "connections with data in the SYN that may wait for their handshake "      \
	    "(TCP_FASTOPEN); the kernel grants 0 without bit 2 of net.ipv4.tcp_fastopen")
#define SOCKET_OPTIONS_CLIENT(X)                                                       \
	X(congestion, TEXT, "congestion", "NAME", 0, 0,                                \
	    "congestion control (TCP_CONGESTION)")                                     \
	X(fast_open, FLAG, "fast-open", NULL, 0, 0,                                    \
	    "send the first message in the SYN once the server has given a cookie "    \
	    "(TCP_FASTOPEN_CONNECT)")                                                  \
	X(nagle, FLAG, "nagle", NULL, 0, 0,                                            \
	    "let the kernel hold small segments back (TCP_NODELAY off)")
#define SOCKET_OPTIONS(X)                                                              \
	SOCKET_OPTIONS_BOTH(X) SOCKET_OPTIONS_SERVER(X) SOCKET_OPTIONS_CLIENT(X)

enum socket_option {
#define X(member, ...) SOCKET_OPTION_##member,
	SOCKET_OPTIONS(X)
#undef X
	    SOCKET_OPTION_COUNT
};

#define SOCKET_OPTION_TYPE_NUMBER uint32_t
#define SOCKET_OPTION_TYPE_BYTES uint64_t
#define SOCKET_OPTION_TYPE_RATE uint64_t
#define SOCKET_OPTION_TYPE_TIME uint64_t
#define SOCKET_OPTION_TYPE_FLAG bool
#define SOCKET_OPTION_TYPE_TEXT char *

struct socket_options {
#define X(member, type, ...) SOCKET_OPTION_TYPE_##type member;
	SOCKET_OPTIONS(X)
#undef X
};

/* Kinds of sockets, as bits. */
enum socket_kind { SOCKET_TCP = 1, SOCKET_MULTIPATH = 2, SOCKET_UNIX = 4 };
enum socket_kind socket_kind_of(const struct address *address);

#define SOCKET_OPTION_TEXT_MAX 32   /* of one value */
#define SOCKET_OPTIONS_TEXT_MAX 640 /* of all that are given */

/* The name of the setting. */
const char *socket_option_name(enum socket_option option);
bool socket_option_is_given(
    const struct socket_options *options, enum socket_option option);
bool socket_options_are_given(const struct socket_options *options);
/* The capability that it needs; NULL: none. */
const char *socket_option_capability(enum socket_option option);

/* Sets all that are given, on a socket that is not bound yet. 0, or -1 with errno and
 * the option. */
int socket_options_apply(int fd, const struct socket_options *options,
    enum socket_option *ret_failed) __attribute__((warn_unused_result));

/* Tries all that are given on a socket for the address, which is closed again, whether
 * they are for that kind, and have what they require. 0, or -1 with the option and one
 * line: the error, and the capability. */
int socket_options_try(const struct socket_options *options,
    const struct address *address, enum socket_option *ret_failed, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* A value as text, as it was given, or as the kernel has it now ("?" if it does not
 * tell); into out[SOCKET_OPTION_TEXT_MAX], returned. */
const char *socket_option_format(
    const struct socket_options *options, enum socket_option option, char *out);
const char *socket_option_read(int fd, enum socket_option option, char *out);

/* "dscp=46 mss=1200": all that are given, as given or (fd >= 0) as the kernel has them;
 * into out[SOCKET_OPTIONS_TEXT_MAX], returned. */
const char *socket_options_format(
    const struct socket_options *options, int fd, char *out);

#endif
