/*
 * input.h - reads the fuzzer's input byte by byte.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *data;
	size_t left;
};

/* The next byte; 0 at the end. */
static inline uint8_t
next_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->data++;
}

/* The next bytes as a big-endian number. */
static inline uint64_t
next_number(struct input *input, int count)
{
	uint64_t value = 0;

	while (count-- > 0)
		value = value << 8 | next_byte(input);
	return value;
}

#endif
