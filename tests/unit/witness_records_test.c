#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "proto/witness/witness_records.h"

static struct witness_id
id_of(uint32_t number)
{
	struct witness_id id = { { 1 } };
	memcpy(id.bytes + 4, &number, sizeof(number));
	return id;
}

static struct witness_record
record_of(uint32_t number, uint64_t age_us)
{
	return (struct witness_record){
		.id = id_of(number), .is_open = true, .age_us = age_us
	};
}

/* The record of a new connection; its place. */
static uint32_t
write_new(struct witness_book *book, uint32_t number)
{
	struct witness_record record = record_of(number, number);
	uint32_t place = witness_book_take(book);
	witness_book_write(book, place, &record);
	return place;
}

static bool
has(const struct witness_book *book, uint32_t number)
{
	struct witness_id id = id_of(number);
	struct witness_record record;
	return witness_book_find(book, &id, &record) && record.age_us == number;
}

static struct witness_book *
enter(struct witness_records *records, uint32_t entry)
{
	assert_int_equal(witness_records_clear(records, entry), 0);
	return witness_records_enter_worker(records, entry);
}

static void
test_a_record_is_found_by_its_id(void **state)
{
	struct witness_records *records = witness_records_create();
	(void)state;
	assert_non_null(records);
	struct witness_book *one = enter(records, 3);
	assert_non_null(one);
	uint32_t place = write_new(one, 7);
	assert_int_not_equal(place, 0);
	assert_true(has(one, 7));
	assert_false(has(one, 8));
	witness_book_destroy(one);
	witness_records_destroy(records);
}

static void
test_closed_records_are_overwritten_and_the_oldest_first(void **state)
{
	struct witness_records *records = witness_records_create();
	struct witness_book *book = enter(records, 0);
	uint32_t places[WITNESS_TABLE_MAX];
	(void)state;
	for (uint32_t i = 0; i < WITNESS_TABLE_MAX; i++)
		places[i] = write_new(book, i + 1);
	assert_int_equal(witness_book_take(book), 0);
	witness_book_write(book, 0, &(struct witness_record){ .age_us = 1 });
	witness_book_close(book, places[99]);
	witness_book_close(book, places[49]);
	assert_true(has(book, 100) && has(book, 50));
	assert_int_equal(write_new(book, 2000), places[99]);
	assert_false(has(book, 100));
	assert_true(has(book, 50) && has(book, 2000));
	assert_int_equal(write_new(book, 2001), places[49]);
	assert_false(has(book, 50));
	witness_book_destroy(book);
	witness_records_destroy(records);
}

static void
test_a_connection_that_has_moved_is_not_found_in_the_old_table(void **state)
{
	struct witness_records *records = witness_records_create();
	struct witness_book *book = enter(records, 0);
	(void)state;
	uint32_t place = write_new(book, 5);
	witness_book_remove(book, place);
	assert_false(has(book, 5));
	struct witness_id none = { { 0 } };
	struct witness_record record;
	assert_false(witness_book_find(book, &none, &record));
	witness_book_destroy(book);
	witness_records_destroy(records);
}

static void
test_a_record_that_no_correct_worker_writes_is_not_told(void **state)
{
	struct witness_records *records = witness_records_create();
	struct witness_book *book = enter(records, 0);
	struct witness_record record = record_of(1, 1);
	uint32_t place = witness_book_take(book);
	(void)state;
	record.event_count = WITNESS_EVENTS_MAX + 1;
	witness_book_write(book, place, &record);
	assert_false(has(book, 1));
	record.event_count = 1;
	record.events[0].kind = WITNESS_EVENT_KIND_COUNT;
	witness_book_write(book, place, &record);
	assert_false(has(book, 1));
	record.events[0].kind = WITNESS_EVENT_EOF;
	record.is_open = false;
	record.reason = CLOSE_REASON_COUNT;
	witness_book_write(book, place, &record);
	assert_false(has(book, 1));
	record.reason = CLOSE_RESET;
	witness_book_write(book, place, &record);
	assert_true(has(book, 1));
	witness_book_destroy(book);
	witness_records_destroy(records);
}

static void
test_an_entry_beyond_the_last_table_has_none(void **state)
{
	struct witness_records *records = witness_records_create();
	struct witness_id id = id_of(1);
	struct witness_record record;
	(void)state;
	assert_int_equal(witness_records_clear(records, WITNESS_WORKERS_MAX), 0);
	errno = 0;
	assert_null(witness_records_enter_worker(records, WITNESS_WORKERS_MAX));
	assert_int_equal(errno, ERANGE);
	assert_int_equal(witness_book_take(NULL), 0);
	assert_false(witness_book_find(NULL, &id, &record));
	witness_records_destroy(records);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_is_found_by_its_id),
		cmocka_unit_test(
		    test_closed_records_are_overwritten_and_the_oldest_first),
		cmocka_unit_test(
		    test_a_connection_that_has_moved_is_not_found_in_the_old_table),
		cmocka_unit_test(
		    test_a_record_that_no_correct_worker_writes_is_not_told),
		cmocka_unit_test(test_an_entry_beyond_the_last_table_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
