/*
 * payload.h - seeded payload: bytes that are a pure function of (seed, connection,
 * offset).
 *
 * Any byte can be generated without those before it, and no two connections carry the
 * same bytes: data that arrives on the wrong connection is detected. A word of 8 bytes
 * is a counter, hashed by two products of 32 bits, which processors have for several
 * words at a time: it is as good as its use, to be unlike all other words, needs.
 */
#ifndef PROTO_PAYLOAD_H
#define PROTO_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The SplitMix64 finaliser (Steele, Lea, Flood 2014), for keys and random numbers. */
static inline uint64_t
payload_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Writes bytes offset .. offset + length - 1 of a connection to out. `printable` limits
 * them to 0x40-0x7f, without a line end, for --framing line. */
void payload_fill(uint64_t seed, uint64_t connection, uint64_t offset, bool printable,
    uint8_t *out, size_t length);

/* Compares with these bytes: the number of them before the first difference. */
size_t payload_same(uint64_t seed, uint64_t connection, uint64_t offset, bool printable,
    const uint8_t *data, size_t length);

/* A number from min to max, a pure function of (seed, connection, message). */
uint64_t payload_size(
    uint64_t seed, uint64_t connection, uint64_t message, uint64_t min, uint64_t max);

#endif
