#include "net/address.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "lib/printable.h"

#define HOST_MAX 256
#define INET_TEXT_MAX 64
#define UNIX_PREFIX "unix:"
#define MPTCP_PREFIX "mptcp:"
#define NAME_OFFSET offsetof(struct sockaddr_un, sun_path)
#define EXPECTED "expected \"address:port\" or \"[IPv6 address]:port\""

/* The parts of "host:port". */
struct parts {
	char host[HOST_MAX]; /* without brackets */
	bool bracketed;
	uint16_t port;
};

int
address_parse_number(const char *text, unsigned max, unsigned *ret)
{
	unsigned value = 0;
	if (*text == '\0' || strlen(text) > 5)
		return -1;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return -1;
		value = value * 10 + (unsigned)(*text - '0');
	}
	if (value > max)
		return -1;
	*ret = value;
	return 0;
}

static int
split(const char *text, struct parts *ret, char *error, size_t error_size)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	unsigned port;
	if (colon == NULL || (text[0] == '[' && colon > text && colon[-1] != ']')) {
		snprintf(
		    error, error_size, "found \"%s\" without a port, " EXPECTED, text);
		return -1;
	}
	size_t length = (size_t)(colon - text);
	bool bracketed = text[0] == '[';
	if (bracketed) {
		host++;
		length -= 2;
	}
	if (strstr(text, "://") != NULL) {
		snprintf(error, error_size, "found the URL \"%s\", " EXPECTED, text);
		return -1;
	}
	size_t prefix = strcspn(text, ":");
	bool is_hex = strspn(text, "0123456789abcdefABCDEF") >= prefix;
	if (!bracketed && prefix < length && !is_hex) {
		snprintf(error, error_size,
		    "found \"%.*s:\" before the address in \"%s\", expected \"mptcp:\" or nothing",
		    (int)prefix, text, text);
		return -1;
	}
	if (!bracketed && prefix < length) {
		snprintf(error, error_size,
		    "found \"%s\", expected \"[address]:port\" for an IPv6 address",
		    text);
		return -1;
	}
	if (length >= HOST_MAX) {
		snprintf(error, error_size,
		    "found \"%.40s...\", expected a shorter host name", text);
		return -1;
	}
	if (address_parse_number(colon + 1, 65535, &port) != 0) {
		snprintf(error, error_size,
		    "found port \"%s\" in \"%s\", expected a number from 0 to 65535",
		    colon + 1, text);
		return -1;
	}
	memcpy(ret->host, host, length);
	ret->host[length] = '\0';
	ret->bracketed = bracketed;
	ret->port = (uint16_t)port;
	return 0;
}

static int
set_ipv4(const char *host, uint16_t port, struct address *ret)
{
	struct address address = { .length = sizeof(address.in) };
	address.in.sin_family = AF_INET;
	address.in.sin_port = htons(port);
	if (inet_pton(AF_INET, host, &address.in.sin_addr) != 1)
		return -1;
	*ret = address;
	return 0;
}

/* "fe80::1%eth0" names its interface, by name or by number. */
static int
set_ipv6(char *host, uint16_t port, struct address *ret)
{
	struct address address = { .length = sizeof(address.in6) };
	char *scope = strchr(host, '%');
	unsigned index = 0;
	if (scope != NULL) {
		*scope = '\0';
		index = if_nametoindex(scope + 1);
		if (index == 0 && address_parse_number(scope + 1, 99999, &index) != 0)
			return -1;
	}
	address.in6.sin6_family = AF_INET6;
	address.in6.sin6_port = htons(port);
	address.in6.sin6_scope_id = index;
	if (inet_pton(AF_INET6, host, &address.in6.sin6_addr) != 1)
		return -1;
	*ret = address;
	return 0;
}

static int
set_numeric(const struct parts *parts, struct address *ret)
{
	char host[HOST_MAX];
	memcpy(host, parts->host, sizeof(host));
	if (parts->bracketed)
		return set_ipv6(host, parts->port, ret);
	if (host[0] == '\0' || strcmp(host, "*") == 0)
		return set_ipv4("0.0.0.0", parts->port, ret);
	return set_ipv4(host, parts->port, ret);
}

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The name is shown in lines, JSON and labels of metrics as it is. */
static bool
is_plain(const char *text)
{
	size_t length = 1;
	for (; *text != '\0' && *text != '"' && *text != '\\' && length > 0;
	     text += length)
		length = printable_length(text);
	return *text == '\0';
}

/* "unix:/path" and "unix:@name". */
static int
parse_unix(const char *text, struct address *ret, char *error, size_t error_size)
{
	const char *name = text + strlen(UNIX_PREFIX);
	bool is_abstract = name[0] == '@';
	size_t length = strlen(name);
	if ((name[0] != '/' && !is_abstract) || length < 2) {
		snprintf(error, error_size,
		    "found \"%.128s\", expected an absolute path, as in \"unix:/run/yodel/echo\", or an abstract name, as in \"unix:@echo\"",
		    text);
		return -1;
	}
	if (length - is_abstract > ADDRESS_UNIX_NAME_MAX) {
		snprintf(error, error_size,
		    "found a Unix socket with a name of %zu bytes, expected at most %d (unix(7))",
		    length - is_abstract, ADDRESS_UNIX_NAME_MAX);
		return -1;
	}
	if (!is_plain(name)) {
		snprintf(error, error_size,
		    "found a control character, quotation mark or backslash in the name of a Unix socket, expected a name without");
		return -1;
	}
	/* A path has its final zero, an abstract name a leading one. */
	*ret = (struct address){ .length =
				     (socklen_t)(NAME_OFFSET + length + !is_abstract) };
	ret->un.sun_family = AF_UNIX;
	memcpy(ret->un.sun_path, name, length);
	if (is_abstract)
		ret->un.sun_path[0] = '\0';
	return 0;
}

/* The bytes of a Unix address: its path without the final zero, or its abstract name
 * with the leading one; none for a peer. */
static size_t
unix_name_length(const struct address *address)
{
	if (address->length <= NAME_OFFSET)
		return 0;
	size_t length = address->length - NAME_OFFSET;
	if (length > sizeof(address->un.sun_path))
		length = sizeof(address->un.sun_path);
	return address->un.sun_path[0] == '\0' ? length
					       : strnlen(address->un.sun_path, length);
}

const char *
address_unix_path(const struct address *address)
{
	return address_is_unix(address) && unix_name_length(address) > 0 &&
		address->un.sun_path[0] != '\0'
	    ? address->un.sun_path
	    : NULL;
}

void
address_set_process(int fd, struct address *peer)
{
	struct ucred process = { .pid = 0, .uid = UINT32_MAX, .gid = UINT32_MAX };
	socklen_t length = sizeof(process);
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &length);
	*peer = (struct address){ .storage.ss_family = AF_UNIX, .length = NAME_OFFSET };
	peer->process = (struct address_process){
		.pid = (uint32_t)process.pid, .uid = process.uid, .gid = process.gid
	};
}

static int
parse_numeric(const char *text, struct address *ret, char *error, size_t error_size)
{
	struct parts parts = { 0 };
	if (split(text, &parts, error, error_size) < 0)
		return -1;
	if (set_numeric(&parts, ret) < 0) {
		snprintf(error, error_size, "found \"%s\" in \"%s\", expected an %s",
		    parts.host, text,
		    parts.bracketed ? "IPv6 address"
				    : "IPv4 address, or an IPv6 address in brackets");
		return -1;
	}
	return 0;
}

int
address_parse(const char *text, struct address *ret, char *error, size_t error_size)
{
	if (has_prefix(text, UNIX_PREFIX))
		return parse_unix(text, ret, error, error_size);
	bool is_mptcp = has_prefix(text, MPTCP_PREFIX);
	size_t skipped = is_mptcp ? strlen(MPTCP_PREFIX) : 0;
	if (parse_numeric(text + skipped, ret, error, error_size) < 0)
		return -1;
	ret->is_mptcp = is_mptcp;
	return 0;
}

static int
resolver_errno(int status)
{
	switch (status) {
	case EAI_AGAIN:
	case EAI_FAIL:
	case EAI_SYSTEM:
		return EAGAIN;
	case EAI_MEMORY:
		return ENOMEM;
	default:
		return ENOENT;
	}
}

static int
resolve_name(const struct parts *parts, struct address *ret, int max, char *error,
    size_t error_size)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	char port[8];
	int count = 0;
	snprintf(port, sizeof(port), "%u", (unsigned)parts->port);
	int status = getaddrinfo(
	    parts->host[0] == '\0' ? NULL : parts->host, port, &hints, &list);
	if (status != 0) {
		snprintf(error, error_size, "cannot resolve host \"%s\": %s",
		    parts->host, gai_strerror(status));
		errno = resolver_errno(status);
		return -1;
	}
	for (struct addrinfo *at = list; at != NULL && count < max; at = at->ai_next) {
		if (at->ai_addrlen > sizeof(ret->storage))
			continue;
		ret[count] = (struct address){ .length = at->ai_addrlen };
		memcpy(&ret[count].storage, at->ai_addr, at->ai_addrlen);
		count++;
	}
	freeaddrinfo(list);
	return count;
}

static int
resolve_inet(
    const char *text, struct address *ret, int max, char *error, size_t error_size)
{
	struct parts parts = { 0 };
	struct address numeric;
	errno = EINVAL;
	if (split(text, &parts, error, error_size) < 0)
		return -1;
	if (parts.host[0] != '\0' && set_numeric(&parts, &numeric) == 0) {
		if (max > 0)
			ret[0] = numeric;
		return max > 0;
	}
	if (parts.bracketed) {
		snprintf(error, error_size,
		    "found \"%s\" in \"%s\", expected an IPv6 address", parts.host,
		    text);
		errno = EINVAL;
		return -1;
	}
	return resolve_name(&parts, ret, max, error, error_size);
}

int
address_resolve(
    const char *text, struct address *ret, int max, char *error, size_t error_size)
{
	errno = EINVAL;
	if (has_prefix(text, UNIX_PREFIX))
		return max > 0 && parse_unix(text, ret, error, error_size) == 0 ? 1
										: -1;
	bool is_mptcp = has_prefix(text, MPTCP_PREFIX);
	int count = resolve_inet(
	    text + (is_mptcp ? strlen(MPTCP_PREFIX) : 0), ret, max, error, error_size);
	for (int i = 0; i < count; i++)
		ret[i].is_mptcp = is_mptcp;
	return count;
}

int
address_keep_family(struct address *addresses, int count, int family)
{
	int kept = 0;
	for (int i = 0; i < count; i++) {
		if (addresses[i].storage.ss_family == family)
			addresses[kept++] = addresses[i];
	}
	return kept;
}

static const char *
format_unix(const struct address *address, char *buffer)
{
	size_t length = unix_name_length(address);
	const char *name = address->un.sun_path;
	if (length == 0)
		snprintf(buffer, ADDRESS_TEXT_MAX, "unix pid %u uid %u",
		    address->process.pid, address->process.uid);
	else if (name[0] == '\0')
		snprintf(buffer, ADDRESS_TEXT_MAX, UNIX_PREFIX "@%.*s", (int)length - 1,
		    name + 1);
	else
		snprintf(
		    buffer, ADDRESS_TEXT_MAX, UNIX_PREFIX "%.*s", (int)length, name);
	return buffer;
}

static void
format_ipv6(const struct sockaddr_in6 *in6, char *buffer)
{
	char host[INET6_ADDRSTRLEN], name[IF_NAMESIZE], scope[IF_NAMESIZE + 1] = "";
	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (in6->sin6_scope_id != 0) {
		if (if_indextoname(in6->sin6_scope_id, name) == NULL)
			snprintf(
			    name, sizeof(name), "%u", (unsigned)in6->sin6_scope_id);
		snprintf(scope, sizeof(scope), "%%%s", name);
	}
	snprintf(buffer, INET_TEXT_MAX, "[%.39s%s]:%u", host, scope,
	    (unsigned)ntohs(in6->sin6_port));
}

const char *
address_format(const struct address *address, char *buffer)
{
	char host[INET_ADDRSTRLEN];
	char *at = buffer;
	if (address_is_unix(address))
		return format_unix(address, buffer);
	if (address->is_mptcp)
		at = stpcpy(buffer, MPTCP_PREFIX);
	if (address->storage.ss_family == AF_INET6) {
		format_ipv6(&address->in6, at);
		return buffer;
	}
	if (address->storage.ss_family != AF_INET)
		return strcpy(buffer, "?");
	inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof(host));
	snprintf(at, INET_TEXT_MAX, "%s:%u", host, ntohs(address->in.sin_port));
	return buffer;
}

const char *
address_format_local(int fd, char *buffer)
{
	struct address own = { .length = sizeof(own.storage) };
	bool has_address =
	    getsockname(fd, (struct sockaddr *)&own.storage, &own.length) == 0;
	if (has_address && address_is_unix(&own) && unix_name_length(&own) == 0) {
		snprintf(buffer, ADDRESS_TEXT_MAX, "unix socket %d", fd);
		return buffer;
	}
	if (has_address && own.storage.ss_family != AF_UNSPEC)
		return address_format(&own, buffer);
	snprintf(buffer, ADDRESS_TEXT_MAX, "(no address)");
	return buffer;
}

uint16_t
address_port(const struct address *address)
{
	if (address->storage.ss_family == AF_INET6)
		return ntohs(address->in6.sin6_port);
	return address->storage.ss_family == AF_INET ? ntohs(address->in.sin_port) : 0;
}

void
address_set_port(struct address *address, uint16_t port)
{
	if (address->storage.ss_family == AF_INET6)
		address->in6.sin6_port = htons(port);
	else if (address->storage.ss_family == AF_INET)
		address->in.sin_port = htons(port);
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->storage.ss_family != b->storage.ss_family ||
	    address_port(a) != address_port(b))
		return false;
	if (address_is_unix(a)) {
		size_t length = unix_name_length(a);
		return length == unix_name_length(b) &&
		    memcmp(a->un.sun_path, b->un.sun_path, length) == 0;
	}
	if (a->storage.ss_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) &&
		    a->in6.sin6_scope_id == b->in6.sin6_scope_id;
	return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

bool
address_is_wildcard(const struct address *address)
{
	return address->storage.ss_family == AF_INET6
	    ? IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr)
	    : address->storage.ss_family == AF_INET &&
		address->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool
address_is_loopback(const struct address *address)
{
	if (address->storage.ss_family == AF_INET)
		return ntohl(address->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->storage.ss_family != AF_INET6 ||
	    IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

bool
address_overlaps(const struct address *a, const struct address *b)
{
	if (address_is_unix(a))
		return address_equal(a, b);
	return a->storage.ss_family == b->storage.ss_family && address_port(a) != 0 &&
	    address_port(a) == address_port(b) &&
	    (address_is_wildcard(a) || address_is_wildcard(b) || address_equal(a, b));
}

int
address_check_bindable(const struct address *address, char *error, size_t error_size)
{
	const struct in6_addr *ip = &address->in6.sin6_addr;
	char text[ADDRESS_TEXT_MAX], ipv4[INET_ADDRSTRLEN];
	if (address->storage.ss_family != AF_INET6)
		return 0;
	address_format(address, text);
	if (IN6_IS_ADDR_V4MAPPED(ip)) {
		inet_ntop(AF_INET, &ip->s6_addr[12], ipv4, sizeof(ipv4));
		snprintf(error, error_size,
		    "found the IPv4-mapped address \"%s\", expected \"%s:%u\"", text,
		    ipv4, address_port(address));
	} else if (IN6_IS_ADDR_MULTICAST(ip)) {
		snprintf(error, error_size,
		    "found the multicast address \"%s\", expected an address of this host",
		    text);
	} else if (IN6_IS_ADDR_LINKLOCAL(ip) && address->in6.sin6_scope_id == 0) {
		inet_ntop(AF_INET6, ip, text, sizeof(text));
		snprintf(error, error_size,
		    "found the link-local address \"[%s]:%u\" without its interface, expected one such as \"[%s%%eth0]:%u\"",
		    text, address_port(address), text, address_port(address));
	} else {
		return 0;
	}
	return -1;
}

void
address_compact(const struct address *address, struct address_compact *ret)
{
	ret->port = address_port(address);
	ret->family = (uint8_t)address->storage.ss_family;
	if (ret->family == AF_UNIX) {
		const struct address_process *from = &address->process;
		const uint32_t numbers[4] = { from->uid, from->gid, from->pid };
		memcpy(ret->bytes, numbers, sizeof(numbers));
	} else if (ret->family == AF_INET)
		memcpy(ret->bytes, &address->in.sin_addr, 4);
	else
		memcpy(ret->bytes, &address->in6.sin6_addr, 16);
}

void
address_expand(const struct address_compact *compact, struct address *ret)
{
	*ret = (struct address){ .storage.ss_family = compact->family };
	if (compact->family == AF_UNIX) {
		uint32_t numbers[4];
		memcpy(numbers, compact->bytes, sizeof(numbers));
		ret->process =
		    (struct address_process){ numbers[2], numbers[0], numbers[1] };
		ret->length = NAME_OFFSET;
	} else if (compact->family == AF_INET) {
		memcpy(&ret->in.sin_addr, compact->bytes, 4);
		ret->length = sizeof(ret->in);
	} else {
		memcpy(&ret->in6.sin6_addr, compact->bytes, 16);
		ret->length = sizeof(ret->in6);
	}
	address_set_port(ret, compact->port);
}

const char *
address_format_compact(const struct address_compact *compact, char *buffer)
{
	struct address address;
	address_expand(compact, &address);
	return address_format(&address, buffer);
}
