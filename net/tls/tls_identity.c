#include "net/tls/tls_identity.h"

#include <sys/stat.h>

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/printable.h"
#include "net/tls/tls_identity_use.h"

#define NAME_TEXT 40
#define CHAIN_MAX 20 /* certificates in one file */

struct tls_identity {
	X509 *certificate;
	STACK_OF(X509) * issuers; /* behind it in the file; may be empty */
	EVP_PKEY *key;
	struct tls_certificate about;
};

__attribute__((format(printf, 2, 3))) static void
set_error(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, TLS_ERROR_MAX, format, arguments);
	va_end(arguments);
	/* Errors that OpenSSL queued belong to no later call. */
	ERR_clear_error();
}

/* The name of a user, or its number. */
static const char *
user_name(uid_t uid, char *text)
{
	const struct passwd *user = getpwuid(uid);
	if (user == NULL)
		snprintf(text, NAME_TEXT, "%u", (unsigned)uid);
	else
		snprintf(text, NAME_TEXT, "%s", user->pw_name);
	return text;
}

/* The name of a group, or its number. */
static const char *
group_name(gid_t gid, char *text)
{
	const struct group *group = getgrgid(gid);
	if (group == NULL)
		snprintf(text, NAME_TEXT, "%u", (unsigned)gid);
	else
		snprintf(text, NAME_TEXT, "%s", group->gr_name);
	return text;
}

/* The folder, also behind links, that this user cannot enter. False: none is known. */
static bool
find_closed_folder(const char *path, char *folder, struct stat *ret)
{
	/* realpath(3): the path that failed. */
	if (realpath(path, folder) != NULL || errno != EACCES)
		return false;
	char *slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return false;
	*slash = '\0';
	return stat(folder, ret) == 0;
}

const char *
tls_file_describe(const char *path, char *text, size_t text_size)
{
	char user[NAME_TEXT], group[NAME_TEXT], folder[PATH_MAX];
	char tail[PRINTABLE_TAIL_MAX];
	struct stat st;
	bool is_file = stat(path, &st) == 0;
	int saved = errno;
	if (!is_file && !find_closed_folder(path, folder, &st)) {
		snprintf(text, text_size, "owner unknown: %s", strerror(saved));
		return text;
	}
	snprintf(text, text_size, "%s%s%sowner %s:%s, mode %04o",
	    is_file ? "" : "folder ",
	    is_file ? "" : printable_tail(folder, tail, sizeof(tail)),
	    is_file ? "" : ": ", user_name(st.st_uid, user),
	    group_name(st.st_gid, group), (unsigned)st.st_mode & 07777);
	return text;
}

bool
tls_file_is_public(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

/* Opens a file for reading; what: "certificate", "key". NULL: error is set. */
static BIO *
open_file(const char *what, const char *path, char *error)
{
	char about[TLS_FILE_TEXT], tail[PRINTABLE_TAIL_MAX];
	char user[NAME_TEXT], group[NAME_TEXT];
	BIO *bio = BIO_new_file(path, "r");
	int saved = errno;
	if (bio != NULL)
		return bio;
	printable_tail(path, tail, sizeof(tail));
	if (saved == EACCES)
		set_error(error,
		    "cannot read %s %s (%s) as user %s; expected a file that group %s "
		    "can read, such as owner root:%s, mode 0640",
		    what, tail, tls_file_describe(path, about, sizeof(about)),
		    user_name(geteuid(), user), group_name(getegid(), group), group);
	else
		set_error(error, "cannot read %s %s: %s", what, tail, strerror(saved));
	return NULL;
}

/* Called for a passphrase: there is none. */
static int
refuse_passphrase(char *buffer, int size, int is_for_writing, void *argument)
{
	(void)buffer, (void)size, (void)is_for_writing;
	*(bool *)argument = true;
	return -1;
}

static EVP_PKEY *
load_key(const char *path, char *error)
{
	char tail[PRINTABLE_TAIL_MAX];
	bool is_encrypted = false;
	BIO *bio = open_file("key", path, error);
	if (bio == NULL)
		return NULL;
	EVP_PKEY *key =
	    PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &is_encrypted);
	BIO_free(bio);
	printable_tail(path, tail, sizeof(tail));
	if (key == NULL && is_encrypted)
		set_error(error,
		    "key %s is encrypted; expected a key without passphrase (fix: "
		    "openssl pkey -in %s -out NEW)",
		    tail, tail);
	else if (key == NULL)
		set_error(error,
		    "found no usable private key in %s, expected one in PEM format "
		    "(-----BEGIN PRIVATE KEY-----)",
		    tail);
	return key;
}

/* Reads all certificates of a PEM file. NULL: error is set. */
static STACK_OF(X509) * read_certificates(const char *path, char *error)
{
	char tail[PRINTABLE_TAIL_MAX];
	BIO *bio = open_file("certificate", path, error);
	STACK_OF(X509) *all = bio == NULL ? NULL : sk_X509_new_null();
	X509 *one = NULL;
	while (all != NULL && sk_X509_num(all) < CHAIN_MAX &&
	    (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		sk_X509_push(all, one);
	BIO_free(bio);
	if (all == NULL)
		return NULL;
	/* The end of the file is the error "no start line". */
	bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	int count = sk_X509_num(all);
	printable_tail(path, tail, sizeof(tail));
	if (count == 0 && is_at_end)
		set_error(error,
		    "found no certificate in %s, expected PEM "
		    "(-----BEGIN CERTIFICATE-----)",
		    tail);
	else if (!is_at_end)
		set_error(error, "certificate %d in %s is malformed or one too many",
		    count + 1, tail);
	ERR_clear_error();
	if (count > 0 && is_at_end)
		return all;
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

/* RFC 5246, 7.4.2: each certificate is issued by the one behind it. */
static bool
check_order(X509 *own, STACK_OF(X509) * issuers, const char *path, char *error)
{
	struct tls_certificate issued, next;
	char tail[PRINTABLE_TAIL_MAX];
	for (int i = 0; i < sk_X509_num(issuers); i++) {
		X509 *one = i == 0 ? own : sk_X509_value(issuers, i - 1);
		X509 *issuer = sk_X509_value(issuers, i);
		if (X509_check_issued(issuer, one) == X509_V_OK)
			continue;
		tls_certificate_describe(one, &issued);
		tls_certificate_describe(issuer, &next);
		set_error(error,
		    "certificate %d in %s (%.80s) did not issue certificate %d (issuer "
		    "%.80s); expected the own certificate first, and behind each its "
		    "issuer",
		    i + 2, printable_tail(path, tail, sizeof(tail)), next.subject,
		    i + 1, issued.issuer);
		return false;
	}
	return true;
}

static bool
check_key(const struct tls_identity *identity, const char *certificate, const char *key,
    char *error)
{
	char tail[PRINTABLE_TAIL_MAX], key_tail[PRINTABLE_TAIL_MAX];
	if (X509_check_private_key(identity->certificate, identity->key) == 1)
		return true;
	printable_tail(certificate, tail, sizeof(tail));
	printable_tail(key, key_tail, sizeof(key_tail));
	for (int i = 0; i < sk_X509_num(identity->issuers); i++) {
		if (X509_check_private_key(
			sk_X509_value(identity->issuers, i), identity->key) != 1)
			continue;
		set_error(error,
		    "the key %s belongs to certificate %d in %s; expected the own "
		    "certificate first",
		    key_tail, i + 2, tail);
		return false;
	}
	set_error(error, "the key %s does not belong to the certificate %s (%.100s)",
	    key_tail, tail, identity->about.subject);
	return false;
}

struct tls_identity *
tls_identity_load(const char *certificate, const char *key, char *error)
{
	ERR_clear_error();
	struct tls_identity *identity = calloc(1, sizeof(*identity));
	if (identity == NULL) {
		set_error(error, "out of memory");
		return NULL;
	}
	identity->issuers = read_certificates(certificate, error);
	if (identity->issuers == NULL)
		goto fail;
	identity->certificate = sk_X509_shift(identity->issuers);
	tls_certificate_describe(identity->certificate, &identity->about);
	if (!check_order(identity->certificate, identity->issuers, certificate, error))
		goto fail;
	identity->key = load_key(key, error);
	if (identity->key == NULL || !check_key(identity, certificate, key, error))
		goto fail;
	ERR_clear_error();
	return identity;
fail:
	tls_identity_release(identity);
	return NULL;
}

void
tls_identity_release(struct tls_identity *identity)
{
	if (identity == NULL)
		return;
	X509_free(identity->certificate);
	sk_X509_pop_free(identity->issuers, X509_free);
	EVP_PKEY_free(identity->key);
	free(identity);
}

const struct tls_certificate *
tls_identity_certificate(const struct tls_identity *identity)
{
	return &identity->about;
}

bool
tls_identity_use_context(const struct tls_identity *identity, SSL_CTX *context)
{
	return SSL_CTX_use_cert_and_key(context, identity->certificate, identity->key,
		   identity->issuers, 1) == 1;
}

bool
tls_identity_use(const struct tls_identity *identity, SSL *ssl)
{
	return SSL_use_cert_and_key(ssl, identity->certificate, identity->key,
		   identity->issuers, 1) == 1;
}

bool
tls_identity_add_digest(const struct tls_identity *identity, EVP_MD_CTX *hash)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint32_t count = (uint32_t)sk_X509_num(identity->issuers);
	bool is_good = EVP_DigestUpdate(hash, &count, sizeof(count)) == 1 &&
	    EVP_DigestUpdate(hash, identity->about.sha256, TLS_SHA256_BYTES) == 1;
	for (uint32_t i = 0; is_good && i < count; i++)
		is_good = X509_digest(sk_X509_value(identity->issuers, (int)i),
			      EVP_sha256(), digest, NULL) == 1 &&
		    EVP_DigestUpdate(hash, digest, TLS_SHA256_BYTES) == 1;
	return is_good;
}
