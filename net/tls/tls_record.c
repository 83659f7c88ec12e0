#include "net/tls/tls_record.h"

#include <string.h>

#include <openssl/crypto.h>

/* In TLS 1.2, records that are kept for alerts. */
#define RECORDS_FOR_ALERTS 4

/* Types of handshake messages (RFC 8446, 4; RFC 5246, 7.4). */
enum {
	HELLO_REQUEST = 0,
	CLIENT_HELLO = 1,
	NEW_SESSION_TICKET = 4,
	CERTIFICATE_REQUEST = 13,
	KEY_UPDATE = 24,
};
enum { UPDATE_NOT_REQUESTED = 0, UPDATE_REQUESTED = 1 };
enum { LEVEL_WARNING = 1, LEVEL_FATAL = 2 };

static bool
is_1_3(const struct tls_session *session)
{
	return session->version == TLS_VERSION_1_3;
}

/* The key that follows: a KeyUpdate under the old one, then the new one (RFC 8446,
 * 4.6.3). Bytes written; 0: failed, with the session unchanged. */
static size_t
seal_update(struct tls_session *session, struct tls_ciphers *ciphers, uint8_t *out)
{
	const uint8_t message[] = { KEY_UPDATE, 0, 0, 1,
		session->update_asks ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED };
	struct tls_direction before = session->send;
	size_t n = tls_ciphers_seal(
	    ciphers, session, TLS_HANDSHAKE, message, sizeof(message), out);
	if (n == 0 || tls_session_update(session, &session->send) < 0) {
		session->send = before;
		n = 0;
	} else {
		session->update_due = session->update_asks = false;
	}
	OPENSSL_cleanse(&before, sizeof(before));
	return n;
}

static size_t
records_for(size_t length)
{
	return (length + TLS_RECORD_DATA_MAX - 1) / TLS_RECORD_DATA_MAX;
}

/* True if the key of TLS 1.2 is used up. RFC 8446, 5.5: ChaCha20-Poly1305 has no limit
 * that can be reached. */
static bool
is_used_up(const struct tls_session *session, size_t records)
{
	return !is_1_3(session) && session->aead != TLS_CHACHA20_POLY1305 &&
	    session->send.sequence + records > TLS_RECORDS_PER_KEY - RECORDS_FOR_ALERTS;
}

/* True if a KeyUpdate precedes that many records. */
static bool
needs_update(const struct tls_session *session, size_t records)
{
	return is_1_3(session) &&
	    (session->update_due ||
		session->send.sequence + records >= TLS_RECORDS_PER_KEY);
}

size_t
tls_record_sealed_size(const struct tls_session *session, size_t length)
{
	size_t records = records_for(length);
	if (session->send_closed || length == 0 || is_used_up(session, records))
		return 0;
	return length + records * tls_record_overhead(session) +
	    (needs_update(session, records) ? TLS_KEY_UPDATE_RECORD : 0);
}

/* Seals all of the data or, if that fails, nothing. */
static size_t
seal_records(struct tls_session *session, struct tls_ciphers *ciphers,
    const uint8_t *from, size_t length, uint8_t *out)
{
	struct tls_session before = *session;
	size_t written = 0;
	if (needs_update(session, records_for(length))) {
		written = seal_update(session, ciphers, out);
		if (written == 0)
			length = 0;
	}
	while (length > 0) {
		size_t part =
		    length < TLS_RECORD_DATA_MAX ? length : TLS_RECORD_DATA_MAX;
		size_t n = tls_ciphers_seal(
		    ciphers, session, TLS_APPLICATION_DATA, from, part, out + written);
		if (n == 0) {
			*session = before;
			written = 0;
			break;
		}
		written += n;
		from += part;
		length -= part;
	}
	tls_session_wipe(&before);
	return written;
}

bool
tls_record_is_one(const struct tls_session *session, size_t length)
{
	return length <= TLS_RECORD_DATA_MAX && !needs_update(session, 1);
}

size_t
tls_record_seal(struct tls_session *session, struct tls_ciphers *ciphers,
    const void *data, size_t length, uint8_t *out)
{
	size_t records = records_for(length);
	if (session->send_closed || length == 0 || is_used_up(session, records))
		return 0;
	if (tls_record_is_one(session, length))
		return tls_ciphers_seal(
		    ciphers, session, TLS_APPLICATION_DATA, data, length, out);
	return seal_records(session, ciphers, data, length, out);
}

size_t
tls_record_seal_alert(struct tls_session *session, struct tls_ciphers *ciphers,
    enum tls_alert alert, uint8_t *out)
{
	bool is_warning = alert == TLS_ALERT_CLOSE_NOTIFY ||
	    alert == TLS_ALERT_USER_CANCELED || alert == TLS_ALERT_NO_RENEGOTIATION;
	const uint8_t message[] = { is_warning ? LEVEL_WARNING : LEVEL_FATAL,
		(uint8_t)alert };
	if (session->send_closed)
		return 0;
	size_t n = tls_ciphers_seal(
	    ciphers, session, TLS_ALERT, message, sizeof(message), out);
	session->send_closed = n > 0 && alert != TLS_ALERT_USER_CANCELED;
	return n;
}

void
tls_record_request_update(struct tls_session *session, bool asks_peer)
{
	if (!is_1_3(session))
		return;
	session->update_due = true;
	session->update_asks |= asks_peer;
}

static enum tls_open_status
fail(struct tls_session *session, enum tls_alert alert, const char *reason,
    struct tls_opened *ret)
{
	session->has_ended = true;
	*ret = (struct tls_opened){ .alert = (uint8_t)alert, .reason = reason };
	return TLS_OPEN_BAD;
}

/* Checks the header of a record; NULL, or what is wrong with it. */
static const char *
check_header(
    const struct tls_session *session, const uint8_t *header, enum tls_alert *ret_alert)
{
	size_t length = (size_t)header[3] << 8 | header[4];
	size_t added = tls_record_overhead(session) - TLS_RECORD_HEADER;
	*ret_alert = TLS_ALERT_UNEXPECTED_MESSAGE;
	if (header[0] < TLS_CHANGE_CIPHER_SPEC || header[0] > TLS_APPLICATION_DATA ||
	    header[1] != 3)
		return "found bytes that are no TLS record";
	/* RFC 8446, 5.2 and D.4: nothing else comes behind Finished. */
	if (is_1_3(session) && header[0] != TLS_APPLICATION_DATA)
		return "found a record without encryption";
	if (!is_1_3(session) && header[2] != 3) {
		*ret_alert = TLS_ALERT_PROTOCOL_VERSION;
		return "found a record of another version than TLS 1.2";
	}
	/* RFC 8446, 5.2: at most 2^14 + 256; RFC 5246, 6.2.3: the plaintext is limited,
	 * and an AEAD adds a constant. */
	if (length > (is_1_3(session) ? TLS_RECORD_MAX - TLS_RECORD_HEADER
				      : TLS_RECORD_DATA_MAX + added)) {
		*ret_alert = TLS_ALERT_RECORD_OVERFLOW;
		return "found a record that is too long";
	}
	if (length < added) {
		*ret_alert = TLS_ALERT_BAD_RECORD_MAC;
		return "found a record that is too short for its tag";
	}
	return NULL;
}

/* A record without application data, of which there may be so many in a row. */
static enum tls_open_status
count_idle(struct tls_session *session, struct tls_opened *ret)
{
	if (session->idle_records >= TLS_IDLE_RECORDS_MAX)
		return fail(session, TLS_ALERT_UNEXPECTED_MESSAGE,
		    "found more than 32 records in a row without data", ret);
	session->idle_records++;
	return TLS_OPEN_CONTROL;
}

static enum tls_open_status
open_alert(struct tls_session *session, const uint8_t *data, size_t length,
    struct tls_opened *ret)
{
	/* RFC 8446, 5.1: one alert in a record, and none is cut. */
	if (length != 2)
		return fail(session, TLS_ALERT_DECODE_ERROR,
		    "found an alert that is not 2 bytes long", ret);
	ret->alert = data[1];
	if (data[1] == TLS_ALERT_CLOSE_NOTIFY) {
		session->has_ended = true;
		return TLS_OPEN_CLOSED;
	}
	/* RFC 8446, 6: all others but user_canceled are errors, whatever their level;
	 * in TLS 1.2 a warning may be ignored (RFC 5246, 7.2.2). */
	if (data[1] == TLS_ALERT_USER_CANCELED ||
	    (!is_1_3(session) && data[0] == LEVEL_WARNING))
		return count_idle(session, ret);
	session->has_ended = session->send_closed = true;
	return TLS_OPEN_ALERT;
}

/* KeyUpdate (RFC 8446, 4.6.3): from the next record on, the peer uses its next key. */
static const char *
on_key_update(struct tls_session *session, uint8_t request)
{
	if (request > UPDATE_REQUESTED)
		return "found a malformed KeyUpdate";
	if (session->key_updates >= TLS_KEY_UPDATES_MAX)
		return "found more than 250 KeyUpdates within a second";
	session->key_updates++;
	if (tls_session_update(session, &session->receive) < 0)
		return "out of memory";
	session->update_asked = false;
	if (request == UPDATE_REQUESTED)
		session->update_due = true;
	return NULL;
}

/* Checks the header of a handshake message behind the handshake. NULL if it may come.
 */
static const char *
check_message(const struct tls_session *session)
{
	uint8_t type = session->message_header[0];
	if (is_1_3(session)) {
		if (type == KEY_UPDATE)
			return session->message_left == 1
			    ? NULL
			    : "found a malformed KeyUpdate";
		if (type == NEW_SESSION_TICKET && !session->is_server)
			return NULL;
		return type == CERTIFICATE_REQUEST
		    ? "found a request for a certificate after the handshake"
		    : "found a handshake message after the handshake";
	}
	if (type == HELLO_REQUEST && !session->is_server && session->message_left == 0)
		return NULL;
	return type == CLIENT_HELLO || type == HELLO_REQUEST
	    ? "found a request to renegotiate"
	    : "found a handshake message after the handshake";
}

/* Reads handshake messages, which may be cut by records at any place (RFC 8446, 5.1).
 * NULL, or what is wrong. */
static const char *
read_messages(struct tls_session *session, const uint8_t *data, size_t length)
{
	const char *wrong;
	while (length > 0) {
		if (session->message_left == 0) {
			session->message_header[session->message_header_bytes++] =
			    *data++;
			length--;
			if (session->message_header_bytes < 4)
				continue;
			const uint8_t *h = session->message_header;
			session->message_left =
			    (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
			wrong = check_message(session);
			if (wrong != NULL)
				return wrong;
		}
		size_t part =
		    length < session->message_left ? length : session->message_left;
		if (session->message_header[0] == KEY_UPDATE && part > 0) {
			/* RFC 8446, 5.1: no message spans a change of keys. */
			wrong = length > 1 ? "found a message behind KeyUpdate in its "
					     "record"
					   : on_key_update(session, data[0]);
			if (wrong != NULL)
				return wrong;
		}
		data += part;
		length -= part;
		session->message_left -= (uint32_t)part;
		if (session->message_left == 0)
			session->message_header_bytes = 0;
	}
	return NULL;
}

static enum tls_open_status
open_handshake(struct tls_session *session, const uint8_t *data, size_t length,
    struct tls_opened *ret)
{
	/* RFC 8446, 5.1: no empty fragment of a handshake message. */
	const char *wrong = length == 0 ? "found an empty handshake record"
					: read_messages(session, data, length);
	if (wrong == NULL)
		return count_idle(session, ret);
	bool is_renegotiation = !is_1_3(session) &&
	    session->message_header[0] == CLIENT_HELLO && session->is_server;
	return fail(session,
	    is_renegotiation ? TLS_ALERT_NO_RENEGOTIATION
			     : TLS_ALERT_UNEXPECTED_MESSAGE,
	    wrong, ret);
}

/* TLS 1.3: the content type is the last byte that is not zero (RFC 8446, 5.4). Removes
 * it with the padding; false if there is none. */
static bool
strip_padding(const uint8_t *plain, size_t *length, uint8_t *ret_type)
{
	size_t n = *length;
	while (n > 0 && plain[n - 1] == 0)
		n--;
	if (n == 0)
		return false;
	*ret_type = plain[n - 1];
	*length = n - 1;
	return true;
}

/* Handles the contents of an authentic record. */
static enum tls_open_status
use_contents(struct tls_session *session, uint8_t type, struct tls_opened *ret)
{
	if (ret->length > TLS_RECORD_DATA_MAX)
		return fail(session, TLS_ALERT_RECORD_OVERFLOW,
		    "found a record that is too long", ret);
	/* RFC 8446, 5.1: nothing comes between the parts of a handshake message. */
	if (session->message_header_bytes > 0 && type != TLS_HANDSHAKE)
		return fail(session, TLS_ALERT_UNEXPECTED_MESSAGE,
		    "found another record within a handshake message", ret);
	if (type == TLS_HANDSHAKE)
		return open_handshake(session, ret->data, ret->length, ret);
	if (type == TLS_ALERT)
		return open_alert(session, ret->data, ret->length, ret);
	if (type != TLS_APPLICATION_DATA)
		return fail(session, TLS_ALERT_UNEXPECTED_MESSAGE,
		    "found a record of an unexpected type", ret);
	if (ret->length == 0)
		return count_idle(session, ret);
	session->idle_records = 0;
	/* RFC 8446, 5.5, limits what one key protects: ask for the next one. */
	if (is_1_3(session) && session->receive.sequence >= TLS_RECORDS_PER_KEY &&
	    !session->update_asked) {
		session->update_asked = true;
		tls_record_request_update(session, true);
	}
	return TLS_OPEN_DATA;
}

enum tls_open_status
tls_record_open(struct tls_session *session, struct tls_ciphers *ciphers, uint8_t *data,
    size_t length, uint8_t *plain, struct tls_opened *ret)
{
	enum tls_alert alert;
	if (session->has_ended)
		return fail(session, TLS_ALERT_UNEXPECTED_MESSAGE,
		    "found a record after the last one", ret);
	*ret = (struct tls_opened){ .record = TLS_RECORD_HEADER };
	if (length < TLS_RECORD_HEADER)
		return TLS_OPEN_PARTIAL;
	const char *wrong = check_header(session, data, &alert);
	if (wrong != NULL)
		return fail(session, alert, wrong, ret);
	ret->record = TLS_RECORD_HEADER + ((size_t)data[3] << 8 | data[4]);
	if (length < ret->record)
		return TLS_OPEN_PARTIAL;
	size_t prefix = tls_record_prefix(session);
	uint8_t type = data[0];
	ret->data = plain == NULL ? data + prefix : plain;
	ret->length = ret->record - prefix - TLS_TAG_BYTES;
	if (!tls_ciphers_open(ciphers, session, data, ret->record, ret->data))
		return fail(session, TLS_ALERT_BAD_RECORD_MAC,
		    "found a record that is forged or damaged", ret);
	if (is_1_3(session) && !strip_padding(ret->data, &ret->length, &type))
		return fail(session, TLS_ALERT_UNEXPECTED_MESSAGE,
		    "found a record without content type", ret);
	return use_contents(session, type, ret);
}
