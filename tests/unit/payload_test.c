/* The payload, by the words of its definition, as each kind of processor makes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

/* For its variants, of which the program takes one. */
#include "proto/payload.c"

#define LENGTH 400

/* Byte `offset` by the definition, apart from the code. */
static uint64_t
split_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint8_t
byte_at(uint64_t seed, uint64_t connection, uint64_t offset, bool printable)
{
	const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t key = split_mix(seed + split_mix((connection + 1) * golden));
	uint64_t counter = key + offset / 8 * golden;
	uint32_t high = (uint32_t)(counter >> 32), low = (uint32_t)counter ^ high;
	uint64_t word = (uint64_t)high * 0xe98df149;
	word = (word << 32 | word >> 32) ^ (uint64_t)low * 0x9fb21c65;
	word ^= word >> 29;
	uint8_t byte = (uint8_t)(word >> 8 * (offset % 8));
	return printable ? (byte & 0x3f) | 0x40 : byte;
}

static void
the_bytes_never_change(void **state)
{
	/* As of version 0.1.0. */
	static const uint8_t bytes[] = { 0x5c, 0xee, 0xb9, 0x49, 0x2f, 0xa4, 0x26,
		0x5c };
	uint8_t found[sizeof(bytes)];

	(void)state;
	payload_fill(1, 0, 0, false, found, sizeof(found));
	assert_memory_equal(found, bytes, sizeof(bytes));
}

static void
every_part_has_the_bytes_of_the_definition(void **state)
{
	uint8_t expected[LENGTH], found[LENGTH];

	(void)state;
	for (int printable = 0; printable < 2; printable++) {
		for (uint64_t i = 0; i < LENGTH; i++)
			expected[i] = byte_at(5, 9, 123 + i, printable != 0);
		for (size_t from = 0; from < 40; from++)
			for (size_t n = 0; n < LENGTH - from; n++) {
				payload_fill(
				    5, 9, 123 + from, printable != 0, found, n);
				assert_memory_equal(found, expected + from, n);
			}
	}
}

static void
a_comparison_finds_the_first_wrong_byte(void **state)
{
	uint8_t data[LENGTH];

	(void)state;
	payload_fill(5, 9, 0, false, data, sizeof(data));
	for (size_t from = 0; from < 40; from++)
		for (size_t n = 0; n < LENGTH - from; n++) {
			uint8_t *wrong = &data[from + n];
			assert_int_equal(
			    payload_same(5, 9, from, false, data + from, n), n);
			*wrong ^= 0x10;
			assert_int_equal(payload_same(5, 9, from, false, data + from,
					     sizeof(data) - from),
			    n);
			*wrong ^= 0x10;
		}
}

static void
check_variant(const struct variant *one)
{
	const struct stream stream = stream_of(5, 9, true);
	uint8_t expected[LENGTH], found[LENGTH];
	size_t blocks = sizeof(found) / BLOCK_BYTES;

	payload_fill(5, 9, 8 * 3, true, expected, sizeof(expected));
	memset(found, 0, sizeof(found));
	one->fill(&stream, 3, found, blocks);
	assert_memory_equal(found, expected, blocks * BLOCK_BYTES);
	assert_int_equal(one->same(&stream, 3, expected, blocks), blocks);
	for (size_t i = 0; i < blocks * BLOCK_BYTES; i++) {
		expected[i] ^= 1;
		assert_int_equal(
		    one->same(&stream, 3, expected, blocks), i / BLOCK_BYTES);
		expected[i] ^= 1;
	}
}

static void
all_processors_make_the_same_bytes(void **state)
{
	(void)state;
	check_variant(&generic);
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		check_variant(&avx2);
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_never_change),
		cmocka_unit_test(every_part_has_the_bytes_of_the_definition),
		cmocka_unit_test(a_comparison_finds_the_first_wrong_byte),
		cmocka_unit_test(all_processors_make_the_same_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
