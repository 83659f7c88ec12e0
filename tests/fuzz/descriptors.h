/*
 * descriptors.h - the set of open descriptors, to compare before and after.
 */
#ifndef TESTS_FUZZ_DESCRIPTORS_H
#define TESTS_FUZZ_DESCRIPTORS_H

#include <fcntl.h>
#include <stdint.h>

/* Bit i: descriptor i is open. All descriptors of a fuzz target are below 64. */
static inline uint64_t
open_descriptors(void)
{
	uint64_t open = 0;

	for (int i = 0; i < 64; i++)
		open |= (uint64_t)(fcntl(i, F_GETFD) >= 0) << i;
	return open;
}

#endif
