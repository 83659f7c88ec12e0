/*
 * Addresses and prefixes. What is read must be written as what reads to an equal one,
 * and what is refused must give an error that fits.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/address.h"

#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_address(const char *text)
{
	struct address address, again;
	char error[64] = "", buffer[ADDRESS_TEXT_MAX];

	if (address_parse(text, &address, error, sizeof error) != 0) {
		must(error[0] != '\0');
		return;
	}
	address_format(&address, buffer);
	must(address_parse(buffer, &again, error, sizeof error) == 0);
	must(address_equal(&address, &again));
}

static void
check_prefix(const char *text)
{
	struct prefix prefix;
	struct address inside;
	char error[64] = "";

	if (prefix_parse(text, &prefix, error, sizeof error) != 0) {
		must(error[0] != '\0');
		return;
	}
	must(prefix.bits <= (prefix.family == AF_INET ? 32 : 128));
	must(address_parse("[2001:db8::1]:1", &inside, error, sizeof error) == 0);
	must(prefix.family == AF_INET6 || !prefix_contains(&prefix, &inside));
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
