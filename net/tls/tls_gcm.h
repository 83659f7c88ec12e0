/*
 * tls_gcm.h - AES-GCM (NIST SP 800-38D) of one short message: the GHASH and counter
 * mode of <openssl/modes.h> over the AES blocks of EVP. The bytes are those of EVP's
 * AES-GCM, with half of its instructions for 64 bytes: EVP looks up parameters by their
 * names for each message. For long messages EVP is faster: it interleaves AES and
 * GHASH. tls_ciphers.h is the only user.
 */
#ifndef NET_TLS_GCM_H
#define NET_TLS_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_GCM_NONCE_BYTES 12
#define TLS_GCM_TAG_BYTES 16
/* From some 1,500 bytes on EVP is faster. */
#define TLS_GCM_SHORT_MAX 1280

struct tls_gcm;

/* Fetches the algorithms, as tls_record_init(). 0 or -1. */
int tls_gcm_init(void) __attribute__((warn_unused_result));

/* Without a key. NULL: out of memory. */
struct tls_gcm *tls_gcm_create(void) __attribute__((warn_unused_result));
/* Wipes the key. */
void tls_gcm_destroy(struct tls_gcm *gcm);

/* A key of 16 or 32 bytes replaces the one before. False: failed, without a key. */
bool tls_gcm_set_key(struct tls_gcm *gcm, const uint8_t *key, size_t key_bytes)
    __attribute__((warn_unused_result));
void tls_gcm_wipe_key(struct tls_gcm *gcm);

/* A message that is sealed or opened under one nonce. Source and destination are the
 * same, or do not overlap. */
struct tls_gcm_message {
	const uint8_t *nonce; /* TLS_GCM_NONCE_BYTES */
	const uint8_t *aad;   /* additional data */
	size_t aad_length;
	const uint8_t *from;
	size_t length;
	uint8_t *to;
};

/* False: failed. Nothing of `to` may be used then. */
bool tls_gcm_seal(struct tls_gcm *gcm, const struct tls_gcm_message *message,
    uint8_t *ret_tag) __attribute__((warn_unused_result));
/* False: not authentic, or failed. Nothing of `to` may be used then. */
bool tls_gcm_open(struct tls_gcm *gcm, const struct tls_gcm_message *message,
    const uint8_t *tag) __attribute__((warn_unused_result));

#endif
