#include "tests/lib/address_fixture.h"

static void
test_allows_every_address_without_limits(void **state)
{
	const struct listener_config config = { 0 };

	(void)state;
	assert_false(address_limits_are_set(&config));
	assert_int_equal(check_limits(NULL, &config, "10.0.0.1:1", 0), CLOSE_NONE);
}

static void
test_limits_the_connections_of_an_address(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 2 };
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);

	(void)state;
	add_connection(address_limits, "10.0.0.1:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:2", 0), CLOSE_NONE);
	add_connection(address_limits, "10.0.0.1:2");
	assert_int_equal(check_limits(address_limits, &config, "10.0.0.1:3", 0),
	    CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.2:3", 0), CLOSE_NONE);
	remove_connection(address_limits, "10.0.0.1:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:3", 0), CLOSE_NONE);
	address_limits_destroy(address_limits);
}

static void
test_each_listener_counts_separately(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);
	struct address_compact client = peer("10.0.0.1:1");

	(void)state;
	add_connection(address_limits, "10.0.0.1:1");
	assert_int_equal(address_limits_check(address_limits, 0, &config, &client, 0),
	    CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    address_limits_check(address_limits, 1, &config, &client, 0), CLOSE_NONE);
	address_limits_destroy(address_limits);
}

static void
test_an_ipv6_network_of_64_bits_counts_as_one_address(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);

	(void)state;
	add_connection(address_limits, "[2001:db8:0:1::1]:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "[2001:db8:0:1:ffff::2]:1", 0),
	    CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    check_limits(address_limits, &config, "[2001:db8:0:2::1]:1", 0),
	    CLOSE_NONE);
	/* The same bytes in the other family are another address. */
	add_connection(address_limits, "10.0.0.1:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "[a00:1::1]:1", 0), CLOSE_NONE);
	address_limits_destroy(address_limits);
}

static void
test_a_mapped_address_counts_as_ipv4(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);

	(void)state;
	add_connection(address_limits, "[::ffff:10.0.0.1]:1");
	assert_int_equal(check_limits(address_limits, &config, "10.0.0.1:2", 0),
	    CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    check_limits(address_limits, &config, "[::ffff:10.0.0.2]:1", 0),
	    CLOSE_NONE);
	address_limits_destroy(address_limits);
}

static void
test_the_rate_allows_a_burst_of_one_second(void **state)
{
	const struct listener_config config = { .accept_rate = 10 };
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);
	unsigned allowed = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(
		    check_limits(address_limits, &config, "10.0.0.1:1", 5000),
		    CLOSE_NONE);
	assert_int_equal(check_limits(address_limits, &config, "10.0.0.1:1", 5000),
	    CLOSE_ACCEPT_RATE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.2:1", 5000), CLOSE_NONE);
	/* Every millisecond for ten seconds: refused connections do not count. */
	for (uint64_t now_ms = 6000; now_ms < 16000; now_ms++) {
		allowed += check_limits(address_limits, &config, "10.0.0.1:1",
			       now_ms) == CLOSE_NONE;
		assert_true(allowed <= (now_ms - 5000) / 100);
	}
	assert_in_range(allowed, 98, 100);
	address_limits_destroy(address_limits);
}

/* The table keeps 24 bits of the second: it wraps around after 194 days. */
static void
test_the_rate_survives_clock_wraparound(void **state)
{
	const struct listener_config config = { .accept_rate = 1 };
	const uint64_t wrap_ms = (UINT64_C(1) << 24) * 1000;
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);

	(void)state;
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:1", wrap_ms - 10),
	    CLOSE_NONE);
	assert_int_equal(check_limits(address_limits, &config, "10.0.0.1:1", wrap_ms),
	    CLOSE_ACCEPT_RATE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:1", wrap_ms + 1000),
	    CLOSE_NONE);
	address_limits_destroy(address_limits);
}

static void
test_the_highest_limits_do_not_overflow(void **state)
{
	const struct listener_config config = { .accept_rate = 1000000,
		.max_connections_per_address = 1000000 };
	struct address_limits *address_limits =
	    address_limits_create(10, NULL, 0, NULL);

	(void)state;
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:1", 0), CLOSE_NONE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:1", UINT32_MAX),
	    CLOSE_NONE);
	for (int i = 0; i < 999999; i++)
		assert_int_equal(
		    check_limits(address_limits, &config, "10.0.0.1:1", UINT32_MAX),
		    CLOSE_NONE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:1", UINT32_MAX),
	    CLOSE_ACCEPT_RATE);
	address_limits_destroy(address_limits);
}

static void
test_a_full_table_evicts_the_least_recent_address(void **state)
{
	const struct listener_config config = { .accept_rate = 1 };
	struct address_limits *address_limits =
	    address_limits_create(100, NULL, 0, NULL);
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		number_text(text, i);
		assert_int_equal(
		    check_limits(address_limits, &config, text, 0), CLOSE_NONE);
	}
	/* Address 0 connects again and is no longer the oldest. */
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.0:1", 0), CLOSE_ACCEPT_RATE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.9.9.9:1", 0), CLOSE_NONE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.0:1", 0), CLOSE_ACCEPT_RATE);
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.1:1", 0), CLOSE_NONE);
	address_limits_destroy(address_limits);
}

static void
test_addresses_with_connections_are_never_evicted(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits =
	    address_limits_create(100, NULL, 0, NULL);
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		number_text(text, i);
		add_connection(address_limits, text);
	}
	assert_int_equal(check_limits(address_limits, &config, "10.9.9.9:1", 0),
	    CLOSE_ADDRESS_LIMIT);
	remove_connection(address_limits, "10.0.0.50:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "10.9.9.9:1", 0), CLOSE_NONE);
	add_connection(address_limits, "10.9.9.9:1");
	for (int i = 0; i < 100; i++) {
		number_text(text, i);
		assert_int_equal(check_limits(address_limits, &config, text, 0),
		    CLOSE_ADDRESS_LIMIT);
	}
	address_limits_destroy(address_limits);
}

/* Such as a connection from another worker when the table is full. */
static void
test_untracked_addresses_change_no_count_on_close(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits = address_limits_create(1, NULL, 0, NULL);

	(void)state;
	add_connection(address_limits, "10.0.0.1:1");
	add_connection(address_limits, "10.0.0.2:1");
	remove_connection(address_limits, "10.0.0.1:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.2:2", 0), CLOSE_NONE);
	remove_connection(address_limits, "10.0.0.2:1");
	assert_int_equal(
	    check_limits(address_limits, &config, "10.0.0.2:2", 0), CLOSE_NONE);
	address_limits_destroy(address_limits);
}

/* Of 500 addresses 40 have a connection; the table has 50 entries. */
static void
test_eviction_affects_no_other_address(void **state)
{
	enum { CAPACITY = 50, PRESENT = 40, ADDRESSES = 500, STEPS = 20000 };
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits =
	    address_limits_create(CAPACITY, NULL, 0, NULL);
	int present[PRESENT];
	bool is_open[ADDRESSES] = { false };
	unsigned seed = 2;
	char text[32];

	(void)state;
	for (int i = 0; i < PRESENT; i++)
		present[i] = -1;
	for (int step = 0; step < STEPS; step++) {
		int client = rand_r(&seed) % ADDRESSES,
		    *slot = &present[step % PRESENT];
		number_text(text, client);
		assert_int_equal(check_limits(address_limits, &config, text, 0),
		    is_open[client] ? CLOSE_ADDRESS_LIMIT : CLOSE_NONE);
		if (is_open[client])
			continue;
		add_connection(address_limits, text);
		is_open[client] = true;
		if (*slot >= 0) {
			number_text(text, *slot);
			remove_connection(address_limits, text);
			is_open[*slot] = false;
		}
		*slot = client;
	}
	address_limits_destroy(address_limits);
}

/* Compares with plain counts in an array. */
static void
test_counts_long_mixed_sequences_correctly(void **state)
{
	enum { ADDRESSES = 300, STEPS = 200000, MOST = 5 };
	const struct listener_config config = { .max_connections_per_address = MOST };
	struct address_limits *address_limits =
	    address_limits_create(ADDRESSES, NULL, 0, NULL);
	unsigned open[ADDRESSES] = { 0 }, seed = 1;
	char text[32];

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		int i = rand_r(&seed) % ADDRESSES;
		number_text(text, i);
		if (open[i] > 0 && rand_r(&seed) % 2 == 0) {
			remove_connection(address_limits, text);
			open[i]--;
		} else if (open[i] < MOST) {
			assert_int_equal(
			    check_limits(address_limits, &config, text, 0), CLOSE_NONE);
			add_connection(address_limits, text);
			open[i]++;
		} else {
			assert_int_equal(check_limits(address_limits, &config, text, 0),
			    CLOSE_ADDRESS_LIMIT);
		}
	}
	address_limits_destroy(address_limits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allows_every_address_without_limits),
		cmocka_unit_test(test_limits_the_connections_of_an_address),
		cmocka_unit_test(test_each_listener_counts_separately),
		cmocka_unit_test(test_an_ipv6_network_of_64_bits_counts_as_one_address),
		cmocka_unit_test(test_a_mapped_address_counts_as_ipv4),
		cmocka_unit_test(test_the_rate_allows_a_burst_of_one_second),
		cmocka_unit_test(test_the_rate_survives_clock_wraparound),
		cmocka_unit_test(test_the_highest_limits_do_not_overflow),
		cmocka_unit_test(test_a_full_table_evicts_the_least_recent_address),
		cmocka_unit_test(test_addresses_with_connections_are_never_evicted),
		cmocka_unit_test(test_untracked_addresses_change_no_count_on_close),
		cmocka_unit_test(test_eviction_affects_no_other_address),
		cmocka_unit_test(test_counts_long_mixed_sequences_correctly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
