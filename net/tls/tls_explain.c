#include "net/tls/tls_explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "lib/printable.h"
#include "net/tls/tls_alert.h"
#include "net/tls/tls_ciphers.h"

#define VERSIONS_MAX 32

__attribute__((format(printf, 3, 4))) static void
explain(struct tls_observer *observer, enum tls_failure kind, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	observer->kind = kind;
	vsnprintf(observer->reason, sizeof(observer->reason), format, arguments);
	va_end(arguments);
	printable_sanitize(observer->reason);
}

static const struct {
	const char *bytes;
	size_t length;
	const char *reason;
} not_tls[] = {
#define BEGINS(bytes, reason)                                                          \
	{                                                                              \
		bytes, sizeof(bytes) - 1, reason                                       \
	}
	BEGINS("GET ", "received a plain-text HTTP request"),
	BEGINS("POST ", "received a plain-text HTTP request"),
	BEGINS("HEAD ", "received a plain-text HTTP request"),
	BEGINS("PUT ", "received a plain-text HTTP request"),
	BEGINS("PATCH ", "received a plain-text HTTP request"),
	BEGINS("DELETE ", "received a plain-text HTTP request"),
	BEGINS("OPTIONS ", "received a plain-text HTTP request"),
	BEGINS("CONNECT ", "received a request to an HTTP proxy"),
	BEGINS("PRI * HTTP/2", "received a plain-text HTTP/2 request"),
	BEGINS("HTTP/", "received a plain-text HTTP response"),
	BEGINS("SSH-", "received an SSH greeting"),
	BEGINS(
	    "PROXY ", "received a PROXY protocol header, which is not expected here"),
	BEGINS("\r\n\r\n\0\r\nQUIT\n",
	    "received a PROXY protocol header, which is not expected here"),
	BEGINS("220 ", "received a plain-text greeting of SMTP or FTP"),
	BEGINS("220-", "received a plain-text greeting of SMTP or FTP"),
	BEGINS("* OK", "received a plain-text greeting of IMAP"),
	BEGINS("+OK", "received a plain-text greeting of POP3"),
#undef BEGINS
};

/* A record of the handshake or an alert, or the hello of SSL 2.0 (RFC 5246, E.2), which
 * OpenSSL answers itself. */
static bool
may_be_tls(const uint8_t *bytes, size_t length)
{
	if (bytes[0] >= TLS_CHANGE_CIPHER_SPEC && bytes[0] <= TLS_APPLICATION_DATA)
		return length < 2 || bytes[1] == 3;
	return (bytes[0] & 0x80) != 0 && (length < 3 || bytes[2] == 1);
}

/* A server that echoes returns ClientHello, perhaps in capitals. */
static bool
is_client_hello(const uint8_t *bytes, size_t length)
{
	return length > TLS_RECORD_HEADER && bytes[0] == TLS_HANDSHAKE &&
	    bytes[TLS_RECORD_HEADER] == SSL3_MT_CLIENT_HELLO;
}

bool
tls_explain_first_bytes(
    struct tls_observer *observer, const uint8_t *bytes, size_t length)
{
	char text[TLS_FIRST_BYTES + 1], shown[80];
	if (!observer->is_server && is_client_hello(bytes, length)) {
		explain(observer, TLS_FAILURE_NOT_TLS,
		    "the server returns what it receives, without TLS");
		return true;
	}
	if (length == 0 || may_be_tls(bytes, length))
		return false;
	for (size_t i = 0; i < sizeof(not_tls) / sizeof(not_tls[0]); i++)
		if (length >= not_tls[i].length &&
		    memcmp(bytes, not_tls[i].bytes, not_tls[i].length) == 0) {
			explain(observer, TLS_FAILURE_NOT_TLS, "%s", not_tls[i].reason);
			return true;
		}
	for (size_t i = 0; i < length; i++)
		text[i] = (char)(bytes[i] == '\0' ? '?' : bytes[i]);
	text[length] = '\0';
	explain(observer, TLS_FAILURE_NOT_TLS,
	    "received bytes that are not TLS: \"%s\"",
	    printable_escape(text, shown, sizeof(shown)));
	return true;
}

/* "TLS 1.2 to TLS 1.3", or the only version; into out[VERSIONS_MAX], returned. */
static const char *
format_versions(const struct tls_context *context, char *out)
{
	bool is_one = context->min_version == context->max_version;
	snprintf(out, VERSIONS_MAX, "%s%s%s", tls_version_name(context->min_version),
	    is_one ? "" : " to ", is_one ? "" : tls_version_name(context->max_version));
	return out;
}

/* Meaning of an alert from the peer. */
static void
explain_alert(struct tls_observer *observer, const struct tls_context *context)
{
	unsigned alert = (unsigned)observer->alert_received;
	const char *peer = observer->is_server ? "client" : "server";
	const char *name = tls_alert_name(alert);
	char versions[VERSIONS_MAX];
	switch (alert) {
	case TLS_ALERT_PROTOCOL_VERSION:
		explain(observer, TLS_FAILURE_VERSION,
		    "the %s does not support %s (alert %s)", peer,
		    format_versions(context, versions), name);
		return;
	case TLS_ALERT_CERTIFICATE_REQUIRED:
		explain(observer, TLS_FAILURE_NO_CERTIFICATE,
		    "the %s requires a certificate (alert %s)", peer, name);
		return;
	case TLS_ALERT_NO_APPLICATION_PROTOCOL:
		explain(observer, TLS_FAILURE_ALPN,
		    "the %s supports none of the offered protocols (alert %s)", peer,
		    name);
		return;
	case TLS_ALERT_HANDSHAKE_FAILURE:
		explain(observer, TLS_FAILURE_ALERT,
		    "the %s refused the handshake, usually for want of a common cipher "
		    "suite, group or signature algorithm (alert %s)",
		    peer, name);
		return;
	case TLS_ALERT_UNKNOWN_CA:
		explain(observer, TLS_FAILURE_ALERT,
		    "the %s does not trust the CA of this end's certificate (alert %s)",
		    peer, name);
		return;
	case TLS_ALERT_BAD_CERTIFICATE:
	case TLS_ALERT_CERTIFICATE_EXPIRED:
	case TLS_ALERT_CERTIFICATE_UNKNOWN:
	case TLS_ALERT_CERTIFICATE_REVOKED:
	case TLS_ALERT_UNSUPPORTED_CERTIFICATE:
		explain(observer, TLS_FAILURE_ALERT,
		    "the %s does not accept this end's certificate (alert %s)", peer,
		    name);
		return;
	case TLS_ALERT_CLOSE_NOTIFY:
	case TLS_ALERT_USER_CANCELED:
		explain(observer, TLS_FAILURE_CUT,
		    "the %s ended the handshake (alert %s)", peer, name);
		return;
	default:
		explain(observer, TLS_FAILURE_ALERT,
		    "the %s refused the handshake (alert %s, %u)", peer, name, alert);
	}
}

static void
explain_version(struct tls_observer *observer, const struct tls_context *context)
{
	const char *peer = observer->is_server ? "client" : "server";
	char versions[VERSIONS_MAX];
	if (observer->offered_version == 0)
		explain(observer, TLS_FAILURE_VERSION,
		    "the %s uses another version than %s", peer,
		    format_versions(context, versions));
	else if (observer->offered_version < context->min_version)
		explain(observer, TLS_FAILURE_VERSION,
		    "the %s supports at most %s, expected at least %s", peer,
		    tls_version_name(observer->offered_version),
		    tls_version_name(context->min_version));
	else
		explain(observer, TLS_FAILURE_VERSION, "the %s offers %s, expected %s",
		    peer, tls_version_name(observer->offered_version),
		    format_versions(context, versions));
}

static void
explain_fallback(struct tls_observer *observer)
{
	if (observer->is_server)
		explain(observer, TLS_FAILURE_VERSION,
		    "the client retries with a lower version than it supports, which "
		    "may be an attack (RFC 7507)");
	else
		explain(observer, TLS_FAILURE_VERSION,
		    "the server chose %s although both ends support TLS 1.3, "
		    "which may be an attack (RFC 8446, 4.1.3)",
		    tls_version_name(observer->offered_version));
}

void
tls_explain_failure(struct tls_observer *observer, const struct tls_context *context)
{
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);
	const char *peer = observer->is_server ? "client" : "server";
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	ERR_clear_error();
	if (observer->kind != TLS_FAILURE_NONE)
		return;
	if (observer->alert_received >= 0) {
		explain_alert(observer, context);
		return;
	}
	switch (reason) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
		explain_version(observer, context);
		break;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_WRONG_CIPHER_RETURNED:
	case SSL_R_UNKNOWN_CIPHER_RETURNED:
		explain(observer, TLS_FAILURE_SUITE,
		    "the %s offers no cipher suite that is allowed here and fits the "
		    "certificate",
		    peer);
		break;
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS:
	case SSL_R_BAD_KEY_SHARE:
		explain(observer, TLS_FAILURE_SUITE,
		    "the %s offers no group for the key exchange that is allowed here",
		    peer);
		break;
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
		explain(observer, TLS_FAILURE_SUITE,
		    "the %s offers no signature algorithm that fits the certificate",
		    peer);
		break;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		explain(observer, TLS_FAILURE_NO_CERTIFICATE,
		    "the client presented no certificate, which is required here");
		break;
	case SSL_R_INAPPROPRIATE_FALLBACK:
		explain_fallback(observer);
		break;
	default:
		if (code == 0 || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
			explain(observer, TLS_FAILURE_INTERNAL, "out of memory");
		else
			explain(observer, TLS_FAILURE_PROTOCOL,
			    "the %s sent a malformed or unexpected handshake message "
			    "(%s)",
			    peer, text == NULL ? "unknown error" : text);
	}
}

void
tls_explain_cut(struct tls_observer *observer, int error)
{
	const char *peer = observer->is_server ? "client" : "server";
	const char *when = observer->has_message ? "during the handshake"
	    : observer->is_server                ? "before a whole ClientHello"
						 : "without an answer to ClientHello";
	if (error == 0)
		explain(observer, TLS_FAILURE_CUT, "the %s closed the connection %s",
		    peer, when);
	else
		explain(observer, TLS_FAILURE_CUT, "the connection failed %s: %s", when,
		    strerror(error));
}
