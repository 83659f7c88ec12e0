/*
 * tls_observer.h - what OpenSSL's callbacks tell about one handshake: the traffic
 * secrets with the number of records under each, alerts, what the peer offered, why its
 * certificate was refused. For files of this folder.
 *
 * The key log callback is called at the moment at which a direction changes to the
 * secret that it names, and the message callback with each record header: records
 * counted from there on are the sequence number. Both are public and the same in
 * OpenSSL 3.0 to 3.5.
 */
#ifndef NET_TLS_OBSERVER_H
#define NET_TLS_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "net/tls/tls_context.h"
#include "net/tls/tls_failure.h"
#include "net/tls/tls_session.h"

struct tls_name {
	char *name; /* lower case */
	struct tls_identity *identity;
	SSL_CTX *ssl; /* like the context's, with this certificate */
};

struct tls_context {
	SSL_CTX *ssl; /* its app_data, and those of names, is the context */
	struct tls_tickets *tickets; /* server; NULL: OpenSSL's own keys */
	unsigned references;
	enum tls_verify verify;
	struct tls_identity *identity; /* NULL: a client without certificate */
	struct tls_name *names;
	size_t name_count;
	uint8_t *alpn; /* as in the extension: each name behind its length */
	size_t alpn_length;
	uint16_t min_version, max_version;
	bool has_pin;
	uint8_t pin[TLS_SHA256_BYTES];
	uint8_t digest[TLS_SHA256_BYTES]; /* server: of all certificates, CAs as well */
	char ca[96]; /* where the trusted CAs come from, for error texts */
	void (*log)(const char *line, void *argument);
	void *log_argument;
};

struct tls_observer {
	bool is_server;
	uint8_t receive_secret[TLS_SECRET_MAX], send_secret[TLS_SECRET_MAX];
	uint64_t receive_sequence, send_sequence;
	int alert_sent, alert_received; /* -1: none */
	uint16_t offered_version;       /* the highest of the peer's hello; 0: none */
	uint8_t last_message; /* type of the last handshake message received */
	bool has_message;     /* there was one */
	bool was_verified;    /* the peer's certificate, and found valid */
	bool keeps_ticket;
	SSL_SESSION *ticket;
	const char *name; /* that the certificate must be for; NULL: any */
	enum tls_failure
	    kind; /* why a callback ended the handshake; NONE: it did not */
	char reason[TLS_ERROR_MAX];
};

/* Installs the callbacks in ssl, a part of `context`. */
void tls_observer_install(struct tls_context *context, SSL_CTX *ssl, bool is_server);
/* Protects the tickets of ssl, the context's own one, by context->tickets. */
void tls_observer_install_tickets(SSL_CTX *ssl);
/* Reports to `observer`, which outlives ssl. */
void tls_observer_attach(struct tls_observer *observer, SSL *ssl);
/* Wipes secrets, releases the ticket. */
void tls_observer_finish(struct tls_observer *observer);

#endif
