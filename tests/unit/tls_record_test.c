#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include <openssl/evp.h>

#include "net/tls/tls_gcm.h"
#include "net/tls/tls_record.h"
#include "tests/lib/must.h"

static struct tls_ciphers *ciphers;
static uint8_t wire[TLS_SEALED_MAX(3 * TLS_RECORD_DATA_MAX) + 64];
static uint8_t data[3 * TLS_RECORD_DATA_MAX];
static struct tls_opened opened;

/* Bytes written as "01 23 ab"; their number. */
static size_t
bytes(const char *text, uint8_t *ret)
{
	size_t n = 0;
	for (; *text != '\0'; text++) {
		unsigned value;
		if (*text == ' ')
			continue;
		must(sscanf(text, "%2x", &value) == 1);
		ret[n++] = (uint8_t)value;
		text++;
	}
	return n;
}

static enum tls_open_status
open_record(struct tls_session *session, uint8_t *record, size_t length)
{
	return tls_record_open(session, ciphers, record, length, NULL, &opened);
}

/* The secrets of RFC 8448, 3: a simple handshake with TLS_AES_128_GCM_SHA256. */
static const char server_secret[] = "a1 1a f9 f0 55 31 f8 56 ad 47 11 6b 45 a9 50 32"
				    "82 04 b4 f4 4b fb 6b 3a 4b 4f 1f 3f cb 63 16 43";
static const char client_secret[] = "9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52"
				    "87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5";

/* Both ends of the connection of RFC 8448; the server has sent a ticket. */
static void
rfc_8448_sessions(struct tls_session *server, struct tls_session *client)
{
	*server = (struct tls_session){ .version = TLS_VERSION_1_3,
		.aead = TLS_AES_128_GCM,
		.hash_bytes = 32,
		.is_server = true };
	bytes(server_secret, server->send.secret);
	bytes(client_secret, server->receive.secret);
	assert_int_equal(tls_session_derive(server, &server->send), 0);
	assert_int_equal(tls_session_derive(server, &server->receive), 0);
	server->send.sequence = 1;
	*client = *server;
	client->is_server = false;
	client->send = server->receive;
	client->receive = server->send;
}

static void
assert_bytes(const uint8_t *found, const char *expected)
{
	uint8_t wanted[256];
	size_t n = bytes(expected, wanted);
	assert_memory_equal(found, wanted, n);
}

static void
test_keys_and_records_are_those_of_rfc_8448(void **state)
{
	static const char client_data[] =
	    "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42"
	    "f9 14 aa 66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97"
	    "4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4";
	static const char server_data[] =
	    "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32"
	    "25 d0 5f 82 aa 1b 36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4"
	    "9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54 0d d0 32 e1 67 c2 95 5d";
	static const char client_alert[] =
	    "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3";
	static const char server_alert[] =
	    "17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9";
	struct tls_session server, client;
	uint8_t payload[50], out[128];
	(void)state;
	rfc_8448_sessions(&server, &client);
	assert_bytes(
	    server.send.key, "9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56");
	assert_bytes(server.send.iv, "cf 78 2b 88 dd 83 54 9a ad f1 e9 84");
	assert_bytes(
	    client.send.key, "17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51");
	assert_bytes(client.send.iv, "5b 78 92 3d ee 08 57 90 33 e5 23 d9");
	for (uint8_t i = 0; i < sizeof(payload); i++)
		payload[i] = i;
	assert_int_equal(
	    tls_record_seal(&client, ciphers, payload, sizeof(payload), out), 72);
	assert_bytes(out, client_data);
	assert_int_equal(open_record(&server, out, 72), TLS_OPEN_DATA);
	assert_int_equal(opened.length, sizeof(payload));
	assert_memory_equal(opened.data, payload, sizeof(payload));
	assert_int_equal(
	    tls_record_seal(&server, ciphers, payload, sizeof(payload), out), 72);
	assert_bytes(out, server_data);
	assert_int_equal(open_record(&client, out, 72), TLS_OPEN_DATA);
	assert_int_equal(
	    tls_record_seal_alert(&client, ciphers, TLS_ALERT_CLOSE_NOTIFY, out), 24);
	assert_bytes(out, client_alert);
	assert_int_equal(open_record(&server, out, 24), TLS_OPEN_CLOSED);
	assert_int_equal(
	    tls_record_seal_alert(&server, ciphers, TLS_ALERT_CLOSE_NOTIFY, out), 24);
	assert_bytes(out, server_alert);
	assert_int_equal(open_record(&client, out, 24), TLS_OPEN_CLOSED);
}

/* Both ends of a connection with made-up keys. */
static void
sessions(unsigned version, enum tls_aead aead, struct tls_session *server,
    struct tls_session *client)
{
	uint8_t secret[TLS_SECRET_MAX], random[64];
	memset(secret, 0x5a + (int)aead, sizeof(secret));
	memset(random, 0xc3, sizeof(random));
	*server = (struct tls_session){ .version = (uint16_t)version,
		.aead = (uint8_t)aead,
		.hash_bytes = aead == TLS_AES_256_GCM ? 48 : 32,
		.is_server = true };
	if (version == TLS_VERSION_1_2) {
		assert_int_equal(
		    tls_session_derive_1_2(server, secret, random, random + 32), 0);
	} else {
		memcpy(server->send.secret, secret, server->hash_bytes);
		assert_int_equal(tls_session_derive(server, &server->send), 0);
		secret[0] ^= 1;
		memcpy(server->receive.secret, secret, server->hash_bytes);
		assert_int_equal(tls_session_derive(server, &server->receive), 0);
	}
	*client = *server;
	client->is_server = false;
	client->send = server->receive;
	client->receive = server->send;
}

/* Every version with every AEAD. */
#define FOR_ALL_SESSIONS(server, client)                                               \
	for (unsigned kind = 0; kind < 2 * TLS_AEADS; kind++)                          \
		if (sessions(kind < TLS_AEADS ? TLS_VERSION_1_3 : TLS_VERSION_1_2,     \
			(enum tls_aead)(kind % TLS_AEADS), server, client),            \
		    1)

static void
test_each_changed_bit_is_found(void **state)
{
	struct tls_session server, client;
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		size_t n = tls_record_seal(&client, ciphers, data, 33, wire);
		for (size_t bit = 0; bit < 8 * n; bit++) {
			struct tls_session copy = server;
			uint8_t changed[256];
			memcpy(changed, wire, n);
			changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			enum tls_open_status status = open_record(&copy, changed, n);
			/* A greater length: not all of it is there. */
			if (status == TLS_OPEN_PARTIAL) {
				assert_true(bit / 8 == 3 || bit / 8 == 4);
				continue;
			}
			assert_int_equal(status, TLS_OPEN_BAD);
			assert_non_null(opened.reason);
			assert_true(opened.alert == TLS_ALERT_BAD_RECORD_MAC ||
			    bit / 8 < TLS_RECORD_HEADER);
			assert_int_equal(open_record(&copy, wire, n), TLS_OPEN_BAD);
		}
		assert_int_equal(open_record(&server, wire, n), TLS_OPEN_DATA);
	}
}

static void
test_records_out_of_order_are_refused(void **state)
{
	struct tls_session server, client, copy;
	uint8_t again[128];
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		size_t n = tls_record_seal(&client, ciphers, data, 20, wire);
		size_t m = tls_record_seal(&client, ciphers, data, 20, wire + n);
		memcpy(again, wire, n);
		copy = server;
		assert_int_equal(open_record(&copy, wire + n, m), TLS_OPEN_BAD);
		copy = server;
		assert_int_equal(open_record(&copy, wire, n), TLS_OPEN_DATA);
		assert_int_equal(open_record(&copy, again, n), TLS_OPEN_BAD);
		assert_int_equal(opened.alert, TLS_ALERT_BAD_RECORD_MAC);
	}
}

static void
test_the_plaintext_can_go_elsewhere(void **state)
{
	struct tls_session server, client, copy;
	uint8_t plain[256], before[256];
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		size_t n = tls_record_seal(&client, ciphers, data, 100, wire);
		memcpy(before, wire, n);
		for (int i = 0; i < 2; i++) {
			copy = server;
			assert_int_equal(
			    tls_record_open(&copy, ciphers, wire, n, plain, &opened),
			    TLS_OPEN_DATA);
			assert_ptr_equal(opened.data, plain);
			assert_memory_equal(plain, data, 100);
			assert_memory_equal(wire, before, n);
		}
	}
}

static void
test_sealing_again_gives_the_same_bytes(void **state)
{
	static uint8_t again[sizeof(wire)];
	struct tls_session server, client, copy;
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		/* With the key in a pair of contexts that was used otherwise. */
		struct tls_ciphers *other = tls_ciphers_create();
		assert_non_null(other);
		tls_record_request_update(&client, false);
		copy = client;
		size_t n = tls_record_seal(&client, ciphers, data, 40000, wire);
		assert_int_equal(
		    tls_record_seal(&server, other, data, 77, again) > 0, 1);
		size_t m = tls_record_seal(&copy, other, data, 40000, again);
		assert_int_equal(n, m);
		assert_memory_equal(wire, again, n);
		assert_memory_equal(&client, &copy, sizeof(client));
		tls_ciphers_destroy(other);
	}
}

static void
test_sealed_in_place_the_bytes_are_the_same(void **state)
{
	static uint8_t place[TLS_SEALED_MAX(TLS_RECORD_DATA_MAX)];
	static const size_t lengths[] = { 1, 64, TLS_GCM_SHORT_MAX - 1,
		TLS_GCM_SHORT_MAX, TLS_GCM_SHORT_MAX + 1, TLS_RECORD_DATA_MAX };
	struct tls_session server, client, copy;
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		uint8_t *at = place + tls_record_prefix(&client);
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			assert_true(tls_record_is_one(&client, lengths[i]));
			copy = client;
			memcpy(at, data, lengths[i]);
			size_t n =
			    tls_record_seal(&client, ciphers, data, lengths[i], wire);
			assert_int_equal(
			    tls_record_seal(&copy, ciphers, at, lengths[i], place), n);
			assert_memory_equal(place, wire, n);
			assert_memory_equal(&client, &copy, sizeof(client));
		}
		assert_false(tls_record_is_one(&client, TLS_RECORD_DATA_MAX + 1));
		/* A KeyUpdate comes first, which TLS 1.2 does not have. */
		tls_record_request_update(&client, false);
		assert_int_equal(
		    tls_record_is_one(&client, 1), client.version == TLS_VERSION_1_2);
	}
}

static void
test_sizes_are_announced_and_fit(void **state)
{
	static const size_t lengths[] = { 1, 2, 16383, 16384, 16385, 32768, 32769,
		49152 };
	struct tls_session server, client;
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
			for (int update = 0; update < 2; update++) {
				size_t length = lengths[i];
				if (update == 1)
					tls_record_request_update(&client, true);
				size_t size = tls_record_sealed_size(&client, length);
				assert_true(size <= TLS_SEALED_MAX(length));
				assert_int_equal(tls_record_seal(&client, ciphers, data,
						     length, wire),
				    size);
			}
		assert_int_equal(tls_record_seal(&client, ciphers, data, 0, wire), 0);
	}
}

/* Seals anything, as no correct end would. */
static size_t
forge(struct tls_session *session, enum tls_content type, const void *contents,
    size_t length)
{
	return tls_ciphers_seal(ciphers, session, type, contents, length, wire);
}

struct forged {
	enum tls_content type;
	const char *contents; /* as for bytes() */
	enum tls_open_status status;
	enum tls_alert alert;
	const char *reason;
};

static void
check_forged(const struct tls_session *from, const struct tls_session *to,
    const struct forged *row)
{
	struct tls_session sender = *from, receiver = *to;
	uint8_t contents[64];
	size_t length = bytes(row->contents, contents);
	size_t n = forge(&sender, row->type, contents, length);
	assert_true(n > 0);
	assert_int_equal(open_record(&receiver, wire, n), row->status);
	if (row->status == TLS_OPEN_BAD) {
		assert_int_equal(opened.alert, row->alert);
		assert_string_equal(opened.reason, row->reason);
		assert_int_equal(opened.record, 0);
		return;
	}
	assert_int_equal(opened.record, n);
	/* The connection goes on. */
	if (row->status == TLS_OPEN_CONTROL && receiver.message_header_bytes == 0) {
		if (row->type == TLS_HANDSHAKE && contents[0] == 24)
			assert_int_equal(tls_session_update(&sender, &sender.send), 0);
		n = tls_record_seal(&sender, ciphers, data, 5, wire);
		assert_int_equal(open_record(&receiver, wire, n), TLS_OPEN_DATA);
	}
}

static const char unexpected[] = "found a handshake message after the handshake";
static const char renegotiation[] = "found a request to renegotiate";
static const char malformed_update[] = "found a malformed KeyUpdate";
static const char short_alert[] = "found an alert that is not 2 bytes long";
static const char wrong_type[] = "found a record of an unexpected type";
static const char empty_handshake[] = "found an empty handshake record";

/* TLS 1.3, from the client to the server. */
static const struct forged to_server_1_3[] = {
	{ TLS_APPLICATION_DATA, "", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "18 00 00 01 00", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "18 00 00 01 01", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "18 00 00 01 02", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    malformed_update },
	{ TLS_HANDSHAKE, "18 00 00 02 00 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE, malformed_update },
	{ TLS_HANDSHAKE, "18 00 00 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    malformed_update },
	{ TLS_HANDSHAKE, "18 00 00 01 00 18 00 00 01 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE,
	    "found a message behind KeyUpdate in its record" },
	{ TLS_HANDSHAKE, "18 00 00", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    empty_handshake },
	{ TLS_HANDSHAKE, "01 00 00 02 00 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE, unexpected },
	{ TLS_HANDSHAKE, "04 00 00 02 00 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE, unexpected },
	{ TLS_HANDSHAKE, "14 00 00 20 00 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE, unexpected },
	{ TLS_ALERT, "01 00", TLS_OPEN_CLOSED, 0, NULL },
	{ TLS_ALERT, "02 00", TLS_OPEN_CLOSED, 0, NULL },
	{ TLS_ALERT, "01 5a", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_ALERT, "01 28", TLS_OPEN_ALERT, 0, NULL },
	{ TLS_ALERT, "02 14", TLS_OPEN_ALERT, 0, NULL },
	{ TLS_ALERT, "", TLS_OPEN_BAD, TLS_ALERT_DECODE_ERROR, short_alert },
	{ TLS_ALERT, "01", TLS_OPEN_BAD, TLS_ALERT_DECODE_ERROR, short_alert },
	{ TLS_ALERT, "01 00 01 00", TLS_OPEN_BAD, TLS_ALERT_DECODE_ERROR, short_alert },
	{ TLS_CHANGE_CIPHER_SPEC, "01", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    wrong_type },
	{ 24, "01 00 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE, wrong_type },
	/* No content type, however long the padding. */
	{ 0, "00 00 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    "found a record without content type" },
	{ 0, "", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    "found a record without content type" },
	/* Data with padding, and padding alone. */
	{ 0, "41 42 17 00 00", TLS_OPEN_DATA, 0, NULL },
	{ 0, "17 00 00 00", TLS_OPEN_CONTROL, 0, NULL },
};
static const struct forged to_client_1_3[] = {
	{ TLS_HANDSHAKE, "04 00 00 02 00 00", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "04 00 00 02 00 00 04 00 00 00", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "18 00 00 01 00", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "0d 00 00 02 00 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE,
	    "found a request for a certificate after the handshake" },
	{ TLS_HANDSHAKE, "00 00 00 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    unexpected },
};
static const struct forged to_server_1_2[] = {
	{ TLS_APPLICATION_DATA, "", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "01 00 00 02 00 00", TLS_OPEN_BAD, TLS_ALERT_NO_RENEGOTIATION,
	    renegotiation },
	{ TLS_HANDSHAKE, "00 00 00 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    renegotiation },
	{ TLS_HANDSHAKE, "18 00 00 01 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    unexpected },
	{ TLS_CHANGE_CIPHER_SPEC, "01", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    wrong_type },
	{ TLS_ALERT, "01 00", TLS_OPEN_CLOSED, 0, NULL },
	{ TLS_ALERT, "01 64", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_ALERT, "02 64", TLS_OPEN_ALERT, 0, NULL },
};
static const struct forged to_client_1_2[] = {
	{ TLS_HANDSHAKE, "00 00 00 00", TLS_OPEN_CONTROL, 0, NULL },
	{ TLS_HANDSHAKE, "00 00 00 01 00", TLS_OPEN_BAD, TLS_ALERT_UNEXPECTED_MESSAGE,
	    renegotiation },
	{ TLS_HANDSHAKE, "04 00 00 02 00 00", TLS_OPEN_BAD,
	    TLS_ALERT_UNEXPECTED_MESSAGE, unexpected },
};

#define CHECK_ALL(rows, from, to)                                                      \
	for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                  \
	check_forged(from, to, &(rows)[i])

static void
test_other_records_are_consumed_or_refused(void **state)
{
	struct tls_session server, client;
	(void)state;
	for (unsigned aead = 0; aead < TLS_AEADS; aead++) {
		sessions(TLS_VERSION_1_3, (enum tls_aead)aead, &server, &client);
		CHECK_ALL(to_server_1_3, &client, &server);
		CHECK_ALL(to_client_1_3, &server, &client);
		sessions(TLS_VERSION_1_2, (enum tls_aead)aead, &server, &client);
		CHECK_ALL(to_server_1_2, &client, &server);
		CHECK_ALL(to_client_1_2, &server, &client);
	}
}

/* RFC 8446, 5.1: messages may be cut by records at any place, but nothing comes in
 * between. */
static void
test_a_handshake_message_may_be_cut_at_any_place(void **state)
{
	uint8_t ticket[300] = { 4, 0, 1, 0 };
	struct tls_session server, client;
	(void)state;
	sessions(TLS_VERSION_1_3, TLS_AES_128_GCM, &server, &client);
	ticket[260] = 24, ticket[263] = 1; /* KeyUpdate behind the ticket */
	for (size_t cut = 1; cut < 265; cut++) {
		struct tls_session from = server, to = client, other;
		size_t n = forge(&from, TLS_HANDSHAKE, ticket, cut);
		assert_int_equal(open_record(&to, wire, n), TLS_OPEN_CONTROL);
		other = from;
		n = forge(&from, TLS_HANDSHAKE, ticket + cut, 265 - cut);
		struct tls_session kept = to;
		assert_int_equal(open_record(&to, wire, n), TLS_OPEN_CONTROL);
		assert_int_equal(to.message_header_bytes, 0);
		assert_int_equal(tls_session_update(&from, &from.send), 0);
		n = tls_record_seal(&from, ciphers, data, 5, wire);
		assert_int_equal(open_record(&to, wire, n), TLS_OPEN_DATA);
		n = tls_record_seal(&other, ciphers, data, 5, wire);
		assert_int_equal(open_record(&kept, wire, n),
		    cut == 260 ? TLS_OPEN_DATA : TLS_OPEN_BAD);
	}
}

static void
test_records_without_data_are_bounded(void **state)
{
	static const uint8_t update[] = { 24, 0, 0, 1, 1 };
	struct tls_session server, client;
	(void)state;
	sessions(TLS_VERSION_1_3, TLS_AES_256_GCM, &server, &client);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < TLS_IDLE_RECORDS_MAX; i++) {
			size_t n = round == 0
			    ? forge(&client, TLS_APPLICATION_DATA, data, 0)
			    : forge(&client, TLS_HANDSHAKE, update, sizeof(update));
			assert_int_equal(
			    open_record(&server, wire, n), TLS_OPEN_CONTROL);
			if (round > 0)
				assert_int_equal(
				    tls_session_update(&client, &client.send), 0);
		}
		/* One answer for all requests, in front of the next data. */
		size_t n = tls_record_seal(&server, ciphers, data, 10, wire);
		assert_int_equal(n,
		    10 + tls_record_overhead(&server) +
			(round == 0 ? 0 : TLS_KEY_UPDATE_RECORD));
		n = tls_record_seal(&client, ciphers, data, 10, wire);
		assert_int_equal(open_record(&server, wire, n), TLS_OPEN_DATA);
	}
	for (int i = 0; i <= TLS_IDLE_RECORDS_MAX; i++) {
		size_t n = forge(&client, TLS_HANDSHAKE, update, sizeof(update));
		assert_int_equal(tls_session_update(&client, &client.send), 0);
		assert_int_equal(open_record(&server, wire, n),
		    i < TLS_IDLE_RECORDS_MAX ? TLS_OPEN_CONTROL : TLS_OPEN_BAD);
	}
	assert_int_equal(opened.alert, TLS_ALERT_UNEXPECTED_MESSAGE);
}

/* Data between them makes no difference. */
static void
test_key_updates_are_bounded_until_the_owner_allows_more(void **state)
{
	static const uint8_t update[] = { 24, 0, 0, 1, 0 };
	struct tls_session server, client;
	(void)state;
	sessions(TLS_VERSION_1_3, TLS_AES_256_GCM, &server, &client);
	for (int i = 0; i <= 2 * TLS_KEY_UPDATES_MAX; i++) {
		bool is_last = i == 2 * TLS_KEY_UPDATES_MAX;
		if (i == TLS_KEY_UPDATES_MAX)
			server.key_updates = 0;
		size_t n = forge(&client, TLS_HANDSHAKE, update, sizeof(update));
		assert_int_equal(open_record(&server, wire, n),
		    is_last ? TLS_OPEN_BAD : TLS_OPEN_CONTROL);
		if (is_last)
			break;
		assert_int_equal(tls_session_update(&client, &client.send), 0);
		n = tls_record_seal(&client, ciphers, data, 1, wire);
		assert_int_equal(open_record(&server, wire, n), TLS_OPEN_DATA);
	}
	assert_int_equal(opened.alert, TLS_ALERT_UNEXPECTED_MESSAGE);
}

static void
test_lengths_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *header;
		unsigned version;
		enum tls_aead aead;
		enum tls_alert alert;
	} rows[] = {
		{ "17 03 03 41 01", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_RECORD_OVERFLOW },
		{ "17 03 03 ff ff", TLS_VERSION_1_3, TLS_AES_256_GCM,
		    TLS_ALERT_RECORD_OVERFLOW },
		{ "17 03 03 00 00", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_BAD_RECORD_MAC },
		{ "17 03 03 00 10", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_BAD_RECORD_MAC },
		{ "17 03 03 40 19", TLS_VERSION_1_2, TLS_AES_128_GCM,
		    TLS_ALERT_RECORD_OVERFLOW },
		{ "17 03 03 40 11", TLS_VERSION_1_2, TLS_CHACHA20_POLY1305,
		    TLS_ALERT_RECORD_OVERFLOW },
		{ "17 03 03 00 17", TLS_VERSION_1_2, TLS_AES_128_GCM,
		    TLS_ALERT_BAD_RECORD_MAC },
		{ "17 03 03 00 0f", TLS_VERSION_1_2, TLS_CHACHA20_POLY1305,
		    TLS_ALERT_BAD_RECORD_MAC },
		{ "17 03 02 00 40", TLS_VERSION_1_2, TLS_AES_128_GCM,
		    TLS_ALERT_PROTOCOL_VERSION },
		{ "16 03 03 00 40", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "15 03 03 00 02", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "14 03 03 00 01", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "47 45 54 20 2f", TLS_VERSION_1_3, TLS_AES_128_GCM,
		    TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "17 02 03 00 40", TLS_VERSION_1_2, TLS_AES_128_GCM,
		    TLS_ALERT_UNEXPECTED_MESSAGE },
	};
	struct tls_session server, client;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sessions(rows[i].version, rows[i].aead, &server, &client);
		memset(wire, 0, sizeof(wire));
		bytes(rows[i].header, wire);
		/* As soon as the header is there. */
		assert_int_equal(open_record(&server, wire, 4), TLS_OPEN_PARTIAL);
		assert_int_equal(open_record(&server, wire, 5), TLS_OPEN_BAD);
		assert_int_equal(opened.alert, rows[i].alert);
		assert_true(server.has_ended);
		assert_int_equal(
		    tls_record_seal_alert(&server, ciphers, rows[i].alert, wire) > 0,
		    1);
	}
}

/* One byte more than RFC 8446, 5.1, allows, in a record that is short enough (5.4). */
static void
test_a_plaintext_of_more_than_16384_bytes_is_refused(void **state)
{
	struct tls_session server, client;
	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		sessions(TLS_VERSION_1_3, TLS_AES_128_GCM, &server, &client);
		size_t n = forge(
		    &client, TLS_APPLICATION_DATA, data, TLS_RECORD_DATA_MAX + more);
		assert_int_equal(open_record(&server, wire, n),
		    more == 0 ? TLS_OPEN_DATA : TLS_OPEN_BAD);
	}
	assert_int_equal(opened.alert, TLS_ALERT_RECORD_OVERFLOW);
}

static void
test_the_key_changes_after_2_to_the_24_records(void **state)
{
	struct tls_session server, client, before;
	(void)state;
	for (unsigned aead = 0; aead < TLS_AEADS; aead++) {
		sessions(TLS_VERSION_1_3, (enum tls_aead)aead, &server, &client);
		client.send.sequence = server.receive.sequence =
		    TLS_RECORDS_PER_KEY - 3;
		before = client;
		size_t at = tls_record_seal(
		    &client, ciphers, data, 2 * TLS_RECORD_DATA_MAX, wire);
		assert_memory_equal(client.send.key, before.send.key, TLS_KEY_MAX);
		/* Two more records do not fit any more. */
		at += tls_record_seal(
		    &client, ciphers, data, TLS_RECORD_DATA_MAX + 1, wire + at);
		assert_memory_not_equal(client.send.key, before.send.key, TLS_KEY_MAX);
		assert_int_equal(client.send.sequence, 2);
		size_t used = 0;
		for (int i = 0; i < 5; i++) {
			assert_int_equal(open_record(&server, wire + used, at - used),
			    i == 2 ? TLS_OPEN_CONTROL : TLS_OPEN_DATA);
			used += opened.record;
		}
		assert_int_equal(used, at);
		assert_false(server.update_due);
	}
}

/* A peer that never changes its key is asked to do so, once. */
static void
test_a_peer_that_keeps_its_key_is_asked_for_another(void **state)
{
	struct tls_session server, client;
	(void)state;
	sessions(TLS_VERSION_1_3, TLS_AES_128_GCM, &server, &client);
	/* This peer's own limit is ignored here. */
	client.send.sequence = server.receive.sequence = TLS_RECORDS_PER_KEY - 1;
	for (int i = 0; i < 3; i++) {
		size_t n = forge(&client, TLS_APPLICATION_DATA, data, 10);
		assert_int_equal(open_record(&server, wire, n), TLS_OPEN_DATA);
		n = tls_record_seal(&server, ciphers, data, 10, wire);
		assert_int_equal(open_record(&client, wire, n),
		    i == 0 ? TLS_OPEN_CONTROL : TLS_OPEN_DATA);
		if (i > 0)
			continue;
		assert_true(client.update_due);
		size_t first = opened.record;
		assert_int_equal(
		    open_record(&client, wire + first, n - first), TLS_OPEN_DATA);
	}
}

static void
test_tls_1_2_ends_after_2_to_the_24_records(void **state)
{
	struct tls_session server, client;
	(void)state;
	for (unsigned aead = 0; aead < TLS_AEADS; aead++) {
		bool is_limited = aead != TLS_CHACHA20_POLY1305;
		sessions(TLS_VERSION_1_2, (enum tls_aead)aead, &server, &client);
		tls_record_request_update(&client, true);
		assert_false(client.update_due);
		client.send.sequence = TLS_RECORDS_PER_KEY - 5;
		assert_true(tls_record_seal(&client, ciphers, data, 1, wire) > 0);
		assert_int_equal(
		    tls_record_seal(&client, ciphers, data, 1, wire) == 0, is_limited);
		assert_int_equal(tls_record_sealed_size(&client, 1) == 0, is_limited);
		assert_true(tls_record_seal_alert(
				&client, ciphers, TLS_ALERT_CLOSE_NOTIFY, wire) > 0);
	}
}

static void
test_a_session_from_elsewhere_is_checked(void **state)
{
	struct tls_session server, client, bad;
	(void)state;
	FOR_ALL_SESSIONS(&server, &client)
	{
		assert_true(tls_session_is_valid(&server));
		bad = server;
		bad.version = 0x0302;
		assert_false(tls_session_is_valid(&bad));
		bad = server;
		bad.aead = TLS_AEADS;
		assert_false(tls_session_is_valid(&bad));
		bad = server;
		bad.hash_bytes ^= 16;
		assert_false(tls_session_is_valid(&bad));
		bad = server;
		bad.message_header_bytes = 5;
		assert_false(tls_session_is_valid(&bad));
		bad = server;
		bad.message_left = 1 << 24;
		assert_false(tls_session_is_valid(&bad));
		/* A header that is complete, and nothing behind it: the next byte would
		 * be stored beside the header. */
		bad = server;
		bad.message_header_bytes = 4;
		assert_false(tls_session_is_valid(&bad));
		bad.has_ended = true; /* by a message that was refused */
		assert_true(tls_session_is_valid(&bad));
		bad.has_ended = false;
		bad.message_left = 1;
		assert_true(tls_session_is_valid(&bad));
		bad.message_header_bytes = 3;
		assert_false(tls_session_is_valid(&bad));
		tls_session_wipe(&server);
		assert_false(tls_session_is_valid(&server));
	}
}

static int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8 ^ i >> 13);
	ciphers = tls_ciphers_create();
	return ciphers == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	tls_ciphers_destroy(ciphers);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_and_records_are_those_of_rfc_8448),
		cmocka_unit_test(test_each_changed_bit_is_found),
		cmocka_unit_test(test_records_out_of_order_are_refused),
		cmocka_unit_test(test_the_plaintext_can_go_elsewhere),
		cmocka_unit_test(test_sealing_again_gives_the_same_bytes),
		cmocka_unit_test(test_sealed_in_place_the_bytes_are_the_same),
		cmocka_unit_test(test_sizes_are_announced_and_fit),
		cmocka_unit_test(test_other_records_are_consumed_or_refused),
		cmocka_unit_test(test_a_handshake_message_may_be_cut_at_any_place),
		cmocka_unit_test(test_records_without_data_are_bounded),
		cmocka_unit_test(
		    test_key_updates_are_bounded_until_the_owner_allows_more),
		cmocka_unit_test(test_lengths_that_cannot_be_are_refused),
		cmocka_unit_test(test_a_plaintext_of_more_than_16384_bytes_is_refused),
		cmocka_unit_test(test_the_key_changes_after_2_to_the_24_records),
		cmocka_unit_test(test_a_peer_that_keeps_its_key_is_asked_for_another),
		cmocka_unit_test(test_tls_1_2_ends_after_2_to_the_24_records),
		cmocka_unit_test(test_a_session_from_elsewhere_is_checked),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
