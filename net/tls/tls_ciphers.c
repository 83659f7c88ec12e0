#include "net/tls/tls_ciphers.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define EXPLICIT_NONCE_BYTES 8 /* TLS 1.2 with AES-GCM (RFC 5288, 3) */
#define AAD_MAX 13
/* Up to here one more copy is cheaper than one more call of OpenSSL. */
#define COPY_MAX 1024

/* A cipher context and the key that it holds. */
struct cipher {
	EVP_CIPHER_CTX *context;
	uint8_t key[TLS_KEY_MAX];
	uint8_t aead; /* enum tls_aead; TLS_AEADS: none is loaded */
};

struct tls_ciphers {
	struct cipher seal, open;
};

/* Of this process and its children; never freed. */
static EVP_CIPHER *algorithms[TLS_AEADS];

int
tls_record_init(void)
{
	static const char *const names[TLS_AEADS] = {
		[TLS_AES_128_GCM] = "AES-128-GCM",
		[TLS_AES_256_GCM] = "AES-256-GCM",
		[TLS_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
	};
	for (size_t i = 0; i < TLS_AEADS; i++) {
		if (algorithms[i] == NULL)
			algorithms[i] = EVP_CIPHER_fetch(NULL, names[i], NULL);
		if (algorithms[i] == NULL)
			return -1;
	}
	return 0;
}

struct tls_ciphers *
tls_ciphers_create(void)
{
	if (tls_record_init() < 0)
		return NULL;
	struct tls_ciphers *ciphers = calloc(1, sizeof(*ciphers));
	if (ciphers == NULL)
		return NULL;
	ciphers->seal.aead = ciphers->open.aead = TLS_AEADS;
	ciphers->seal.context = EVP_CIPHER_CTX_new();
	ciphers->open.context = EVP_CIPHER_CTX_new();
	if (ciphers->seal.context == NULL || ciphers->open.context == NULL) {
		tls_ciphers_destroy(ciphers);
		return NULL;
	}
	return ciphers;
}

void
tls_ciphers_destroy(struct tls_ciphers *ciphers)
{
	if (ciphers == NULL)
		return;
	EVP_CIPHER_CTX_free(ciphers->seal.context);
	EVP_CIPHER_CTX_free(ciphers->open.context);
	OPENSSL_cleanse(ciphers, sizeof(*ciphers));
	free(ciphers);
}

/* Makes the context hold the key of the direction. */
static bool
load_key(struct cipher *cipher, const struct tls_session *session,
    const struct tls_direction *direction, int is_seal)
{
	if (cipher->aead == session->aead &&
	    memcmp(cipher->key, direction->key, TLS_KEY_MAX) == 0)
		return true;
	cipher->aead = TLS_AEADS;
	if (EVP_CipherInit_ex(cipher->context, algorithms[session->aead], NULL,
		direction->key, NULL, is_seal) != 1)
		return false;
	memcpy(cipher->key, direction->key, TLS_KEY_MAX);
	cipher->aead = session->aead;
	return true;
}

static void
put_64(uint8_t *at, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(at, &value, sizeof(value));
}

static void
put_16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool
is_1_3(const struct tls_session *session)
{
	return session->version == TLS_VERSION_1_3;
}

size_t
tls_record_nonce_bytes(const struct tls_session *session)
{
	return !is_1_3(session) && session->aead != TLS_CHACHA20_POLY1305
	    ? EXPLICIT_NONCE_BYTES
	    : 0;
}

size_t
tls_record_overhead(const struct tls_session *session)
{
	return TLS_RECORD_HEADER + tls_record_nonce_bytes(session) + is_1_3(session) +
	    TLS_TAG_BYTES;
}

/* The nonce of a record: RFC 8446, 5.3, and RFC 7905, 2: the IV xor the sequence
 * number. RFC 5288, 3: the salt and the explicit part, which a receiver takes as it
 * comes. */
static void
make_nonce(const struct tls_session *session, const struct tls_direction *direction,
    const uint8_t *explicit_part, uint8_t *nonce)
{
	uint8_t sequence[8];
	memcpy(nonce, direction->iv, TLS_IV_BYTES);
	if (tls_record_nonce_bytes(session) > 0) {
		memcpy(nonce + 4, explicit_part, EXPLICIT_NONCE_BYTES);
		return;
	}
	put_64(sequence, direction->sequence);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= sequence[i];
}

/* The additional data of a record; its length. RFC 8446, 5.2: the header. RFC 5246,
 * 6.2.3.3: sequence number, type, version and length of the plaintext. */
static int
make_aad(const struct tls_session *session, const struct tls_direction *direction,
    const uint8_t *header, size_t plain_length, uint8_t *aad)
{
	if (is_1_3(session)) {
		memcpy(aad, header, TLS_RECORD_HEADER);
		return TLS_RECORD_HEADER;
	}
	put_64(aad, direction->sequence);
	memcpy(aad + 8, header, 3);
	put_16(aad + 11, plain_length);
	return AAD_MAX;
}

/* Encrypts the data, in TLS 1.3 followed by its type (RFC 8446, 5.2), to `out`. */
static bool
encrypt(const struct tls_session *session, EVP_CIPHER_CTX *context, uint8_t type,
    const uint8_t *data, size_t length, uint8_t *out)
{
	int n;
	if (!is_1_3(session))
		return EVP_EncryptUpdate(context, out, &n, data, (int)length) == 1;
	if (length <= COPY_MAX) {
		memcpy(out, data, length);
		out[length] = type;
		return EVP_EncryptUpdate(context, out, &n, out, (int)length + 1) == 1;
	}
	return EVP_EncryptUpdate(context, out, &n, data, (int)length) == 1 &&
	    EVP_EncryptUpdate(context, out + length, &n, &type, 1) == 1;
}

size_t
tls_ciphers_seal(struct tls_ciphers *ciphers, struct tls_session *session,
    enum tls_content type, const uint8_t *data, size_t length, uint8_t *out)
{
	struct tls_direction *direction = &session->send;
	EVP_CIPHER_CTX *context = ciphers->seal.context;
	uint8_t nonce[TLS_IV_BYTES], aad[AAD_MAX];
	size_t record = length + tls_record_overhead(session);
	size_t prefix = TLS_RECORD_HEADER + tls_record_nonce_bytes(session);
	int n;
	if (!load_key(&ciphers->seal, session, direction, 1))
		return 0;
	/* RFC 8446, 5.2: the type and version that are seen outside are constant. */
	out[0] = is_1_3(session) ? TLS_APPLICATION_DATA : (uint8_t)type;
	put_16(out + 1, TLS_VERSION_1_2);
	put_16(out + 3, record - TLS_RECORD_HEADER);
	/* RFC 5288, 3: the explicit nonce may be the sequence number. */
	if (prefix > TLS_RECORD_HEADER)
		put_64(out + TLS_RECORD_HEADER, direction->sequence);
	make_nonce(session, direction, out + TLS_RECORD_HEADER, nonce);
	int aad_length = make_aad(session, direction, out, length, aad);
	/* Parameters by hand: EVP_CIPHER_CTX_ctrl(3) costs 150 instructions more. */
	OSSL_PARAM tag[] = { OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
				 out + record - TLS_TAG_BYTES, TLS_TAG_BYTES),
		OSSL_PARAM_END };
	if (EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_EncryptUpdate(context, NULL, &n, aad, aad_length) != 1 ||
	    !encrypt(session, context, (uint8_t)type, data, length, out + prefix) ||
	    EVP_EncryptFinal_ex(context, out, &n) != 1 ||
	    EVP_CIPHER_CTX_get_params(context, tag) != 1) {
		ciphers->seal.aead = TLS_AEADS;
		return 0;
	}
	direction->sequence++;
	return record;
}

static bool
decrypt(struct cipher *cipher, const struct tls_session *session, const uint8_t *record,
    size_t plain_length, uint8_t *plain)
{
	EVP_CIPHER_CTX *context = cipher->context;
	uint8_t nonce[TLS_IV_BYTES], aad[AAD_MAX], tag[TLS_TAG_BYTES];
	const uint8_t *sealed =
	    record + TLS_RECORD_HEADER + tls_record_nonce_bytes(session);
	int n;
	if (!load_key(cipher, session, &session->receive, 0))
		return false;
	make_nonce(session, &session->receive, record + TLS_RECORD_HEADER, nonce);
	int aad_length =
	    make_aad(session, &session->receive, record, plain_length, aad);
	memcpy(tag, sealed + plain_length, sizeof(tag));
	const OSSL_PARAM expected[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, TLS_TAG_BYTES),
		OSSL_PARAM_END
	};
	return EVP_DecryptInit_ex2(context, NULL, NULL, nonce, expected) == 1 &&
	    EVP_DecryptUpdate(context, NULL, &n, aad, aad_length) == 1 &&
	    EVP_DecryptUpdate(context, plain, &n, sealed, (int)plain_length) == 1 &&
	    EVP_DecryptFinal_ex(context, plain + plain_length, &n) == 1;
}

bool
tls_ciphers_open(struct tls_ciphers *ciphers, struct tls_session *session,
    uint8_t *record, size_t record_length, uint8_t *plain)
{
	size_t prefix = TLS_RECORD_HEADER + tls_record_nonce_bytes(session);
	size_t plain_length = record_length - prefix - TLS_TAG_BYTES;
	if (plain == NULL)
		plain = record + prefix;
	if (!decrypt(&ciphers->open, session, record, plain_length, plain)) {
		ciphers->open.aead = TLS_AEADS;
		return false;
	}
	session->receive.sequence++;
	return true;
}
