#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "tests/lib/tls_pair.h"

static struct tls_ciphers *ciphers;

static struct tls_settings
server_settings(void)
{
	return (struct tls_settings){ .certificate = tls_path("server.pem"),
		.key = tls_path("server.key"),
		.has_tickets = true };
}

static struct tls_settings
client_settings(void)
{
	return (struct tls_settings){ .ca = tls_path("ca.pem"),
		.verify = TLS_VERIFY_REQUIRE,
		.has_tickets = true };
}

/* Sends `length` bytes from one session to the other. */
static void
exchange(struct tls_session *from, struct tls_session *to, size_t length)
{
	uint8_t *data = malloc(length), *wire = malloc(TLS_SEALED_MAX(length));
	size_t done = 0, at = 0;
	must(data != NULL && wire != NULL);
	for (size_t i = 0; i < length; i++)
		data[i] = (uint8_t)(i * 7 + length);
	size_t expected = tls_record_sealed_size(from, length);
	size_t n = tls_record_seal(from, ciphers, data, length, wire);
	assert_int_equal(n, expected);
	while (at < n) {
		struct tls_opened opened;
		enum tls_open_status status =
		    tls_record_open(to, ciphers, wire + at, n - at, NULL, &opened);
		assert_true(status == TLS_OPEN_DATA || status == TLS_OPEN_CONTROL);
		if (status == TLS_OPEN_DATA) {
			assert_memory_equal(opened.data, data + done, opened.length);
			done += opened.length;
		}
		at += opened.record;
	}
	assert_int_equal(done, length);
	free(data);
	free(wire);
}

/* Takes both sessions, opens what the server sent behind the handshake. */
static void
take(struct tls_pair *pair, struct tls_session *server, struct tls_session *client)
{
	assert_int_equal(pair->client_status, TLS_HANDSHAKE_DONE);
	assert_int_equal(pair->server_status, TLS_HANDSHAKE_DONE);
	assert_int_equal(tls_handshake_take(pair->server, server), 0);
	assert_int_equal(tls_handshake_take(pair->client, client), 0);
	assert_true(tls_session_is_valid(server) && tls_session_is_valid(client));
	assert_int_equal(buffer_length(pair->to_server), 0);
	while (buffer_length(pair->to_client) > 0) {
		struct tls_opened opened;
		uint8_t *at = pair->to_client->data + pair->to_client->start;
		assert_int_equal(tls_record_open(client, ciphers, at,
				     buffer_length(pair->to_client), NULL, &opened),
		    TLS_OPEN_CONTROL);
		buffer_consume(&pair->to_client, opened.record);
	}
}

static void
handshake_with(const char *suite, const char *certificate, size_t cut)
{
	char file[32], key[32];
	snprintf(file, sizeof(file), "%s.pem", certificate);
	snprintf(key, sizeof(key), "%s.key", certificate);
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_session server, client;
	struct tls_facts facts;
	struct tls_pair pair;
	s.certificate = tls_path(file);
	s.key = tls_path(key);
	s.ciphers = suite;
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, cut);
	assert_int_equal(pair.client_status, TLS_HANDSHAKE_DONE);
	tls_handshake_facts(pair.client, &facts);
	assert_true(facts.is_verified && facts.has_certificate && !facts.is_resumed);
	assert_string_equal(facts.suite, suite);
	assert_string_equal(facts.group, "X25519");
	tls_handshake_facts(pair.server, &facts);
	assert_string_equal(facts.server_name, "example.org");
	take(&pair, &server, &client);
	for (size_t length = 1; length <= 70000; length = length * 3 + 1) {
		exchange(&client, &server, length);
		exchange(&server, &client, length);
	}
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

static void
test_all_suites_and_certificates(void **state)
{
	static const struct {
		const char *suite, *certificate;
	} rows[] = {
		{ "TLS_AES_128_GCM_SHA256", "server" },
		{ "TLS_AES_256_GCM_SHA384", "rsa" },
		{ "TLS_CHACHA20_POLY1305_SHA256", "server" },
		{ "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "server" },
		{ "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "server" },
		{ "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "server" },
		{ "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "rsa" },
		{ "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "rsa" },
		{ "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "rsa" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		handshake_with(rows[i].suite, rows[i].certificate, SIZE_MAX);
		handshake_with(rows[i].suite, rows[i].certificate, 1 + i);
	}
}

static int
setup(void **state)
{
	static const struct tls_fixture rsa = { .file = "rsa",
		.name = "example.org",
		.names = "DNS:example.org",
		.is_rsa = true };
	(void)state;
	tls_fixture_start();
	tls_fixture_add(&rsa);
	ciphers = tls_ciphers_create();
	return ciphers == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	tls_ciphers_destroy(ciphers);
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_suites_and_certificates),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
