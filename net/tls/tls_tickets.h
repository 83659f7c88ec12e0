/*
 * tls_tickets.h - the keys that protect session tickets, which change with time.
 *
 *   secret[0] --HKDF--> secret[1] --HKDF--> secret[2] ...     every
 * TLS_TICKETS_PERIOD_NS |                   | key[0]              key[1] encrypts
 * during its period, decrypts after it for the lifetime of a ticket
 *
 * Each process that has a copy of the struct makes the same keys at the same time, by
 * CLOCK_MONOTONIC: nothing is sent between them. A secret cannot be computed from the
 * one that follows it, and is wiped when no ticket of its key is valid any more: a
 * copy of a process's memory decrypts no older ticket. It decrypts all later ones until
 * the server starts anew: the secrets follow from each other.
 */
#ifndef NET_TLS_TICKETS_H
#define NET_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

#define TLS_TICKETS_SECRET_BYTES 32
#define TLS_TICKETS_NAME_BYTES 16
#define TLS_TICKETS_PERIOD_NS (UINT64_C(12) * 3600 * NS_PER_S)
#define TLS_TICKETS_LIFETIME_S 7200

struct tls_tickets_key {
	uint8_t name[TLS_TICKETS_NAME_BYTES]; /* in clear at the start of a ticket */
	uint8_t hmac[32], aes[32];
};

struct tls_tickets {
	uint64_t since_ns; /* when the period of keys[0] began; 0: there are no keys */
	uint8_t secret[TLS_TICKETS_SECRET_BYTES]; /* of keys[0] */
	struct tls_tickets_key
	    keys[2]; /* of the oldest secret in use, and of the next */
};

/* Begins with a random secret. 0, or -1: none can be made. */
int tls_tickets_start(struct tls_tickets *tickets, uint64_t now_ns)
    __attribute__((warn_unused_result));
/* Continues with `since_ns` and the secret of another process. 0, or -1: since_ns is
 * later than now, or out of memory. */
int tls_tickets_continue(struct tls_tickets *tickets, uint64_t since_ns,
    const uint8_t *secret, uint64_t now_ns) __attribute__((warn_unused_result));

/* Wipes what is no longer needed at that time. Before each use, and now and then. 0, or
 * -1: out of memory; then the keys are those of the last call. */
int tls_tickets_advance(struct tls_tickets *tickets, uint64_t now_ns);
/* After an advance to that time: the key that encrypts. */
const struct tls_tickets_key *tls_tickets_current(
    const struct tls_tickets *tickets, uint64_t now_ns);
/* The key of a ticket; NULL: it is unknown or too old. */
const struct tls_tickets_key *tls_tickets_find(
    const struct tls_tickets *tickets, const uint8_t *name);

/* Wipes all keys. */
void tls_tickets_wipe(struct tls_tickets *tickets);

#endif
