/*
 * address.h - addresses of stream sockets: TCP "127.0.0.1:10000", "[::1]:8001",
 * "host:port", ":port"; MPTCP, the same behind "mptcp:"; Unix sockets "unix:/path" and
 * "unix:@name" (abstract, unix(7)).
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#define ADDRESS_TEXT_MAX 128      /* holds any numeric address, or a Unix one */
#define ADDRESS_UNIX_NAME_MAX 107 /* bytes of a path, or of an abstract name */

/* The process at the other end of a Unix socket, when it connected (SO_PEERCRED). */
struct address_process {
	uint32_t pid; /* 0: of another PID namespace */
	uint32_t uid, gid;
};

struct address {
	union {
		struct sockaddr_storage storage;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct {
			struct sockaddr_un un;
			/* Process of a peer, which has no name. */
			struct address_process process;
		};
	};
	socklen_t length;
	bool is_mptcp; /* not a part of the address: the protocol of its sockets */
};

/* Parses a numeric "IPv4:port" or "[IPv6]:port" ("*:port" and ":port" are the IPv4
 * wildcard, "[::]:port" is the IPv6 one), also behind "mptcp:", or a Unix address. 0,
 * or -1 with one line in error[error_size] that says what was found and what was
 * expected. */
int address_parse(const char *text, struct address *ret, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Parses a decimal number up to `max`, of at most five digits. 0 or -1. */
int address_parse_number(const char *text, unsigned max, unsigned *ret)
    __attribute__((warn_unused_result));

/* Also resolves names (getaddrinfo(3): may block, start-up only); ":port" is this host.
 * Writes at most `max` addresses, in the resolver's order, and returns their number, or
 * -1 with the error and errno: EAGAIN if no name server answers, ENOMEM, ENOENT for a
 * name without an address, EINVAL for a malformed text. */
int address_resolve(const char *text, struct address *ret, int max, char *error,
    size_t error_size) __attribute__((warn_unused_result));

static inline bool
address_is_unix(const struct address *address)
{
	return address->storage.ss_family == AF_UNIX;
}

/* The path of a Unix address; NULL: abstract, of a peer, or not a Unix address. */
const char *address_unix_path(const struct address *address);

/* Makes the address of a peer at a Unix socket, which accept(2) has returned: the
 * process that connected. */
void address_set_process(int fd, struct address *peer);

/* Drops the IP addresses of the other family from the list; the number that is left. */
int address_keep_family(struct address *addresses, int count, int family);

/* Numeric text of an address with its port, into buffer[ADDRESS_TEXT_MAX], returned. A
 * peer at a Unix socket is "unix pid 812 uid 1000". */
const char *address_format(const struct address *address, char *buffer);
/* As address_format(), for the local address of a socket; "(no address)" if it has
 * none. That of a client at a Unix socket has no name either: "unix socket 7", the
 * descriptor. */
const char *address_format_local(int fd, char *buffer);

uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);
bool address_equal(const struct address *a, const struct address *b);
bool address_is_wildcard(const struct address *address);
/* True if no other host reaches it: 127.0.0.0/8, ::1, or not an IP address. */
bool address_is_loopback(const struct address *address);
/* Whether sockets bound to them could receive the same connection: the same address, or
 * one of them is the wildcard of their family, with the same port, which is not 0. An
 * IPv6 wildcard is taken as one of IPv6 only. */
bool address_overlaps(const struct address *a, const struct address *b);
/* Whether bind(2) refuses the address on every host: an IPv4-mapped or a multicast IPv6
 * address, or a link-local one without its interface. 0, or -1 with one line in
 * error[error_size]. */
int address_check_bindable(const struct address *address, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* An IP address with its port in 20 bytes, for a connection. */
struct address_compact {
	uint8_t bytes[16]; /* IPv4 in the first four; uid, gid and pid of a process */
	uint16_t port;     /* host order */
	uint8_t family;    /* AF_INET, AF_INET6 or AF_UNIX */
};
void address_compact(const struct address *address, struct address_compact *ret);
void address_expand(const struct address_compact *compact, struct address *ret);
/* As address_format(). */
const char *address_format_compact(const struct address_compact *compact, char *buffer);

#endif
