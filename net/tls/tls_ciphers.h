/*
 * tls_ciphers.h - the protection of one record by an AEAD: header, nonce, additional
 * data and tag (RFC 8446, 5.2 and 5.3; RFC 5246, 6.2.3.3; RFC 5288; RFC 7905). It knows
 * no message and no order of records: that is tls_record.h, its only user.
 *
 *   type | version | length | TLS 1.3: AEAD(data | content type | zeros)
 *     1       2        2    | TLS 1.2, AES-GCM: explicit nonce (8) | AEAD(data)
 *                           | TLS 1.2, ChaCha20-Poly1305: AEAD(data)
 */
#ifndef NET_TLS_CIPHERS_H
#define NET_TLS_CIPHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_session.h"

#define TLS_RECORD_HEADER 5
#define TLS_TAG_BYTES 16

enum tls_content {
	TLS_CHANGE_CIPHER_SPEC = 20,
	TLS_ALERT = 21,
	TLS_HANDSHAKE = 22,
	TLS_APPLICATION_DATA = 23,
};

/* The cipher contexts of both directions, 2.8 kB with what OpenSSL allocates, 4.7 kB if
 * short and long records are used (tls_gcm.h). Each call below loads them with the key
 * of its session if they hold another one, so that a pair may serve any number of
 * sessions in turn; that costs 5,000 instructions each time. A pair of its own is worth
 * it for a session in use, and can be destroyed when it is quiet. */
struct tls_ciphers;

/* Fetches the algorithms, which later calls in this process and its children then find:
 * call it before the process is confined, as it may read OpenSSL's configuration. 0, or
 * -1: OpenSSL lacks an algorithm or is out of memory. */
int tls_record_init(void) __attribute__((warn_unused_result));

/* NULL: out of memory. */
struct tls_ciphers *tls_ciphers_create(void) __attribute__((warn_unused_result));
/* Wipes the keys that they hold. */
void tls_ciphers_destroy(struct tls_ciphers *ciphers);

/* Bytes of a record that are not data, without padding. */
size_t tls_record_overhead(const struct tls_session *session);
/* Bytes of a record before its data: header and explicit nonce. */
size_t tls_record_prefix(const struct tls_session *session);
#define TLS_RECORD_PREFIX_MAX (TLS_RECORD_HEADER + 8)

/* Seals one record of at most 2^14 bytes with the next sequence number. `data` does not
 * overlap out, or is at out + tls_record_prefix(): it is sealed in place. The length of
 * the record; 0: failed, with the session unchanged. */
size_t tls_ciphers_seal(struct tls_ciphers *ciphers, struct tls_session *session,
    enum tls_content type, const uint8_t *data, size_t length, uint8_t *out)
    __attribute__((warn_unused_result));

/* Opens a whole record that is at least as long as the overhead, to plain[] or in
 * place. In TLS 1.3 the plaintext ends with the content type and padding. False: not
 * authentic.
 */
bool tls_ciphers_open(struct tls_ciphers *ciphers, struct tls_session *session,
    uint8_t *record, size_t record_length, uint8_t *plain)
    __attribute__((warn_unused_result));

#endif
