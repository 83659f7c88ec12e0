/*
 * tls_fixture.h - certificates for tests of TLS, in a private folder: a CA "ca.pem",
 * and whatever a test asks for. Keys are EC P-256, or RSA or RSA-PSS where asked.
 */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/lib/must.h"

static char tls_folder[] = "/tmp/tls_test.XXXXXX";
static EVP_PKEY *tls_ca_key;
static X509 *tls_ca;

struct tls_fixture {
	const char *file;  /* FILE.pem and FILE.key */
	const char *name;  /* common name */
	const char *names; /* subjectAltName such as "DNS:example.org"; NULL: none */
	const char *usage; /* extended key usage such as "clientAuth"; NULL: any */
	const char *key_usage; /* such as "keyCertSign"; NULL: any */
	bool is_rsa, is_rsa_pss, is_self_signed, is_ca;
	int from_days, to_days; /* validity from today; both 0: -1 to 30 */
	int to_seconds;         /* in place of to_days; 0: that */
	X509 *issuer;           /* with its key; NULL: the CA */
	EVP_PKEY *issuer_key;
};

/* A path in the folder; of the last eight calls. */
static inline const char *
tls_path(const char *file)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", tls_folder, file);
	return path;
}

static inline FILE *
tls_create_file(const char *file, const char *suffix)
{
	char name[64];
	snprintf(name, sizeof(name), "%s%s", file, suffix);
	FILE *out = fopen(tls_path(name), "w");
	must(out != NULL);
	return out;
}

static inline void
tls_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* EVP_PKEY_Q_keygen() does not know this type. */
static inline EVP_PKEY *
tls_make_rsa_pss(void)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	must(context != NULL && EVP_PKEY_keygen_init(context) == 1 &&
	    EVP_PKEY_keygen(context, &key) == 1);
	EVP_PKEY_CTX_free(context);
	return key;
}

/* Makes a certificate with its key; writes FILE.pem and FILE.key. The caller frees both
 * with X509_free and EVP_PKEY_free. */
static inline X509 *
tls_fixture_make(const struct tls_fixture *wanted, EVP_PKEY **ret_key)
{
	static long serial = 1;
	EVP_PKEY *key = wanted->is_rsa_pss ? tls_make_rsa_pss()
	    : wanted->is_rsa               ? EVP_RSA_gen(2048)
					   : EVP_EC_gen("P-256");
	X509 *x = X509_new();
	bool has_dates = wanted->from_days != 0 || wanted->to_days != 0;
	must(key != NULL && x != NULL);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(
	    X509_getm_notBefore(x), 86400L * (has_dates ? wanted->from_days : -1));
	X509_gmtime_adj(X509_getm_notAfter(x),
	    wanted->to_seconds != 0 ? wanted->to_seconds
				    : 86400L * (has_dates ? wanted->to_days : 30));
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
	    (const unsigned char *)wanted->name, -1, -1, 0);
	X509_set_pubkey(x, key);
	X509 *issuer = wanted->is_self_signed ? x
	    : wanted->issuer != NULL          ? wanted->issuer
					      : tls_ca;
	EVP_PKEY *issuer_key = wanted->is_self_signed ? key
	    : wanted->issuer != NULL                  ? wanted->issuer_key
						      : tls_ca_key;
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	if (wanted->is_ca)
		tls_add_extension(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
	if (wanted->names != NULL)
		tls_add_extension(x, issuer, NID_subject_alt_name, wanted->names);
	if (wanted->usage != NULL)
		tls_add_extension(x, issuer, NID_ext_key_usage, wanted->usage);
	if (wanted->key_usage != NULL)
		tls_add_extension(x, issuer, NID_key_usage, wanted->key_usage);
	must(X509_sign(x, issuer_key, EVP_sha256()) > 0);
	FILE *out = tls_create_file(wanted->file, ".pem");
	must(PEM_write_X509(out, x) == 1);
	fclose(out);
	out = tls_create_file(wanted->file, ".key");
	must(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(out);
	if (ret_key != NULL)
		*ret_key = key;
	else
		EVP_PKEY_free(key);
	return x;
}

/* Makes a certificate that is used by its files alone. */
static inline void
tls_fixture_add(const struct tls_fixture *wanted)
{
	X509_free(tls_fixture_make(wanted, NULL));
}

/* The folder with "ca" and "server" (DNS:example.org, IP:127.0.0.1). */
static inline void
tls_fixture_start(void)
{
	const struct tls_fixture ca = {
		.file = "ca", .name = "Test CA", .is_self_signed = true, .is_ca = true
	};
	const struct tls_fixture server = { .file = "server",
		.name = "example.org",
		.names = "DNS:example.org,DNS:*.example.net,IP:127.0.0.1" };
	must(mkdtemp(tls_folder) != NULL);
	tls_ca = tls_fixture_make(&ca, &tls_ca_key);
	tls_fixture_add(&server);
}

static inline void
tls_fixture_finish(void)
{
	char command[sizeof(tls_folder) + 16];
	snprintf(command, sizeof(command), "rm -rf %s", tls_folder);
	must(system(command) == 0);
	X509_free(tls_ca);
	EVP_PKEY_free(tls_ca_key);
}

#endif
