/*
 * tls_context.h - what all handshakes of a listener or a client have in common, made
 * from settings once and then only read. A process that forks after that shares it.
 *
 * Fixed for everybody: TLS 1.2 and 1.3 with the nine suites of tls_suites.h; no
 * renegotiation, no compression, no early data, no authentication after the handshake;
 * one ticket for each handshake; no session cache.
 */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_identity.h"

#define TLS_ALPN_MAX 255 /* bytes of one protocol name */

struct tls_context;
struct tls_tickets;

enum tls_verify {
	TLS_VERIFY_NONE,     /* client: any certificate; server: asks for none */
	TLS_VERIFY_OPTIONAL, /* server: one that is presented must be valid */
	TLS_VERIFY_REQUIRE,  /* client: the default */
};

/* A certificate that a server presents to clients that ask for a name. */
struct tls_name_settings {
	const char *name; /* "example.org"; "*.example.org" for one label in front */
	const char *certificate, *key;
};

struct tls_settings {
	/* Files. Server: required. Client: both or none, for all connections. */
	const char *certificate, *key;
	/* PEM file of the CAs that the peer's certificate must lead to. Server:
	 * required unless verify is TLS_VERIFY_NONE. Client: NULL for those of the
	 * system, or of SSL_CERT_FILE and SSL_CERT_DIR. */
	const char *ca;
	enum tls_verify verify;
	uint16_t min_version, max_version; /* enum tls_version; 0: no limit */
	const char *ciphers; /* tls_suites_parse(); NULL: all. A server with a list
				prefers its order, otherwise the client's */
	const char *groups;  /* names such as "X25519:P-256"; NULL: OpenSSL's default */
	const char *const *alpn; /* protocol names, the preferred first */
	size_t alpn_count;
	bool has_tickets;                      /* sessions can be resumed */
	const struct tls_name_settings *names; /* server */
	size_t name_count;
	const uint8_t *pin; /* client: the SHA-256 of the only certificate that is
			       accepted, checked beside `verify`; NULL: any */
};

/* NULL: error[TLS_ERROR_MAX] is one line that says what was found, where, and what was
 * expected. */
struct tls_context *tls_context_create_server(const struct tls_settings *settings,
    char *error) __attribute__((warn_unused_result));
struct tls_context *tls_context_create_client(const struct tls_settings *settings,
    char *error) __attribute__((warn_unused_result));
/* Another reference; handshakes hold one as well. */
struct tls_context *tls_context_ref(struct tls_context *context);
/* Drops a reference. NULL is allowed. */
void tls_context_release(struct tls_context *context);

/* The certificates that a server presents: 0 is the default one, then those of names.
 */
size_t tls_context_certificate_count(const struct tls_context *context);
/* *ret_name: of settings->names, NULL for the default. Valid as long as the context. */
const struct tls_certificate *tls_context_certificate(
    const struct tls_context *context, size_t index, const char **ret_name);

/* True if two servers present the same chains and trust the same CAs: their files have
 * the same contents, as a key belongs to its certificate. */
bool tls_context_has_same_certificates(
    const struct tls_context *a, const struct tls_context *b);

/* Server: the keys that protect tickets (tls_tickets.h), which outlive the context;
 * each ticket advances them. Contexts that share them resume each other's sessions,
 * also with another certificate. Without them a context has random keys of its own. */
void tls_context_set_tickets(struct tls_context *context, struct tls_tickets *tickets);

/* Calls `log` with each line of NSS's key log format, without newline, for Wireshark.
 * Before the first handshake. */
void tls_context_set_key_log(struct tls_context *context,
    void (*log)(const char *line, void *argument), void *argument);

#endif
