#include "net/tls/tls_tickets.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define LIFETIME_NS (TLS_TICKETS_LIFETIME_S * NS_PER_S)
#define BLOCK_BYTES 32 /* of SHA-256 */

/* HKDF-Expand (RFC 5869, 2.3) with SHA-256, of whole blocks. */
static int
expand(const uint8_t *secret, const char *info, uint8_t *out, size_t blocks)
{
	uint8_t text[BLOCK_BYTES + 32], block[BLOCK_BYTES];
	size_t length = strlen(info), before = 0;
	int status = 0;
	for (size_t i = 0; i < blocks && status == 0; i++) {
		if (before > 0)
			memcpy(text, block, before);
		memcpy(text + before, info, length);
		text[before + length] = (uint8_t)(i + 1);
		if (HMAC(EVP_sha256(), secret, TLS_TICKETS_SECRET_BYTES, text,
			before + length + 1, block, NULL) == NULL)
			status = -1;
		else
			memcpy(out + i * BLOCK_BYTES, block, BLOCK_BYTES);
		before = BLOCK_BYTES;
	}
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(block, sizeof(block));
	return status;
}

static int
derive_key(const uint8_t *secret, struct tls_tickets_key *ret)
{
	uint8_t bytes[3 * BLOCK_BYTES];
	int status = expand(secret, "yodel ticket key", bytes, 3);
	memcpy(ret->name, bytes, sizeof(ret->name));
	memcpy(ret->hmac, bytes + BLOCK_BYTES, sizeof(ret->hmac));
	memcpy(ret->aes, bytes + 2 * BLOCK_BYTES, sizeof(ret->aes));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return status;
}

static int
derive_next(const uint8_t *secret, uint8_t *ret)
{
	return expand(secret, "yodel next secret", ret, 1);
}

/* Makes both keys of tickets->secret. */
static int
derive_keys(struct tls_tickets *tickets)
{
	uint8_t next[TLS_TICKETS_SECRET_BYTES];
	int status = derive_key(tickets->secret, &tickets->keys[0]);
	if (status == 0)
		status = derive_next(tickets->secret, next);
	if (status == 0)
		status = derive_key(next, &tickets->keys[1]);
	OPENSSL_cleanse(next, sizeof(next));
	return status;
}

int
tls_tickets_start(struct tls_tickets *tickets, uint64_t now_ns)
{
	uint8_t secret[TLS_TICKETS_SECRET_BYTES];
	int status = RAND_bytes(secret, sizeof(secret)) == 1
	    ? tls_tickets_continue(tickets, now_ns, secret, now_ns)
	    : -1;
	OPENSSL_cleanse(secret, sizeof(secret));
	return status;
}

int
tls_tickets_continue(struct tls_tickets *tickets, uint64_t since_ns,
    const uint8_t *secret, uint64_t now_ns)
{
	struct tls_tickets made = { .since_ns = since_ns };
	int status = -1;
	memcpy(made.secret, secret, sizeof(made.secret));
	if (since_ns != 0 && since_ns <= now_ns && derive_keys(&made) == 0)
		status = tls_tickets_advance(&made, now_ns);
	if (status == 0)
		*tickets = made;
	tls_tickets_wipe(&made);
	return status;
}

int
tls_tickets_advance(struct tls_tickets *tickets, uint64_t now_ns)
{
	const uint64_t end_ns = TLS_TICKETS_PERIOD_NS + LIFETIME_NS;
	uint8_t secret[TLS_TICKETS_SECRET_BYTES];
	int status = 0;
	if (tickets->since_ns == 0 || now_ns < tickets->since_ns + end_ns)
		return 0;
	struct tls_tickets next = *tickets;
	while (status == 0 && now_ns >= next.since_ns + end_ns) {
		status = derive_next(next.secret, secret);
		memcpy(next.secret, secret, sizeof(secret));
		next.since_ns += TLS_TICKETS_PERIOD_NS;
	}
	if (status == 0)
		status = derive_keys(&next);
	if (status == 0)
		*tickets = next;
	OPENSSL_cleanse(secret, sizeof(secret));
	tls_tickets_wipe(&next);
	return status;
}

const struct tls_tickets_key *
tls_tickets_current(const struct tls_tickets *tickets, uint64_t now_ns)
{
	bool is_next = now_ns >= tickets->since_ns + TLS_TICKETS_PERIOD_NS;
	return &tickets->keys[is_next ? 1 : 0];
}

const struct tls_tickets_key *
tls_tickets_find(const struct tls_tickets *tickets, const uint8_t *name)
{
	for (size_t i = 0; i < 2; i++)
		if (memcmp(tickets->keys[i].name, name, TLS_TICKETS_NAME_BYTES) == 0)
			return &tickets->keys[i];
	return NULL;
}

void
tls_tickets_wipe(struct tls_tickets *tickets)
{
	OPENSSL_cleanse(tickets, sizeof(*tickets));
}
