#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_load.h"

/* Strings that are longer than the initial buffer of jansson, with many escapes. */
#define ESCAPES "\\n\\t\\u00e9\\\\\\\"\\n\\t\\u00e9\\\\\\\"\\n\\t\\u00e9\\\\\\\""
static const char text[] = "{ \"" ESCAPES ESCAPES "\": [ 1, 2.5, \"" ESCAPES
			   "\", { \"a\": null, \"b\": true } ] }";

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_reallocarray(void *block, size_t count, size_t size);
void *__wrap_reallocarray(void *block, size_t count, size_t size);

static unsigned fails_in; /* 0: no allocation fails, 1: the next one */

static bool
fails(void)
{
	return fails_in > 0 && --fails_in == 0;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_reallocarray(void *block, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(block, count, size);
}

static json_t *
load_text(void)
{
	return json_load_text(text, sizeof(text) - 1, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *
load_file(void)
{
	FILE *file = fmemopen((char *)(uintptr_t)text, sizeof(text) - 1, "r");

	assert_non_null(file);
	json_t *json = json_load_stream(file, 0, NULL);
	int error = errno;
	fclose(file);
	errno = error;
	return json;
}

static json_t *
load_string(void)
{
	return json_load_string("any text");
}

/* Lets each allocation fail in turn, until a load needs fewer and is complete. */
static void
check_sweep(json_t *(*load)(void), unsigned allocations_least)
{
	json_t *whole = load(), *json = NULL;
	unsigned failed = 0;

	assert_non_null(whole);
	while (json == NULL) {
		fails_in = ++failed;
		json = load();
		bool has_failed = fails_in == 0;
		fails_in = 0;
		assert_int_equal(json == NULL, has_failed);
		assert_int_equal(errno, has_failed ? ENOMEM : 0);
	}
	assert_true(json_equal(json, whole));
	assert_true(failed > allocations_least);
	json_decref(json);
	json_decref(whole);
}

static void
loads_completely_or_fails_at_any_allocation_failure(void **state)
{
	(void)state;
	check_sweep(load_text, 20);
	check_sweep(load_file, 20);
	check_sweep(load_string, 1);
}

static void
distinguishes_malformed_json_from_out_of_memory(void **state)
{
	json_error_t error;

	(void)state;
	errno = ENOMEM;
	assert_null(json_load_text("{\n\"a\": }", 8, 0, &error));
	assert_int_equal(errno, 0);
	assert_int_equal(error.line, 2);
	errno = ENOMEM;
	assert_null(json_load_string("\xff"));
	assert_int_equal(errno, 0);
}

static void
restores_the_allocator(void **state)
{
	json_malloc_t before, after;
	json_free_t free_before, free_after;

	(void)state;
	json_get_alloc_funcs(&before, &free_before);
	fails_in = 5;
	assert_null(load_text());
	json_get_alloc_funcs(&after, &free_after);
	assert_true(before == after && free_before == free_after);
	json_decref(load_text());
	json_get_alloc_funcs(&after, &free_after);
	assert_true(before == after && free_before == free_after);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_completely_or_fails_at_any_allocation_failure),
		cmocka_unit_test(distinguishes_malformed_json_from_out_of_memory),
		cmocka_unit_test(restores_the_allocator),
	};

	return cmocka_run_group_tests_name("json_whole", tests, NULL, NULL);
}
