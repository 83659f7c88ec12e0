#include <string.h>

#include "tests/lib/visitor.h"

/* --- several workers --- */

struct crew {
	struct ledger *ledger;
	int fd;
	struct worker_ledger *worker_ledger[2];
	struct address_limits *address_limits[2];
};

static void
start_crew(struct crew *crew)
{
	crew->ledger = ledger_create(&crew->fd);
	assert_non_null(crew->ledger);
	for (uint32_t i = 0; i < 2; i++) {
		crew->worker_ledger[i] = ledger_claim(crew->ledger, i);
		crew->address_limits[i] =
		    address_limits_create(1000, crew->ledger, crew->worker_ledger[i]);
		assert_non_null(crew->address_limits[i]);
	}
}

static void
finish_crew(struct crew *crew)
{
	for (int i = 0; i < 2; i++)
		address_limits_destroy(crew->address_limits[i]);
	munmap(crew->ledger, sizeof(*crew->ledger));
	close(crew->fd);
}

static void
test_the_limit_is_that_of_all_workers_together(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 3 };
	struct crew crew;

	(void)state;
	start_crew(&crew);
	arrive(crew.address_limits[0], "10.0.0.1:1");
	arrive(crew.address_limits[1], "10.0.0.1:2");
	assert_int_equal(
	    judge(crew.address_limits[0], &config, "10.0.0.1:3", 0), WELCOME);
	arrive(crew.address_limits[0], "10.0.0.1:3");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    judge(crew.address_limits[i], &config, "10.0.0.1:4", 0),
		    CLOSE_ADDRESS_LIMIT);
		assert_int_equal(
		    judge(crew.address_limits[i], &config, "10.0.0.2:4", 0), WELCOME);
	}
	leave(crew.address_limits[1], "10.0.0.1:2");
	assert_int_equal(
	    judge(crew.address_limits[0], &config, "10.0.0.1:4", 0), WELCOME);
	assert_int_equal(
	    judge(crew.address_limits[1], &config, "10.0.0.1:4", 0), WELCOME);
	finish_crew(&crew);
}

static void
test_what_a_dead_worker_held_counts_no_more(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 2 };
	struct crew crew;

	(void)state;
	start_crew(&crew);
	arrive(crew.address_limits[0], "10.0.0.1:1");
	arrive(crew.address_limits[1], "10.0.0.1:2");
	assert_int_equal(judge(crew.address_limits[1], &config, "10.0.0.1:3", 0),
	    CLOSE_ADDRESS_LIMIT);
	ledger_retire(crew.ledger, crew.worker_ledger[0], 0, 0, 0);
	assert_int_equal(
	    judge(crew.address_limits[1], &config, "10.0.0.1:3", 0), WELCOME);
	/* Nor for who gets its books. */
	assert_ptr_equal(ledger_claim(crew.ledger, 0), crew.worker_ledger[0]);
	assert_int_equal(
	    judge(crew.address_limits[1], &config, "10.0.0.1:3", 0), WELCOME);
	finish_crew(&crew);
}

static void
test_the_rate_is_that_of_all_workers_together(void **state)
{
	const struct listener_config config = { .accept_rate = 10 };
	struct crew crew;
	unsigned welcome = 0;

	(void)state;
	start_crew(&crew);
	for (uint32_t now_ms = 5000; now_ms < 15000; now_ms++)
		welcome += judge(crew.address_limits[now_ms % 2], &config, "10.0.0.1:1",
			       now_ms) == WELCOME;
	assert_int_equal(welcome, 100);
	finish_crew(&crew);
}

/* Whoever finds no place among the others is still counted by its own worker. */
static void
test_many_addresses_are_counted_by_all(void **state)
{
	enum { ADDRESSES = 1000 };
	const struct listener_config config = { .max_connections_per_address = 1 };
	struct crew crew;
	char text[32];

	(void)state;
	start_crew(&crew);
	for (int i = 0; i < ADDRESSES; i++) {
		number_text(text, i);
		arrive(crew.address_limits[i % 2], text);
	}
	for (int i = 0; i < ADDRESSES; i++) {
		number_text(text, i);
		assert_int_equal(judge(crew.address_limits[i % 2], &config, text, 0),
		    CLOSE_ADDRESS_LIMIT);
		leave(crew.address_limits[i % 2], text);
		assert_int_equal(
		    judge(crew.address_limits[(i + 1) % 2], &config, text, 0), WELCOME);
	}
	finish_crew(&crew);
}

/* --- the table that the others read --- */

static struct address_usage_count
count_of(const struct address_usage *address_usage, uint64_t who, uint32_t second)
{
	struct address_usage_count count = { 0 };

	address_usage_add(&count, address_usage, who, second);
	return count;
}

static void
test_a_bucket_that_is_full_gives_up_who_is_gone_for_longest(void **state)
{
	struct address_usage *address_usage =
	    aligned_alloc(ADDRESS_USAGE_PAGE, sizeof(*address_usage));

	(void)state;
	assert_non_null(address_usage);
	memset(address_usage, 0, sizeof(*address_usage));
	/* All of one bucket. The first one is still here. */
	for (uint32_t who = 1; who <= ADDRESS_USAGE_WAYS; who++)
		address_usage_count_accept(address_usage, who, 70 + who);
	address_usage_set_connections(address_usage, 1, 3);
	address_usage_count_accept(address_usage, 9, 80);
	assert_int_equal(count_of(address_usage, 1, 71).accepts, 1);
	assert_int_equal(count_of(address_usage, 1, 71).connections, 3);
	assert_int_equal(count_of(address_usage, 2, 72).accepts, 0);
	for (uint32_t who = 3; who <= ADDRESS_USAGE_WAYS; who++)
		assert_int_equal(count_of(address_usage, who, 70 + who).accepts, 1);
	assert_int_equal(count_of(address_usage, 9, 80).accepts, 1);
	/* Nobody counts for who had the place before. */
	address_usage_count_accept(address_usage, 3, 80);
	address_usage_count_accept(address_usage, 4, 80);
	address_usage_count_accept(address_usage, 5, 80);
	address_usage_count_accept(address_usage, 10, 80);
	assert_int_equal(count_of(address_usage, 10, 80).accepts, 1);
	/* Nor is who is here given up. */
	for (uint32_t who = 1; who <= 10; who++)
		if (count_of(address_usage, who, 80).accepts > 0)
			address_usage_set_connections(address_usage, who, 1);
	address_usage_count_accept(address_usage, 11, 81);
	address_usage_set_connections(address_usage, 11, 1);
	assert_int_equal(count_of(address_usage, 11, 81).accepts, 0);
	assert_int_equal(count_of(address_usage, 11, 81).connections, 0);
	free(address_usage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_limit_is_that_of_all_workers_together),
		cmocka_unit_test(test_what_a_dead_worker_held_counts_no_more),
		cmocka_unit_test(test_the_rate_is_that_of_all_workers_together),
		cmocka_unit_test(test_many_addresses_are_counted_by_all),
		cmocka_unit_test(
		    test_a_bucket_that_is_full_gives_up_who_is_gone_for_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
