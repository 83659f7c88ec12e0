#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buffer.h"

static void
append(struct buffer **buffer, const char *text)
{
	assert_int_equal(buffer_append(buffer, text, strlen(text)), 0);
}

static void
assert_holds(const struct buffer *buffer, const char *text)
{
	assert_int_equal(buffer_length(buffer), strlen(text));
	assert_memory_equal(buffer->data + buffer->start, text, strlen(text));
}

static void
test_an_empty_queue_holds_no_memory(void **state)
{
	struct buffer *buffer = NULL;

	(void)state;
	assert_int_equal(buffer_length(buffer), 0);
	assert_int_equal(buffer_append(&buffer, "", 0), 0);
	assert_null(buffer);
	append(&buffer, "abc");
	buffer_consume(&buffer, 2);
	assert_holds(buffer, "c");
	buffer_consume(&buffer, 1);
	assert_null(buffer);
	buffer_consume(&buffer, 0);
	buffer_release(&buffer);
	assert_null(buffer);
}

static void
test_bytes_are_read_in_the_order_they_were_written(void **state)
{
	struct buffer *buffer = NULL;
	size_t in = 0, out = 0;

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		uint8_t piece[3000];
		size_t length = (size_t)rand() % (round % 100 == 0 ? 3000 : 300);
		for (size_t i = 0; i < length; i++)
			piece[i] = (uint8_t)((in + i) * 31 % 251);
		assert_int_equal(buffer_append(&buffer, piece, length), 0);
		in += length;
		assert_int_equal(buffer_length(buffer), in - out);
		if (in == out)
			continue;
		size_t taken = (size_t)rand() % (in - out + 1);
		for (size_t i = 0; i < taken; i++)
			assert_int_equal(
			    buffer->data[buffer->start + i], (out + i) * 31 % 251);
		buffer_consume(&buffer, taken);
		out += taken;
	}
	buffer_release(&buffer);
}

static void
test_a_queue_that_is_drained_as_fast_as_it_is_filled_does_not_grow(void **state)
{
	struct buffer *buffer = NULL;
	char piece[600];

	(void)state;
	memset(piece, 'x', sizeof(piece));
	append(&buffer, "abc");
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(buffer_append(&buffer, piece, sizeof(piece)), 0);
		buffer_consume(&buffer, sizeof(piece));
		assert_in_range(buffer->capacity, 1, 4096);
	}
	buffer_release(&buffer);
}

static void
test_an_impossible_reservation_fails_and_keeps_the_queued_bytes(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 2, SIZE_MAX / 2 + 1,
		SIZE_MAX / 4 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buffer *buffer = NULL;

		errno = 0;
		assert_int_equal(buffer_reserve(&buffer, sizes[i]), -1);
		assert_int_equal(errno, ENOMEM);
		assert_null(buffer);
		append(&buffer, "abc");
		errno = 0;
		assert_int_equal(buffer_reserve(&buffer, sizes[i]), -1);
		assert_int_equal(errno, ENOMEM);
		assert_holds(buffer, "abc");
		buffer_release(&buffer);
	}
}

static void
test_reserved_space_is_writable(void **state)
{
	struct buffer *buffer = NULL;

	(void)state;
	append(&buffer, "abc");
	assert_int_equal(buffer_reserve(&buffer, 100000), 0);
	assert_true(buffer->capacity - buffer->end >= 100000);
	memset(buffer->data + buffer->end, 'x', 100000);
	buffer->end += 100000;
	assert_int_equal(buffer_length(buffer), 100003);
	buffer_consume(&buffer, 100002);
	assert_holds(buffer, "x");
	buffer_release(&buffer);
}

static void
test_large_buffers_use_their_own_mapping(void **state)
{
	struct buffer *buffer = NULL;
	char piece[1000];

	(void)state;
	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(buffer_append(&buffer, piece, sizeof(piece)), 0);
		assert_true(
		    buffer->capacity <= 32 * 1024 || buffer->capacity >= 256 * 1024);
	}
	assert_int_equal(buffer_length(buffer), 1000 * sizeof(piece));
	buffer_release(&buffer);
}

static void
test_a_small_buffer_can_grow(void **state)
{
	struct buffer *buffer = buffer_create(3);

	(void)state;
	assert_non_null(buffer);
	assert_int_equal(buffer_length(buffer), 0);
	append(&buffer, "abc");
	assert_holds(buffer, "abc");
	assert_in_range(buffer->capacity, 3, 100);
	append(&buffer, "defg");
	assert_holds(buffer, "abcdefg");
	buffer_release(&buffer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_queue_holds_no_memory),
		cmocka_unit_test(test_bytes_are_read_in_the_order_they_were_written),
		cmocka_unit_test(
		    test_a_queue_that_is_drained_as_fast_as_it_is_filled_does_not_grow),
		cmocka_unit_test(
		    test_an_impossible_reservation_fails_and_keeps_the_queued_bytes),
		cmocka_unit_test(test_reserved_space_is_writable),
		cmocka_unit_test(test_large_buffers_use_their_own_mapping),
		cmocka_unit_test(test_a_small_buffer_can_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
