/* address_prefix.h - a range of IP addresses, as in "10.0.0.0/8", "2001:db8::/32";
 * "::1" is a range of one. */
#ifndef NET_ADDRESS_PREFIX_H
#define NET_ADDRESS_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct address_prefix {
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
	uint8_t family;    /* AF_INET or AF_INET6 */
	uint8_t bits;
};
int address_prefix_parse(const char *text, struct address_prefix *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));
/* An IPv4-mapped IPv6 address matches as IPv4. */
bool address_prefix_contains(
    const struct address_prefix *prefix, const struct address *address);

#endif
