#include "net/tls/tls_session.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const size_t key_bytes[TLS_AEADS] = {
	[TLS_AES_128_GCM] = 16,
	[TLS_AES_256_GCM] = 32,
	[TLS_CHACHA20_POLY1305] = 32,
};

#define LABEL_MAX 12 /* "traffic upd" */
#define MASTER_BYTES 48
#define RANDOM_BYTES 32
#define GCM_SALT_BYTES 4 /* RFC 5288, 3 */

const char *
tls_version_name(unsigned version)
{
	switch (version) {
	case 0x0002:
		return "SSL 2.0";
	case 0x0300:
		return "SSL 3.0";
	case 0x0301:
		return "TLS 1.0";
	case 0x0302:
		return "TLS 1.1";
	case TLS_VERSION_1_2:
		return "TLS 1.2";
	case TLS_VERSION_1_3:
		return "TLS 1.3";
	default:
		return "unknown";
	}
}

static const EVP_MD *
hash_of(const struct tls_session *session)
{
	return session->hash_bytes == 48 ? EVP_sha384() : EVP_sha256();
}

/* HKDF-Expand-Label(secret, label, "", length) of RFC 8446, 7.1. One block of
 * HKDF-Expand (RFC 5869, 2.3) is enough for at most hash_bytes. */
static int
expand_label(const struct tls_session *session, const uint8_t *secret,
    const char *label, uint8_t *out, size_t length)
{
	uint8_t info[4 + 6 + LABEL_MAX + 1], block[EVP_MAX_MD_SIZE];
	size_t label_length = strlen(label), at = 0;
	unsigned produced;
	info[at++] = (uint8_t)(length >> 8);
	info[at++] = (uint8_t)length;
	info[at++] = (uint8_t)(6 + label_length);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_length);
	at += 6 + label_length;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* block 1 */
	if (HMAC(hash_of(session), secret, session->hash_bytes, info, at, block,
		&produced) == NULL)
		return -1;
	memcpy(out, block, length);
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}

int
tls_session_derive(const struct tls_session *session, struct tls_direction *direction)
{
	if (expand_label(session, direction->secret, "key", direction->key,
		key_bytes[session->aead]) < 0 ||
	    expand_label(
		session, direction->secret, "iv", direction->iv, TLS_IV_BYTES) < 0)
		return -1;
	direction->sequence = 0;
	return 0;
}

int
tls_session_update(const struct tls_session *session, struct tls_direction *direction)
{
	struct tls_direction next = { .sequence = 0 };
	int status = expand_label(session, direction->secret, "traffic upd",
	    next.secret, session->hash_bytes);
	if (status == 0)
		status = tls_session_derive(session, &next);
	if (status == 0)
		*direction = next;
	OPENSSL_cleanse(&next, sizeof(next));
	return status;
}

/* The pseudorandom function of TLS 1.2 (RFC 5246, 5): P_hash(master, seed), cut to
 * `length` bytes. */
static int
expand_1_2(const struct tls_session *session, const uint8_t *master,
    const uint8_t *seed, size_t seed_length, uint8_t *out, size_t length)
{
	uint8_t a[EVP_MAX_MD_SIZE + 128], block[EVP_MAX_MD_SIZE];
	const EVP_MD *hash = hash_of(session);
	unsigned n = 0, produced;
	int status = -1;
	/* a: A(i), followed by the seed */
	if (HMAC(hash, master, MASTER_BYTES, seed, seed_length, a, &n) == NULL)
		goto out;
	memcpy(a + n, seed, seed_length);
	for (size_t done = 0; done < length; done += n) {
		size_t part = length - done < n ? length - done : n;
		if (HMAC(hash, master, MASTER_BYTES, a, n + seed_length, block,
			&produced) == NULL)
			goto out;
		memcpy(out + done, block, part);
		if (HMAC(hash, master, MASTER_BYTES, a, n, block, &produced) == NULL)
			goto out;
		memcpy(a, block, n);
	}
	status = 0;
out:
	OPENSSL_cleanse(a, sizeof(a));
	OPENSSL_cleanse(block, sizeof(block));
	return status;
}

int
tls_session_derive_1_2(struct tls_session *session, const uint8_t *master,
    const uint8_t *client_random, const uint8_t *server_random)
{
	static const char label[] = "key expansion";
	uint8_t seed[sizeof(label) - 1 + 2 * RANDOM_BYTES];
	uint8_t block[2 * (TLS_KEY_MAX + TLS_IV_BYTES)];
	size_t key = key_bytes[session->aead];
	size_t iv =
	    session->aead == TLS_CHACHA20_POLY1305 ? TLS_IV_BYTES : GCM_SALT_BYTES;
	struct tls_direction *client =
	    session->is_server ? &session->receive : &session->send;
	struct tls_direction *server =
	    session->is_server ? &session->send : &session->receive;
	memcpy(seed, label, sizeof(label) - 1);
	memcpy(seed + sizeof(label) - 1, server_random, RANDOM_BYTES);
	memcpy(seed + sizeof(label) - 1 + RANDOM_BYTES, client_random, RANDOM_BYTES);
	if (expand_1_2(session, master, seed, sizeof(seed), block, 2 * (key + iv)) < 0)
		return -1;
	/* The key block: client_write_key, server_write_key, client_write_IV,
	 * server_write_IV; an AEAD suite has no MAC keys. */
	memcpy(client->key, block, key);
	memcpy(server->key, block + key, key);
	memcpy(client->iv, block + 2 * key, iv);
	memcpy(server->iv, block + 2 * key + iv, iv);
	OPENSSL_cleanse(block, sizeof(block));
	return 0;
}

bool
tls_session_is_valid(const struct tls_session *session)
{
	static const uint8_t hash_bytes[TLS_AEADS] = {
		[TLS_AES_128_GCM] = 32,
		[TLS_AES_256_GCM] = 48,
		[TLS_CHACHA20_POLY1305] = 32,
	};
	return (session->version == TLS_VERSION_1_2 ||
		   session->version == TLS_VERSION_1_3) &&
	    session->aead < TLS_AEADS &&
	    session->hash_bytes == hash_bytes[session->aead] &&
	    session->message_header_bytes <= sizeof(session->message_header) &&
	    session->message_left < UINT32_C(1) << 24 &&
	    /* A message has bytes left once its header is complete, not before; one
	     * that was refused ended the session. */
	    (session->has_ended ||
		(session->message_header_bytes == sizeof(session->message_header)) ==
		    (session->message_left > 0));
}

void
tls_session_wipe(struct tls_session *session)
{
	OPENSSL_cleanse(session, sizeof(*session));
}
