#include "net/tls/tls_ciphers.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "net/tls/tls_gcm.h"

#define EXPLICIT_NONCE_BYTES 8 /* TLS 1.2 with AES-GCM (RFC 5288, 3) */
#define AAD_MAX 13

/* A key, and the contexts that are loaded with it when they are needed. */
struct cipher {
	EVP_CIPHER_CTX *context; /* long records, and ChaCha20-Poly1305 */
	struct tls_gcm *gcm;     /* short records with AES-GCM; NULL: none yet */
	uint8_t key[TLS_KEY_MAX];
	uint8_t aead; /* enum tls_aead; TLS_AEADS: no key */
	bool in_context, in_gcm;
};

struct tls_ciphers {
	struct cipher seal, open;
};

/* Shared by this process and its children; never freed. */
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
	return tls_gcm_init();
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
	tls_gcm_destroy(ciphers->seal.gcm);
	tls_gcm_destroy(ciphers->open.gcm);
	OPENSSL_cleanse(ciphers, sizeof(*ciphers));
	free(ciphers);
}

/* The key is loaded again before its next use. */
static void
forget_key(struct cipher *cipher)
{
	cipher->aead = TLS_AEADS;
}

/* Takes the key of the direction, if it is another one. A context that still holds the
 * one before is wiped, unless that one is about to be overwritten (`keeps`). */
static void
set_key(struct cipher *cipher, const struct tls_session *session,
    const struct tls_direction *direction, const bool *keeps)
{
	if (cipher->aead == session->aead &&
	    memcmp(cipher->key, direction->key, TLS_KEY_MAX) == 0)
		return;
	if (cipher->in_context && keeps != &cipher->in_context)
		EVP_CIPHER_CTX_reset(cipher->context);
	if (cipher->in_gcm && keeps != &cipher->in_gcm)
		tls_gcm_wipe_key(cipher->gcm);
	cipher->in_context = cipher->in_gcm = false;
	memcpy(cipher->key, direction->key, TLS_KEY_MAX);
	cipher->aead = session->aead;
}

/* Makes the context hold the key of the direction. */
static bool
load_context(struct cipher *cipher, const struct tls_session *session,
    const struct tls_direction *direction, int is_seal)
{
	set_key(cipher, session, direction, &cipher->in_context);
	if (!cipher->in_context)
		cipher->in_context =
		    EVP_CipherInit_ex(cipher->context, algorithms[session->aead], NULL,
			direction->key, NULL, is_seal) == 1;
	return cipher->in_context;
}

static bool
load_gcm(struct cipher *cipher, const struct tls_session *session,
    const struct tls_direction *direction)
{
	set_key(cipher, session, direction, &cipher->in_gcm);
	if (cipher->in_gcm)
		return true;
	if (cipher->gcm == NULL)
		cipher->gcm = tls_gcm_create();
	cipher->in_gcm = cipher->gcm != NULL &&
	    tls_gcm_set_key(cipher->gcm, direction->key,
		session->aead == TLS_AES_256_GCM ? 32 : 16);
	return cipher->in_gcm;
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

static size_t
explicit_nonce_bytes(const struct tls_session *session)
{
	return !is_1_3(session) && session->aead != TLS_CHACHA20_POLY1305
	    ? EXPLICIT_NONCE_BYTES
	    : 0;
}

size_t
tls_record_prefix(const struct tls_session *session)
{
	return TLS_RECORD_HEADER + explicit_nonce_bytes(session);
}

size_t
tls_record_overhead(const struct tls_session *session)
{
	return tls_record_prefix(session) + is_1_3(session) + TLS_TAG_BYTES;
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
	if (explicit_nonce_bytes(session) > 0) {
		memcpy(nonce + 4, explicit_part, EXPLICIT_NONCE_BYTES);
		return;
	}
	put_64(sequence, direction->sequence);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= sequence[i];
}

/* The additional data of a record; its length. RFC 8446, 5.2: the header. RFC 5246,
 * 6.2.3.3: sequence number, type, version and length of the plaintext. */
static size_t
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

/* True for a record of the cheaper way (tls_gcm.h). */
static bool
is_short(const struct tls_session *session, size_t length)
{
	return length <= TLS_GCM_SHORT_MAX && session->aead != TLS_CHACHA20_POLY1305;
}

/* One record: what is encrypted and decrypted, and under what. */
struct protection {
	uint8_t nonce[TLS_IV_BYTES], aad[AAD_MAX];
	size_t aad_length;
};

static void
protect(const struct tls_session *session, const struct tls_direction *direction,
    const uint8_t *record, size_t plain_length, struct protection *ret)
{
	make_nonce(session, direction, record + TLS_RECORD_HEADER, ret->nonce);
	ret->aad_length = make_aad(session, direction, record, plain_length, ret->aad);
}

static bool
seal_short(struct cipher *cipher, const struct tls_session *session,
    const struct protection *protection, uint8_t *data, size_t length)
{
	const struct tls_gcm_message message = { .nonce = protection->nonce,
		.aad = protection->aad,
		.aad_length = protection->aad_length,
		.from = data,
		.length = length,
		.to = data };
	return load_gcm(cipher, session, &session->send) &&
	    tls_gcm_seal(cipher->gcm, &message, data + length);
}

/* `type` follows the data in TLS 1.3 (RFC 8446, 5.2). */
static bool
seal_long(struct cipher *cipher, const struct tls_session *session,
    const struct protection *protection, const uint8_t *data, size_t length,
    uint8_t type, uint8_t *out)
{
	EVP_CIPHER_CTX *context = cipher->context;
	size_t added = is_1_3(session);
	/* Parameters by hand: EVP_CIPHER_CTX_ctrl(3) costs 150 instructions more. */
	OSSL_PARAM tag[] = { OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
				 out + length + added, TLS_TAG_BYTES),
		OSSL_PARAM_END };
	int n;
	return load_context(cipher, session, &session->send, 1) &&
	    EVP_EncryptInit_ex(context, NULL, NULL, NULL, protection->nonce) == 1 &&
	    EVP_EncryptUpdate(
		context, NULL, &n, protection->aad, (int)protection->aad_length) == 1 &&
	    EVP_EncryptUpdate(context, out, &n, data, (int)length) == 1 &&
	    (added == 0 ||
		EVP_EncryptUpdate(context, out + length, &n, &type, 1) == 1) &&
	    EVP_EncryptFinal_ex(context, out, &n) == 1 &&
	    EVP_CIPHER_CTX_get_params(context, tag) == 1;
}

size_t
tls_ciphers_seal(struct tls_ciphers *ciphers, struct tls_session *session,
    enum tls_content type, const uint8_t *data, size_t length, uint8_t *out)
{
	struct tls_direction *direction = &session->send;
	struct protection protection;
	size_t record = length + tls_record_overhead(session);
	size_t prefix = tls_record_prefix(session);
	bool is_sealed;
	/* RFC 8446, 5.2: the type and version that are seen outside are constant. */
	out[0] = is_1_3(session) ? TLS_APPLICATION_DATA : (uint8_t)type;
	put_16(out + 1, TLS_VERSION_1_2);
	put_16(out + 3, record - TLS_RECORD_HEADER);
	/* RFC 5288, 3: the explicit nonce may be the sequence number. */
	if (prefix > TLS_RECORD_HEADER)
		put_64(out + TLS_RECORD_HEADER, direction->sequence);
	protect(session, direction, out, length, &protection);
	if (is_short(session, length)) {
		if (out + prefix != data)
			memcpy(out + prefix, data, length);
		if (is_1_3(session))
			out[prefix + length] = (uint8_t)type;
		is_sealed = seal_short(&ciphers->seal, session, &protection,
		    out + prefix, length + is_1_3(session));
	} else {
		is_sealed = seal_long(&ciphers->seal, session, &protection, data,
		    length, (uint8_t)type, out + prefix);
	}
	if (!is_sealed) {
		forget_key(&ciphers->seal);
		return 0;
	}
	direction->sequence++;
	return record;
}

static bool
open_short(struct cipher *cipher, const struct tls_session *session,
    const struct protection *protection, const uint8_t *sealed, size_t length,
    uint8_t *plain)
{
	const struct tls_gcm_message message = { .nonce = protection->nonce,
		.aad = protection->aad,
		.aad_length = protection->aad_length,
		.from = sealed,
		.length = length,
		.to = plain };
	return load_gcm(cipher, session, &session->receive) &&
	    tls_gcm_open(cipher->gcm, &message, sealed + length);
}

static bool
open_long(struct cipher *cipher, const struct tls_session *session,
    const struct protection *protection, const uint8_t *sealed, size_t length,
    uint8_t *plain)
{
	EVP_CIPHER_CTX *context = cipher->context;
	uint8_t tag[TLS_TAG_BYTES];
	memcpy(tag, sealed + length, sizeof(tag));
	const OSSL_PARAM expected[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, TLS_TAG_BYTES),
		OSSL_PARAM_END
	};
	int n;
	return load_context(cipher, session, &session->receive, 0) &&
	    EVP_DecryptInit_ex2(context, NULL, NULL, protection->nonce, expected) ==
	    1 &&
	    EVP_DecryptUpdate(
		context, NULL, &n, protection->aad, (int)protection->aad_length) == 1 &&
	    EVP_DecryptUpdate(context, plain, &n, sealed, (int)length) == 1 &&
	    EVP_DecryptFinal_ex(context, plain + length, &n) == 1;
}

bool
tls_ciphers_open(struct tls_ciphers *ciphers, struct tls_session *session,
    uint8_t *record, size_t record_length, uint8_t *plain)
{
	struct protection protection;
	size_t prefix = tls_record_prefix(session);
	size_t length = record_length - prefix - TLS_TAG_BYTES;
	const uint8_t *sealed = record + prefix;
	if (plain == NULL)
		plain = record + prefix;
	protect(session, &session->receive, record, length, &protection);
	bool is_open = is_short(session, length)
	    ? open_short(&ciphers->open, session, &protection, sealed, length, plain)
	    : open_long(&ciphers->open, session, &protection, sealed, length, plain);
	if (!is_open) {
		forget_key(&ciphers->open);
		return false;
	}
	session->receive.sequence++;
	return true;
}
