/*
 * AES-GCM of short messages: vectors, and the same bytes as EVP's for every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include <openssl/evp.h>

#include "net/tls/tls_gcm.h"

#define LENGTH_MAX (TLS_GCM_SHORT_MAX + 40)

static struct tls_gcm *gcm;
static uint8_t key[32], nonce[TLS_GCM_NONCE_BYTES], aad[13];
static uint8_t data[LENGTH_MAX], sealed[LENGTH_MAX], expected[LENGTH_MAX];

static void
fill(uint8_t *bytes, size_t length, unsigned seed)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(seed = seed * 1103515245 + 12345 + (seed >> 16));
}

static struct tls_gcm_message
message_of(const uint8_t *from, size_t length, size_t aad_length, uint8_t *to)
{
	return (struct tls_gcm_message){ .nonce = nonce,
		.aad = aad,
		.aad_length = aad_length,
		.from = from,
		.length = length,
		.to = to };
}

static void
seal_by_evp(size_t key_bytes, size_t length, size_t aad_length, uint8_t *tag)
{
	const EVP_CIPHER *cipher =
	    key_bytes == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int n;
	assert_int_equal(EVP_EncryptInit_ex(context, cipher, NULL, key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(context, NULL, &n, aad, (int)aad_length), 1);
	assert_int_equal(
	    EVP_EncryptUpdate(context, expected, &n, data, (int)length), 1);
	assert_int_equal(EVP_EncryptFinal_ex(context, expected, &n), 1);
	assert_int_equal(
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TLS_GCM_TAG_BYTES, tag),
	    1);
	EVP_CIPHER_CTX_free(context);
}

static void
check_length(size_t key_bytes, size_t length)
{
	uint8_t tag[TLS_GCM_TAG_BYTES], expected_tag[TLS_GCM_TAG_BYTES];
	size_t aad_length = length % 2 == 0 ? 5 : 13;
	fill(nonce, sizeof(nonce), (unsigned)length);
	seal_by_evp(key_bytes, length, aad_length, expected_tag);
	struct tls_gcm_message message = message_of(data, length, aad_length, sealed);
	assert_true(tls_gcm_seal(gcm, &message, tag));
	assert_memory_equal(sealed, expected, length);
	assert_memory_equal(tag, expected_tag, sizeof(tag));
	/* in place */
	message = message_of(sealed, length, aad_length, sealed);
	assert_true(tls_gcm_open(gcm, &message, tag));
	assert_memory_equal(sealed, data, length);
	assert_true(tls_gcm_seal(gcm, &message, tag));
	assert_memory_equal(sealed, expected, length);
	tag[length % sizeof(tag)] ^= 1;
	assert_false(tls_gcm_open(gcm, &message, tag));
}

static void
test_every_length_gives_the_bytes_of_evp(void **state)
{
	(void)state;
	fill(key, sizeof(key), 1);
	fill(aad, sizeof(aad), 2);
	fill(data, sizeof(data), 3);
	for (size_t key_bytes = 16; key_bytes <= 32; key_bytes += 16) {
		assert_true(tls_gcm_set_key(gcm, key, key_bytes));
		for (size_t length = 0; length <= LENGTH_MAX; length++)
			check_length(key_bytes, length);
	}
}

/* The Galois/Counter Mode of Operation (McGrew, Viega), appendix B, test case 2. */
static void
test_a_published_vector(void **state)
{
	static const uint8_t zeros[32],
	    ciphertext[16] = { 0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92, 0xf3,
		    0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78 };
	static const uint8_t tag[16] = { 0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd,
		0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf };
	uint8_t found[TLS_GCM_TAG_BYTES];
	(void)state;
	memset(nonce, 0, sizeof(nonce));
	assert_true(tls_gcm_set_key(gcm, zeros, 16));
	struct tls_gcm_message message = message_of(zeros, 16, 0, sealed);
	assert_true(tls_gcm_seal(gcm, &message, found));
	assert_memory_equal(sealed, ciphertext, sizeof(ciphertext));
	assert_memory_equal(found, tag, sizeof(tag));
}

static void
test_without_a_key_nothing_is_sealed_or_opened(void **state)
{
	uint8_t tag[TLS_GCM_TAG_BYTES];
	(void)state;
	struct tls_gcm_message message = message_of(data, 64, 5, sealed);
	assert_true(tls_gcm_set_key(gcm, key, 32));
	assert_true(tls_gcm_seal(gcm, &message, tag));
	tls_gcm_wipe_key(gcm);
	assert_false(tls_gcm_seal(gcm, &message, tag));
	assert_false(tls_gcm_open(gcm, &message, tag));
	assert_true(tls_gcm_set_key(gcm, key, 16));
	assert_true(tls_gcm_seal(gcm, &message, tag));
}

static int
start(void **state)
{
	(void)state;
	gcm = tls_gcm_init() == 0 ? tls_gcm_create() : NULL;
	return gcm == NULL ? -1 : 0;
}

static int
stop(void **state)
{
	(void)state;
	tls_gcm_destroy(gcm);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_gives_the_bytes_of_evp),
		cmocka_unit_test(test_a_published_vector),
		cmocka_unit_test(test_without_a_key_nothing_is_sealed_or_opened),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
