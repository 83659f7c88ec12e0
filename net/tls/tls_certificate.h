/* tls_certificate.h - what a certificate says, as text for a log, a report or a result.
 */
#ifndef NET_TLS_CERTIFICATE_H
#define NET_TLS_CERTIFICATE_H

#include <stdint.h>
#include <time.h>

#define TLS_SHA256_BYTES 32
#define TLS_SHA256_TEXT (2 * TLS_SHA256_BYTES + 1)

struct x509_st; /* OpenSSL's X509 */

/* Texts are UTF-8 without control characters (lib/printable.h), and cut where they are
 * very long. */
struct tls_certificate {
	char subject[256]; /* such as "CN=example.org,O=Example" (RFC 2253) */
	char issuer[256];
	char names[512]; /* that it is for: "example.org, *.example.org, 192.0.2.1";
			    without subjectAltName the common name; may be "" */
	char key[32];    /* such as "EC P-256", "RSA 2048" */
	int64_t not_before, not_after;    /* seconds since 1970 */
	uint8_t sha256[TLS_SHA256_BYTES]; /* fingerprint: of the DER form */
};

void tls_certificate_describe(const struct x509_st *x509, struct tls_certificate *ret);

/* Hexadecimal, lower case, into text[TLS_SHA256_TEXT]; returns text. */
const char *tls_sha256_format(const uint8_t *sha256, char *text);
/* 64 hexadecimal digits of any case, with or without colons or spaces between bytes and
 * "sha256:" in front. 0, or -1. */
int tls_sha256_parse(const char *text, uint8_t *ret_sha256)
    __attribute__((warn_unused_result));

#define TLS_DATE_TEXT 32
/* "2027-03-01 12:00:00 UTC" into text[TLS_DATE_TEXT]; returns text. */
const char *tls_date_format(int64_t seconds_since_1970, char *text);

#endif
