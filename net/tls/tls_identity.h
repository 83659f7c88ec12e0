/*
 * tls_identity.h - a certificate chain with its private key, loaded from PEM files:
 * what a server, or a client that authenticates itself, presents.
 */
#ifndef NET_TLS_IDENTITY_H
#define NET_TLS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/tls/tls_certificate.h"

/* Longest error line of this folder with its NUL. */
#define TLS_ERROR_MAX 512

struct tls_identity;

/* Loads the own certificate followed by those of its issuers in order (the root may be
 * left out), and the key without a passphrase; `key` may name the same file. NULL:
 * error[TLS_ERROR_MAX] says what was found, in which file, and what was expected, on
 * one line. Reasons: a file that cannot be read (with its owner and mode, and the user
 * that tries), no PEM, no certificate, a chain out of order, an encrypted key, a key
 * that belongs to another certificate. A certificate that has expired is loaded. */
struct tls_identity *tls_identity_load(const char *certificate, const char *key,
    char *error) __attribute__((warn_unused_result));
/* Frees it and wipes the key. NULL is allowed. */
void tls_identity_release(struct tls_identity *identity);

/* Its own certificate; valid as long as the identity. */
const struct tls_certificate *tls_identity_certificate(
    const struct tls_identity *identity);

#define TLS_FILE_TEXT 320
/* "owner root:yodel, mode 0640" for a file, "folder /etc/private: owner root:root, mode
 * 0700" if this user cannot enter that, or why neither is known. Into
 * text[text_size], such as TLS_FILE_TEXT; returns text. */
const char *tls_file_describe(const char *path, char *text, size_t text_size);
/* True if others than owner and group can read the file. */
bool tls_file_is_public(const char *path);

#endif
