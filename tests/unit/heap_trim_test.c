#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/heap_trim.h"

#define BLOCKS 8000
#define BLOCK_BYTES 1000
#define MIB ((size_t)1024 * 1024)

/* A sanitizer has an allocator of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

static void *blocks[BLOCKS];

static size_t
resident(void)
{
	unsigned long total, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &total, &pages), 2);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void
fill(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = blocks[i] == NULL ? malloc(BLOCK_BYTES) : blocks[i];
		assert_non_null(blocks[i]);
		memset(blocks[i], 1, BLOCK_BYTES);
	}
}

/* All but one in a hundred: these prevent the heap from shrinking at its end. */
static void
empty(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		if (i % 100 == 99)
			continue;
		free(blocks[i]);
		blocks[i] = NULL;
	}
}

static void
returns_free_memory_to_the_kernel(void **state)
{
	struct heap_trim heap_trim = { 0 };

	(void)state;
	fill();
	heap_trim_check(&heap_trim, 5000);
	size_t full = resident();
	empty();
	heap_trim_check(&heap_trim, 7000);
	assert_true(heap_trim_check(&heap_trim, 9000));
	assert_true(resident() + 5 * MIB < full);
	/* Memory that was already returned does not trigger another trim. */
	assert_false(heap_trim_check(&heap_trim, 11000));
	assert_false(heap_trim_check(&heap_trim, 13000));
	/* Memory that was used again does. */
	fill();
	assert_false(heap_trim_check(&heap_trim, 13500));
	empty();
	assert_false(heap_trim_check(&heap_trim, 15000));
	assert_true(heap_trim_check(&heap_trim, 17000));
}

static void
keeps_memory_that_is_reused_soon(void **state)
{
	struct heap_trim heap_trim = { 0 };

	(void)state;
	fill();
	heap_trim_check(&heap_trim, 5000);
	for (uint32_t now_ms = 6000; now_ms < 20000; now_ms += 1000) {
		empty();
		assert_false(heap_trim_check(&heap_trim, now_ms));
		fill();
		assert_false(heap_trim_check(&heap_trim, now_ms + 500));
	}
	empty();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_free_memory_to_the_kernel),
		cmocka_unit_test(keeps_memory_that_is_reused_soon),
	};

#ifdef HAS_SANITIZER
	(void)tests;
	return 0;
#else
	return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
