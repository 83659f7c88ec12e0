/* tls_identity_use.h - gives an identity to OpenSSL; for files of this folder. */
#ifndef NET_TLS_IDENTITY_USE_H
#define NET_TLS_IDENTITY_USE_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "net/tls/tls_identity.h"

/* True, or false with OpenSSL's errors queued: the key is too weak, or out of memory.
 */
bool tls_identity_use_context(const struct tls_identity *identity, SSL_CTX *context)
    __attribute__((warn_unused_result));
bool tls_identity_use(const struct tls_identity *identity, SSL *ssl)
    __attribute__((warn_unused_result));

/* Adds the certificates of the chain. False: out of memory. */
bool tls_identity_add_digest(const struct tls_identity *identity, EVP_MD_CTX *hash)
    __attribute__((warn_unused_result));

#endif
