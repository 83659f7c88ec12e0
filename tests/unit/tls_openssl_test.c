/*
 * Our record layer against OpenSSL's in both directions, for all nine suites and both
 * roles. LONG=1: every length of a record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/clock.h"
#include "net/tls/tls_tickets.h"
#include "tests/lib/tls_openssl.h"

static struct tls_ciphers *ciphers;
static uint8_t data[TLS_RECORD_DATA_MAX * 4], plain[sizeof(data)];
static uint8_t wire[TLS_SEALED_MAX(sizeof(data))];

static const char *const suites[] = { "TLS_AES_128_GCM_SHA256",
	"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
	"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
	"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305" };
#define SUITES (sizeof(suites) / sizeof(suites[0]))

static const char *
certificate_for(const char *suite)
{
	return strstr(suite, "RSA") != NULL ? "rsa" : "server";
}

static struct tls_context *
our_context(bool is_server, const char *file)
{
	char certificate[64], key[64], error[TLS_ERROR_MAX];
	snprintf(certificate, sizeof(certificate), "%s.pem", file);
	snprintf(key, sizeof(key), "%s.key", file);
	struct tls_settings settings = { .has_tickets = true };
	if (is_server) {
		settings.certificate = tls_path(certificate);
		settings.key = tls_path(key);
	}
	struct tls_context *context = is_server
	    ? tls_context_create_server(&settings, error)
	    : tls_context_create_client(&settings, error);
	must(context != NULL);
	return context;
}

/* A connection between the peer, in the other role, and a session of ours. */
static void
connect_to(struct tls_openssl *peer, bool is_server, struct tls_context *context,
    struct tls_session *ret)
{
	const struct tls_client_options options = { .name = "example.org" };
	tls_openssl_open(peer, !is_server);
	struct tls_handshake *ours = is_server
	    ? tls_handshake_create_server(context)
	    : tls_handshake_create_client(context, &options);
	must(ours != NULL);
	tls_openssl_shake(peer, ours, SIZE_MAX);
	assert_int_equal(tls_handshake_take(ours, ret), 0);
	tls_handshake_destroy(ours);
}

/* The peer reads what we seal. */
static void
send_to_peer(struct tls_openssl *peer, struct tls_session *session, size_t length)
{
	size_t n = tls_record_seal(session, ciphers, data, length, wire);
	assert_true(n > 0 && n <= TLS_SEALED_MAX(length));
	tls_openssl_give(peer, wire, n);
	for (size_t got = 0; got < length;) {
		int part = SSL_read(peer->ssl, plain + got, (int)(length - got));
		assert_true(part > 0);
		got += (size_t)part;
	}
	assert_memory_equal(plain, data, length);
}

/* Opens the records of the peer until they have brought `length` bytes. Each prefix of
 * a record, at steps of `step` bytes, is partial. */
static void
receive_from_peer(
    struct tls_openssl *peer, struct tls_session *session, size_t length, size_t step)
{
	struct tls_opened opened;
	size_t got = 0;
	while (got < length) {
		uint8_t *at;
		size_t n = tls_openssl_output(peer, &at);
		assert_true(n > TLS_RECORD_HEADER);
		size_t record = TLS_RECORD_HEADER + ((size_t)at[3] << 8 | at[4]);
		for (size_t cut = 0; cut < record; cut += step) {
			assert_int_equal(
			    tls_record_open(session, ciphers, at, cut, NULL, &opened),
			    TLS_OPEN_PARTIAL);
			assert_int_equal(opened.record,
			    cut < TLS_RECORD_HEADER ? TLS_RECORD_HEADER : record);
		}
		enum tls_open_status status =
		    tls_record_open(session, ciphers, at, n, NULL, &opened);
		assert_int_equal(opened.record, record);
		if (status == TLS_OPEN_DATA) {
			assert_true(got + opened.length <= length);
			assert_memory_equal(opened.data, data + got, opened.length);
			got += opened.length;
		} else {
			assert_int_equal(status, TLS_OPEN_CONTROL);
		}
		tls_openssl_taken(peer, record);
	}
}

static void
send_from_peer(
    struct tls_openssl *peer, struct tls_session *session, size_t length, size_t step)
{
	assert_int_equal(SSL_write(peer->ssl, data, (int)length), (int)length);
	receive_from_peer(peer, session, length, step);
}

static void
check_suite(const char *suite, bool is_server)
{
	size_t step = getenv("LONG") != NULL ? 1 : 11;
	struct tls_openssl peer;
	struct tls_session session;
	tls_openssl_start(&peer, !is_server, suite, certificate_for(suite));
	struct tls_context *context = our_context(is_server, certificate_for(suite));
	connect_to(&peer, is_server, context, &session);
	for (size_t length = 1; length <= TLS_RECORD_DATA_MAX;
	     length += length < 64 || length + step > TLS_RECORD_DATA_MAX ? 1 : step) {
		send_to_peer(&peer, &session, length);
		send_from_peer(&peer, &session, length, TLS_RECORD_DATA_MAX);
	}
	/* Each prefix, and several records at once. */
	send_from_peer(&peer, &session, 1, 1);
	send_from_peer(&peer, &session, 1000, 1);
	send_from_peer(&peer, &session, sizeof(data), 997);
	send_to_peer(&peer, &session, sizeof(data));
	send_to_peer(&peer, &session, TLS_RECORD_DATA_MAX + 1);
	tls_context_release(context);
	tls_openssl_finish(&peer);
}

static void
test_openssl_reads_and_writes_the_same_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITES; i++) {
		check_suite(suites[i], true);
		check_suite(suites[i], false);
	}
}

static void
test_openssl_follows_each_key_update(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct tls_openssl peer;
		struct tls_session session;
		bool is_server = i % 2 == 0;
		tls_openssl_start(&peer, !is_server, suites[i], "server");
		struct tls_context *context = our_context(is_server, "server");
		connect_to(&peer, is_server, context, &session);
		for (int round = 0; round < 20; round++) {
			struct tls_session before = session;
			if (round % 4 == 1)
				SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED);
			else if (round % 4 == 2)
				SSL_key_update(peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
			else if (round % 4 == 3)
				tls_record_request_update(&session, round % 8 == 3);
			send_from_peer(&peer, &session, 100, 1);
			/* Asked by the peer or by ourselves: before our next data. */
			assert_int_equal(session.update_due, round % 2 == 1);
			send_to_peer(&peer, &session, 100);
			assert_false(session.update_due);
			assert_int_equal(memcmp(before.send.key, session.send.key,
					     sizeof(before.send.key)) != 0,
			    round % 2 == 1);
			/* We asked: the peer answers with its next data. */
			if (round % 8 == 3) {
				before = session;
				send_from_peer(&peer, &session, 100, 1);
				assert_memory_not_equal(before.receive.key,
				    session.receive.key, sizeof(before.receive.key));
			}
		}
		tls_context_release(context);
		tls_openssl_finish(&peer);
	}
}

static void
test_openssl_understands_close_notify_and_alerts(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITES; i++) {
		struct tls_openssl peer;
		struct tls_session session;
		struct tls_opened opened;
		uint8_t *at;
		tls_openssl_start(&peer, false, suites[i], NULL);
		struct tls_context *context =
		    our_context(true, certificate_for(suites[i]));
		connect_to(&peer, true, context, &session);
		/* The peer ends first, and still reads. */
		assert_int_equal(SSL_shutdown(peer.ssl), 0);
		size_t n = tls_openssl_output(&peer, &at);
		assert_int_equal(
		    tls_record_open(&session, ciphers, at, n, NULL, &opened),
		    TLS_OPEN_CLOSED);
		assert_int_equal(opened.record, n);
		send_to_peer(&peer, &session, 10);
		n = tls_record_seal_alert(
		    &session, ciphers, TLS_ALERT_CLOSE_NOTIFY, wire);
		assert_true(n > 0 && n <= TLS_ALERT_RECORD_MAX);
		assert_int_equal(
		    tls_record_seal(&session, ciphers, data, 1, wire + n), 0);
		tls_openssl_give(&peer, wire, n);
		assert_true(SSL_read(peer.ssl, plain, 10) <= 0);
		assert_int_equal(SSL_get_shutdown(peer.ssl),
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		/* A fatal alert of ours. */
		connect_to(&peer, true, context, &session);
		n = tls_record_seal_alert(
		    &session, ciphers, TLS_ALERT_BAD_RECORD_MAC, wire);
		tls_openssl_give(&peer, wire, n);
		assert_true(SSL_read(peer.ssl, plain, 10) <= 0);
		assert_int_equal(
		    ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
		ERR_clear_error();
		/* And one of the peer, that finds our record damaged. */
		connect_to(&peer, true, context, &session);
		n = tls_record_seal(&session, ciphers, data, 10, wire);
		wire[n - 1] ^= 1;
		tls_openssl_give(&peer, wire, n);
		assert_true(SSL_read(peer.ssl, plain, 10) <= 0);
		n = tls_openssl_output(&peer, &at);
		assert_int_equal(
		    tls_record_open(&session, ciphers, at, n, NULL, &opened),
		    TLS_OPEN_ALERT);
		assert_int_equal(opened.alert, TLS_ALERT_BAD_RECORD_MAC);
		assert_int_equal(tls_record_seal(&session, ciphers, data, 1, wire), 0);
		tls_context_release(context);
		tls_openssl_finish(&peer);
	}
}

static void
test_padding_is_removed(void **state)
{
	struct tls_openssl peer;
	struct tls_session session;
	(void)state;
	tls_openssl_start(&peer, false, suites[0], NULL);
	struct tls_context *context = our_context(true, "server");
	SSL_CTX_set_block_padding(peer.context, 512);
	connect_to(&peer, true, context, &session);
	for (size_t length = 1; length < 1100; length += 13) {
		send_from_peer(&peer, &session, length, 64);
		send_to_peer(&peer, &session, length);
	}
	tls_context_release(context);
	tls_openssl_finish(&peer);
}

/* A period of the keys has passed, also where the clock began later (it may wrap). */
static void
age(struct tls_tickets *tickets)
{
	tickets->since_ns = clock_now_ns() - TLS_TICKETS_PERIOD_NS - NS_PER_S;
}

static void
test_an_openssl_client_resumes_also_after_a_reload(void **state)
{
	static const char *const resumed[] = { "TLS_AES_128_GCM_SHA256",
		"ECDHE-ECDSA-AES128-GCM-SHA256" };
	struct tls_tickets tickets, others;
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls_openssl peer;
		struct tls_session session;
		tls_openssl_start(&peer, false, resumed[i], NULL);
		struct tls_context *context = our_context(true, "server");
		assert_int_equal(tls_tickets_start(&tickets, clock_now_ns()), 0);
		assert_int_equal(tls_tickets_start(&others, clock_now_ns()), 0);
		tls_context_set_tickets(context, &tickets);
		connect_to(&peer, true, context, &session);
		assert_false(SSL_session_reused(peer.ssl));
		/* It reads the ticket with the first data. */
		send_to_peer(&peer, &session, 10);
		for (int round = 0; round < 3; round++) {
			connect_to(&peer, true, context, &session);
			assert_true(SSL_session_reused(peer.ssl));
			send_to_peer(&peer, &session, 10);
			send_from_peer(&peer, &session, 10, 1);
		}
		tls_context_release(context);
		context = our_context(true, "other");
		tls_context_set_tickets(context, &tickets);
		connect_to(&peer, true, context, &session);
		assert_true(SSL_session_reused(peer.ssl));
		send_to_peer(&peer, &session, 10);
		/* The key is that of the last period: a new ticket. */
		age(&tickets);
		connect_to(&peer, true, context, &session);
		assert_true(SSL_session_reused(peer.ssl));
		send_to_peer(&peer, &session, 10);
		/* Without the old key: in TLS 1.2 OpenSSL's client keeps the session
		 * that it has resumed. */
		tickets.keys[0] = others.keys[0];
		connect_to(&peer, true, context, &session);
		assert_int_equal(SSL_session_reused(peer.ssl), i == 0);
		send_to_peer(&peer, &session, 10);
		/* Other keys: a full handshake. */
		tls_context_set_tickets(context, &others);
		connect_to(&peer, true, context, &session);
		assert_false(SSL_session_reused(peer.ssl));
		tls_context_release(context);
		tls_openssl_finish(&peer);
	}
}

static int
setup(void **state)
{
	static const struct tls_fixture rsa = { .file = "rsa",
		.name = "example.org",
		.names = "DNS:example.org",
		.is_rsa = true };
	static const struct tls_fixture other = { .file = "other", .name = "other" };
	(void)state;
	tls_fixture_start();
	tls_fixture_add(&rsa);
	tls_fixture_add(&other);
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
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssl_reads_and_writes_the_same_records),
		cmocka_unit_test(test_openssl_follows_each_key_update),
		cmocka_unit_test(test_openssl_understands_close_notify_and_alerts),
		cmocka_unit_test(test_padding_is_removed),
		cmocka_unit_test(test_an_openssl_client_resumes_also_after_a_reload),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
