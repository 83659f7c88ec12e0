#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/clock.h"
#include "net/tls/tls_tickets.h"
#include "tests/lib/tls_pair.h"

#define RECORD_OVERFLOW 22 /* an alert (RFC 8446, 6) */

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
	/* The default differs between versions of OpenSSL. TLS 1.2 needs the curve of
	 * the certificate as well (RFC 8422, 5.1.1). */
	c.groups = "X25519:P-256";
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

/* What one end of a failed handshake says. */
struct outcome {
	enum tls_failure kind;
	int sent, received;
	char reason[TLS_ERROR_MAX];
};

static void
note(struct tls_handshake *handshake, enum tls_handshake_status status,
    struct outcome *ret)
{
	struct tls_failure_facts facts;
	*ret = (struct outcome){ .sent = -1, .received = -1 };
	if (status != TLS_HANDSHAKE_FAILED)
		return;
	tls_handshake_failure(handshake, &facts);
	ret->kind = facts.kind;
	ret->sent = facts.alert_sent;
	ret->received = facts.alert_received;
	snprintf(ret->reason, sizeof(ret->reason), "%s", facts.reason);
	assert_true(facts.reason[0] != '\0');
	assert_int_not_equal(facts.kind, TLS_FAILURE_NONE);
}

/* Runs a handshake that fails at one end or both. In TLS 1.3 a client is done before
 * the server has looked at its certificate: the alert is a record of the session. */
static void
run_failing(const struct tls_settings *s, const struct tls_settings *c,
    const char *name, struct outcome *server, struct outcome *client)
{
	struct tls_client_options options = { .name = name };
	struct tls_pair pair;
	struct tls_context *sc = tls_must_create(true, s);
	struct tls_context *cc = tls_must_create(false, c);
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	note(pair.server, pair.server_status, server);
	note(pair.client, pair.client_status, client);
	assert_true(
	    server->kind != TLS_FAILURE_NONE || client->kind != TLS_FAILURE_NONE);
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

static void
test_a_certificate_that_is_not_valid_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *certificate, *name;
		enum tls_failure kind;
		enum tls_alert alert;
		const char *reason;
	} rows[] = {
		{ "server", "example.com", TLS_FAILURE_NAME, TLS_ALERT_BAD_CERTIFICATE,
		    "the certificate is for example.org, *.example.net, 127.0.0.1, the "
		    "requested name is example.com" },
		{ "server", "a.b.example.net", TLS_FAILURE_NAME,
		    TLS_ALERT_BAD_CERTIFICATE, "requested name is a.b.example.net" },
		{ "server", "127.0.0.2", TLS_FAILURE_NAME, TLS_ALERT_BAD_CERTIFICATE,
		    "requested name is 127.0.0.2" },
		{ "expired", "example.org", TLS_FAILURE_EXPIRED,
		    TLS_ALERT_CERTIFICATE_EXPIRED,
		    "the certificate (CN=example.org) expired on 20" },
		{ "future", "example.org", TLS_FAILURE_EXPIRED,
		    TLS_ALERT_BAD_CERTIFICATE,
		    "the certificate (CN=example.org) is valid from 20" },
		{ "selfsigned", "example.org", TLS_FAILURE_SELF_SIGNED,
		    TLS_ALERT_UNKNOWN_CA,
		    "the certificate (CN=example.org) is self-signed and not in /tmp" },
		{ "stranger", "example.org", TLS_FAILURE_UNTRUSTED,
		    TLS_ALERT_UNKNOWN_CA,
		    "the certificate (CN=example.org) was issued by a CA (CN=Other "
		    "CA) that is not in /tmp" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int version = 0; version < 2; version++) {
			char file[32], key[32];
			struct tls_settings s = server_settings();
			struct tls_settings c = client_settings();
			struct outcome server, client;
			snprintf(file, sizeof(file), "%s.pem", rows[i].certificate);
			snprintf(key, sizeof(key), "%s.key", rows[i].certificate);
			s.certificate = tls_path(file);
			s.key = tls_path(key);
			c.max_version =
			    version == 0 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
			run_failing(&s, &c, rows[i].name, &server, &client);
			assert_int_equal(client.kind, rows[i].kind);
			assert_non_null(strstr(client.reason, rows[i].reason));
			assert_int_equal(client.sent, rows[i].alert);
			assert_int_equal(server.received, rows[i].alert);
			assert_int_equal(server.kind, TLS_FAILURE_ALERT);
			assert_non_null(
			    strstr(server.reason, tls_alert_name(rows[i].alert)));
		}
}

static void
test_ends_without_anything_in_common_say_what_is_missing(void **state)
{
	static const char *const h2[] = { "h2" }, *const echo[] = { "echo", "x" };
	struct tls_settings s = server_settings(), c = client_settings();
	struct outcome server, client;
	(void)state;
	/* versions */
	s.min_version = TLS_VERSION_1_3;
	c.max_version = TLS_VERSION_1_2;
	run_failing(&s, &c, "example.org", &server, &client);
	assert_int_equal(server.kind, TLS_FAILURE_VERSION);
	assert_string_equal(server.reason,
	    "the client supports at most TLS 1.2, expected at least TLS 1.3");
	assert_int_equal(client.kind, TLS_FAILURE_VERSION);
	assert_string_equal(client.reason,
	    "the server does not support TLS 1.2 (alert "
	    "protocol_version)");
	/* suites */
	s = server_settings();
	s.ciphers = "TLS_AES_128_GCM_SHA256";
	c = client_settings();
	c.ciphers = "TLS_CHACHA20_POLY1305_SHA256";
	run_failing(&s, &c, "example.org", &server, &client);
	assert_int_equal(server.kind, TLS_FAILURE_SUITE);
	assert_int_equal(client.received, TLS_ALERT_HANDSHAKE_FAILURE);
	/* groups */
	s = server_settings();
	s.groups = "X25519";
	c = client_settings();
	c.groups = "P-384";
	run_failing(&s, &c, "example.org", &server, &client);
	assert_int_equal(server.kind, TLS_FAILURE_SUITE);
	assert_string_equal(server.reason,
	    "the client offers no group for the key exchange that is allowed here");
	/* protocols */
	s = server_settings();
	s.alpn = echo;
	s.alpn_count = 2;
	c = client_settings();
	c.alpn = h2;
	c.alpn_count = 1;
	run_failing(&s, &c, "example.org", &server, &client);
	assert_int_equal(server.kind, TLS_FAILURE_ALPN);
	assert_string_equal(
	    server.reason, "the client offers the protocols h2, expected echo, x");
	assert_int_equal(client.kind, TLS_FAILURE_ALPN);
}

static void
test_a_pinned_certificate_is_the_only_one_accepted(void **state)
{
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "not.its.name" };
	struct tls_certificate certificate;
	struct outcome server, client;
	struct tls_facts facts;
	uint8_t pin[TLS_SHA256_BYTES] = { 0 };
	struct tls_pair pair;
	char text[TLS_SHA256_TEXT];
	(void)state;
	c.verify = TLS_VERIFY_NONE;
	c.pin = pin;
	run_failing(&s, &c, "example.org", &server, &client);
	assert_int_equal(client.kind, TLS_FAILURE_PIN);
	struct tls_context *sc = tls_must_create(true, &s);
	const char *name;
	certificate = *tls_context_certificate(sc, 0, &name);
	assert_null(name);
	assert_string_equal(certificate.key, "EC P-256");
	assert_int_equal(
	    tls_sha256_parse(tls_sha256_format(certificate.sha256, text), pin), 0);
	struct tls_context *cc = tls_must_create(false, &c);
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	assert_int_equal(pair.client_status, TLS_HANDSHAKE_DONE);
	tls_handshake_facts(pair.client, &facts);
	assert_true(facts.has_certificate && !facts.is_verified);
	assert_true(tls_handshake_certificate(pair.client, 0, &certificate));
	assert_string_equal(certificate.subject, "CN=example.org");
	assert_string_equal(certificate.issuer, "CN=Test CA");
	assert_memory_equal(certificate.sha256, pin, sizeof(pin));
	assert_false(tls_handshake_certificate(pair.client, 1, &certificate));
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

static void
check_client_certificate(enum tls_verify verify, uint16_t version,
    const char *certificate, enum tls_failure expected)
{
	char file[32], key[32];
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_pair pair;
	struct outcome server;
	struct tls_facts facts;
	s.ca = tls_path("ca.pem");
	s.verify = verify;
	c.max_version = version;
	if (certificate != NULL) {
		snprintf(file, sizeof(file), "%s.pem", certificate);
		snprintf(key, sizeof(key), "%s.key", certificate);
		c.certificate = tls_path(file);
		c.key = tls_path(key);
	}
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	note(pair.server, pair.server_status, &server);
	assert_int_equal(server.kind, expected);
	if (expected == TLS_FAILURE_NONE) {
		tls_handshake_facts(pair.server, &facts);
		assert_int_equal(facts.has_certificate, certificate != NULL);
		assert_int_equal(facts.is_verified, certificate != NULL);
		struct tls_session ours, theirs;
		take(&pair, &ours, &theirs);
		exchange(&theirs, &ours, 1000);
		exchange(&ours, &theirs, 1000);
	}
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

static void
test_clients_are_verified_as_the_listener_says(void **state)
{
	(void)state;
	for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
		check_client_certificate(
		    TLS_VERIFY_REQUIRE, v, "server", TLS_FAILURE_NONE);
		check_client_certificate(
		    TLS_VERIFY_REQUIRE, v, NULL, TLS_FAILURE_NO_CERTIFICATE);
		check_client_certificate(
		    TLS_VERIFY_REQUIRE, v, "stranger", TLS_FAILURE_UNTRUSTED);
		check_client_certificate(
		    TLS_VERIFY_REQUIRE, v, "expired", TLS_FAILURE_EXPIRED);
		check_client_certificate(
		    TLS_VERIFY_OPTIONAL, v, NULL, TLS_FAILURE_NONE);
		check_client_certificate(
		    TLS_VERIFY_OPTIONAL, v, "server", TLS_FAILURE_NONE);
		check_client_certificate(
		    TLS_VERIFY_OPTIONAL, v, "selfsigned", TLS_FAILURE_SELF_SIGNED);
	}
}

/* Asks a server for a name; the subject of its certificate. */
static const char *
subject_for(struct tls_context *sc, struct tls_context *cc, const char *name)
{
	static struct tls_certificate certificate;
	struct tls_client_options options = { .name = name };
	struct tls_session server, client;
	struct tls_pair pair;
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	assert_true(tls_handshake_certificate(pair.client, 0, &certificate));
	take(&pair, &server, &client);
	exchange(&client, &server, 100);
	exchange(&server, &client, 100);
	tls_pair_finish(&pair);
	return certificate.names;
}

static void
test_the_certificate_follows_the_requested_name(void **state)
{
	const struct tls_name_settings names[] = {
		{ "Other.Example.org", tls_path("other.pem"), tls_path("other.key") },
		{ "*.wild.org", tls_path("wild.pem"), tls_path("wild.key") },
	};
	static const char *const echo[] = { "echo" };
	struct tls_settings s = server_settings(), c = client_settings();
	const char *name;
	(void)state;
	s.names = names;
	s.name_count = 2;
	s.alpn = c.alpn = echo;
	s.alpn_count = c.alpn_count = 1;
	c.verify = TLS_VERIFY_NONE;
	struct tls_context *sc = tls_must_create(true, &s);
	assert_int_equal(tls_context_certificate_count(sc), 3);
	assert_string_equal(tls_context_certificate(sc, 2, &name)->subject, "CN=wild");
	assert_string_equal(name, "*.wild.org");
	for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
		c.max_version = v;
		struct tls_context *cc = tls_must_create(false, &c);
		assert_string_equal(
		    subject_for(sc, cc, "other.example.ORG"), "other.example.org");
		assert_string_equal(subject_for(sc, cc, "a.wild.org"), "*.wild.org");
		const char *fallback = "example.org, *.example.net, 127.0.0.1";
		assert_string_equal(subject_for(sc, cc, "a.b.wild.org"), fallback);
		assert_string_equal(subject_for(sc, cc, "wild.org"), fallback);
		assert_string_equal(subject_for(sc, cc, NULL), fallback);
		assert_string_equal(subject_for(sc, cc, "127.0.0.1"), fallback);
		tls_context_release(cc);
	}
	tls_context_release(sc);
}

/* Connects once, as a client that keeps the ticket; true if it resumed. */
static bool
connect_and_keep(struct tls_context *sc, struct tls_context *cc,
    struct tls_ticket **ticket, size_t cut)
{
	struct tls_client_options options = {
		.name = "example.org", .ticket = *ticket, .keeps_ticket = true
	};
	struct tls_session server, client;
	struct tls_facts facts;
	struct tls_pair pair;
	bool wants_more = true;
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	assert_int_equal(pair.client_status, TLS_HANDSHAKE_DONE);
	tls_handshake_facts(pair.client, &facts);
	assert_true(facts.is_verified);
	bool is_resumed = facts.is_resumed;
	tls_handshake_facts(pair.server, &facts);
	assert_int_equal(facts.is_resumed, is_resumed);
	assert_int_equal(tls_handshake_take(pair.server, &server), 0);
	assert_int_equal(tls_handshake_take(pair.client, &client), 0);
	/* Data of the server comes behind the ticket, in the same segment. */
	uint8_t out[256];
	size_t n = tls_record_seal(&server, ciphers, "hello", 5, out);
	must(buffer_append(&pair.to_client, out, n) == 0);
	uint8_t *at = pair.to_client->data + pair.to_client->start;
	size_t length = buffer_length(pair.to_client);
	for (size_t shown = 0; wants_more && shown < length; shown += cut) {
		size_t part = length - shown < cut ? length - shown : cut;
		wants_more = tls_handshake_watch(pair.client, at + shown, part);
	}
	assert_false(wants_more);
	struct tls_ticket *newest = tls_handshake_fetch_ticket(pair.client);
	/* With TLS 1.2 a ticket is renewed only when it is old. */
	assert_true(newest != NULL || client.version == TLS_VERSION_1_2);
	if (newest != NULL) {
		tls_ticket_release(*ticket);
		*ticket = newest;
	}
	while (length > 0) {
		struct tls_opened opened;
		enum tls_open_status status =
		    tls_record_open(&client, ciphers, at, length, NULL, &opened);
		assert_int_equal(
		    status, length == opened.record ? TLS_OPEN_DATA : TLS_OPEN_CONTROL);
		at += opened.record;
		length -= opened.record;
	}
	exchange(&client, &server, 1000);
	exchange(&server, &client, 1000);
	tls_pair_finish(&pair);
	return is_resumed;
}

static void
test_a_client_resumes_with_the_ticket_that_it_kept(void **state)
{
	static const char *const suites[] = { "TLS_AES_256_GCM_SHA384",
		"TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384" };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct tls_settings s = server_settings(), c = client_settings();
		struct tls_ticket *ticket = NULL;
		s.ciphers = suites[i];
		struct tls_context *sc = tls_must_create(true, &s);
		struct tls_context *cc = tls_must_create(false, &c);
		assert_false(connect_and_keep(sc, cc, &ticket, SIZE_MAX / 2));
		for (size_t cut = 1; cut < 200; cut += 31)
			assert_true(connect_and_keep(sc, cc, &ticket, cut));
		/* One ticket, several connections. */
		struct tls_ticket *same = tls_ticket_ref(ticket);
		assert_true(connect_and_keep(sc, cc, &same, 1000));
		assert_true(connect_and_keep(sc, cc, &ticket, 1000));
		tls_ticket_release(same);
		tls_ticket_release(ticket);
		tls_context_release(sc);
		tls_context_release(cc);
	}
}

static struct tls_context *
create_listener(enum tls_verify verify, const char *ca, struct tls_tickets *tickets)
{
	struct tls_settings s = server_settings();
	s.verify = verify;
	s.ca = verify == TLS_VERIFY_NONE ? NULL : tls_path(ca);
	struct tls_context *context = tls_must_create(true, &s);
	tls_context_set_tickets(context, tickets);
	return context;
}

/* A ticket of one listener at another one, with the same ticket keys. */
static bool
resumes_elsewhere(struct tls_context *cc, enum tls_verify one, enum tls_verify other)
{
	struct tls_tickets tickets;
	assert_int_equal(tls_tickets_start(&tickets, clock_now_ns()), 0);
	struct tls_context *here = create_listener(one, "ca.pem", &tickets);
	struct tls_context *there = create_listener(other, "ca.pem", &tickets);
	struct tls_ticket *ticket = NULL;
	assert_false(connect_and_keep(here, cc, &ticket, 1000));
	assert_true(connect_and_keep(here, cc, &ticket, 1000));
	bool is_resumed = connect_and_keep(there, cc, &ticket, 1000);
	tls_ticket_release(ticket);
	tls_context_release(here);
	tls_context_release(there);
	return is_resumed;
}

static void
test_a_suite_that_is_not_allowed_any_more_is_not_resumed(void **state)
{
	static const char before[] = "ECDHE-ECDSA-AES256-GCM-SHA384";
	static const char *const after[] = { "ECDHE-ECDSA-CHACHA20-POLY1305",
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305" };
	struct tls_settings s = server_settings(), c = client_settings();
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls_tickets tickets;
		struct tls_ticket *ticket = NULL;
		assert_int_equal(tls_tickets_start(&tickets, clock_now_ns()), 0);
		s.ciphers = before;
		struct tls_context *here = tls_must_create(true, &s);
		s.ciphers = after[i];
		struct tls_context *there = tls_must_create(true, &s);
		struct tls_context *cc = tls_must_create(false, &c);
		tls_context_set_tickets(here, &tickets);
		tls_context_set_tickets(there, &tickets);
		assert_false(connect_and_keep(here, cc, &ticket, 1000));
		assert_true(connect_and_keep(here, cc, &ticket, 1000));
		assert_int_equal(connect_and_keep(there, cc, &ticket, 1000), i == 1);
		tls_ticket_release(ticket);
		tls_context_release(here);
		tls_context_release(there);
		tls_context_release(cc);
	}
}

/* The server's verdict on a client that comes with a ticket. */
static void
note_return(struct tls_context *sc, struct tls_context *cc, struct tls_ticket *ticket,
    struct outcome *ret)
{
	struct tls_client_options options = { .name = "example.org", .ticket = ticket };
	struct tls_pair pair;
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	note(pair.server, pair.server_status, ret);
	tls_pair_finish(&pair);
}

/* The CA "twin" has the name of "ca", but has not signed the client's certificate. */
static void
check_twin(struct tls_context *cc)
{
	struct tls_tickets tickets;
	assert_int_equal(tls_tickets_start(&tickets, clock_now_ns()), 0);
	struct tls_context *here =
	    create_listener(TLS_VERIFY_REQUIRE, "ca.pem", &tickets);
	struct tls_context *there =
	    create_listener(TLS_VERIFY_REQUIRE, "twin.pem", &tickets);
	struct tls_ticket *ticket = NULL;
	struct outcome server;
	assert_false(connect_and_keep(here, cc, &ticket, 1000));
	note_return(there, cc, ticket, &server);
	assert_int_equal(server.kind, TLS_FAILURE_CERTIFICATE);
	tls_ticket_release(ticket);
	tls_context_release(here);
	tls_context_release(there);
}

static void
test_a_session_is_resumed_only_where_its_client_was_verified_the_same(void **state)
{
	(void)state;
	for (uint16_t v = TLS_VERSION_1_2; v <= TLS_VERSION_1_3; v++) {
		struct tls_settings c = client_settings();
		c.certificate = tls_path("server.pem");
		c.key = tls_path("server.key");
		c.max_version = v;
		struct tls_context *cc = tls_must_create(false, &c);
		for (int i = TLS_VERIFY_NONE; i <= TLS_VERIFY_REQUIRE; i++)
			for (int j = TLS_VERIFY_NONE; j <= TLS_VERIFY_REQUIRE; j++)
				assert_int_equal(
				    resumes_elsewhere(
					cc, (enum tls_verify)i, (enum tls_verify)j),
				    i == j);
		check_twin(cc);
		tls_context_release(cc);
	}
}

static void
test_a_ticket_does_not_outlive_the_certificate_of_its_client(void **state)
{
	const struct tls_fixture brief = {
		.file = "brief", .name = "brief", .to_seconds = 2
	};
	struct tls_ticket *tickets[2] = { NULL };
	struct tls_context *sc[2], *cc[2];
	struct outcome server;
	(void)state;
	time_t end = time(NULL) + 2;
	tls_fixture_add(&brief);
	for (int i = 0; i < 2; i++) {
		struct tls_settings s = server_settings(), c = client_settings();
		s.ca = tls_path("ca.pem");
		s.verify = TLS_VERIFY_REQUIRE;
		c.certificate = tls_path("brief.pem");
		c.key = tls_path("brief.key");
		c.max_version = (uint16_t)(TLS_VERSION_1_2 + i);
		sc[i] = tls_must_create(true, &s);
		cc[i] = tls_must_create(false, &c);
		assert_false(connect_and_keep(sc[i], cc[i], &tickets[i], 1000));
		assert_non_null(tickets[i]);
	}
	while (time(NULL) <= end + 1)
		usleep(10000);
	for (int i = 0; i < 2; i++) {
		note_return(sc[i], cc[i], tickets[i], &server);
		assert_int_equal(server.kind, TLS_FAILURE_EXPIRED);
		tls_ticket_release(tickets[i]);
		tls_context_release(sc[i]);
		tls_context_release(cc[i]);
	}
}

/* A ClientHello that is announced as `announced` bytes long, of which so many have come
 * in records of 1,000 bytes when the server gives up; 0: it does not. */
static size_t
bytes_until_refused(struct tls_context *context, size_t announced)
{
	static const uint8_t header[] = { 22, 3, 1, 1000 >> 8, 1000 & 0xff };
	uint8_t record[sizeof(header) + 1000] = { 0 };
	struct tls_handshake *server = tls_handshake_create_server(context);
	enum tls_handshake_status status = TLS_HANDSHAKE_WANT_MORE;
	struct buffer *output = NULL;
	struct outcome outcome;
	size_t sent = 0, consumed;
	memcpy(record, header, sizeof(header));
	record[5] = 1;
	record[6] = (uint8_t)(announced >> 16);
	record[7] = (uint8_t)(announced >> 8);
	record[8] = (uint8_t)announced;
	while (status == TLS_HANDSHAKE_WANT_MORE && sent + 1000 <= announced) {
		status = tls_handshake_step(
		    server, record, sizeof(record), &output, &consumed);
		sent += sizeof(record);
		memset(record + sizeof(header), 0, 1000);
	}
	note(server, status, &outcome);
	assert_int_equal(outcome.kind,
	    status == TLS_HANDSHAKE_FAILED ? TLS_FAILURE_PROTOCOL : TLS_FAILURE_NONE);
	if (status == TLS_HANDSHAKE_FAILED) {
		const uint8_t *alert = output->data + output->start;
		assert_int_equal(outcome.sent, RECORD_OVERFLOW);
		assert_int_equal(buffer_length(output), 7);
		assert_int_equal(alert[0], 21);
		assert_int_equal(alert[6], RECORD_OVERFLOW);
		assert_non_null(strstr(outcome.reason, "without completing"));
	}
	tls_handshake_destroy(server);
	buffer_release(&output);
	return status == TLS_HANDSHAKE_FAILED ? sent : 0;
}

static void
test_the_bytes_of_a_handshake_are_bounded(void **state)
{
	struct tls_settings s = server_settings();
	(void)state;
	struct tls_context *context = tls_must_create(true, &s);
	assert_int_equal(bytes_until_refused(context, 15000), 0);
	assert_in_range(bytes_until_refused(context, 100000), 16384, 16384 + 1005);
	tls_context_release(context);
	s.ca = tls_path("ca.pem");
	s.verify = TLS_VERIFY_REQUIRE;
	context = tls_must_create(true, &s);
	assert_int_equal(bytes_until_refused(context, 45000), 0);
	assert_in_range(bytes_until_refused(context, 100000), 49152, 49152 + 1005);
	tls_context_release(context);
}

/* The alert is sent under the keys of the moment. */
static void
test_a_client_whose_certificate_is_too_long_gets_an_alert(void **state)
{
	struct tls_settings s = server_settings(), c = client_settings();
	struct outcome server, client;
	static char names[64 * 1024];
	size_t length = 0;
	(void)state;
	for (int i = 0; length < 60000; i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length,
		    "%sDNS:host-%d.a-name-that-takes-some-room.example.org",
		    length == 0 ? "" : ",", i);
	const struct tls_fixture large = {
		.file = "large", .name = "large", .names = names
	};
	tls_fixture_add(&large);
	s.ca = tls_path("ca.pem");
	s.verify = TLS_VERIFY_REQUIRE;
	c.certificate = tls_path("large.pem");
	c.key = tls_path("large.key");
	for (int i = 0; i < 2; i++) {
		c.max_version = (uint16_t)(TLS_VERSION_1_2 + i);
		run_failing(&s, &c, "example.org", &server, &client);
		assert_int_equal(server.kind, TLS_FAILURE_PROTOCOL);
		assert_int_equal(server.sent, RECORD_OVERFLOW);
		assert_non_null(strstr(server.reason, "expected at most 49152"));
		/* In TLS 1.3 it is done, and the alert is a record of the session. */
		assert_int_equal(client.received, i == 0 ? RECORD_OVERFLOW : -1);
	}
}

/* A client that meets a server without tickets stops watching. */
static void
test_a_ticket_that_never_comes_is_not_awaited_for_ever(void **state)
{
	struct tls_client_options options = { .name = "example.org",
		.keeps_ticket = true };
	static uint8_t data[TLS_RECORD_DATA_MAX], out[TLS_SEALED_MAX(sizeof(data))];
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_session server, client;
	struct tls_pair pair;
	(void)state;
	s.has_tickets = false;
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	take(&pair, &server, &client);
	for (int i = 0; i < 4; i++) {
		size_t n = tls_record_seal(&server, ciphers, data, sizeof(data), out);
		assert_int_equal(tls_handshake_watch(pair.client, out, n), i < 3);
	}
	assert_null(tls_handshake_fetch_ticket(pair.client));
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

/* The client guesses a group that the server does not take: HelloRetryRequest (RFC
 * 8446, 4.1.4), with another ClientHello and change_cipher_spec in between. */
static void
test_a_second_client_hello_changes_nothing_for_the_session(void **state)
{
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_session server, client;
	struct tls_facts facts;
	struct tls_pair pair;
	(void)state;
	s.groups = "P-384";
	c.groups = "X25519:P-384";
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	for (size_t cut = 1; cut < 3000; cut *= 10) {
		tls_pair_start(&pair, sc, cc, &options);
		tls_pair_run(&pair, cut);
		assert_int_equal(pair.client_status, TLS_HANDSHAKE_DONE);
		tls_handshake_facts(pair.client, &facts);
		assert_string_equal(facts.group, "P-384");
		take(&pair, &server, &client);
		exchange(&client, &server, 20000);
		exchange(&server, &client, 20000);
		tls_pair_finish(&pair);
	}
	tls_context_release(sc);
	tls_context_release(cc);
}

struct key_log {
	unsigned lines;
	char text[4096];
};

static void
on_line(const char *line, void *argument)
{
	struct key_log *log = argument;
	size_t used = strlen(log->text);
	log->lines++;
	snprintf(log->text + used, sizeof(log->text) - used, "%s\n", line);
}

/* The lines of NSS's key log format name the secret that the session uses. */
static void
test_the_key_log_has_the_secrets_of_the_session(void **state)
{
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_session server, client;
	struct key_log log = { .lines = 0 };
	struct tls_pair pair;
	char secret[2 * TLS_SECRET_MAX + 1] = "";
	(void)state;
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	tls_context_set_key_log(cc, on_line, &log);
	tls_pair_start(&pair, sc, cc, &options);
	tls_pair_run(&pair, SIZE_MAX);
	take(&pair, &server, &client);
	assert_true(log.lines >= 4);
	assert_non_null(strstr(log.text, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "));
	for (size_t i = 0; i < client.hash_bytes; i++)
		snprintf(secret + 2 * i, 3, "%02x", client.send.secret[i]);
	const char *line = strstr(log.text, "CLIENT_TRAFFIC_SECRET_0 ");
	assert_non_null(line);
	assert_non_null(strstr(line, secret));
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

static void
test_what_is_not_tls_is_named(void **state)
{
	static const struct {
		const char *bytes, *reason;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n", "received a plain-text HTTP request" },
		{ "HTTP/1.1 400 Bad Request\r\n",
		    "received a plain-text HTTP response" },
		{ "SSH-2.0-OpenSSH_9.2p1\r\n", "received an SSH greeting" },
		{ "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
		    "received a PROXY protocol header, which is not expected here" },
		{ "hello\n world",
		    "received bytes that are not TLS: \"hello\\n world\"" },
		{ "220 mail.example.org",
		    "received a plain-text greeting of SMTP or FTP" },
	};
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	struct tls_client_options options = { .name = NULL };
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int is_client = 0; is_client < 2; is_client++) {
			struct tls_handshake *h = is_client
			    ? tls_handshake_create_client(cc, &options)
			    : tls_handshake_create_server(sc);
			struct buffer *output = NULL;
			struct outcome outcome;
			size_t consumed;
			must(h != NULL);
			if (is_client)
				assert_int_equal(
				    tls_handshake_step(h, NULL, 0, &output, &consumed),
				    TLS_HANDSHAKE_WANT_MORE);
			enum tls_handshake_status status =
			    tls_handshake_step(h, (const uint8_t *)rows[i].bytes,
				strlen(rows[i].bytes), &output, &consumed);
			/* Too short for OpenSSL to know: then the peer closes. */
			if (status == TLS_HANDSHAKE_WANT_MORE)
				tls_handshake_cut(h, 0);
			note(h, TLS_HANDSHAKE_FAILED, &outcome);
			assert_int_equal(outcome.kind, TLS_FAILURE_NOT_TLS);
			assert_string_equal(outcome.reason, rows[i].reason);
			tls_handshake_destroy(h);
			buffer_release(&output);
		}
	tls_context_release(sc);
	tls_context_release(cc);
}

/* The first message of a client, for the server to read. */
static void
begin(struct tls_pair *pair)
{
	size_t consumed;
	assert_int_equal(
	    tls_handshake_step(pair->client, NULL, 0, &pair->to_server, &consumed),
	    TLS_HANDSHAKE_WANT_MORE);
}

/* An attacker on the path hides that the client supports TLS 1.3. The server's random
 * shows that it does as well (RFC 8446, 4.1.3). */
static void
test_a_client_refuses_the_lower_version_of_an_attacker(void **state)
{
	static const uint8_t versions[] = { 0, 43, 0, 5, 4, 3, 4, 3, 3 };
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	struct outcome outcome;
	struct tls_pair pair;
	(void)state;
	tls_pair_start(&pair, sc, cc, &options);
	begin(&pair);
	uint8_t *extension = memmem(pair.to_server->data + pair.to_server->start,
	    buffer_length(pair.to_server), versions, sizeof(versions));
	assert_non_null(extension);
	extension[0] = extension[1] = 0x0a; /* a reserved value (RFC 8701) */
	assert_int_equal(
	    tls_pair_step(pair.server, &pair.to_server, &pair.to_client, SIZE_MAX),
	    TLS_HANDSHAKE_WANT_MORE);
	note(pair.client,
	    tls_pair_step(pair.client, &pair.to_client, &pair.to_server, SIZE_MAX),
	    &outcome);
	assert_int_equal(outcome.kind, TLS_FAILURE_VERSION);
	assert_int_equal(outcome.sent, TLS_ALERT_ILLEGAL_PARAMETER);
	assert_string_equal(outcome.reason,
	    "the server chose TLS 1.2 although both ends support TLS 1.3, which may be "
	    "an attack (RFC 8446, 4.1.3)");
	tls_pair_finish(&pair);
	tls_context_release(sc);
	tls_context_release(cc);
}

/* Its answer arrives as a whole or byte by byte. */
static void
test_a_server_that_echoes_is_named(void **state)
{
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	struct outcome outcome;
	struct tls_pair pair;
	(void)state;
	for (size_t cut = 1; cut < 3000; cut += 2998) {
		tls_pair_start(&pair, sc, cc, &options);
		begin(&pair);
		enum tls_handshake_status status = TLS_HANDSHAKE_WANT_MORE;
		while (status == TLS_HANDSHAKE_WANT_MORE) {
			size_t n = buffer_length(pair.to_server), consumed;
			assert_int_not_equal(n, 0);
			status = tls_handshake_step(pair.client,
			    pair.to_server->data + pair.to_server->start,
			    n < cut ? n : cut, &pair.to_client, &consumed);
			if (consumed > 0)
				buffer_consume(&pair.to_server, consumed);
		}
		note(pair.client, status, &outcome);
		assert_int_equal(outcome.kind, TLS_FAILURE_NOT_TLS);
		assert_string_equal(
		    outcome.reason, "the server returns what it receives, without TLS");
		tls_pair_finish(&pair);
	}
	tls_context_release(sc);
	tls_context_release(cc);
}

/* Each end meets the end of the stream behind each byte of the other's. */
static void
test_a_handshake_can_be_cut_behind_each_byte(void **state)
{
	struct tls_settings s = server_settings(), c = client_settings();
	struct tls_client_options options = { .name = "example.org" };
	struct tls_context *sc = tls_must_create(true, &s);
	struct tls_context *cc = tls_must_create(false, &c);
	struct outcome outcome;
	struct tls_pair pair;
	size_t consumed, hello, flight;
	(void)state;
	for (size_t cut = 0, end = 1; cut < end; cut++) {
		tls_pair_start(&pair, sc, cc, &options);
		begin(&pair);
		hello = buffer_length(pair.to_server);
		assert_int_equal(
		    tls_handshake_step(pair.server,
			pair.to_server->data + pair.to_server->start,
			cut < hello ? cut : hello, &pair.to_client, &consumed),
		    TLS_HANDSHAKE_WANT_MORE);
		if (cut < hello) {
			end = hello + 1;
			tls_handshake_cut(pair.server, 0);
			note(pair.server, TLS_HANDSHAKE_FAILED, &outcome);
			assert_int_equal(outcome.kind, TLS_FAILURE_CUT);
			assert_string_equal(outcome.reason,
			    "the client closed the connection before a whole "
			    "ClientHello");
		} else {
			/* A signature has another length each time. */
			flight = buffer_length(pair.to_client);
			size_t part = cut - hello < flight ? cut - hello : flight - 1;
			end = hello + flight;
			assert_int_equal(
			    tls_handshake_step(pair.client,
				pair.to_client->data + pair.to_client->start, part,
				&pair.to_server, &consumed),
			    TLS_HANDSHAKE_WANT_MORE);
			tls_handshake_cut(pair.client, ECONNRESET);
			note(pair.client, TLS_HANDSHAKE_FAILED, &outcome);
			assert_int_equal(outcome.kind, TLS_FAILURE_CUT);
			assert_non_null(
			    strstr(outcome.reason, "Connection reset by peer"));
		}
		tls_pair_finish(&pair);
	}
	tls_context_release(sc);
	tls_context_release(cc);
}

static int
setup(void **state)
{
	static const struct tls_fixture rsa = { .file = "rsa",
		.name = "example.org",
		.names = "DNS:example.org",
		.is_rsa = true };
	(void)state;
	static const struct tls_fixture more[] = {
		{ .file = "expired",
		    .name = "example.org",
		    .names = "DNS:example.org",
		    .from_days = -20,
		    .to_days = -2 },
		{ .file = "future",
		    .name = "example.org",
		    .names = "DNS:example.org",
		    .from_days = 2,
		    .to_days = 20 },
		{ .file = "selfsigned",
		    .name = "example.org",
		    .names = "DNS:example.org",
		    .is_self_signed = true },
		{ .file = "other", .name = "other", .names = "DNS:other.example.org" },
		{ .file = "wild", .name = "wild", .names = "DNS:*.wild.org" },
	};
	struct tls_fixture other_ca = { .file = "otherca",
		.name = "Other CA",
		.is_self_signed = true,
		.is_ca = true };
	const struct tls_fixture twin = {
		.file = "twin", .name = "Test CA", .is_self_signed = true, .is_ca = true
	};
	struct tls_fixture stranger = {
		.file = "stranger", .name = "example.org", .names = "DNS:example.org"
	};
	tls_fixture_start();
	tls_fixture_add(&rsa);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		tls_fixture_add(&more[i]);
	stranger.issuer = tls_fixture_make(&other_ca, &stranger.issuer_key);
	tls_fixture_add(&stranger);
	tls_fixture_add(&twin);
	X509_free(stranger.issuer);
	EVP_PKEY_free(stranger.issuer_key);
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
		cmocka_unit_test(
		    test_a_certificate_that_is_not_valid_is_refused_with_the_reason),
		cmocka_unit_test(
		    test_ends_without_anything_in_common_say_what_is_missing),
		cmocka_unit_test(test_a_pinned_certificate_is_the_only_one_accepted),
		cmocka_unit_test(test_clients_are_verified_as_the_listener_says),
		cmocka_unit_test(test_the_certificate_follows_the_requested_name),
		cmocka_unit_test(
		    test_a_suite_that_is_not_allowed_any_more_is_not_resumed),
		cmocka_unit_test(test_a_client_resumes_with_the_ticket_that_it_kept),
		cmocka_unit_test(
		    test_a_session_is_resumed_only_where_its_client_was_verified_the_same),
		cmocka_unit_test(test_the_bytes_of_a_handshake_are_bounded),
		cmocka_unit_test(
		    test_a_client_whose_certificate_is_too_long_gets_an_alert),
		cmocka_unit_test(
		    test_a_ticket_does_not_outlive_the_certificate_of_its_client),
		cmocka_unit_test(
		    test_a_ticket_that_never_comes_is_not_awaited_for_ever),
		cmocka_unit_test(
		    test_a_second_client_hello_changes_nothing_for_the_session),
		cmocka_unit_test(test_the_key_log_has_the_secrets_of_the_session),
		cmocka_unit_test(test_what_is_not_tls_is_named),
		cmocka_unit_test(
		    test_a_client_refuses_the_lower_version_of_an_attacker),
		cmocka_unit_test(test_a_server_that_echoes_is_named),
		cmocka_unit_test(test_a_handshake_can_be_cut_behind_each_byte),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
