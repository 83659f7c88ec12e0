#include "proto/payload.h"

#include <endian.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define LOW_SIX UINT64_C(0x3f3f3f3f3f3f3f3f)
#define FORTIES UINT64_C(0x4040404040404040)

static uint64_t
key_of(uint64_t seed, uint64_t connection)
{
	return payload_mix(seed + payload_mix((connection + 1) * GOLDEN));
}

/* Little-endian on every machine. */
static uint64_t
word_at(uint64_t key, uint64_t index, bool printable)
{
	uint64_t word = payload_mix(key + index * GOLDEN);
	if (printable)
		word = (word & LOW_SIX) | FORTIES;
	return htole64(word);
}

static size_t
copy_part(uint64_t word, size_t from, uint8_t *out, size_t length)
{
	uint8_t bytes[8];
	size_t n = length < 8 - from ? length : 8 - from;
	memcpy(bytes, &word, 8);
	memcpy(out, bytes + from, n);
	return n;
}

void
payload_fill(uint64_t seed, uint64_t connection, uint64_t offset, bool printable,
    uint8_t *out, size_t length)
{
	uint64_t key = key_of(seed, connection);
	uint64_t index = offset / 8;
	size_t at = 0;
	if (offset % 8 != 0 && length > 0)
		at = copy_part(
		    word_at(key, index++, printable), offset % 8, out, length);
	for (; length - at >= 8; at += 8) {
		uint64_t word = word_at(key, index++, printable);
		memcpy(out + at, &word, 8);
	}
	if (at < length)
		copy_part(word_at(key, index, printable), 0, out + at, length - at);
}

uint64_t
payload_size(
    uint64_t seed, uint64_t connection, uint64_t message, uint64_t min, uint64_t max)
{
	if (min == max)
		return min;
	uint64_t word = payload_mix(key_of(~seed, connection) + message * GOLDEN);
	/* Multiply-high instead of a division; the bias is negligible. */
	return min + (uint64_t)(((unsigned __int128)word * (max - min + 1)) >> 64);
}
