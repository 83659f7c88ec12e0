#include "tests/lib/visitor.h"

/* --- several workers --- */

struct crew {
	struct ledger *ledger;
	int fd;
	struct ledger_books *books[2];
	struct visitors *visitors[2];
};

static void
start_crew(struct crew *crew)
{
	crew->ledger = ledger_create(&crew->fd);
	assert_non_null(crew->ledger);
	for (uint32_t i = 0; i < 2; i++) {
		crew->books[i] = ledger_claim(crew->ledger, i);
		crew->visitors[i] = visitors_create(1000, crew->ledger, crew->books[i]);
		assert_non_null(crew->visitors[i]);
	}
}

static void
finish_crew(struct crew *crew)
{
	for (int i = 0; i < 2; i++)
		visitors_destroy(crew->visitors[i]);
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
	arrive(crew.visitors[0], "10.0.0.1:1");
	arrive(crew.visitors[1], "10.0.0.1:2");
	assert_int_equal(judge(crew.visitors[0], &config, "10.0.0.1:3", 0), WELCOME);
	arrive(crew.visitors[0], "10.0.0.1:3");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(judge(crew.visitors[i], &config, "10.0.0.1:4", 0),
		    CLOSE_ADDRESS_LIMIT);
		assert_int_equal(
		    judge(crew.visitors[i], &config, "10.0.0.2:4", 0), WELCOME);
	}
	leave(crew.visitors[1], "10.0.0.1:2");
	assert_int_equal(judge(crew.visitors[0], &config, "10.0.0.1:4", 0), WELCOME);
	assert_int_equal(judge(crew.visitors[1], &config, "10.0.0.1:4", 0), WELCOME);
	finish_crew(&crew);
}

static void
test_what_a_dead_worker_held_counts_no_more(void **state)
{
	const struct listener_config config = { .max_connections_per_address = 2 };
	struct crew crew;

	(void)state;
	start_crew(&crew);
	arrive(crew.visitors[0], "10.0.0.1:1");
	arrive(crew.visitors[1], "10.0.0.1:2");
	assert_int_equal(
	    judge(crew.visitors[1], &config, "10.0.0.1:3", 0), CLOSE_ADDRESS_LIMIT);
	ledger_retire(crew.ledger, crew.books[0], 0, 0, 0);
	assert_int_equal(judge(crew.visitors[1], &config, "10.0.0.1:3", 0), WELCOME);
	/* Nor for who gets its books. */
	assert_ptr_equal(ledger_claim(crew.ledger, 0), crew.books[0]);
	assert_int_equal(judge(crew.visitors[1], &config, "10.0.0.1:3", 0), WELCOME);
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
		welcome += judge(crew.visitors[now_ms % 2], &config, "10.0.0.1:1",
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
		arrive(crew.visitors[i % 2], text);
	}
	for (int i = 0; i < ADDRESSES; i++) {
		number_text(text, i);
		assert_int_equal(
		    judge(crew.visitors[i % 2], &config, text, 0), CLOSE_ADDRESS_LIMIT);
		leave(crew.visitors[i % 2], text);
		assert_int_equal(
		    judge(crew.visitors[(i + 1) % 2], &config, text, 0), WELCOME);
	}
	finish_crew(&crew);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_limit_is_that_of_all_workers_together),
		cmocka_unit_test(test_what_a_dead_worker_held_counts_no_more),
		cmocka_unit_test(test_the_rate_is_that_of_all_workers_together),
		cmocka_unit_test(test_many_addresses_are_counted_by_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
