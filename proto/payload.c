#include "proto/payload.h"

#include <endian.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define LOW_SIX UINT64_C(0x3f3f3f3f3f3f3f3f)
#define FORTIES UINT64_C(0x4040404040404040)

#define BLOCK_WORDS 4
#define BLOCK_BYTES (8 * BLOCK_WORDS)
#define GROUP_BLOCKS 4
#define LOW_FACTOR UINT64_C(0x9fb21c65)
#define HIGH_FACTOR UINT64_C(0xe98df149)

struct stream {
	uint64_t key;
	uint64_t keep, set; /* bits of each word, for `printable` */
};

static uint64_t
key_of(uint64_t seed, uint64_t connection)
{
	return payload_mix(seed + payload_mix((connection + 1) * GOLDEN));
}

static struct stream
stream_of(uint64_t seed, uint64_t connection, bool printable)
{
	return (struct stream){
		.key = key_of(seed, connection),
		.keep = printable ? LOW_SIX : UINT64_MAX,
		.set = printable ? FORTIES : 0,
	};
}

/* Little-endian on every machine. */
static inline uint64_t
word_at(const struct stream *stream, uint64_t index)
{
	uint64_t x = stream->key + index * GOLDEN;
	x ^= x >> 32;
	uint64_t low = (x & UINT32_MAX) * LOW_FACTOR, high = (x >> 32) * HIGH_FACTOR;
	x = low ^ (high << 32 | high >> 32);
	x ^= x >> 29;
	return htole64((x & stream->keep) | stream->set);
}

static void
fill_generic(const struct stream *stream, uint64_t index, uint8_t *out, size_t blocks)
{
	for (size_t i = 0; i < blocks * BLOCK_WORDS; i++) {
		uint64_t word = word_at(stream, index + i);
		memcpy(out + 8 * i, &word, 8);
	}
}

static bool
is_same_block(const struct stream *stream, uint64_t index, const uint8_t *data)
{
	uint64_t wrong = 0;
	for (size_t i = 0; i < BLOCK_WORDS; i++) {
		uint64_t word;
		memcpy(&word, data + 8 * i, 8);
		wrong |= word ^ word_at(stream, index + i);
	}
	return wrong == 0;
}

/* The number of blocks before the first one that differs. */
static size_t
same_generic(
    const struct stream *stream, uint64_t index, const uint8_t *data, size_t blocks)
{
	size_t n = 0;
	while (n < blocks &&
	    is_same_block(stream, index + n * BLOCK_WORDS, data + n * BLOCK_BYTES))
		n++;
	return n;
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i
all(uint64_t word)
{
	return _mm256_set1_epi64x((long long)word);
}

/* Start value of word_at() for the words of a block. */
AVX2 static inline __m256i
counters_at(const struct stream *stream, uint64_t index)
{
	uint64_t counters[BLOCK_WORDS];
	for (size_t i = 0; i < BLOCK_WORDS; i++)
		counters[i] = stream->key + (index + i) * GOLDEN;
	return _mm256_loadu_si256((const __m256i *)(const void *)counters);
}

/* word_at() of the words of a block. */
AVX2 static inline __m256i
block_of(const struct stream *stream, __m256i x)
{
	x = _mm256_xor_si256(x, _mm256_srli_epi64(x, 32));
	__m256i low = _mm256_mul_epu32(x, all(LOW_FACTOR));
	__m256i high = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), all(HIGH_FACTOR));
	x = _mm256_xor_si256(low, _mm256_shuffle_epi32(high, _MM_SHUFFLE(2, 3, 0, 1)));
	x = _mm256_xor_si256(x, _mm256_srli_epi64(x, 29));
	return _mm256_or_si256(
	    _mm256_and_si256(x, all(stream->keep)), all(stream->set));
}

AVX2 static void
fill_avx2(const struct stream *from, uint64_t index, uint8_t *out, size_t blocks)
{
	const struct stream stream = *from; /* in registers, whatever `out` is */
	const __m256i step = all(BLOCK_WORDS * GOLDEN);
	__m256i counters = counters_at(&stream, index);
	for (; blocks > 0; blocks--, out += BLOCK_BYTES) {
		_mm256_storeu_si256(
		    (__m256i *)(void *)out, block_of(&stream, counters));
		counters = _mm256_add_epi64(counters, step);
	}
}

/* To look at the outcome of a comparison costs as much as the comparison: it is done
 * for groups; same_generic() finds the block in the last one. */
AVX2 static size_t
same_avx2(
    const struct stream *stream, uint64_t index, const uint8_t *data, size_t blocks)
{
	const __m256i step = all(BLOCK_WORDS * GOLDEN);
	__m256i counters = counters_at(stream, index);
	size_t n = 0;
	for (; blocks - n >= GROUP_BLOCKS; n += GROUP_BLOCKS) {
		__m256i wrong = _mm256_setzero_si256();
		for (size_t i = 0; i < GROUP_BLOCKS; i++) {
			__m256i found =
			    _mm256_loadu_si256((const __m256i *)(const void *)(data +
				(n + i) * BLOCK_BYTES));
			wrong = _mm256_or_si256(
			    wrong, _mm256_xor_si256(found, block_of(stream, counters)));
			counters = _mm256_add_epi64(counters, step);
		}
		if (!_mm256_testz_si256(wrong, wrong))
			break;
	}
	return n +
	    same_generic(
		stream, index + n * BLOCK_WORDS, data + n * BLOCK_BYTES, blocks - n);
}
#endif

/* These functions for one kind of processor. */
struct variant {
	void (*fill)(
	    const struct stream *stream, uint64_t index, uint8_t *out, size_t blocks);
	size_t (*same)(const struct stream *stream, uint64_t index, const uint8_t *data,
	    size_t blocks);
};

static const struct variant generic = { fill_generic, same_generic };
#if defined(__x86_64__)
static const struct variant avx2 = { fill_avx2, same_avx2 };
#endif

static const struct variant *
variant(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		return &avx2;
#endif
	return &generic;
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

static void
fill(const struct stream *stream, uint64_t offset, uint8_t *out, size_t length)
{
	uint64_t index = offset / 8;
	size_t at = 0;
	if (offset % 8 != 0 && length > 0)
		at = copy_part(word_at(stream, index++), offset % 8, out, length);
	size_t blocks = (length - at) / BLOCK_BYTES;
	if (blocks > 0)
		variant()->fill(stream, index, out + at, blocks);
	at += blocks * BLOCK_BYTES;
	index += blocks * BLOCK_WORDS;
	for (; length - at >= 8; at += 8) {
		uint64_t word = word_at(stream, index++);
		memcpy(out + at, &word, 8);
	}
	if (at < length)
		copy_part(word_at(stream, index), 0, out + at, length - at);
}

void
payload_fill(uint64_t seed, uint64_t connection, uint64_t offset, bool printable,
    uint8_t *out, size_t length)
{
	struct stream stream = stream_of(seed, connection, printable);
	fill(&stream, offset, out, length);
}

/* As payload_same(), for at most a block. */
static size_t
same_part(
    const struct stream *stream, uint64_t offset, const uint8_t *data, size_t length)
{
	uint8_t expected[BLOCK_BYTES];
	size_t n = 0;
	fill(stream, offset, expected, length);
	while (n < length && data[n] == expected[n])
		n++;
	return n;
}

size_t
payload_same(uint64_t seed, uint64_t connection, uint64_t offset, bool printable,
    const uint8_t *data, size_t length)
{
	struct stream stream = stream_of(seed, connection, printable);
	size_t before = (8 - offset % 8) % 8;
	if (before > length)
		before = length;
	size_t at = same_part(&stream, offset, data, before);
	if (at < before)
		return at;
	at += BLOCK_BYTES *
	    variant()->same(
		&stream, (offset + at) / 8, data + at, (length - at) / BLOCK_BYTES);
	size_t rest = length - at < BLOCK_BYTES ? length - at : BLOCK_BYTES;
	return at + same_part(&stream, offset + at, data + at, rest);
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
