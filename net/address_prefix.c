#include "net/address_prefix.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

/* Makes IPv4-mapped prefixes IPv4: ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
static void
unmap(struct address_prefix *prefix)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (prefix->family != AF_INET6 || prefix->bits < 96 ||
	    memcmp(prefix->bytes, mapped, sizeof(mapped)) != 0)
		return;
	prefix->family = AF_INET;
	prefix->bits = (uint8_t)(prefix->bits - 96);
	memcpy(prefix->bytes, prefix->bytes + 12, 4);
	memset(prefix->bytes + 4, 0, 12);
}

int
address_prefix_parse(
    const char *text, struct address_prefix *ret, char *error, size_t error_size)
{
	struct address_prefix prefix = { 0 };
	const char *slash = strchr(text, '/');
	size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN] = "";
	if (length < sizeof(host))
		memcpy(host, text, length);
	prefix.family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
	unsigned bits = prefix.family == AF_INET6 ? 128 : 32;
	if (inet_pton(prefix.family, host, prefix.bytes) != 1) {
		snprintf(error, error_size,
		    "found \"%s\", expected an address such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
		    text);
		return -1;
	}
	if (slash != NULL && address_parse_number(slash + 1, bits, &bits) != 0) {
		snprintf(error, error_size,
		    "found prefix length \"%s\" in \"%s\", expected a number from 0 to %u",
		    slash + 1, text, bits);
		return -1;
	}
	prefix.bits = (uint8_t)bits;
	unmap(&prefix);
	*ret = prefix;
	return 0;
}

static bool
bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned mask = 0xff00u >> (bits % 8);
	return memcmp(a, b, bits / 8) == 0 &&
	    (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask & 0xff) == 0);
}

bool
address_prefix_contains(
    const struct address_prefix *prefix, const struct address *address)
{
	struct address_prefix other = { .family = (uint8_t)address->storage.ss_family };
	if (other.family == AF_INET6) {
		other.bits = 128;
		memcpy(other.bytes, &address->in6.sin6_addr, 16);
		unmap(&other);
	} else if (other.family == AF_INET) {
		memcpy(other.bytes, &address->in.sin_addr, 4);
	}
	return prefix->family == other.family &&
	    bits_equal(prefix->bytes, other.bytes, prefix->bits);
}
