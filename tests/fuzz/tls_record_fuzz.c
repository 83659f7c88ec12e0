/*
 * The record layer fed with records of a fuzzer. The first byte chooses version, AEAD
 * and side. Then the input is a list of
 *
 *   00 LENGTH(2) BYTES   bytes as they come from the network
 *   TYPE LENGTH(2) BYTES contents that are sealed under the right key, as by a peer
 * that does what it likes
 *
 * Whatever is received, a failure is final, and what the session seals can be opened.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls/tls_record.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_ciphers *ciphers;

static void
make_sessions(uint8_t choice, struct tls_session *us, struct tls_session *peer)
{
	uint8_t secret[TLS_SECRET_MAX], random[64];
	memset(secret, 0x5a, sizeof(secret));
	memset(random, 0xc3, sizeof(random));
	*us = (struct tls_session){ .version =
					choice & 1 ? TLS_VERSION_1_2 : TLS_VERSION_1_3,
		.aead = (uint8_t)(choice >> 2) % TLS_AEADS,
		.is_server = (choice & 2) != 0 };
	us->hash_bytes = us->aead == TLS_AES_256_GCM ? 48 : 32;
	if (us->version == TLS_VERSION_1_2) {
		must(tls_session_derive_1_2(us, secret, random, random + 32) == 0);
	} else {
		memcpy(us->send.secret, secret, us->hash_bytes);
		must(tls_session_derive(us, &us->send) == 0);
		secret[0] ^= 1;
		memcpy(us->receive.secret, secret, us->hash_bytes);
		must(tls_session_derive(us, &us->receive) == 0);
	}
	if (choice & 0x40)
		us->send.sequence = us->receive.sequence = TLS_RECORDS_PER_KEY - 8;
	*peer = *us;
	peer->is_server = !us->is_server;
	peer->send = us->receive;
	peer->receive = us->send;
}

/* A copy of exactly that many bytes, so that an access behind them is found. */
static uint8_t *
exact_copy(const uint8_t *data, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	must(copy != NULL);
	if (length > 0)
		memcpy(copy, data, length);
	return copy;
}

/* Opens all that came. The bytes that wait for more; length: nothing more is read. */
static size_t
receive(struct tls_session *session, const uint8_t *data, size_t length)
{
	uint8_t *copy = exact_copy(data, length);
	struct tls_opened opened;
	size_t at = 0;
	while (at < length && !session->has_ended) {
		enum tls_open_status status = tls_record_open(
		    session, ciphers, copy + at, length - at, NULL, &opened);
		if (status == TLS_OPEN_PARTIAL) {
			must(opened.record > length - at);
			must(opened.record <= TLS_RECORD_MAX);
			break;
		}
		must(status != TLS_OPEN_BAD ||
		    (session->has_ended && opened.reason != NULL));
		must(status != TLS_OPEN_DATA ||
		    (opened.length > 0 && opened.length <= TLS_RECORD_DATA_MAX &&
			opened.data >= copy + at &&
			opened.data + opened.length <= copy + length));
		must(tls_session_is_valid(session));
		at += opened.record;
	}
	free(copy);
	return at;
}

/* What we seal now, the peer can open, if it has followed our keys. */
static void
check_sending(struct tls_session *us, struct tls_session *peer)
{
	static const uint8_t hello[100];
	uint8_t out[TLS_SEALED_MAX(sizeof(hello))];
	struct tls_opened opened;
	size_t expected = tls_record_sealed_size(us, sizeof(hello));
	size_t n = tls_record_seal(us, ciphers, hello, sizeof(hello), out);
	must(n == expected && n <= sizeof(out));
	for (size_t at = 0; at < n; at += opened.record)
		must(tls_record_open(peer, ciphers, out + at, n - at, NULL, &opened) <=
		    TLS_OPEN_CONTROL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t sealed[TLS_RECORD_MAX + 4096], pending[2 * TLS_RECORD_MAX];
	struct tls_session us, peer;
	size_t waiting = 0;
	if (ciphers == NULL)
		ciphers = tls_ciphers_create();
	must(ciphers != NULL);
	if (size == 0)
		return 0;
	make_sessions(data[0], &us, &peer);
	for (data++, size--; size >= 3 && !us.has_ended;) {
		uint8_t type = data[0];
		size_t length = ((size_t)data[1] << 8 | data[2]) % 16500;
		if (length > size - 3)
			length = size - 3;
		size_t n = length;
		const uint8_t *bytes = data + 3;
		if (type != 0) {
			n = tls_ciphers_seal(
			    ciphers, &peer, type, bytes, length, sealed);
			must(n > 0);
			bytes = sealed;
		}
		if (waiting + n > sizeof(pending))
			break;
		memcpy(pending + waiting, bytes, n);
		waiting += n;
		size_t used = receive(&us, pending, waiting);
		memmove(pending, pending + used, waiting - used);
		waiting -= used;
		data += 3 + length;
		size -= 3 + length;
	}
	check_sending(&us, &peer);
	return 0;
}
