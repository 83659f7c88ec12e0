/*
 * Addresses and prefixes. An accepted address is formatted as text that parses to an
 * equal one, a prefix contains the address in its text, and a rejected text has an
 * error that fits its buffer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "net/address_prefix.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_address(const char *text)
{
	struct address address, again;
	char error[64] = "", buffer[ADDRESS_TEXT_MAX];

	if (address_parse(text, &address, error, sizeof(error)) < 0) {
		must(error[0] != '\0');
		return;
	}
	address_format(&address, buffer);
	must(address_parse(buffer, &again, error, sizeof(error)) == 0);
	must(address_equal(&address, &again));
	must(address.is_mptcp == again.is_mptcp && address.length == again.length);
}

/* "ADDRESS/BITS". An IPv4-mapped address is IPv4, even if the IPv6 prefix is shorter
 * than ::ffff:0:0/96. */
static void
check_own_address(const char *text, const struct address_prefix *prefix)
{
	size_t length = strcspn(text, "/");
	bool is_v6 = memchr(text, ':', length) != NULL;
	char own[ADDRESS_TEXT_MAX], error[64];
	struct address address;

	snprintf(own, sizeof(own), "%s%.*s%s:1", is_v6 ? "[" : "", (int)length, text,
	    is_v6 ? "]" : "");
	must(address_parse(own, &address, error, sizeof(error)) == 0);
	bool is_mapped = address.storage.ss_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(
		&((const struct sockaddr_in6 *)&address.storage)->sin6_addr);
	must(address_prefix_contains(prefix, &address) !=
	    (is_mapped && prefix->family == AF_INET6));
}

static void
check_prefix(const char *text)
{
	struct address_prefix prefix;
	struct address strange;
	char error[64] = "";

	if (address_prefix_parse(text, &prefix, error, sizeof(error)) < 0) {
		must(error[0] != '\0');
		return;
	}
	must(prefix.bits <= (prefix.family == AF_INET ? 32 : 128));
	check_own_address(text, &prefix);
	must(address_parse("[2001:db8::1]:1", &strange, error, sizeof(error)) == 0);
	must(prefix.family == AF_INET6 || !address_prefix_contains(&prefix, &strange));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_address(text);
	check_prefix(text);
	free(text);
	return 0;
}
