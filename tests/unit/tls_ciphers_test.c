/*
 * The ciphers of TLS records when OpenSSL gets no memory: nothing is sealed or opened
 * then, the sequence numbers stay, no key is left behind, and the next attempt gives
 * the same record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "net/tls/tls_ciphers.h"
#include "net/tls/tls_gcm.h"

#define BLOCKS_MAX 1024

/* The blocks that OpenSSL has, and how many more it gets. */
static struct block {
	void *at;
	size_t size;
} blocks[BLOCKS_MAX];
static size_t block_count, block_limit = SIZE_MAX;
static bool is_tracking;

static void
forget(const void *at)
{
	for (size_t i = block_count; i-- > 0;) {
		if (blocks[i].at != at)
			continue;
		blocks[i] = blocks[--block_count];
		return;
	}
}

static void *
resize(void *old, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (block_limit == 0)
		return NULL;
	if (block_limit != SIZE_MAX)
		block_limit--;
	if (old != NULL)
		forget(old);
	void *at = realloc(old, size);
	if (is_tracking && at != NULL && block_count < BLOCKS_MAX)
		blocks[block_count++] = (struct block){ at, size };
	return at;
}

static void *
allocate(size_t size, const char *file, int line)
{
	return resize(NULL, size, file, line);
}

static void
release(void *at, const char *file, int line)
{
	(void)file, (void)line;
	forget(at);
	free(at);
}

static bool
is_known(const uint8_t *key, size_t key_bytes)
{
	for (size_t i = 0; i < block_count; i++)
		if (memmem(blocks[i].at, blocks[i].size, key, key_bytes) != NULL)
			return true;
	return false;
}

static void
test_a_key_that_cannot_be_set_is_not_kept(void **state)
{
	static const uint8_t nonce[TLS_GCM_NONCE_BYTES], data[20];
	uint8_t key[32], out[sizeof(data)], tag[TLS_GCM_TAG_BYTES];
	const struct tls_gcm_message message = {
		.nonce = nonce, .from = data, .length = sizeof(data), .to = out
	};
	bool is_set = false;
	(void)state;
	memset(key, 0xa5, sizeof(key));
	for (size_t n = 0; !is_set; n++) {
		assert_true(n < 100);
		struct tls_gcm *gcm = tls_gcm_create();
		assert_non_null(gcm);
		is_tracking = true;
		block_limit = n;
		is_set = tls_gcm_set_key(gcm, key, sizeof(key));
		block_limit = SIZE_MAX;
		assert_int_equal(tls_gcm_seal(gcm, &message, tag), is_set);
		if (!is_set)
			assert_false(is_known(key, 16));
		assert_true(tls_gcm_set_key(gcm, key, sizeof(key)));
		assert_true(tls_gcm_seal(gcm, &message, tag));
		tls_gcm_destroy(gcm);
		assert_false(is_known(key, 16));
		is_tracking = false;
		block_count = 0;
	}
}

/* A record of each kind, sealed and opened with the first n allocations alone; true if
 * these were enough. */
static bool
seals_and_opens(const struct tls_session *session, size_t length, size_t n)
{
	static uint8_t data[2000], expected[2200], out[2200], plain[2200];
	struct tls_session copy = *session;
	struct tls_ciphers *plenty = tls_ciphers_create(), *ciphers;
	size_t bytes = tls_ciphers_seal(
	    plenty, &copy, TLS_APPLICATION_DATA, data, length, expected);
	assert_true(bytes > length);
	copy = *session;
	ciphers = tls_ciphers_create();
	assert_non_null(ciphers);
	block_limit = n;
	size_t sealed =
	    tls_ciphers_seal(ciphers, &copy, TLS_APPLICATION_DATA, data, length, out);
	bool is_open = tls_ciphers_open(ciphers, &copy, expected, bytes, plain);
	block_limit = SIZE_MAX;
	assert_int_equal(copy.send.sequence, sealed > 0);
	assert_int_equal(copy.receive.sequence, is_open);
	if (sealed == 0)
		sealed = tls_ciphers_seal(
		    ciphers, &copy, TLS_APPLICATION_DATA, data, length, out);
	assert_int_equal(sealed, bytes);
	assert_memory_equal(out, expected, bytes);
	bool were_enough = is_open;
	if (!is_open)
		assert_true(tls_ciphers_open(ciphers, &copy, expected, bytes, plain));
	assert_memory_equal(plain, data, length);
	tls_ciphers_destroy(ciphers);
	tls_ciphers_destroy(plenty);
	return were_enough;
}

static void
test_the_next_attempt_gives_the_same_record(void **state)
{
	static const uint16_t versions[] = { TLS_VERSION_1_2, TLS_VERSION_1_3 };
	(void)state;
	for (int i = 0; i < 2 * TLS_AEADS; i++) {
		struct tls_session session = { .version = versions[i % 2],
			.aead = (uint8_t)(i / 2),
			.hash_bytes = i / 2 == TLS_AES_256_GCM ? 48 : 32 };
		memset(session.send.key, 0x5a,
		    i / 2 == TLS_AES_128_GCM ? 16 : TLS_KEY_MAX);
		session.receive = session.send;
		for (size_t n = 0; !seals_and_opens(&session, 100, n); n++)
			assert_true(n < 100);
		for (size_t n = 0; !seals_and_opens(&session, 2000, n); n++)
			assert_true(n < 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_that_cannot_be_set_is_not_kept),
		cmocka_unit_test(test_the_next_attempt_gives_the_same_record),
	};
	if (CRYPTO_set_mem_functions(allocate, resize, release) != 1 ||
	    tls_record_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
