/* tls_usable.h - whether clients can use a certificate of a server, apart from its
 * dates. */
#ifndef NET_TLS_USABLE_H
#define NET_TLS_USABLE_H

#include "net/tls/tls_context.h"

#define TLS_FAULT_TEXT 256

/* The reason why no client, or none that verifies it, can use the certificate `index`
 * of a server (tls_context_certificate()), into text[TLS_FAULT_TEXT]: it is not for
 * servers, not for the name that clients ask for, no client asks for such a name, or
 * no cipher suite fits its key. NULL: none is known. */
const char *tls_usable_find_fault(
    const struct tls_context *context, size_t index, char *text);

#endif
