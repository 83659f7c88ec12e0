/* Handshakes of a worker whose peers do not read, send too early, or fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "net/tls/tls_handshake.h"
#include "net/tls/tls_record.h"
#include "tests/lib/peer_fixture.h"
#include "tests/lib/tls_fixture.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/tls_phase.h"

/* More than a worker reads at once. */
#define EARLY_BYTES (3 * WORKER_INPUT_BYTES)

/* A worker with TLS, and a client of it. */
struct meeting {
	struct worker_fixture server;
	int fds[2]; /* the client's and the server's end */
	struct tls_context *context;
	struct tls_handshake *client;
	struct buffer *output;
};

static void
start(struct meeting *m, bool is_unix, uint16_t version)
{
	const struct tls_settings server = { .certificate = tls_path("server.pem"),
		.key = tls_path("server.key"),
		.has_tickets = true };
	const struct tls_settings client = { .ca = tls_path("ca.pem"),
		.verify = TLS_VERIFY_REQUIRE,
		.max_version = version,
		.ciphers = version == TLS_VERSION_1_2 ? "ECDHE-ECDSA-AES128-GCM-SHA256"
						      : NULL };
	const struct tls_client_options options = { .name = "example.org" };
	char error[TLS_ERROR_MAX];
	memset(m, 0, sizeof(*m));
	worker_fixture_start(&m->server, "echo", FRAMING_STREAM, 1000000, 1000000);
	m->server.listener.on_handshake_event = tls_phase_on_event;
	m->server.listener.on_tls_event = connection_io_callback(&transport_tls);
	m->server.listener_config.tls.context =
	    tls_context_create_server(&server, error);
	m->context = tls_context_create_client(&client, error);
	assert_non_null(m->server.listener_config.tls.context);
	assert_non_null(m->context);
	m->client = tls_handshake_create_client(m->context, &options);
	assert_non_null(m->client);
	if (is_unix)
		open_unix_pair(m->fds, 0);
	else
		open_tcp_pair(m->fds, 0);
	worker_fixture_serve(&m->server, m->fds[1]);
}

static void
finish(struct meeting *m)
{
	if (m->fds[0] >= 0)
		close(m->fds[0]);
	tls_handshake_destroy(m->client);
	tls_context_release(m->context);
	buffer_release(&m->output);
	worker_fixture_finish(&m->server);
	tls_context_release(m->server.listener_config.tls.context);
}

static void
send_output(struct meeting *m)
{
	size_t length = buffer_length(m->output);
	if (length == 0)
		return;
	assert_int_equal(
	    send(m->fds[0], m->output->data + m->output->start, length, MSG_NOSIGNAL),
	    length);
	buffer_release(&m->output);
}

/* The client's side of the handshake; its last flight stays in output. */
static void
shake(struct meeting *m)
{
	static uint8_t data[65536];
	size_t used;
	ssize_t n = 0;
	enum tls_handshake_status status =
	    tls_handshake_step(m->client, NULL, 0, &m->output, &used);
	while (status == TLS_HANDSHAKE_WANT_MORE) {
		send_output(m);
		assert_true(worker_fixture_run_until(
		    &m->server, (n = recv(m->fds[0], data, sizeof(data), 0)) > 0));
		status =
		    tls_handshake_step(m->client, data, (size_t)n, &m->output, &used);
	}
	assert_int_equal(status, TLS_HANDSHAKE_DONE);
}

/* Fills the server's socket, and returns with how many bytes. */
static size_t
fill_socket(const struct meeting *m)
{
	static const uint8_t filler[4096];
	size_t filled = 0;
	ssize_t n;
	while ((n = send(m->fds[1], filler, sizeof(filler), MSG_NOSIGNAL)) > 0)
		filled += (size_t)n;
	return filled;
}

static void
discard(const struct meeting *m, size_t bytes)
{
	static uint8_t data[65536];
	while (bytes > 0) {
		ssize_t n = recv(
		    m->fds[0], data, bytes < sizeof(data) ? bytes : sizeof(data), 0);
		assert_true(n > 0);
		bytes -= (size_t)n;
	}
}

/* Reads records until so many bytes of data have come. */
static void
receive_data(struct meeting *m, struct tls_session *session,
    struct tls_ciphers *ciphers, size_t bytes)
{
	static uint8_t data[65536];
	struct buffer *input = NULL;
	struct tls_opened opened;
	size_t got = 0;
	uint64_t end_ms = worker_fixture_clock_ms() + 10000;
	while (got < bytes && worker_fixture_clock_ms() < end_ms) {
		worker_fixture_run_once(&m->server);
		ssize_t n = recv(m->fds[0], data, sizeof(data), 0);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		if (n > 0)
			assert_int_equal(buffer_append(&input, data, (size_t)n), 0);
		while (input != NULL) {
			enum tls_open_status status = tls_record_open(session, ciphers,
			    input->data + input->start, buffer_length(input), NULL,
			    &opened);
			if (status == TLS_OPEN_PARTIAL)
				break;
			assert_true(
			    status == TLS_OPEN_DATA || status == TLS_OPEN_CONTROL);
			if (status == TLS_OPEN_DATA)
				got += opened.length;
			buffer_consume(&input, opened.record);
		}
	}
	buffer_release(&input);
	assert_int_equal(got, bytes);
}

/* The server cannot send the end of its handshake, while the client sends on. */
static void
test_what_comes_before_the_handshake_is_sent_waits_in_the_socket(void **state)
{
	static uint8_t data[EARLY_BYTES], sealed[TLS_SEALED_MAX(EARLY_BYTES)];
	struct tls_session session;
	struct meeting m;
	(void)state;
	start(&m, true, TLS_VERSION_1_3);
	shake(&m);
	struct tls_ciphers *ciphers = tls_ciphers_create();
	assert_non_null(ciphers);
	size_t filled = fill_socket(&m);
	send_output(&m);
	assert_int_equal(tls_handshake_take(m.client, &session), 0);
	size_t length = tls_record_seal(&session, ciphers, data, sizeof(data), sealed);
	assert_true(length > sizeof(data));

	const struct connection *connection = worker_fixture_connection(&m.server);
	for (size_t sent = 0, i = 0; i < 100; i++) {
		ssize_t n = send(m.fds[0], sealed + sent, length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(&m.server);
		assert_int_equal(connection->phase, CONNECTION_TLS_HANDSHAKE);
		assert_true(buffer_length(connection->tls->partial) <=
		    TLS_TRANSPORT_RECEIVED_BYTES);
		if (i < 99)
			continue;
		/* There is room again. */
		discard(&m, filled);
		while (sent < length) {
			worker_fixture_run_once(&m.server);
			n = send(m.fds[0], sealed + sent, length - sent, MSG_NOSIGNAL);
			sent += n > 0 ? (size_t)n : 0;
		}
	}
	receive_data(&m, &session, ciphers, sizeof(data));
	tls_ciphers_destroy(ciphers);
	finish(&m);
}

static void
test_a_handshake_that_failed_keeps_no_memory_of_the_library(void **state)
{
	struct meeting m;
	(void)state;
	start(&m, false, TLS_VERSION_1_3);
	assert_int_equal(
	    send(m.fds[0], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	const struct connection *connection = worker_fixture_connection(&m.server);
	assert_true(worker_fixture_run_until(
	    &m.server, connection->phase == CONNECTION_LINGERING));
	assert_non_null(connection->tls);
	assert_true(connection->tls->is_handshaking);
	assert_null(connection->tls->handshake);
	assert_int_equal(
	    worker_fixture_count(&m.server, LEDGER_TLS_HANDSHAKES_FAILED), 1);
	finish(&m);
}

static void
test_a_handshake_that_failed_counts_once_if_the_peer_has_reset_it(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct meeting m;
	(void)state;
	start(&m, false, TLS_VERSION_1_3);
	assert_int_equal(
	    send(m.fds[0], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	setsockopt(m.fds[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(m.fds[0]);
	m.fds[0] = -1;
	assert_true(worker_fixture_run_until(
	    &m.server, worker_fixture_connection(&m.server) == NULL));
	assert_int_equal(
	    worker_fixture_count(&m.server, LEDGER_TLS_HANDSHAKES_FAILED), 1);
	finish(&m);
}

static void
test_keys_leave_the_memory_with_their_connection(void **state)
{
	uint8_t sealed[TLS_SEALED_MAX(5)], keys[2][TLS_KEY_MAX];
	struct tls_session session;
	struct meeting m;
	(void)state;
	start(&m, false, TLS_VERSION_1_3);
	const struct crash_region *region = &m.server.worker.region;
	memset(region->input, 0, region->size - (size_t)(region->input - region->base));
	shake(&m);
	send_output(&m);
	struct tls_ciphers *ciphers = tls_ciphers_create();
	assert_non_null(ciphers);
	assert_int_equal(tls_handshake_take(m.client, &session), 0);
	memcpy(keys[0], session.send.key, TLS_KEY_MAX);
	memcpy(keys[1], session.receive.key, TLS_KEY_MAX);
	size_t length = tls_record_seal(&session, ciphers, "hello", 5, sealed);
	assert_int_equal(send(m.fds[0], sealed, length, MSG_NOSIGNAL), length);
	receive_data(&m, &session, ciphers, 5);
	assert_non_null(memmem(region->base, region->size, keys[1], TLS_KEY_MAX));
	close(m.fds[0]);
	m.fds[0] = -1;
	assert_true(worker_fixture_run_until(
	    &m.server, worker_fixture_connection(&m.server) == NULL));
	for (int i = 0; i < 2; i++)
		assert_null(memmem(region->base, region->size, keys[i], TLS_KEY_MAX));
	tls_ciphers_destroy(ciphers);
	finish(&m);
}

/* TLS 1.2 cannot change its key: the end is told by an alert, not by a reset. */
static void
test_a_key_that_is_used_up_ends_the_connection_with_an_alert(void **state)
{
	uint8_t sealed[TLS_SEALED_MAX(5)], data[1000];
	struct tls_session session;
	struct tls_opened opened;
	struct meeting m;
	ssize_t n = 0;
	(void)state;
	start(&m, false, TLS_VERSION_1_2);
	shake(&m);
	struct tls_ciphers *ciphers = tls_ciphers_create();
	assert_non_null(ciphers);
	assert_int_equal(tls_handshake_take(m.client, &session), 0);
	const struct connection *connection = worker_fixture_connection(&m.server);
	assert_true(worker_fixture_run_until(
	    &m.server, connection->phase == CONNECTION_SERVING));
	connection->tls->session.send.sequence = session.receive.sequence =
	    TLS_RECORDS_PER_KEY - 4;
	size_t length = tls_record_seal(&session, ciphers, "hello", 5, sealed);
	assert_int_equal(send(m.fds[0], sealed, length, MSG_NOSIGNAL), length);
	assert_true(worker_fixture_run_until(
	    &m.server, (n = recv(m.fds[0], data, sizeof(data), 0)) >= 0));
	assert_int_equal(
	    tls_record_open(&session, ciphers, data, (size_t)n, NULL, &opened),
	    TLS_OPEN_ALERT);
	assert_int_equal(opened.alert, TLS_ALERT_INTERNAL_ERROR);
	assert_int_equal(worker_fixture_closed(&m.server, CLOSE_SYSTEM_ERROR), 1);
	tls_ciphers_destroy(ciphers);
	finish(&m);
}

static int
make_files(void **state)
{
	(void)state;
	tls_fixture_start();
	return 0;
}

static int
remove_files(void **state)
{
	(void)state;
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_what_comes_before_the_handshake_is_sent_waits_in_the_socket),
		cmocka_unit_test(
		    test_a_handshake_that_failed_keeps_no_memory_of_the_library),
		cmocka_unit_test(
		    test_a_handshake_that_failed_counts_once_if_the_peer_has_reset_it),
		cmocka_unit_test(test_keys_leave_the_memory_with_their_connection),
		cmocka_unit_test(
		    test_a_key_that_is_used_up_ends_the_connection_with_an_alert),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
