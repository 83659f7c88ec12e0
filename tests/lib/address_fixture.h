/*
 * address_fixture.h - opens and closes connections of an address, as text, in a table
 * of address limits. For cmocka programs.
 */
#ifndef TESTS_ADDRESS_FIXTURE_H
#define TESTS_ADDRESS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/address.h"
#include "worker/limits/address_limits.h"

static inline struct address_compact
peer(const char *text)
{
	struct address address;
	struct address_compact ret;
	char error[128];

	assert_int_equal(address_parse(text, &address, error, sizeof(error)), 0);
	address_compact(&address, &ret);
	return ret;
}

static inline enum close_reason
check_limits(struct address_limits *address_limits,
    const struct listener_config *config, const char *text, uint64_t now_ms)
{
	struct address_compact client = peer(text);

	return address_limits_check(address_limits, 0, config, &client, now_ms);
}

static inline void
add_connection(struct address_limits *address_limits, const char *text)
{
	struct address_compact client = peer(text);

	address_limits_change(
	    address_limits, 0, &client, &(struct open_change){ .connections = 1 });
}

static inline void
remove_connection(struct address_limits *address_limits, const char *text)
{
	struct address_compact client = peer(text);

	address_limits_change(
	    address_limits, 0, &client, &(struct open_change){ .connections = -1 });
}

static inline void
number_text(char *text, int i)
{
	snprintf(text, 32, "10.%d.%d.%d:1", i >> 16 & 255, i >> 8 & 255, i & 255);
}

#endif
