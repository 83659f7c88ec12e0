#include "net/tls/tls_observer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "net/tls/tls_ciphers.h"
#include "net/tls/tls_tickets.h"

#define SUPPORTED_VERSIONS 43 /* extension (RFC 8446, 4.2.1) */
#define TICKET_IV_BYTES 16
#define HELLO_VERSION 4 /* offset of the version in a hello message */

static struct tls_observer *
observer_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

static struct tls_context *
context_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static unsigned
hex_value(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10) & 0x0f;
}

/* A line "LABEL CLIENT_RANDOM SECRET" of the key log. */
static void
on_key_log(const SSL *ssl, const char *line)
{
	struct tls_observer *observer = observer_of(ssl);
	const struct tls_context *context = context_of(ssl);
	bool is_client = strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
	bool is_server = strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0;
	if (context->log != NULL)
		context->log(line, context->log_argument);
	if (observer == NULL || (!is_client && !is_server))
		return;
	const char *secret = strchr(line + 24, ' ');
	if (secret == NULL)
		return;
	secret++;
	bool is_receive = is_client == observer->is_server;
	uint8_t *to = is_receive ? observer->receive_secret : observer->send_secret;
	for (int i = 0; i < TLS_SECRET_MAX && secret[0] != '\0' && secret[1] != '\0';
	     i++, secret += 2)
		to[i] = (uint8_t)(hex_value(secret[0]) << 4 | hex_value(secret[1]));
	if (is_receive)
		observer->receive_sequence = 0;
	else
		observer->send_sequence = 0;
}

static void
on_alert(struct tls_observer *observer, bool is_sent, const uint8_t *alert, size_t size)
{
	if (size < 2)
		return;
	if (is_sent)
		observer->alert_sent = alert[1];
	else
		observer->alert_received = alert[1];
}

static void
on_handshake_message(
    struct tls_observer *observer, const uint8_t *message, size_t length)
{
	if (length < HELLO_VERSION + 2)
		return;
	observer->has_message = true;
	observer->last_message = message[0];
	/* The server's choice; the versions of a ClientHello: on_client_hello(). */
	if (message[0] == SSL3_MT_SERVER_HELLO && observer->offered_version == 0)
		observer->offered_version = (uint16_t)(message[HELLO_VERSION] << 8 |
		    message[HELLO_VERSION + 1]);
}

static void
on_message(int is_sent, int version, int type, const void *data, size_t length,
    SSL *ssl, void *argument)
{
	struct tls_observer *observer = observer_of(ssl);
	(void)version, (void)argument;
	if (observer == NULL)
		return;
	if (type == SSL3_RT_HEADER && length > 0) {
		uint64_t *sequence =
		    is_sent ? &observer->send_sequence : &observer->receive_sequence;
		/* TLS 1.2: ChangeCipherSpec begins with the new keys (RFC 5246, 7.1).
		 */
		bool is_change = *(const uint8_t *)data == TLS_CHANGE_CIPHER_SPEC;
		*sequence = is_change ? 0 : *sequence + 1;
	} else if (type == SSL3_RT_ALERT) {
		on_alert(observer, is_sent, data, length);
	} else if (type == SSL3_RT_HANDSHAKE && !is_sent) {
		on_handshake_message(observer, data, length);
	}
}

/* Notes the highest version that a client offers. */
static int
on_client_hello(SSL *ssl, int *alert, void *argument)
{
	struct tls_observer *observer = observer_of(ssl);
	const uint8_t *list;
	size_t length;
	unsigned best = SSL_client_hello_get0_legacy_version(ssl);
	(void)alert, (void)argument;
	if (SSL_client_hello_get0_ext(ssl, SUPPORTED_VERSIONS, &list, &length) == 1) {
		best = 0;
		for (size_t i = 1; i + 1 < length; i += 2) {
			unsigned version = (unsigned)list[i] << 8 | list[i + 1];
			/* Others are reserved values (RFC 8701). */
			if (version > best && version <= TLS_VERSION_1_3)
				best = version;
		}
	}
	observer->offered_version = (uint16_t)best;
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* True if the pattern, lower case, is that name, or "*." and all but its first label.
 */
static bool
name_matches(const char *pattern, const char *name)
{
	if (strncmp(pattern, "*.", 2) == 0) {
		size_t label = strcspn(name, ".");
		return label > 0 && strcasecmp(pattern + 1, name + label) == 0;
	}
	return strcasecmp(pattern, name) == 0;
}

/* Chooses the certificate for the name that the client asks for. */
static int
on_server_name(SSL *ssl, int *alert, void *argument)
{
	const struct tls_context *context = argument;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;
	for (size_t i = 0; name != NULL && i < context->name_count; i++)
		if (name_matches(context->names[i].name, name)) {
			if (SSL_set_SSL_CTX(ssl, context->names[i].ssl) == NULL)
				return SSL_TLSEXT_ERR_ALERT_FATAL;
			break;
		}
	return SSL_TLSEXT_ERR_OK;
}

/* A list of protocol names as in the extension, as text. */
static const char *
format_alpn(const uint8_t *list, size_t length, char *text, size_t size)
{
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < length && used < size; i += 1 + (size_t)list[i])
		used += (size_t)snprintf(text + used, size - used, "%s%.*s",
		    i > 0 ? ", " : "", (int)list[i], (const char *)list + i + 1);
	return printable_sanitize(text);
}

/* RFC 7301, 3.2: the server's preference, or the alert no_application_protocol. */
static int
on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
    const unsigned char *offered, unsigned length, void *argument)
{
	const struct tls_context *context = argument;
	struct tls_observer *observer = observer_of(ssl);
	char theirs[160], ours[160];
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, ret_length, context->alpn,
		(unsigned)context->alpn_length, offered,
		length) == OPENSSL_NPN_NEGOTIATED) {
		*ret = chosen;
		return SSL_TLSEXT_ERR_OK;
	}
	observer->kind = TLS_FAILURE_ALPN;
	snprintf(observer->reason, sizeof(observer->reason),
	    "the client offers the protocols %s, expected %s",
	    format_alpn(offered, length, theirs, sizeof(theirs)),
	    format_alpn(context->alpn, context->alpn_length, ours, sizeof(ours)));
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct tls_observer *observer, enum tls_failure kind, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	observer->kind = kind;
	vsnprintf(observer->reason, sizeof(observer->reason), format, arguments);
	va_end(arguments);
}

/* Why a certificate (at a depth of the chain: 0 is the peer's own) is not accepted. */
static void
explain_verify_error(struct tls_observer *observer, const struct tls_context *context,
    int error, int depth, const struct tls_certificate *about)
{
	char date[TLS_DATE_TEXT];
	const char *which = depth == 0 ? "certificate" : "certificate of a CA";
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		refuse(observer, TLS_FAILURE_NAME,
		    "the certificate is for %s, the requested name is %s",
		    about->names[0] == '\0' ? "no name" : about->names, observer->name);
		return;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		refuse(observer, TLS_FAILURE_EXPIRED, "the %s (%.120s) expired on %s",
		    which, about->subject, tls_date_format(about->not_after, date));
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		refuse(observer, TLS_FAILURE_EXPIRED,
		    "the %s (%.120s) is valid from %s on", which, about->subject,
		    tls_date_format(about->not_before, date));
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		refuse(observer, TLS_FAILURE_SELF_SIGNED,
		    "the certificate (%.120s) is self-signed and not in %s",
		    about->subject, context->ca);
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		refuse(observer, TLS_FAILURE_UNTRUSTED,
		    "the certificate (%.120s) was issued by a CA (%.120s) that is not "
		    "in %s",
		    about->subject, about->issuer, context->ca);
		return;
	default:
		refuse(observer, TLS_FAILURE_CERTIFICATE,
		    "the %s (%.120s) is not acceptable: %s", which, about->subject,
		    X509_verify_cert_error_string(error));
		return;
	}
}

static bool
pin_matches(const struct tls_context *context, const X509 *certificate,
    struct tls_observer *observer)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char found[TLS_SHA256_TEXT], expected[TLS_SHA256_TEXT];
	if (X509_digest(certificate, EVP_sha256(), digest, NULL) == 1 &&
	    CRYPTO_memcmp(digest, context->pin, TLS_SHA256_BYTES) == 0)
		return true;
	refuse(observer, TLS_FAILURE_PIN,
	    "the SHA-256 of the certificate is %s, the pinned one is %s",
	    tls_sha256_format(digest, found),
	    tls_sha256_format(context->pin, expected));
	return false;
}

/* In place of OpenSSL's verification, which it calls. */
static int
on_verify(X509_STORE_CTX *store, void *argument)
{
	const struct tls_context *context = argument;
	SSL *ssl =
	    X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_observer *observer = observer_of(ssl);
	if (context->verify != TLS_VERIFY_NONE) {
		struct tls_certificate about = { .subject = "" };
		bool is_valid = X509_verify_cert(store) == 1;
		const X509 *found = X509_STORE_CTX_get_current_cert(store);
		observer->was_verified = is_valid;
		if (!is_valid) {
			if (found != NULL)
				tls_certificate_describe(found, &about);
			explain_verify_error(observer, context,
			    X509_STORE_CTX_get_error(store),
			    X509_STORE_CTX_get_error_depth(store), &about);
			return 0;
		}
	}
	if (context->has_pin &&
	    !pin_matches(context, X509_STORE_CTX_get0_cert(store), observer)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	return 1;
}

/* True if the suite of a session is still allowed. TLS 1.3 negotiates it again (RFC
 * 8446, 4.2.11); TLS 1.2 resumes it as it was, and OpenSSL looks only at what the
 * client offers. */
static bool
allows_suite(const SSL *ssl, const SSL_SESSION *session)
{
	const STACK_OF(SSL_CIPHER) *allowed = SSL_get_ciphers(ssl);
	uint32_t suite = SSL_CIPHER_get_id(SSL_SESSION_get0_cipher(session));
	if (SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION)
		return true;
	for (int i = 0; i < sk_SSL_CIPHER_num(allowed); i++)
		if (SSL_CIPHER_get_id(sk_SSL_CIPHER_value(allowed, i)) == suite)
			return true;
	return false;
}

/* A server has decrypted a ticket. A session is resumed only while its suite is allowed
 * and the certificate of its client is valid: that is not looked at again, and each
 * resumption gives a new ticket. */
static SSL_TICKET_RETURN
on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
    size_t key_name_length, SSL_TICKET_STATUS status, void *argument)
{
	const struct tls_context *context = argument;
	(void)key_name, (void)key_name_length;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	const X509 *client = SSL_SESSION_get0_peer(session);
	bool is_valid = client == NULL
	    ? context->verify != TLS_VERIFY_REQUIRE
	    : X509_cmp_current_time(X509_get0_notAfter(client)) == 1;
	if (!is_valid || !allows_suite(ssl, session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
					    : SSL_TICKET_RETURN_USE_RENEW;
}

/* Encrypts a new ticket, or decrypts one whose key is known: AES-256-CBC, then
 * HMAC-SHA256 (RFC 5077, 4). Returns -1 for a failure, 0: there is no key, 1: the
 * ticket stays good, 2: the client shall have a new one. */
static int
on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int is_new)
{
	struct tls_tickets *tickets = context_of(ssl)->tickets;
	uint64_t now_ns = clock_now_ns();
	if (tls_tickets_advance(tickets, now_ns) < 0)
		return -1;
	const struct tls_tickets_key *current = tls_tickets_current(tickets, now_ns);
	const struct tls_tickets_key *key =
	    is_new != 0 ? current : tls_tickets_find(tickets, name);
	if (key == NULL)
		return 0;
	if (is_new != 0) {
		if (RAND_bytes(iv, TICKET_IV_BYTES) != 1)
			return -1;
		memcpy(name, key->name, sizeof(key->name));
	}
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_MAC_PARAM_KEY, (void *)key->hmac, sizeof(key->hmac)),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_MAC_CTX_set_params(mac, parameters) != 1 ||
	    EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, is_new) !=
		1)
		return -1;
	/* A ticket of TLS 1.3 is used once (RFC 8446, C.4). */
	return key == current && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

/* A client has got a session that can be resumed. Returns 1 if it is kept. */
static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_observer *observer = observer_of(ssl);
	if (observer == NULL || !observer->keeps_ticket)
		return 0;
	SSL_SESSION_free(observer->ticket);
	observer->ticket = session;
	return 1;
}

void
tls_observer_install(struct tls_context *context, SSL_CTX *ssl, bool is_server)
{
	SSL_CTX_set_app_data(ssl, context);
	SSL_CTX_set_keylog_callback(ssl, on_key_log);
	SSL_CTX_set_msg_callback(ssl, on_message);
	SSL_CTX_set_cert_verify_callback(ssl, on_verify, context);
	SSL_CTX_sess_set_new_cb(ssl, on_new_session);
	SSL_CTX_set_client_hello_cb(ssl, on_client_hello, NULL);
	if (is_server)
		SSL_CTX_set_session_ticket_cb(ssl, NULL, on_ticket, context);
	if (context->name_count > 0) {
		SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
		SSL_CTX_set_tlsext_servername_arg(ssl, context);
	}
	if (context->alpn_length > 0)
		SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
}

void
tls_observer_install_tickets(SSL_CTX *ssl)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket_key);
}

void
tls_observer_attach(struct tls_observer *observer, SSL *ssl)
{
	observer->alert_sent = observer->alert_received = -1;
	SSL_set_app_data(ssl, observer);
}

void
tls_observer_finish(struct tls_observer *observer)
{
	SSL_SESSION_free(observer->ticket);
	OPENSSL_cleanse(observer, sizeof(*observer));
}
