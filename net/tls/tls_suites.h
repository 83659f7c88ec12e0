/*
 * tls_suites.h - the nine cipher suites that can be chosen: those of TLS 1.3 and, for
 * TLS 1.2, ECDHE with AEAD. The record layer knows no others.
 */
#ifndef NET_TLS_SUITES_H
#define NET_TLS_SUITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tls/tls_session.h"

struct tls_suite {
	uint16_t id;         /* as in the handshake */
	uint16_t version;    /* enum tls_version: suites of 1.3 are not for 1.2 */
	uint8_t aead;        /* enum tls_aead */
	uint8_t hash_bytes;  /* of HKDF, or of the PRF of TLS 1.2 */
	const char *name;    /* of the IANA registry */
	const char *openssl; /* its other name; the same in TLS 1.3 */
};

/* NULL for another one. */
const struct tls_suite *tls_suite_find(unsigned id);

/* The suites of a list, in OpenSSL's form and separated by colons, apart for the two
 * versions. Either is empty if the list has none of that version. */
struct tls_suite_lists {
	char tls_1_2[256], tls_1_3[128];
};

/* Parses names of either kind, separated by colons or commas, in order of preference.
 * NULL: all nine, in OpenSSL's order. False: error[error_size]
 * says which name was found and what was expected. */
bool tls_suites_parse(const char *list, struct tls_suite_lists *ret, char *error,
    size_t error_size) __attribute__((warn_unused_result));

#endif
