#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>

#include <cmocka.h>
#include <string.h>

#include "lib/memory/region_heap.h"

#define REGION_BYTES ((size_t)4 << 20)

static int
start(void **state)
{
	static struct region_heap heap;
	void *base = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	region_heap_init(&heap, base, REGION_BYTES);
	*state = &heap;
	return 0;
}

static int
finish(void **state)
{
	struct region_heap *heap = *state;
	munmap(heap->base, REGION_BYTES);
	region_heap_finish(heap);
	return 0;
}

static void
test_blocks_are_aligned_and_do_not_overlap(void **state)
{
	static const size_t sizes[] = { 1, 64, 65, 1000, 5000, 40, 70000 };
	enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
	struct region_heap *heap = *state;
	uint8_t *blocks[COUNT];
	for (int i = 0; i < COUNT; i++) {
		size_t bytes = region_heap_block_bytes(sizes[i]);
		blocks[i] = region_heap_alloc(heap, sizes[i]);
		assert_non_null(blocks[i]);
		assert_true(bytes >= sizes[i]);
		assert_int_equal(
		    (uintptr_t)blocks[i] % (bytes < 4096 ? bytes : 4096), 0);
		memset(blocks[i], i, bytes);
	}
	for (int i = 0; i < COUNT; i++)
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(blocks[i][at], i);
}

static void
test_a_freed_block_keeps_its_contents_until_the_heap_is_settled(void **state)
{
	struct region_heap *heap = *state;
	char *first = region_heap_alloc(heap, 100);
	strcpy(first, "still read");
	region_heap_free(heap, first, 100);
	char *second = region_heap_alloc(heap, 100);
	assert_ptr_not_equal(first, second);
	assert_string_equal(first, "still read");
	region_heap_settle(heap);
	assert_ptr_equal(region_heap_alloc(heap, 100), first);
}

static void
test_memory_that_stays_free_is_returned(void **state)
{
	struct region_heap *heap = *state;
	uint8_t *block = region_heap_alloc(heap, 65536);
	uint8_t *other = region_heap_alloc(heap, 64);
	memset(block, 7, 65536);
	region_heap_free(heap, block, 65536);
	region_heap_trim(heap);
	region_heap_trim(heap);
	assert_int_equal(block[100], 0);
	assert_ptr_equal(region_heap_alloc(heap, 65536), block);
	region_heap_free(heap, block, 65536);
	region_heap_free(heap, other, 64);
	region_heap_trim(heap);
	region_heap_trim(heap);
	assert_int_equal(heap->next, 0);
}

static void
test_a_full_region_is_out_of_memory(void **state)
{
	struct region_heap *heap = *state;
	assert_null(region_heap_alloc(heap, REGION_BYTES + 1));
	assert_non_null(region_heap_alloc(heap, REGION_BYTES));
	assert_null(region_heap_alloc(heap, 1));
	assert_null(region_heap_alloc(heap, SIZE_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
		TEST(test_blocks_are_aligned_and_do_not_overlap),
		TEST(test_a_freed_block_keeps_its_contents_until_the_heap_is_settled),
		TEST(test_memory_that_stays_free_is_returned),
		TEST(test_a_full_region_is_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
