#include "proto/payload.h"

#include <endian.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define LOW_SIX UINT64_C(0x3f3f3f3f3f3f3f3f)
#define FORTIES UINT64_C(0x4040404040404040)

#define BLOCK_WORDS 4
#define BLOCK_BYTES (8 * BLOCK_WORDS)
#define GROUP_BLOCKS 4
#define INLINE static inline __attribute__((always_inline))

/* Words that one instruction works on, where the processor can. */
typedef uint64_t block __attribute__((vector_size(BLOCK_BYTES)));

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
static uint64_t
word_at(const struct stream *stream, uint64_t index)
{
	uint64_t word = payload_mix(stream->key + index * GOLDEN);
	return htole64((word & stream->keep) | stream->set);
}

/* What payload_mix() is given for the words of a block. Vectors are passed by address:
 * by value their ABI depends on the processor. */
INLINE void
set_counters(const struct stream *stream, uint64_t index, block *ret)
{
	block counters = { 0 };
	for (uint64_t i = 0; i < BLOCK_WORDS; i++)
		counters[i] = stream->key + (index + i) * GOLDEN;
	*ret = counters;
}

/* word_at() for a whole block. */
INLINE void
make_words(const struct stream *stream, const block *counters, block *ret)
{
	block words = *counters;
	PAYLOAD_MIX(words);
	words = (words & stream->keep) | stream->set;
	for (int i = 0; i < BLOCK_WORDS; i++)
		words[i] = htole64(words[i]);
	*ret = words;
}

INLINE void
fill_blocks(const struct stream *from, uint64_t index, uint8_t *out, size_t blocks)
{
	const struct stream stream = *from; /* in registers, whatever `out` is */
	block counters, words;
	set_counters(&stream, index, &counters);
	for (; blocks > 0; blocks--, out += BLOCK_BYTES) {
		make_words(&stream, &counters, &words);
		memcpy(out, &words, BLOCK_BYTES);
		counters += BLOCK_WORDS * GOLDEN;
	}
}

/* Compares words with data; the differences are added to *wrong. */
INLINE void
compare_block(
    const struct stream *stream, block *counters, const uint8_t *data, block *wrong)
{
	block words, found;
	make_words(stream, counters, &words);
	memcpy(&found, data, BLOCK_BYTES);
	*wrong |= found ^ words;
	*counters += BLOCK_WORDS * GOLDEN;
}

INLINE bool
is_zero(const block *words)
{
	return ((*words)[0] | (*words)[1] | (*words)[2] | (*words)[3]) == 0;
}

/* The number of blocks before the first one that differs. To look at the outcome of a
 * comparison costs as much as the comparison: it is done for groups, at first. */
INLINE size_t
same_blocks(
    const struct stream *stream, uint64_t index, const uint8_t *data, size_t blocks)
{
	block counters, next, wrong = { 0 };
	size_t n = 0;
	set_counters(stream, index, &counters);
	for (; blocks - n >= GROUP_BLOCKS; n += GROUP_BLOCKS, counters = next) {
		next = counters;
		for (size_t i = 0; i < GROUP_BLOCKS; i++)
			compare_block(
			    stream, &next, data + (n + i) * BLOCK_BYTES, &wrong);
		if (!is_zero(&wrong))
			break;
	}
	wrong ^= wrong;
	for (; n < blocks; n++) {
		compare_block(stream, &counters, data + n * BLOCK_BYTES, &wrong);
		if (!is_zero(&wrong))
			break;
	}
	return n;
}

/* These functions as compiled for one kind of processor. */
struct variant {
	void (*fill)(
	    const struct stream *stream, uint64_t index, uint8_t *out, size_t blocks);
	size_t (*same)(const struct stream *stream, uint64_t index, const uint8_t *data,
	    size_t blocks);
};

#define VARIANT(name, ...)                                                             \
	__VA_ARGS__ static void fill_##name(                                           \
	    const struct stream *stream, uint64_t index, uint8_t *out, size_t blocks)  \
	{                                                                              \
		fill_blocks(stream, index, out, blocks);                               \
	}                                                                              \
	__VA_ARGS__ static size_t same_##name(const struct stream *stream,             \
	    uint64_t index, const uint8_t *data, size_t blocks)                        \
	{                                                                              \
		return same_blocks(stream, index, data, blocks);                       \
	}                                                                              \
	static const struct variant name = { fill_##name, same_##name };

VARIANT(generic)
#if defined(__x86_64__)
VARIANT(avx2, __attribute__((target("avx2"))))
VARIANT(avx512, __attribute__((target("avx2,avx512f,avx512dq,avx512vl"))))
#endif

static const struct variant *
variant(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		return &avx512;
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
