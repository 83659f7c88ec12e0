/*
 * must.h - an assertion for fuzz targets and fixtures: aborts if the condition is
 * false.
 */
#ifndef TESTS_LIB_MUST_H
#define TESTS_LIB_MUST_H

#include <stdbool.h>
#include <stdlib.h>

static inline void
must(bool condition)
{
	if (!condition)
		abort();
}

#endif
