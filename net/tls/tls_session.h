/*
 * tls_session.h - all that a TLS connection is once its handshake is over: secrets,
 * keys and sequence numbers of both directions. Plain data without pointers: a copy in
 * another process continues the connection, and the peer notices nothing.
 *
 * Two copies must never both send. With AES-GCM and ChaCha20-Poly1305, two records of
 * different contents under one sequence number reveal both contents and allow forgeries
 * (RFC 5116, 5.1.1). The same contents under the same number give the same bytes:
 * sealing is a function of the session and the data (tls_record.h).
 *
 * A session is as secret as what is sent over the connection: wipe it when it is no
 * longer needed.
 */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_SECRET_MAX 48
#define TLS_KEY_MAX 32
#define TLS_IV_BYTES 12

/* ProtocolVersion (RFC 8446, 4.2.1). */
enum tls_version { TLS_VERSION_1_2 = 0x0303, TLS_VERSION_1_3 = 0x0304 };

enum tls_aead { TLS_AES_128_GCM, TLS_AES_256_GCM, TLS_CHACHA20_POLY1305 };
#define TLS_AEADS 3

struct tls_direction {
	uint64_t sequence;              /* of the next record */
	uint8_t secret[TLS_SECRET_MAX]; /* TLS 1.3: traffic secret N (RFC 8446, 7.2) */
	uint8_t key[TLS_KEY_MAX];
	uint8_t iv[TLS_IV_BYTES]; /* of TLS 1.2 with AES-GCM: 4 bytes, the salt */
};

struct tls_session {
	struct tls_direction receive, send;
	uint16_t version;      /* enum tls_version */
	uint8_t aead;          /* enum tls_aead */
	uint8_t hash_bytes;    /* 32: SHA-256, 48: SHA-384 */
	bool is_server : 1;    /* this end */
	bool update_due : 1;   /* a KeyUpdate precedes the next application data */
	bool update_asks : 1;  /* and asks the peer for one */
	bool update_asked : 1; /* the peer's is awaited */
	bool send_closed : 1;  /* close_notify or a fatal alert is sealed */
	bool has_ended : 1;    /* the peer has sent its last record, or failed */
	uint8_t idle_records;  /* received in a row without application data */
	/* A handshake message of the peer that is not complete (RFC 8446, 5.1). */
	uint8_t message_header[4];
	uint8_t message_header_bytes;
	uint8_t key_updates;   /* of the peer, since the owner has set it to 0 */
	uint32_t message_left; /* bytes behind the header */
};

/* The name of a version, such as "TLS 1.3"; "unknown" for another number. A constant.
 */
const char *tls_version_name(unsigned version);

/* False for a session that no handshake can produce: check one that comes from another
 * process before it is used. */
bool tls_session_is_valid(const struct tls_session *session)
    __attribute__((warn_unused_result));

/* Overwrites the session with zeros, in a way that no optimizer removes. */
void tls_session_wipe(struct tls_session *session);

/* The steps of the key schedule; the only other user is tls_handshake.c, which gives
 * what the handshake has produced. Each returns 0, or -1 (out of memory). */

/* Key, IV and sequence number 0 of a direction from its traffic secret (RFC 8446, 7.3).
 */
int tls_session_derive(const struct tls_session *session,
    struct tls_direction *direction) __attribute__((warn_unused_result));
/* The next traffic secret of a direction with its key and IV (RFC 8446, 7.2). */
int tls_session_update(const struct tls_session *session,
    struct tls_direction *direction) __attribute__((warn_unused_result));
/* TLS 1.2: keys of both directions (RFC 5246, 6.3). master: 48 bytes; the randoms: 32
 * bytes each. The sequence numbers are left alone. */
int tls_session_derive_1_2(struct tls_session *session, const uint8_t *master,
    const uint8_t *client_random, const uint8_t *server_random)
    __attribute__((warn_unused_result));

#endif
