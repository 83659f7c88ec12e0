/* tls_alert.h - alert descriptions: numbers and names (RFC 8446, 6; RFC 5246, 7.2). */
#ifndef NET_TLS_ALERT_H
#define NET_TLS_ALERT_H

/* X(constant, number, name) */
#define TLS_ALERTS(X)                                                                  \
	X(CLOSE_NOTIFY, 0, "close_notify")                                             \
	X(UNEXPECTED_MESSAGE, 10, "unexpected_message")                                \
	X(BAD_RECORD_MAC, 20, "bad_record_mac")                                        \
	X(RECORD_OVERFLOW, 22, "record_overflow")                                      \
	X(HANDSHAKE_FAILURE, 40, "handshake_failure")                                  \
	X(BAD_CERTIFICATE, 42, "bad_certificate")                                      \
	X(UNSUPPORTED_CERTIFICATE, 43, "unsupported_certificate")                      \
	X(CERTIFICATE_REVOKED, 44, "certificate_revoked")                              \
	X(CERTIFICATE_EXPIRED, 45, "certificate_expired")                              \
	X(CERTIFICATE_UNKNOWN, 46, "certificate_unknown")                              \
	X(ILLEGAL_PARAMETER, 47, "illegal_parameter")                                  \
	X(UNKNOWN_CA, 48, "unknown_ca")                                                \
	X(ACCESS_DENIED, 49, "access_denied")                                          \
	X(DECODE_ERROR, 50, "decode_error")                                            \
	X(DECRYPT_ERROR, 51, "decrypt_error")                                          \
	X(PROTOCOL_VERSION, 70, "protocol_version")                                    \
	X(INSUFFICIENT_SECURITY, 71, "insufficient_security")                          \
	X(INTERNAL_ERROR, 80, "internal_error")                                        \
	X(INAPPROPRIATE_FALLBACK, 86, "inappropriate_fallback")                        \
	X(USER_CANCELED, 90, "user_canceled")                                          \
	X(NO_RENEGOTIATION, 100, "no_renegotiation")                                   \
	X(MISSING_EXTENSION, 109, "missing_extension")                                 \
	X(UNSUPPORTED_EXTENSION, 110, "unsupported_extension")                         \
	X(UNRECOGNIZED_NAME, 112, "unrecognized_name")                                 \
	X(BAD_CERTIFICATE_STATUS_RESPONSE, 113, "bad_certificate_status_response")     \
	X(UNKNOWN_PSK_IDENTITY, 115, "unknown_psk_identity")                           \
	X(CERTIFICATE_REQUIRED, 116, "certificate_required")                           \
	X(NO_APPLICATION_PROTOCOL, 120, "no_application_protocol")

enum tls_alert {
#define X(constant, number, name) TLS_ALERT_##constant = (number),
	TLS_ALERTS(X)
#undef X
};

/* "unknown" for a number that is not in the table. A constant. */
const char *tls_alert_name(unsigned alert);

#endif
