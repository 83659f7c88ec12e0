#include "net/tls/tls_usable.h"

#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls/tls_observer.h"

/* RFC 6066, 3: "the hostname is represented without a trailing dot", "literal IPv4 and
 * IPv6 addresses are not permitted". NULL: clients may send it. */
static const char *
fault_of_name(const char *name)
{
	uint8_t bytes[sizeof(struct in6_addr)];
	size_t length = strlen(name);
	if (inet_pton(AF_INET, name, bytes) == 1 ||
	    inet_pton(AF_INET6, name, bytes) == 1)
		return "clients do not send an address as the name (RFC 6066)";
	if (length > 0 && name[length - 1] == '.')
		return "clients send the name without the dot at its end (RFC 6066)";
	return NULL;
}

/* "*.example.org" stands for at least one name below that domain. */
static bool
is_for_name(X509 *x509, const char *name)
{
	if (name[0] == '*')
		name++;
	return X509_check_host(x509, name, 0, 0, NULL) == 1;
}

/* NULL: it is for servers. */
static const char *
fault_of_purpose(X509 *x509)
{
	const uint32_t usable =
	    KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT;
	if (X509_check_purpose(x509, X509_PURPOSE_SSL_SERVER, 0) == 1)
		return NULL;
	uint32_t flags = X509_get_extension_flags(x509);
	if ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(x509) & usable))
		return "it is not for servers, expected digitalSignature in its key usage";
	/* Also with anyExtendedKeyUsage alone, which clients of OpenSSL refuse. */
	return "it is not for servers, expected serverAuth in its extended key usage";
}

static bool
is_rsa(const EVP_PKEY *key)
{
	return key != NULL &&
	    (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"));
}

/* RFC 5246, 7.4.2: of TLS 1.2 the suite names the algorithm of the key. */
static bool
has_suite_for_key(SSL_CTX *ssl, X509 *x509)
{
	const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(ssl);
	int auth = is_rsa(X509_get0_pubkey(x509)) ? NID_auth_rsa : NID_auth_ecdsa;
	for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++) {
		if (SSL_CIPHER_get_auth_nid(sk_SSL_CIPHER_value(suites, i)) == auth)
			return true;
	}
	return false;
}

const char *
tls_usable_find_fault(const struct tls_context *context, size_t index, char *text)
{
	const struct tls_name *own = index == 0 ? NULL : &context->names[index - 1];
	SSL_CTX *ssl = own == NULL ? context->ssl : own->ssl;
	X509 *x509 = SSL_CTX_get0_certificate(ssl);
	const char *fault = own == NULL ? NULL : fault_of_name(own->name);
	if (x509 == NULL)
		return NULL;
	if (fault == NULL && own != NULL && !is_for_name(x509, own->name))
		fault = "it is not for the name, expected it in the certificate";
	if (fault == NULL)
		fault = fault_of_purpose(x509);
	if (fault != NULL) {
		snprintf(text, TLS_FAULT_TEXT, "%s", fault);
	} else if (context->max_version == TLS_VERSION_1_2 &&
	    !has_suite_for_key(ssl, x509)) {
		snprintf(text, TLS_FAULT_TEXT,
		    "no cipher suite of tls.ciphers fits its key, expected one with %s",
		    is_rsa(X509_get0_pubkey(x509)) ? "RSA" : "ECDSA");
	} else {
		text = NULL;
	}
	ERR_clear_error();
	return text;
}
