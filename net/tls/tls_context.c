#include "net/tls/tls_context.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/printable.h"
#include "net/tls/tls_identity_use.h"
#include "net/tls/tls_observer.h"
#include "net/tls/tls_suites.h"
#include "net/tls/tls_tickets.h"

/* OpenSSL 3.2 and later compress certificates (RFC 8879) if they are not told
 * otherwise: a few bytes would pass the limits of a handshake and become many. */
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
#define NO_CERTIFICATE_COMPRESSION                                                     \
	(SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION)
#else
#define NO_CERTIFICATE_COMPRESSION 0
#endif
#define ALWAYS_OPTIONS                                                                 \
	(SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | NO_CERTIFICATE_COMPRESSION)
#define OPTIONS (ALWAYS_OPTIONS | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET)

__attribute__((format(printf, 2, 3))) static bool
set_error(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, TLS_ERROR_MAX, format, arguments);
	va_end(arguments);
	ERR_clear_error();
	return false;
}

/* The text of OpenSSL's last error. */
static const char *
openssl_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	return text == NULL ? "out of memory" : text;
}

/* The versions that are allowed and have suites. */
static bool
choose_versions(struct tls_context *context, const struct tls_settings *settings,
    struct tls_suite_lists *suites, char *error)
{
	unsigned min = settings->min_version, max = settings->max_version;
	if (!tls_suites_parse(settings->ciphers, suites, error, TLS_ERROR_MAX))
		return false;
	if (min == 0)
		min = suites->tls_1_2[0] == '\0' && max != TLS_VERSION_1_2
		    ? TLS_VERSION_1_3
		    : TLS_VERSION_1_2;
	if (max == 0)
		max = suites->tls_1_3[0] == '\0' && min != TLS_VERSION_1_3
		    ? TLS_VERSION_1_2
		    : TLS_VERSION_1_3;
	if (min > max)
		return set_error(error,
		    "found %s as the lowest version and %s as the "
		    "highest",
		    tls_version_name(min), tls_version_name(max));
	if ((max == TLS_VERSION_1_3 && suites->tls_1_3[0] == '\0') ||
	    (min == TLS_VERSION_1_2 && suites->tls_1_2[0] == '\0'))
		return set_error(error, "found no cipher suite for %s in %s",
		    tls_version_name(
			suites->tls_1_3[0] == '\0' ? TLS_VERSION_1_3 : TLS_VERSION_1_2),
		    settings->ciphers);
	context->min_version = (uint16_t)min;
	context->max_version = (uint16_t)max;
	return true;
}

static bool
set_suites(SSL_CTX *ssl, const struct tls_suite_lists *suites, char *error)
{
	if ((suites->tls_1_2[0] != '\0' &&
		SSL_CTX_set_cipher_list(ssl, suites->tls_1_2) != 1) ||
	    SSL_CTX_set_ciphersuites(ssl, suites->tls_1_3) != 1)
		return set_error(
		    error, "cannot set the cipher suites: %s", openssl_error());
	return true;
}

static bool
set_groups(SSL_CTX *ssl, const char *groups, char *error)
{
	char one[64];
	if (groups == NULL || SSL_CTX_set1_groups_list(ssl, groups) == 1)
		return true;
	/* Which of them? */
	for (const char *at = groups; at != NULL; at = *at == '\0' ? NULL : at + 1) {
		size_t length = strcspn(at, ":");
		snprintf(one, sizeof(one), "%.*s", (int)length, at);
		if (SSL_CTX_set1_groups_list(ssl, one) != 1)
			return set_error(error,
			    "found group \"%s\", expected one that OpenSSL knows, such "
			    "as X25519, P-256 or P-384",
			    printable_sanitize(one));
		at += length;
	}
	return set_error(error, "cannot set the groups: %s", openssl_error());
}

/* Protocol names in the form of the extension (RFC 7301, 3.1). */
static bool
make_alpn(struct tls_context *context, const struct tls_settings *settings, char *error)
{
	size_t total = 0, at = 0;
	for (size_t i = 0; i < settings->alpn_count; i++) {
		size_t length = strlen(settings->alpn[i]);
		if (length == 0 || length > TLS_ALPN_MAX)
			return set_error(error,
			    "found a protocol name (ALPN) of %zu bytes, expected 1 to "
			    "255",
			    length);
		total += 1 + length;
	}
	if (total == 0)
		return true;
	if (total > UINT16_MAX)
		return set_error(error, "found too many protocol names (ALPN)");
	context->alpn = malloc(total);
	if (context->alpn == NULL)
		return set_error(error, "out of memory");
	for (size_t i = 0; i < settings->alpn_count; i++) {
		size_t length = strlen(settings->alpn[i]);
		context->alpn[at] = (uint8_t)length;
		memcpy(context->alpn + at + 1, settings->alpn[i], length);
		at += 1 + length;
	}
	context->alpn_length = total;
	return true;
}

/* Trusts the CAs of a PEM file. */
static bool
load_ca_file(struct tls_context *context, SSL_CTX *ssl, const char *path, char *error)
{
	char tail[PRINTABLE_TAIL_MAX], about[TLS_FILE_TEXT];
	printable_tail(path, tail, sizeof(tail));
	if (access(path, R_OK) < 0) {
		int saved = errno;
		return saved == EACCES
		    ? set_error(error, "cannot read CA file %s (%s): %s", tail,
			  tls_file_describe(path, about, sizeof(about)),
			  strerror(saved))
		    : set_error(
			  error, "cannot read CA file %s: %s", tail, strerror(saved));
	}
	if (SSL_CTX_load_verify_file(ssl, path) != 1)
		return set_error(error,
		    "found no certificate in CA file %s, expected PEM "
		    "(-----BEGIN CERTIFICATE-----)",
		    tail);
	printable_tail(path, context->ca, sizeof(context->ca));
	return true;
}

/* The CAs of the system, or those that the environment names (openssl-env(7)). */
static bool
load_system_ca(struct tls_context *context, SSL_CTX *ssl, char *error)
{
	const char *file = getenv(X509_get_default_cert_file_env());
	const char *folder = getenv(X509_get_default_cert_dir_env());
	if (file != NULL && file[0] != '\0' && !load_ca_file(context, ssl, file, error))
		return false;
	if (SSL_CTX_set_default_verify_paths(ssl) != 1)
		return set_error(
		    error, "cannot load the system's CAs: %s", openssl_error());
	if (file == NULL || file[0] == '\0')
		printable_tail(folder != NULL ? folder : X509_get_default_cert_dir(),
		    context->ca, sizeof(context->ca));
	ERR_clear_error();
	return true;
}

/* Adds the certificates of the CAs that are trusted. */
static bool
add_trusted(SSL_CTX *ssl, EVP_MD_CTX *hash)
{
	const STACK_OF(X509_OBJECT) *trusted =
	    X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
	uint8_t digest[EVP_MAX_MD_SIZE];
	bool is_good = true;
	for (int i = 0; is_good && i < sk_X509_OBJECT_num(trusted); i++) {
		const X509 *ca =
		    X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
		is_good = ca == NULL ||
		    (X509_digest(ca, EVP_sha256(), digest, NULL) == 1 &&
			EVP_DigestUpdate(hash, digest, TLS_SHA256_BYTES) == 1);
	}
	return is_good;
}

/* Identifies what sessions are bound to, in id[TLS_SHA256_BYTES]: how clients are
 * verified, and by which certificates. Names of CAs are not enough: another CA may have
 * the same. */
static bool
make_session_id_context(SSL_CTX *ssl, enum tls_verify verify, uint8_t *id)
{
	uint8_t mode = (uint8_t)verify;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool is_good = hash != NULL &&
	    EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(hash, &mode, 1) == 1 && add_trusted(ssl, hash) &&
	    EVP_DigestFinal_ex(hash, id, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return is_good;
}

/* Makes context->digest. */
static bool
digest_certificates(struct tls_context *context, char *error)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool is_good = hash != NULL &&
	    EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	    tls_identity_add_digest(context->identity, hash);
	for (size_t i = 0; is_good && i < context->name_count; i++)
		is_good = tls_identity_add_digest(context->names[i].identity, hash);
	is_good = is_good && add_trusted(context->ssl, hash) &&
	    EVP_DigestFinal_ex(hash, context->digest, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return is_good || set_error(error, "out of memory");
}

/* Sets how a client is verified. Sessions are resumed only where that is the same. */
static bool
set_client_verification(struct tls_context *context, SSL_CTX *ssl,
    const struct tls_settings *settings, char *error)
{
	uint8_t id[TLS_SHA256_BYTES];
	int mode = SSL_VERIFY_NONE;
	if (settings->verify != TLS_VERIFY_NONE) {
		if (settings->ca == NULL)
			return set_error(error,
			    "missing: the CAs that issue the "
			    "certificates of clients");
		if (!load_ca_file(context, ssl, settings->ca, error))
			return false;
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(settings->ca);
		if (names == NULL)
			return set_error(
			    error, "cannot load CA file: %s", openssl_error());
		SSL_CTX_set_client_CA_list(ssl, names);
		mode = SSL_VERIFY_PEER |
		    (settings->verify == TLS_VERIFY_REQUIRE
			    ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT
			    : 0);
	}
	if (!make_session_id_context(ssl, settings->verify, id))
		return set_error(error, "out of memory");
	SSL_CTX_set_session_id_context(ssl, id, sizeof(id));
	SSL_CTX_set_verify(ssl, mode, NULL);
	return true;
}

static bool
set_server_verification(struct tls_context *context, SSL_CTX *ssl,
    const struct tls_settings *settings, char *error)
{
	bool is_checked = settings->verify != TLS_VERIFY_NONE || settings->pin != NULL;
	SSL_CTX_set_verify(ssl, is_checked ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (settings->verify == TLS_VERIFY_NONE)
		return true;
	return settings->ca == NULL ? load_system_ca(context, ssl, error)
				    : load_ca_file(context, ssl, settings->ca, error);
}

/* All but the certificate: for the context's own SSL_CTX and for those of names. */
static SSL_CTX *
create_ssl(struct tls_context *context, const struct tls_settings *settings,
    const struct tls_suite_lists *suites, bool is_server, char *error)
{
	SSL_CTX *ssl =
	    SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	bool is_good;
	if (ssl == NULL) {
		set_error(error, "out of memory");
		return NULL;
	}
	SSL_CTX_clear_options(ssl, OPTIONS);
	SSL_CTX_set_options(ssl, ALWAYS_OPTIONS);
	if (settings->ciphers != NULL)
		SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (!settings->has_tickets)
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ssl, settings->has_tickets ? 1 : 0);
	if (is_server)
		SSL_CTX_set_timeout(ssl, TLS_TICKETS_LIFETIME_S);
	SSL_CTX_set_session_cache_mode(ssl,
	    is_server ? SSL_SESS_CACHE_OFF
		      : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	/* No byte behind the handshake is read. */
	SSL_CTX_set_read_ahead(ssl, 0);
	is_good = SSL_CTX_set_min_proto_version(ssl, context->min_version) == 1 &&
	    SSL_CTX_set_max_proto_version(ssl, context->max_version) == 1;
	if (!is_good)
		set_error(error, "cannot set the versions: %s", openssl_error());
	is_good = is_good && set_suites(ssl, suites, error) &&
	    set_groups(ssl, settings->groups, error) &&
	    (is_server ? set_client_verification(context, ssl, settings, error)
		       : set_server_verification(context, ssl, settings, error));
	if (is_good && !is_server && context->alpn_length > 0 &&
	    SSL_CTX_set_alpn_protos(
		ssl, context->alpn, (unsigned)context->alpn_length) != 0)
		is_good = set_error(error, "out of memory");
	if (!is_good) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	tls_observer_install(context, ssl, is_server);
	return ssl;
}

/* Loads a certificate into the SSL_CTX. NULL: error is set. */
static struct tls_identity *
load_identity(SSL_CTX *ssl, const char *certificate, const char *key, char *error)
{
	char tail[PRINTABLE_TAIL_MAX];
	if (certificate == NULL || key == NULL) {
		set_error(error, "missing: a %s file",
		    certificate == NULL ? "certificate" : "key");
		return NULL;
	}
	struct tls_identity *identity = tls_identity_load(certificate, key, error);
	if (identity == NULL || tls_identity_use_context(identity, ssl))
		return identity;
	set_error(error, "cannot use certificate %s: %s",
	    printable_tail(certificate, tail, sizeof(tail)), openssl_error());
	tls_identity_release(identity);
	return NULL;
}

static bool
load_name(struct tls_context *context, const struct tls_settings *settings,
    const struct tls_suite_lists *suites, size_t index, char *error)
{
	const struct tls_name_settings *row = &settings->names[index];
	struct tls_name *name = &context->names[index];
	name->name = strdup(row->name);
	if (name->name == NULL)
		return set_error(error, "out of memory");
	for (char *at = name->name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	name->ssl = create_ssl(context, settings, suites, true, error);
	if (name->ssl == NULL)
		return false;
	name->identity = load_identity(name->ssl, row->certificate, row->key, error);
	return name->identity != NULL;
}

/* Room for the names, to be filled by load_name(). */
static bool
create_names(
    struct tls_context *context, const struct tls_settings *settings, char *error)
{
	if (settings->name_count == 0)
		return true;
	context->names = calloc(settings->name_count, sizeof(*context->names));
	if (context->names == NULL)
		return set_error(error, "out of memory");
	context->name_count = settings->name_count;
	return true;
}

/* The part that clients and servers have in common. NULL: error is set. */
static struct tls_context *
create(const struct tls_settings *settings, struct tls_suite_lists *suites,
    bool is_server, char *error)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	error[0] = '\0';
	if (context == NULL) {
		set_error(error, "out of memory");
		return NULL;
	}
	context->references = 1;
	context->verify = settings->verify;
	context->has_pin = settings->pin != NULL;
	if (settings->pin != NULL)
		memcpy(context->pin, settings->pin, sizeof(context->pin));
	if (choose_versions(context, settings, suites, error) &&
	    make_alpn(context, settings, error) &&
	    (!is_server || create_names(context, settings, error)))
		context->ssl = create_ssl(context, settings, suites, is_server, error);
	if (context->ssl != NULL)
		return context;
	tls_context_release(context);
	return NULL;
}

struct tls_context *
tls_context_create_server(const struct tls_settings *settings, char *error)
{
	struct tls_suite_lists suites;
	struct tls_context *context = create(settings, &suites, true, error);
	if (context == NULL)
		return NULL;
	context->identity =
	    load_identity(context->ssl, settings->certificate, settings->key, error);
	bool is_good = context->identity != NULL;
	for (size_t i = 0; is_good && i < settings->name_count; i++)
		is_good = load_name(context, settings, &suites, i, error);
	if (is_good && digest_certificates(context, error))
		return context;
	tls_context_release(context);
	return NULL;
}

struct tls_context *
tls_context_create_client(const struct tls_settings *settings, char *error)
{
	struct tls_suite_lists suites;
	struct tls_context *context = create(settings, &suites, false, error);
	if (context == NULL || (settings->certificate == NULL && settings->key == NULL))
		return context;
	context->identity =
	    load_identity(context->ssl, settings->certificate, settings->key, error);
	if (context->identity != NULL)
		return context;
	tls_context_release(context);
	return NULL;
}

struct tls_context *
tls_context_ref(struct tls_context *context)
{
	context->references++;
	return context;
}

void
tls_context_release(struct tls_context *context)
{
	if (context == NULL || --context->references > 0)
		return;
	for (size_t i = 0; i < context->name_count; i++) {
		SSL_CTX_free(context->names[i].ssl);
		tls_identity_release(context->names[i].identity);
		free(context->names[i].name);
	}
	SSL_CTX_free(context->ssl);
	tls_identity_release(context->identity);
	free(context->names);
	free(context->alpn);
	free(context);
}

size_t
tls_context_certificate_count(const struct tls_context *context)
{
	return (context->identity != NULL ? 1 : 0) + context->name_count;
}

const struct tls_certificate *
tls_context_certificate(
    const struct tls_context *context, size_t index, const char **ret_name)
{
	if (index == 0) {
		*ret_name = NULL;
		return tls_identity_certificate(context->identity);
	}
	*ret_name = context->names[index - 1].name;
	return tls_identity_certificate(context->names[index - 1].identity);
}

bool
tls_context_has_same_certificates(
    const struct tls_context *a, const struct tls_context *b)
{
	return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

void
tls_context_set_tickets(struct tls_context *context, struct tls_tickets *tickets)
{
	context->tickets = tickets;
	tls_observer_install_tickets(context->ssl);
}

void
tls_context_set_key_log(struct tls_context *context,
    void (*log)(const char *line, void *argument), void *argument)
{
	context->log = log;
	context->log_argument = argument;
}
