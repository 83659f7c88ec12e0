#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "worker/connection.h"
#include "worker/pool.h"

#define MANY 1000

static struct connection *
take(struct pool *pool, uint32_t number)
{
	struct connection *connection = pool_take(pool);

	assert_non_null(connection);
	assert_null(connection->input);
	assert_null(connection->output);
	assert_int_equal(connection->active_ms, 0);
	connection->active_ms = number;
	connection->searched = ~number;
	return connection;
}

static bool
count(struct connection *connection, void *argument)
{
	unsigned *seen = argument;

	assert_in_range(connection->active_ms, 1, MANY);
	seen[connection->active_ms]++;
	return true;
}

static void
test_connections_are_zeroed_and_do_not_overlap(void **state)
{
	struct pool pool = { 0 };
	struct connection *all[MANY + 1];
	unsigned seen[MANY + 1] = { 0 };

	(void)state;
	for (uint32_t i = 1; i <= MANY; i++)
		all[i] = take(&pool, i);
	for (uint32_t i = 1; i <= MANY; i++) {
		assert_int_equal(all[i]->active_ms, i);
		assert_int_equal(all[i]->searched, ~i);
	}
	assert_int_equal(pool.count, MANY);
	pool_visit(&pool, count, seen);
	for (uint32_t i = 1; i <= MANY; i++)
		assert_int_equal(seen[i], 1);
	for (uint32_t i = 1; i <= MANY; i++)
		pool_give(&pool, all[i]);
	assert_int_equal(pool.count, 0);
	pool_finish(&pool);
	assert_null(pool.all);
}

struct eviction {
	struct pool *pool;
	uint32_t modulus;
	size_t visits;
	size_t most; /* 0: no limit */
};

static bool
give_some(struct connection *connection, void *argument)
{
	struct eviction *eviction = argument;

	eviction->visits++;
	if (connection->active_ms % eviction->modulus == 0)
		pool_give(eviction->pool, connection);
	return eviction->visits != eviction->most;
}

static void
give_all(struct pool *pool)
{
	struct eviction all = { .pool = pool, .modulus = 1 };

	pool_visit(pool, give_some, &all);
	assert_int_equal(pool->count, 0);
}

static void
test_a_place_that_was_given_back_is_used_again(void **state)
{
	struct pool pool = { 0 };
	struct connection *first = take(&pool, 1);

	(void)state;
	for (uint32_t i = 2; i <= 64; i++)
		take(&pool, i);
	assert_null(pool.with_room);
	pool_give(&pool, first);
	assert_ptr_equal(take(&pool, 1), first);
	give_all(&pool);
	pool_finish(&pool);
}

static void
test_any_order_of_taking_and_giving_keeps_the_count(void **state)
{
	struct pool pool = { 0 };
	struct connection *all[MANY] = { NULL };
	size_t taken = 0;

	(void)state;
	srand(2);
	for (int round = 0; round < 200000; round++) {
		uint32_t i = (uint32_t)(rand() % MANY);
		/* Tides: slabs fill up, then run empty. */
		bool is_rising = round / 5000 % 2 == 0;
		if (all[i] == NULL && (is_rising || rand() % 4 == 0)) {
			all[i] = take(&pool, i + 1);
			taken++;
		} else if (all[i] != NULL && (!is_rising || rand() % 4 == 0)) {
			assert_int_equal(all[i]->active_ms, i + 1);
			pool_give(&pool, all[i]);
			all[i] = NULL;
			taken--;
		}
		assert_int_equal(pool.count, taken);
	}
	unsigned seen[MANY + 1] = { 0 };
	pool_visit(&pool, count, seen);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i + 1], all[i] != NULL);
	for (uint32_t i = 0; i < MANY; i++) {
		if (all[i] != NULL)
			pool_give(&pool, all[i]);
	}
	pool_finish(&pool);
}

static void
test_a_visitor_may_give_back_what_it_visits_and_end_the_visit(void **state)
{
	struct pool pool = { 0 };
	struct eviction third = { .pool = &pool, .modulus = 3 };
	struct eviction two = { .pool = &pool, .modulus = 1, .most = 2 };
	struct eviction all = { .pool = &pool, .modulus = 1 };

	(void)state;
	for (uint32_t i = 1; i <= MANY; i++)
		take(&pool, i);
	pool_visit(&pool, give_some, &third);
	assert_int_equal(third.visits, MANY);
	assert_int_equal(pool.count, MANY - MANY / 3);
	pool_visit(&pool, give_some, &two);
	assert_int_equal(two.visits, 2);
	assert_int_equal(pool.count, MANY - MANY / 3 - 2);
	pool_visit(&pool, give_some, &all);
	assert_int_equal(all.visits, MANY - MANY / 3 - 2);
	assert_int_equal(pool.count, 0);
	pool_finish(&pool);
}

static void
test_at_most_one_slab_is_kept_when_all_connections_are_gone(void **state)
{
	struct pool pool = { 0 };
	struct connection *all[MANY];

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		all[i] = take(&pool, i + 1);
	for (uint32_t i = 0; i < MANY; i++)
		pool_give(&pool, all[i]);
	assert_non_null(pool.all);
	assert_ptr_equal(pool.all, pool.with_room);
	/* It is the only one: the next connection comes from it and fills it alone. */
	for (uint32_t i = 0; i < 64; i++)
		take(&pool, i + 1);
	assert_null(pool.with_room);
	give_all(&pool);
	pool_finish(&pool);
	assert_null(pool.all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections_are_zeroed_and_do_not_overlap),
		cmocka_unit_test(test_a_place_that_was_given_back_is_used_again),
		cmocka_unit_test(test_any_order_of_taking_and_giving_keeps_the_count),
		cmocka_unit_test(
		    test_a_visitor_may_give_back_what_it_visits_and_end_the_visit),
		cmocka_unit_test(
		    test_at_most_one_slab_is_kept_when_all_connections_are_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
