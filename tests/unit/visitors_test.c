#include "tests/lib/visitor.h"

static void
test_without_limits_everybody_is_welcome(void **state)
{
	const struct listener_config config = { 0 };

	(void)state;
	assert_false(address_limits_are_set(&config));
	assert_int_equal(judge(NULL, &config, "10.0.0.1:1", 0), WELCOME);
}

static void
test_an_address_has_as_many_connections_as_it_may(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 2 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);

	(void)state;
	arrive(address_limits, "10.0.0.1:1");
	assert_int_equal(judge(address_limits, &config, "10.0.0.1:2", 0), WELCOME);
	arrive(address_limits, "10.0.0.1:2");
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.1:3", 0), CLOSE_ADDRESS_LIMIT);
	assert_int_equal(judge(address_limits, &config, "10.0.0.2:3", 0), WELCOME);
	leave(address_limits, "10.0.0.1:1");
	assert_int_equal(judge(address_limits, &config, "10.0.0.1:3", 0), WELCOME);
	address_limits_destroy(address_limits);
}

static void
test_listeners_count_each_for_itself(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);
	struct peer who = peer("10.0.0.1:1");

	(void)state;
	address_limits_add(address_limits, 0, &who);
	assert_int_equal(address_limits_check(address_limits, 0, &config, &who, 0),
	    CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    address_limits_check(address_limits, 1, &config, &who, 0), WELCOME);
	address_limits_destroy(address_limits);
}

static void
test_a_network_of_64_bits_is_one_address(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);

	(void)state;
	arrive(address_limits, "[2001:db8:0:1::1]:1");
	assert_int_equal(judge(address_limits, &config, "[2001:db8:0:1:ffff::2]:1", 0),
	    CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    judge(address_limits, &config, "[2001:db8:0:2::1]:1", 0), WELCOME);
	/* The same bytes are another name in the other family. */
	arrive(address_limits, "10.0.0.1:1");
	assert_int_equal(judge(address_limits, &config, "[a00:1::1]:1", 0), WELCOME);
	address_limits_destroy(address_limits);
}

static void
test_a_mapped_address_counts_as_ipv4(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);

	(void)state;
	arrive(address_limits, "[::ffff:10.0.0.1]:1");
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.1:2", 0), CLOSE_ADDRESS_LIMIT);
	assert_int_equal(
	    judge(address_limits, &config, "[::ffff:10.0.0.2]:1", 0), WELCOME);
	address_limits_destroy(address_limits);
}

static void
test_the_rate_allows_a_seconds_worth_at_once_and_then_its_pace(void **state)
{
	const struct listener_config config = { .accept_rate = 10 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);
	unsigned welcome = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(
		    judge(address_limits, &config, "10.0.0.1:1", 5000), WELCOME);
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.1:1", 5000), CLOSE_ACCEPT_RATE);
	assert_int_equal(judge(address_limits, &config, "10.0.0.2:1", 5000), WELCOME);
	/* Every millisecond for ten seconds: those who are refused cost nothing. */
	for (uint32_t now_ms = 5001; now_ms <= 15000; now_ms++)
		welcome +=
		    judge(address_limits, &config, "10.0.0.1:1", now_ms) == WELCOME;
	assert_int_equal(welcome, 100);
	address_limits_destroy(address_limits);
}

/* The clock of milliseconds comes round after 49 days. */
static void
test_the_rate_holds_when_the_clock_comes_round(void **state)
{
	const struct listener_config config = { .accept_rate = 1 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);

	(void)state;
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.1:1", UINT32_MAX - 10), WELCOME);
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.1:1", 100), CLOSE_ACCEPT_RATE);
	assert_int_equal(judge(address_limits, &config, "10.0.0.1:1", 990), WELCOME);
	address_limits_destroy(address_limits);
}

static void
test_the_highest_limits_do_not_overflow(void **state)
{
	const struct listener_config config = { .accept_rate = 1000000,
		.max_connections_per_address = 1000000 };
	struct address_limits *address_limits = address_limits_create(10, NULL, NULL);

	(void)state;
	assert_int_equal(judge(address_limits, &config, "10.0.0.1:1", 0), WELCOME);
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.1:1", UINT32_MAX), WELCOME);
	for (int i = 0; i < 999999; i++)
		assert_int_equal(
		    judge(address_limits, &config, "10.0.0.1:1", UINT32_MAX), WELCOME);
	assert_int_equal(judge(address_limits, &config, "10.0.0.1:1", UINT32_MAX),
	    CLOSE_ACCEPT_RATE);
	address_limits_destroy(address_limits);
}

static void
test_a_full_table_forgets_who_was_quiet_longest(void **state)
{
	const struct listener_config config = { .accept_rate = 1 };
	struct address_limits *address_limits = address_limits_create(100, NULL, NULL);
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		number_text(text, i);
		assert_int_equal(judge(address_limits, &config, text, 0), WELCOME);
	}
	/* Number 0 shows itself again, and is not the oldest any more. */
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.0:1", 0), CLOSE_ACCEPT_RATE);
	assert_int_equal(judge(address_limits, &config, "10.9.9.9:1", 0), WELCOME);
	assert_int_equal(
	    judge(address_limits, &config, "10.0.0.0:1", 0), CLOSE_ACCEPT_RATE);
	assert_int_equal(judge(address_limits, &config, "10.0.0.1:1", 0), WELCOME);
	address_limits_destroy(address_limits);
}

static void
test_who_has_connections_is_never_forgotten(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits = address_limits_create(100, NULL, NULL);
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		number_text(text, i);
		arrive(address_limits, text);
	}
	assert_int_equal(
	    judge(address_limits, &config, "10.9.9.9:1", 0), CLOSE_ADDRESS_LIMIT);
	leave(address_limits, "10.0.0.50:1");
	assert_int_equal(judge(address_limits, &config, "10.9.9.9:1", 0), WELCOME);
	arrive(address_limits, "10.9.9.9:1");
	for (int i = 0; i < 100; i++) {
		number_text(text, i);
		assert_int_equal(
		    judge(address_limits, &config, text, 0), CLOSE_ADDRESS_LIMIT);
	}
	address_limits_destroy(address_limits);
}

/* One that came from another worker, and found no place. */
static void
test_who_had_no_place_leaves_without_a_trace(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits = address_limits_create(1, NULL, NULL);

	(void)state;
	arrive(address_limits, "10.0.0.1:1");
	arrive(address_limits, "10.0.0.2:1");
	leave(address_limits, "10.0.0.1:1");
	assert_int_equal(judge(address_limits, &config, "10.0.0.2:2", 0), WELCOME);
	leave(address_limits, "10.0.0.2:1");
	assert_int_equal(judge(address_limits, &config, "10.0.0.2:2", 0), WELCOME);
	address_limits_destroy(address_limits);
}

/* Of 500 who come and go 40 are there; there are 50 places. */
static void
test_who_is_forgotten_takes_nobody_with_him(void **state)
{
	enum { PLACES = 50, PRESENT = 40, ADDRESSES = 500, STEPS = 20000 };
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct address_limits *address_limits =
	    address_limits_create(PLACES, NULL, NULL);
	int present[PRESENT];
	bool is_here[ADDRESSES] = { false };
	unsigned seed = 2;
	char text[32];

	(void)state;
	for (int i = 0; i < PRESENT; i++)
		present[i] = -1;
	for (int step = 0; step < STEPS; step++) {
		int who = rand_r(&seed) % ADDRESSES, *place = &present[step % PRESENT];
		number_text(text, who);
		assert_int_equal(judge(address_limits, &config, text, 0),
		    is_here[who] ? CLOSE_ADDRESS_LIMIT : WELCOME);
		if (is_here[who])
			continue;
		arrive(address_limits, text);
		is_here[who] = true;
		if (*place >= 0) {
			number_text(text, *place);
			leave(address_limits, text);
			is_here[*place] = false;
		}
		*place = who;
	}
	address_limits_destroy(address_limits);
}

/* Against an array that counts plainly. */
static void
test_long_and_mixed_visits_are_counted_right(void **state)
{
	enum { ADDRESSES = 300, STEPS = 200000, MOST = 5 };
	const struct listener_config config = { .max_connections_per_address = MOST };
	struct address_limits *address_limits =
	    address_limits_create(ADDRESSES, NULL, NULL);
	unsigned open[ADDRESSES] = { 0 }, seed = 1;
	char text[32];

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		int i = rand_r(&seed) % ADDRESSES;
		number_text(text, i);
		if (open[i] > 0 && rand_r(&seed) % 2 == 0) {
			leave(address_limits, text);
			open[i]--;
		} else if (open[i] < MOST) {
			assert_int_equal(
			    judge(address_limits, &config, text, 0), WELCOME);
			arrive(address_limits, text);
			open[i]++;
		} else {
			assert_int_equal(judge(address_limits, &config, text, 0),
			    CLOSE_ADDRESS_LIMIT);
		}
	}
	address_limits_destroy(address_limits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_limits_everybody_is_welcome),
		cmocka_unit_test(test_an_address_has_as_many_connections_as_it_may),
		cmocka_unit_test(test_listeners_count_each_for_itself),
		cmocka_unit_test(test_a_network_of_64_bits_is_one_address),
		cmocka_unit_test(test_a_mapped_address_counts_as_ipv4),
		cmocka_unit_test(
		    test_the_rate_allows_a_seconds_worth_at_once_and_then_its_pace),
		cmocka_unit_test(test_the_rate_holds_when_the_clock_comes_round),
		cmocka_unit_test(test_the_highest_limits_do_not_overflow),
		cmocka_unit_test(test_a_full_table_forgets_who_was_quiet_longest),
		cmocka_unit_test(test_who_has_connections_is_never_forgotten),
		cmocka_unit_test(test_who_had_no_place_leaves_without_a_trace),
		cmocka_unit_test(test_who_is_forgotten_takes_nobody_with_him),
		cmocka_unit_test(test_long_and_mixed_visits_are_counted_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
