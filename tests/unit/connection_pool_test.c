#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "worker/connection/connection.h"
#include "worker/connection/connection_pool.h"

#define MANY 1000

static struct connection *
allocate(struct connection_pool *connection_pool, uint32_t number)
{
	struct connection *connection = connection_pool_alloc(connection_pool);

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
	struct connection_pool connection_pool = { 0 };
	struct connection *all[MANY + 1];
	unsigned seen[MANY + 1] = { 0 };

	(void)state;
	for (uint32_t i = 1; i <= MANY; i++)
		all[i] = allocate(&connection_pool, i);
	for (uint32_t i = 1; i <= MANY; i++) {
		assert_int_equal(all[i]->active_ms, i);
		assert_int_equal(all[i]->searched, ~i);
	}
	assert_int_equal(connection_pool.count, MANY);
	connection_pool_for_each(&connection_pool, count, seen);
	for (uint32_t i = 1; i <= MANY; i++)
		assert_int_equal(seen[i], 1);
	for (uint32_t i = 1; i <= MANY; i++)
		connection_pool_free(&connection_pool, all[i]);
	assert_int_equal(connection_pool.count, 0);
	connection_pool_finish(&connection_pool);
	assert_true(LIST_EMPTY(&connection_pool.all));
}

struct removal {
	struct connection_pool *connection_pool;
	uint32_t modulus;
	size_t visits;
	size_t most; /* 0: no limit */
};

static bool
release_some(struct connection *connection, void *argument)
{
	struct removal *removal = argument;

	removal->visits++;
	if (connection->active_ms % removal->modulus == 0)
		connection_pool_free(removal->connection_pool, connection);
	return removal->visits != removal->most;
}

static void
release_all(struct connection_pool *connection_pool)
{
	struct removal all = { .connection_pool = connection_pool, .modulus = 1 };

	connection_pool_for_each(connection_pool, release_some, &all);
	assert_int_equal(connection_pool->count, 0);
}

static void
test_reuses_freed_memory(void **state)
{
	struct connection_pool connection_pool = { 0 };
	struct connection *first = allocate(&connection_pool, 1);

	(void)state;
	for (uint32_t i = 2; i <= SLAB_CONNECTIONS; i++)
		allocate(&connection_pool, i);
	assert_true(LIST_EMPTY(&connection_pool.with_room));
	connection_pool_free(&connection_pool, first);
	assert_ptr_equal(allocate(&connection_pool, 1), first);
	release_all(&connection_pool);
	connection_pool_finish(&connection_pool);
}

static void
test_keeps_the_count_in_any_order_of_alloc_and_free(void **state)
{
	struct connection_pool connection_pool = { 0 };
	struct connection *all[MANY] = { NULL };
	size_t taken = 0;

	(void)state;
	srand(2);
	for (int round = 0; round < 200000; round++) {
		uint32_t i = (uint32_t)(rand() % MANY);
		/* Slabs fill up, then run empty, in turns. */
		bool is_rising = round / 5000 % 2 == 0;
		if (all[i] == NULL && (is_rising || rand() % 4 == 0)) {
			all[i] = allocate(&connection_pool, i + 1);
			taken++;
		} else if (all[i] != NULL && (!is_rising || rand() % 4 == 0)) {
			assert_int_equal(all[i]->active_ms, i + 1);
			connection_pool_free(&connection_pool, all[i]);
			all[i] = NULL;
			taken--;
		}
		assert_int_equal(connection_pool.count, taken);
	}
	unsigned seen[MANY + 1] = { 0 };
	connection_pool_for_each(&connection_pool, count, seen);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i + 1], all[i] != NULL);
	for (uint32_t i = 0; i < MANY; i++) {
		if (all[i] != NULL)
			connection_pool_free(&connection_pool, all[i]);
	}
	connection_pool_finish(&connection_pool);
}

static void
test_a_callback_may_free_the_current_connection_and_stop(void **state)
{
	struct connection_pool connection_pool = { 0 };
	struct removal third = { .connection_pool = &connection_pool, .modulus = 3 };
	struct removal two = {
		.connection_pool = &connection_pool, .modulus = 1, .most = 2
	};
	struct removal all = { .connection_pool = &connection_pool, .modulus = 1 };

	(void)state;
	for (uint32_t i = 1; i <= MANY; i++)
		allocate(&connection_pool, i);
	connection_pool_for_each(&connection_pool, release_some, &third);
	assert_int_equal(third.visits, MANY);
	assert_int_equal(connection_pool.count, MANY - MANY / 3);
	connection_pool_for_each(&connection_pool, release_some, &two);
	assert_int_equal(two.visits, 2);
	assert_int_equal(connection_pool.count, MANY - MANY / 3 - 2);
	connection_pool_for_each(&connection_pool, release_some, &all);
	assert_int_equal(all.visits, MANY - MANY / 3 - 2);
	assert_int_equal(connection_pool.count, 0);
	connection_pool_finish(&connection_pool);
}

static void
test_keeps_at_most_one_slab_without_connections(void **state)
{
	struct connection_pool connection_pool = { 0 };
	struct connection *all[MANY];

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		all[i] = allocate(&connection_pool, i + 1);
	for (uint32_t i = 0; i < MANY; i++)
		connection_pool_free(&connection_pool, all[i]);
	assert_false(LIST_EMPTY(&connection_pool.all));
	assert_ptr_equal(
	    LIST_FIRST(&connection_pool.all), LIST_FIRST(&connection_pool.with_room));
	/* It is the only slab, which they fill. */
	for (uint32_t i = 0; i < SLAB_CONNECTIONS; i++)
		allocate(&connection_pool, i + 1);
	assert_true(LIST_EMPTY(&connection_pool.with_room));
	release_all(&connection_pool);
	connection_pool_finish(&connection_pool);
	assert_true(LIST_EMPTY(&connection_pool.all));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections_are_zeroed_and_do_not_overlap),
		cmocka_unit_test(test_reuses_freed_memory),
		cmocka_unit_test(test_keeps_the_count_in_any_order_of_alloc_and_free),
		cmocka_unit_test(
		    test_a_callback_may_free_the_current_connection_and_stop),
		cmocka_unit_test(test_keeps_at_most_one_slab_without_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
