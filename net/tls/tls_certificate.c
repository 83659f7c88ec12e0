#include "net/tls/tls_certificate.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lib/escape.h"
#include "lib/printable.h"

/* RFC 2253, but characters beyond ASCII are UTF-8. */
#define NAME_FLAGS (XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)

static void
format_name(const X509_NAME *name, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;
	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, NAME_FLAGS) >= 0)
		n = BIO_read(bio, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	printable_sanitize(out);
}

/* Appends a name to the list. False if it does not fit, which "..." then tells. */
static bool
append_name(char *list, size_t size, const char *name)
{
	size_t used = strlen(list);
	const char *comma = used > 0 ? ", " : "";
	if (used + strlen(comma) + strlen(name) + sizeof(", ...") > size) {
		snprintf(list + used, size - used, "%s...", comma);
		return false;
	}
	snprintf(list + used, size - used, "%s%s", comma, name);
	return true;
}

/* One entry of subjectAltName; "" for one of another kind than name or IP address. */
static void
format_general_name(const GENERAL_NAME *name, char *out, size_t size)
{
	const ASN1_STRING *value = name->d.ia5;
	out[0] = '\0';
	if (name->type == GEN_DNS) {
		snprintf(out, size, "%.*s", ASN1_STRING_length(value),
		    (const char *)ASN1_STRING_get0_data(value));
	} else if (name->type == GEN_IPADD) {
		int length = ASN1_STRING_length(name->d.iPAddress);
		if (length == 4 || length == 16)
			inet_ntop(length == 4 ? AF_INET : AF_INET6,
			    ASN1_STRING_get0_data(name->d.iPAddress), out,
			    (socklen_t)size);
	}
	printable_sanitize(out);
}

/* The names that the certificate is for (RFC 6125, 6.4.4). */
static void
format_names(const X509 *x509, char *out, size_t size)
{
	char one[256];
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		format_general_name(sk_GENERAL_NAME_value(names, i), one, sizeof(one));
		if (one[0] != '\0' && !append_name(out, size, one))
			break;
	}
	if (names == NULL) {
		X509_NAME_get_text_by_NID(
		    X509_get_subject_name(x509), NID_commonName, out, (int)size);
		printable_sanitize(out);
	}
	GENERAL_NAMES_free(names);
}

static void
format_key(const X509 *x509, char *out, size_t size)
{
	char group[24] = "";
	const EVP_PKEY *key = X509_get0_pubkey(x509);
	const char *type = key == NULL ? NULL : EVP_PKEY_get0_type_name(key);
	if (type == NULL)
		snprintf(out, size, "unknown");
	else if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		snprintf(out, size, "%s %s", type,
		    strcmp(group, "prime256v1") == 0 ? "P-256" : group);
	else if (strcmp(type, "RSA") == 0)
		snprintf(out, size, "RSA %d", EVP_PKEY_get_bits(key));
	else
		snprintf(out, size, "%s", type);
}

static int64_t
seconds(const ASN1_TIME *time)
{
	struct tm tm;
	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void
tls_certificate_describe(const X509 *x509, struct tls_certificate *ret)
{
	*ret = (struct tls_certificate){ .subject = "" };
	format_name(X509_get_subject_name(x509), ret->subject, sizeof(ret->subject));
	format_name(X509_get_issuer_name(x509), ret->issuer, sizeof(ret->issuer));
	format_names(x509, ret->names, sizeof(ret->names));
	format_key(x509, ret->key, sizeof(ret->key));
	ret->not_before = seconds(X509_get0_notBefore(x509));
	ret->not_after = seconds(X509_get0_notAfter(x509));
	if (X509_digest(x509, EVP_sha256(), ret->sha256, NULL) != 1)
		memset(ret->sha256, 0, sizeof(ret->sha256));
}

const char *
tls_sha256_format(const uint8_t *sha256, char *text)
{
	for (size_t i = 0; i < TLS_SHA256_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", sha256[i]);
	return text;
}

int
tls_sha256_parse(const char *text, uint8_t *ret_sha256)
{
	uint8_t sha256[TLS_SHA256_BYTES];
	if (strncasecmp(text, "sha256:", 7) == 0)
		text += 7;
	for (size_t i = 0; i < sizeof(sha256); i++) {
		if (i > 0 && (*text == ':' || *text == ' '))
			text++;
		int high = escape_hex_digit(text[0]);
		int low = high < 0 ? -1 : escape_hex_digit(text[1]);
		if (low < 0)
			return -1;
		sha256[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return -1;
	memcpy(ret_sha256, sha256, sizeof(sha256));
	return 0;
}

const char *
tls_date_format(int64_t seconds_since_1970, char *text)
{
	time_t time = (time_t)seconds_since_1970;
	struct tm tm;
	if (gmtime_r(&time, &tm) == NULL ||
	    strftime(text, TLS_DATE_TEXT, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(text, TLS_DATE_TEXT, "an unknown date");
	return text;
}
