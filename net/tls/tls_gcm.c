#include "net/tls/tls_gcm.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/modes.h>

#define BLOCK_BYTES 16
#define COUNTER_AT 12 /* in a block: 32 bits, big-endian (SP 800-38D, 6.2) */
#define BLOCKS_AT_A_TIME 32

struct tls_gcm {
	EVP_CIPHER_CTX *aes;   /* electronic codebook: blocks alone */
	GCM128_CONTEXT *modes; /* NULL: no key */
	bool has_failed;       /* one block was not encrypted: the rest is void */
};

/* Shared by this process and its children; never freed. */
static EVP_CIPHER *aes_128, *aes_256;

int
tls_gcm_init(void)
{
	if (aes_128 == NULL)
		aes_128 = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	if (aes_256 == NULL)
		aes_256 = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
	return aes_128 == NULL || aes_256 == NULL ? -1 : 0;
}

struct tls_gcm *
tls_gcm_create(void)
{
	struct tls_gcm *gcm = calloc(1, sizeof(*gcm));
	if (gcm == NULL)
		return NULL;
	gcm->aes = EVP_CIPHER_CTX_new();
	if (gcm->aes == NULL) {
		free(gcm);
		return NULL;
	}
	return gcm;
}

void
tls_gcm_destroy(struct tls_gcm *gcm)
{
	if (gcm == NULL)
		return;
	CRYPTO_gcm128_release(gcm->modes);
	EVP_CIPHER_CTX_free(gcm->aes);
	free(gcm);
}

void
tls_gcm_wipe_key(struct tls_gcm *gcm)
{
	CRYPTO_gcm128_release(gcm->modes);
	gcm->modes = NULL;
	EVP_CIPHER_CTX_reset(gcm->aes);
}

static void
encrypt_blocks(struct tls_gcm *gcm, const uint8_t *from, uint8_t *to, size_t blocks)
{
	int length = (int)(blocks * BLOCK_BYTES), n;
	if (EVP_EncryptUpdate(gcm->aes, to, &n, from, length) != 1 || n != length)
		gcm->has_failed = true;
}

/* The block cipher of <openssl/modes.h>: one block. */
static void
encrypt_block(const unsigned char *from, unsigned char *to, const void *key)
{
	/* modes.h passes on what CRYPTO_gcm128_new() got, which is not const. */
	union {
		const void *in;
		struct tls_gcm *out;
	} gcm = { .in = key };
	encrypt_blocks(gcm.out, from, to, 1);
}

/* Blocks as two words: a loop over them is short, and the compiler may combine it. */
struct block {
	uint64_t words[2];
};
_Static_assert(sizeof(struct block) == BLOCK_BYTES, "no padding");

static void
xor_blocks(const uint8_t *from, const struct block *with, uint8_t *to, size_t blocks)
{
	for (size_t i = 0; i < blocks; i++) {
		struct block block;
		memcpy(&block, from + i * BLOCK_BYTES, BLOCK_BYTES);
		block.words[0] ^= with[i].words[0];
		block.words[1] ^= with[i].words[1];
		memcpy(to + i * BLOCK_BYTES, &block, BLOCK_BYTES);
	}
}

/* The counter mode of <openssl/modes.h>: whole blocks, from the counter in `first` on
 * (SP 800-38D, 6.5). modes.h counts the blocks itself. */
static void
encrypt_counters(const unsigned char *from, unsigned char *to, size_t blocks,
    const void *key, const unsigned char *first)
{
	union {
		const void *in;
		struct tls_gcm *out;
	} gcm = { .in = key };
	struct block stream[BLOCKS_AT_A_TIME];
	uint8_t *bytes = (uint8_t *)stream;
	uint32_t counter;
	memcpy(&counter, first + COUNTER_AT, sizeof(counter));
	counter = __builtin_bswap32(counter);
	while (blocks > 0) {
		size_t part = blocks < BLOCKS_AT_A_TIME ? blocks : BLOCKS_AT_A_TIME;
		for (size_t i = 0; i < part; i++) {
			uint32_t wire = __builtin_bswap32(counter++);
			uint8_t *block = bytes + i * BLOCK_BYTES;
			memcpy(block, first, COUNTER_AT);
			memcpy(block + COUNTER_AT, &wire, sizeof(wire));
		}
		encrypt_blocks(gcm.out, bytes, bytes, part);
		xor_blocks(from, stream, to, part);
		from += part * BLOCK_BYTES;
		to += part * BLOCK_BYTES;
		blocks -= part;
	}
}

bool
tls_gcm_set_key(struct tls_gcm *gcm, const uint8_t *key, size_t key_bytes)
{
	const EVP_CIPHER *cipher = key_bytes == 32 ? aes_256 : aes_128;
	CRYPTO_gcm128_release(gcm->modes);
	gcm->modes = NULL;
	gcm->has_failed = false;
	if (EVP_EncryptInit_ex2(gcm->aes, cipher, key, NULL, NULL) == 1 &&
	    EVP_CIPHER_CTX_set_padding(gcm->aes, 0) == 1)
		gcm->modes = CRYPTO_gcm128_new(gcm, encrypt_block);
	if (gcm->modes != NULL && !gcm->has_failed)
		return true;
	tls_gcm_wipe_key(gcm);
	return false;
}

static bool
begin(struct tls_gcm *gcm, const struct tls_gcm_message *message)
{
	if (gcm->modes == NULL || gcm->has_failed)
		return false;
	CRYPTO_gcm128_setiv(gcm->modes, message->nonce, TLS_GCM_NONCE_BYTES);
	return CRYPTO_gcm128_aad(gcm->modes, message->aad, message->aad_length) == 0;
}

bool
tls_gcm_seal(
    struct tls_gcm *gcm, const struct tls_gcm_message *message, uint8_t *ret_tag)
{
	if (!begin(gcm, message) ||
	    CRYPTO_gcm128_encrypt_ctr32(gcm->modes, message->from, message->to,
		message->length, encrypt_counters) != 0)
		return false;
	CRYPTO_gcm128_tag(gcm->modes, ret_tag, TLS_GCM_TAG_BYTES);
	return !gcm->has_failed;
}

bool
tls_gcm_open(
    struct tls_gcm *gcm, const struct tls_gcm_message *message, const uint8_t *tag)
{
	return begin(gcm, message) &&
	    CRYPTO_gcm128_decrypt_ctr32(gcm->modes, message->from, message->to,
		message->length, encrypt_counters) == 0 &&
	    /* in constant time */
	    CRYPTO_gcm128_finish(gcm->modes, tag, TLS_GCM_TAG_BYTES) == 0 &&
	    !gcm->has_failed;
}
