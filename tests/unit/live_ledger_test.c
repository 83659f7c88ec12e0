#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <string.h>

/* Called with the halves that live_ledger.c copies. */
static void *copy(void *to, const void *from, size_t bytes);

#undef memcpy
#define memcpy copy
#include "client/live/live_ledger.c"
#undef memcpy

static struct live_ledger *of_copy;
static unsigned copies;

/* The process publishes one more reading during the first copy, and begins the next. */
static void *
copy(void *to, const void *from, size_t bytes)
{
	struct board *board = of_copy->board;
	memmove(to, from, bytes);
	if (copies++ == 0) {
		board->halves[3 % 2].at_ns = 3;
		atomic_store(&board->published, 3);
		board->halves[4 % 2].at_ns = 4;
	}
	return to;
}

static void
a_reading_that_was_replaced_during_the_copy_is_not_used(void **state)
{
	struct live_ledger ledger = { .count = 1 };
	struct reading reading;

	(void)state;
	of_copy = &ledger;
	ledger.board = xcalloc(1, sizeof(struct board) + 2 * sizeof(struct reading));
	ledger.board->halves[2 % 2].at_ns = 2;
	atomic_store(&ledger.board->published, 2);
	assert_true(copy_last(&ledger, &reading));
	assert_int_equal(reading.at_ns, 3);
	assert_int_equal(copies, 2);
	free(ledger.board);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_reading_that_was_replaced_during_the_copy_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
