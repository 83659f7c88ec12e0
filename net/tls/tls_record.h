/*
 * tls_record.h - the record layer of TLS 1.2 and 1.3 with the AEAD suites, after the
 * handshake: RFC 8446 sections 4.6, 5 and 7.2, RFC 5246 section 6.2.3.3 with RFC 5288
 * (AES-GCM) and RFC 7905 (ChaCha20-Poly1305).
 *
 * The state is struct tls_session; cipher contexts hold nothing that it does not: they
 * can be created late, dropped at any time, or shared by all connections of a process.
 *
 * What a caller does with received bytes:
 *
 *   for each status = tls_record_open(&session, ciphers, at, length, NULL, &opened):
 *       PARTIAL   keep `length` bytes, wait for opened.record bytes in all
 *       DATA      use opened.data; at += opened.record
 *       CONTROL   at += opened.record; there is nothing to use, nothing to send
 *       CLOSED    the peer will send no more; answering is still possible
 *       ALERT     the peer has given up: close
 *       BAD       seal opened.alert with tls_record_seal_alert(), send it, close
 */
#ifndef NET_TLS_RECORD_H
#define NET_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_alert.h"
#include "net/tls/tls_ciphers.h"
#include "net/tls/tls_session.h"

#define TLS_RECORD_DATA_MAX 16384 /* application data of one record (RFC 8446, 5.1) */
/* A record as received, at most: RFC 8446, 5.2. Those of TLS 1.2 with AEAD are shorter.
 */
#define TLS_RECORD_MAX (TLS_RECORD_HEADER + TLS_RECORD_DATA_MAX + 256)
/* Most bytes that sealing adds to a record: header, explicit nonce or content type,
 * tag.
 */
#define TLS_RECORD_OVERHEAD (TLS_RECORD_PREFIX_MAX + TLS_TAG_BYTES)
/* A KeyUpdate that precedes data. */
#define TLS_KEY_UPDATE_RECORD (TLS_RECORD_HEADER + 5 + 1 + 16)
#define TLS_ALERT_RECORD_MAX (TLS_RECORD_OVERHEAD + 2)

/* Room that tls_record_seal() needs for `length` bytes, at most. */
#define TLS_SEALED_MAX(length)                                                         \
	((length) + TLS_KEY_UPDATE_RECORD +                                            \
	    TLS_RECORD_OVERHEAD *                                                      \
		(((length) + TLS_RECORD_DATA_MAX - 1) / TLS_RECORD_DATA_MAX))

/* Records under one key, per direction (RFC 8446, 5.5, allows 2^24.5 with AES-GCM). */
#define TLS_RECORDS_PER_KEY (UINT64_C(1) << 24)
/* Records in a row without application data that are accepted: KeyUpdate, tickets,
 * empty ones. */
#define TLS_IDLE_RECORDS_MAX 32
/* KeyUpdates of the peer that are accepted until the owner of the session sets
 * session->key_updates to 0, as it does about once in a second. Each costs as much as
 * 30 short records. */
#define TLS_KEY_UPDATES_MAX 250

/* Seals application data as one or more records of up to TLS_RECORD_DATA_MAX bytes into
 * out[TLS_SEALED_MAX(length)], which does not overlap data (but see
 * tls_record_is_one()). A KeyUpdate that is due comes
 * first (RFC 8446, 4.6.3), because the peer has asked for it or the key is used up
 * (TLS_RECORDS_PER_KEY). Returns the bytes written; 0, with the session unchanged, if
 * nothing can be sent any more:
 * - send_closed;
 * - TLS 1.2 with AES-GCM: the data does not fit into the records that are left for the
 *   key. TLS 1.2 cannot change it: close (tls_record_seal_alert() is still possible);
 * - out of memory (tls_ciphers_create has succeeded: not seen in practice).
 * With length 0 nothing is sealed. */
size_t tls_record_seal(struct tls_session *session, struct tls_ciphers *ciphers,
    const void *data, size_t length, uint8_t *out) __attribute__((warn_unused_result));

/* True if tls_record_seal() makes one record of that many bytes. Then they may be
 * sealed in place: data == out + tls_record_prefix(session). */
bool tls_record_is_one(const struct tls_session *session, size_t length);

/* Return value of tls_record_seal() for that session and length, without sealing. */
size_t tls_record_sealed_size(const struct tls_session *session, size_t length);

/* Seals an alert into out[TLS_ALERT_RECORD_MAX]: close_notify and user_canceled at
 * level warning, no_renegotiation too, others fatal. Behind all but user_canceled,
 * nothing can be sealed any more. The bytes written; 0 if send_closed. */
size_t tls_record_seal_alert(struct tls_session *session, struct tls_ciphers *ciphers,
    enum tls_alert alert, uint8_t *out) __attribute__((warn_unused_result));

/* TLS 1.3: makes a KeyUpdate precede the next application data, also if no data was
 * sent since the last one. asks_peer: the peer shall change its key as well (RFC
 * 8446, 4.6.3, update_requested). Without effect in TLS 1.2. */
void tls_record_request_update(struct tls_session *session, bool asks_peer);

enum tls_open_status {
	TLS_OPEN_PARTIAL,
	TLS_OPEN_DATA,
	TLS_OPEN_CONTROL,
	TLS_OPEN_CLOSED,
	TLS_OPEN_ALERT,
	TLS_OPEN_BAD,
};

struct tls_opened {
	/* Bytes of the record at the front of the input: consumed, or for PARTIAL
	 * needed (TLS_RECORD_HEADER while the length is not known). 0 for BAD. */
	size_t record;
	uint8_t *data;      /* DATA: at least one byte */
	size_t length;      /* of data */
	uint8_t alert;      /* ALERT: the peer's; BAD: the one to send */
	const char *reason; /* BAD: what was found, in words; a constant */
};

/* Opens the record at the front of data[length]. The plaintext goes to plain[], which
 * has room for the record; NULL: in place, over the record's own bytes. A failure is
 * final: session->has_ended, and further calls return BAD.
 *
 * Accepted without data, as CONTROL: KeyUpdate (TLS 1.3; if it asks for an answer, that
 * precedes the next data that is sealed), NewSessionTicket (TLS 1.3 at a client),
 * HelloRequest (TLS 1.2 at a client; not obeyed), an empty record, user_canceled; at
 * most TLS_IDLE_RECORDS_MAX of all these in a row, and TLS_KEY_UPDATES_MAX. Everything
 * else is BAD: renegotiation, authentication after the handshake, change_cipher_spec.
 *
 * CLOSED: close_notify. Bytes behind it must be ignored (RFC 8446, 6.1). An end of the
 * stream without it is a truncation. */
enum tls_open_status tls_record_open(struct tls_session *session,
    struct tls_ciphers *ciphers, uint8_t *data, size_t length, uint8_t *plain,
    struct tls_opened *ret) __attribute__((warn_unused_result));

#endif
