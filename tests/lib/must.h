/*
 * must.h - what holds whatever a fuzzer gives, and what a fixture itself needs.
 */
#ifndef TESTS_LIB_MUST_H
#define TESTS_LIB_MUST_H

#include <stdbool.h>
#include <stdlib.h>

static inline void
must(bool is_so)
{
	if (!is_so)
		abort();
}

#endif
