/*
 * tls_handshake.h - one TLS handshake over byte buffers, by OpenSSL. It ends with a
 * struct tls_session, and OpenSSL's memory for the connection (13 to 45 kB) is freed.
 *
 *   create -> step, step ... -> DONE -> facts -> take -> destroy
 *                            -> FAILED -> failure -> destroy
 *
 * A server creates it when the first byte has arrived, so that a silent connection
 * costs nothing. A client creates it when it is connected and makes a step without
 * input. After each step, FAILED included, the caller sends what was appended to the
 * output: a failure usually ends with an alert that tells the peer the reason.
 */
#ifndef NET_TLS_HANDSHAKE_H
#define NET_TLS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "net/tls/tls_context.h"
#include "net/tls/tls_failure.h"
#include "net/tls/tls_session.h"

struct tls_handshake;
struct tls_ticket;

/* NULL with ENOMEM. */
struct tls_handshake *tls_handshake_create_server(struct tls_context *context)
    __attribute__((warn_unused_result));

struct tls_client_options {
	/* The server's name, sent as SNI and compared with its certificate; or an IP
	 * address as text, which is only compared. NULL: neither. */
	const char *name;
	struct tls_identity *identity; /* in place of the context's; NULL: that one */
	struct tls_ticket *ticket;     /* the session to resume; NULL: a full one */
	bool keeps_ticket;             /* for tls_handshake_watch() */
};

/* All of the options are copied or referenced. NULL with ENOMEM. */
struct tls_handshake *tls_handshake_create_client(struct tls_context *context,
    const struct tls_client_options *options) __attribute__((warn_unused_result));
/* Wipes secrets. NULL is allowed. */
void tls_handshake_destroy(struct tls_handshake *handshake);

enum tls_handshake_status {
	TLS_HANDSHAKE_WANT_MORE,
	TLS_HANDSHAKE_DONE,
	TLS_HANDSHAKE_FAILED,
};

/* Continues with received bytes and appends what is to be sent to *output.
 * *ret_consumed: bytes that belong to the handshake. With WANT_MORE all are consumed;
 * with DONE those left are the peer's first records for the session. FAILED is final:
 * at a server also when a client has sent more than 16 kB (48 kB if it is asked for its
 * certificate) and the handshake is not complete. */
enum tls_handshake_status tls_handshake_step(struct tls_handshake *handshake,
    const uint8_t *data, size_t length, struct buffer **output, size_t *ret_consumed)
    __attribute__((warn_unused_result));

/* The peer has closed (error 0) or the connection failed (errno) before DONE: makes the
 * handshake one that FAILED. */
void tls_handshake_cut(struct tls_handshake *handshake, int error);

/* After FAILED. The sentence is one line of safe text without full stop, such as "the
 * certificate is for example.com, the requested name is example.org". Valid until
 * destroy. */
struct tls_failure_facts {
	enum tls_failure kind;
	int alert_sent, alert_received; /* enum tls_alert and others; -1: none */
	const char *reason;
};
void tls_handshake_failure(
    const struct tls_handshake *handshake, struct tls_failure_facts *ret);

/* After DONE, before take. `group` is valid until destroy. */
struct tls_facts {
	uint16_t version; /* enum tls_version */
	uint16_t suite_id;
	const char *suite; /* IANA's name */
	const char
	    *group; /* of the key exchange, such as "x25519"; "" if there is none */
	bool is_resumed;
	bool has_certificate; /* the peer's is known: tls_handshake_certificate() */
	/* Whether the peer's certificate was verified against the CAs (and at a client
	 * the name). False with TLS_VERIFY_NONE, and if there is no certificate. */
	bool is_verified;
	char alpn[TLS_ALPN_MAX + 1]; /* "" if none was negotiated; safe text */
	char server_name[256];       /* that the client asked for, or ""; safe text */
};
void tls_handshake_facts(const struct tls_handshake *handshake, struct tls_facts *ret);

/* The peer's certificates as presented: 0 is its own. After DONE or FAILED. False
 * behind the last one. A resumed session knows its own alone. */
bool tls_handshake_certificate(const struct tls_handshake *handshake, size_t index,
    struct tls_certificate *ret) __attribute__((warn_unused_result));

/* After DONE: gives the session. From now on the caller seals and opens all records.
 * Frees OpenSSL's memory, except in a client with keeps_ticket whose ticket is still to
 * come (tls_handshake_watch()). 0, or -1 with ENOMEM and nothing changed. */
int tls_handshake_take(struct tls_handshake *handshake, struct tls_session *ret)
    __attribute__((warn_unused_result));

/* Client with keeps_ticket, after take. In TLS 1.3 the ticket comes behind the
 * handshake (RFC 8446, 4.6.1), and only OpenSSL can make a session of it. So show every
 * received byte here once, in order and before it is opened: first those that step()
 * left, then what each receive returns. False: nothing more is to be shown, because a
 * ticket has come or 64 kB have brought none; then fetch the ticket and destroy the
 * handshake.
 *
 * Until then the connection costs OpenSSL's memory (14 to 22 kB), and each record is
 * opened twice. Servers send tickets with the end of the handshake, so that is over
 * with the first data. */
bool tls_handshake_watch(struct tls_handshake *handshake, const uint8_t *data,
    size_t length) __attribute__((warn_unused_result));

/* The newest ticket that has come, now owned by the caller. NULL: none; then one that
 * was resumed from stays good (with TLS 1.2 a server renews it only when it is old).
 * Any number of connections of this process may resume from a ticket, at the same time,
 * with a context of the same settings and the same name. */
struct tls_ticket *tls_handshake_fetch_ticket(struct tls_handshake *handshake)
    __attribute__((warn_unused_result));
struct tls_ticket *tls_ticket_ref(struct tls_ticket *ticket);
/* NULL is allowed. */
void tls_ticket_release(struct tls_ticket *ticket);

#endif
