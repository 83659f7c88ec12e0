/*
 * JSON with secrets: whatever jansson frees is overwritten, and its functions are what
 * they were before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_load.h"
#include "lib/json/json_wipe.h"

#define SECRET "a secret that is longer than a pointer or two"

static size_t freed, dirty;

static void
check_and_free(void *block)
{
	if (block != NULL) {
		freed++;
		dirty +=
		    memmem(block, malloc_usable_size(block), &SECRET[16], 16) != NULL;
	}
	free(block);
}

static void
use_a_secret(void)
{
	const char *text = "{ \"secret\": \"" SECRET "\" }";
	json_error_t error;
	json_t *loaded = json_load_text(text, strlen(text), 0, &error);
	assert_non_null(loaded);
	json_t *packed = json_pack("{s:s, s:o}", "secret", SECRET, "loaded", loaded);
	assert_non_null(packed);
	char *dumped = json_dumps(packed, JSON_COMPACT);
	assert_non_null(dumped);
	json_decref(packed);
	free(dumped); /* by its owner */
	/* A syntax error behind the secret. */
	assert_null(json_load_text(text, strlen(text) - 1, 0, &error));
}

static void
test_what_is_freed_is_overwritten(void **state)
{
	json_malloc_t malloc_after;
	json_free_t free_after;
	(void)state;
	json_set_alloc_funcs(malloc, check_and_free);
	use_a_secret();
	assert_true(dirty > 0);
	freed = dirty = 0;
	json_wipe_begin();
	use_a_secret();
	json_wipe_end();
	assert_true(freed > 0);
	assert_int_equal(dirty, 0);
	json_get_alloc_funcs(&malloc_after, &free_after);
	assert_true(malloc_after == malloc && free_after == check_and_free);
	use_a_secret();
	assert_true(dirty > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_freed_is_overwritten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
