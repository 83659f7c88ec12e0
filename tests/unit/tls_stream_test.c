/* One connection of the client in TLS; the server is this test, on the other end of a
 * socket pair. */
#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "client/tls/tls_stream.h"
#include "tests/lib/tls_pair.h"

#define BIG 60000

struct server {
	int fd;
	struct tls_session session;
	struct tls_ciphers *ciphers;
	struct buffer *unread; /* received records */
};

struct connection {
	struct tls_pool pool;
	struct counters_tls counts;
	struct tls_context *client_context, *server_context;
	struct tls_stream *stream;
	int fd;
	struct server server;
	bool is_offered;
};

static uint8_t big[BIG], received[TLS_POOL_BYTES];

static void
receive_all(int fd, struct buffer **to)
{
	static uint8_t bytes[65536];
	ssize_t n;
	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		must(buffer_append(to, bytes, (size_t)n) == 0);
}

static void
send_all(int fd, struct buffer **from)
{
	size_t n = buffer_length(*from);
	if (n == 0)
		return;
	assert_int_equal(send(fd, (*from)->data + (*from)->start, n, 0), n);
	buffer_release(from);
}

/* `joined`: sealed and sent together with the server's last bytes of the handshake. */
static void
shake(struct connection *connection, const char *joined)
{
	struct server *server = &connection->server;
	struct tls_handshake *handshake =
	    tls_handshake_create_server(connection->server_context);
	struct buffer *in = NULL, *out = NULL;
	enum tls_stream_status status;
	enum tls_handshake_status other = TLS_HANDSHAKE_WANT_MORE;
	uint8_t sealed[256];
	size_t consumed;
	while ((status = tls_stream_shake(connection->stream, connection->fd)) ==
		TLS_STREAM_WAIT ||
	    other == TLS_HANDSHAKE_WANT_MORE) {
		receive_all(server->fd, &in);
		other = tls_handshake_step(handshake, in == NULL ? NULL : in->data,
		    buffer_length(in), &out, &consumed);
		assert_int_not_equal(other, TLS_HANDSHAKE_FAILED);
		buffer_release(&in);
		if (other == TLS_HANDSHAKE_DONE) {
			assert_int_equal(
			    tls_handshake_take(handshake, &server->session), 0);
			if (joined != NULL) {
				size_t n = tls_record_seal(&server->session,
				    server->ciphers, joined, strlen(joined), sealed);
				must(buffer_append(&out, sealed, n) == 0);
			}
		}
		send_all(server->fd, &out);
		if (status == TLS_STREAM_READY)
			break;
	}
	assert_int_equal(status, TLS_STREAM_READY);
	tls_handshake_destroy(handshake);
	tls_stream_settle(connection->stream);
}

static void
open_stream_of_group(struct connection *connection, bool resumes, uint32_t group)
{
	struct tls_stream_args args = {
		.group = group,
		.pool = &connection->pool,
		.context = connection->client_context,
		.name = "example.org",
		.resumes = resumes,
		.keeps_ticket = resumes,
	};
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	connection->fd = fds[0];
	connection->server.fd = fds[1];
	connection->stream = tls_stream_create(&args, &connection->is_offered);
}

static void
open_stream(struct connection *connection, bool resumes)
{
	open_stream_of_group(connection, resumes, 0);
}

static void
close_stream(struct connection *connection)
{
	tls_stream_destroy(connection->stream);
	connection->stream = NULL;
	buffer_release(&connection->server.unread);
	if (connection->server.fd >= 0)
		close(connection->server.fd);
	close(connection->fd);
}

static void
start(struct connection *connection, uint16_t max_version, bool has_tickets)
{
	struct tls_settings server = {
		.certificate = tls_path("server.pem"),
		.key = tls_path("server.key"),
		.has_tickets = has_tickets,
		.max_version = max_version,
	};
	struct tls_settings client = {
		.ca = tls_path("ca.pem"),
		.verify = TLS_VERIFY_REQUIRE,
		.has_tickets = has_tickets,
	};
	memset(connection, 0, sizeof(*connection));
	connection->server_context = tls_must_create(true, &server);
	connection->client_context = tls_must_create(false, &client);
	connection->server.ciphers = tls_ciphers_create();
	must(connection->server.ciphers != NULL);
	tls_pool_init(&connection->pool, &connection->counts, 2, TLS_POOL_TICKETS_MAX);
	open_stream(connection, has_tickets);
}

static void
finish(struct connection *connection)
{
	close_stream(connection);
	tls_pool_finish(&connection->pool);
	tls_ciphers_destroy(connection->server.ciphers);
	tls_context_release(connection->server_context);
	tls_context_release(connection->client_context);
}

/* What the server seals. */
static size_t
seal(struct connection *connection, const void *data, size_t length, uint8_t *out)
{
	struct server *server = &connection->server;
	size_t n =
	    tls_record_seal(&server->session, server->ciphers, data, length, out);
	assert_true(n > 0);
	return n;
}

static void
server_sends(struct connection *connection, const void *data, size_t length)
{
	static uint8_t sealed[TLS_SEALED_MAX(BIG)];
	size_t n = seal(connection, data, length, sealed);
	assert_int_equal(send(connection->server.fd, sealed, n, 0), n);
}

/* Reads at the server until nothing comes; the bytes in plain[], or the status of the
 * last record. */
static size_t
server_reads(
    struct connection *connection, uint8_t *plain, enum tls_open_status *ret_status)
{
	struct server *server = &connection->server;
	struct tls_opened opened;
	size_t length = 0;
	receive_all(server->fd, &server->unread);
	*ret_status = TLS_OPEN_PARTIAL;
	while (buffer_length(server->unread) > 0) {
		enum tls_open_status status = tls_record_open(&server->session,
		    server->ciphers, server->unread->data + server->unread->start,
		    buffer_length(server->unread), NULL, &opened);
		if (status == TLS_OPEN_PARTIAL)
			break;
		*ret_status = status;
		if (status == TLS_OPEN_DATA) {
			memcpy(plain + length, opened.data, opened.length);
			length += opened.length;
		}
		if (status > TLS_OPEN_CONTROL)
			break;
		buffer_consume(&server->unread, opened.record);
	}
	return length;
}

static ssize_t
receive(struct connection *connection)
{
	return tls_stream_receive(
	    connection->stream, connection->fd, received, sizeof(received), NULL);
}

static void
test_records_arrive_at_any_segmentation(void **state)
{
	struct connection connection;
	uint8_t sealed[256];
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	size_t n = seal(&connection, "hello", 5, sealed);
	for (size_t i = 0; i + 1 < n; i++) {
		assert_int_equal(send(connection.server.fd, sealed + i, 1, 0), 1);
		assert_int_equal(receive(&connection), -1);
		assert_int_equal(errno, EAGAIN);
	}
	assert_int_equal(send(connection.server.fd, sealed + n - 1, 1, 0), 1);
	assert_int_equal(receive(&connection), 5);
	assert_memory_equal(received, "hello", 5);
	assert_null(connection.stream->input);
	/* Two records and a part of a third one in one read. */
	n = seal(&connection, "one", 3, sealed);
	n += seal(&connection, "two", 3, sealed + n);
	size_t all = n + seal(&connection, "three", 5, sealed + n);
	assert_int_equal(send(connection.server.fd, sealed, n + 4, 0), n + 4);
	assert_int_equal(receive(&connection), 6);
	assert_memory_equal(received, "onetwo", 6);
	assert_int_equal(
	    send(connection.server.fd, sealed + n + 4, all - n - 4, 0), all - n - 4);
	assert_int_equal(receive(&connection), 5);
	assert_memory_equal(received, "three", 5);
	finish(&connection);
}

/* The buffers of the pool, in which records are opened and sealed in place. */
static void
exchange_in_place(struct connection *connection, size_t length)
{
	static uint8_t plain[BIG];
	struct tls_pool *pool = &connection->pool;
	enum tls_open_status status;
	ssize_t got = 0;
	memcpy(pool->outgoing, big, length);
	assert_int_equal(
	    tls_stream_send(connection->stream, connection->fd, pool->outgoing, length),
	    length);
	assert_int_equal(server_reads(connection, plain, &status), length);
	assert_int_equal(status, TLS_OPEN_DATA);
	assert_memory_equal(plain, big, length);
	/* A short record first: the others follow it, wherever they were. */
	server_sends(connection, big, 1);
	server_sends(connection, big + 1, length);
	while (got < (ssize_t)length + 1) {
		ssize_t n = tls_stream_receive(connection->stream, connection->fd,
		    pool->incoming, TLS_POOL_BYTES, NULL);
		assert_true(n > 0);
		assert_memory_equal(pool->incoming, big + got, n);
		got += n;
	}
	assert_int_equal(got, length + 1);
}

static void
test_records_are_opened_and_sealed_in_place(void **state)
{
	static const uint16_t versions[] = { TLS_VERSION_1_2, TLS_VERSION_1_3 };
	static const size_t lengths[] = { 1, 64, 5000, TLS_RECORD_DATA_MAX,
		TLS_RECORD_DATA_MAX + 1, BIG / 2 };
	struct connection connection;
	(void)state;
	for (size_t v = 0; v < 2; v++) {
		start(&connection, versions[v], false);
		shake(&connection, NULL);
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
			exchange_in_place(&connection, lengths[i]);
		tls_record_request_update(&connection.stream->session, true);
		exchange_in_place(&connection, 64);
		exchange_in_place(&connection, 64);
		finish(&connection);
	}
}

static void
test_a_slow_reader_reads_no_more_than_it_asks_for(void **state)
{
	struct connection connection;
	size_t got = 0, reads = 0;
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	server_sends(&connection, big, 20000);
	while (got < 20000) {
		ssize_t n = tls_stream_receive(
		    connection.stream, connection.fd, received, 1000, NULL);
		reads++;
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(connection.stream->has_more);
			continue;
		}
		assert_memory_equal(received, big + got, n);
		got += (size_t)n;
	}
	assert_int_equal(reads, 21);
	finish(&connection);
}

static void
test_what_the_socket_does_not_take_is_kept_and_sent_first(void **state)
{
	struct connection connection;
	static uint8_t plain[3 * BIG];
	enum tls_open_status status;
	size_t sent = 0, got = 0;
	int bytes = 8192;
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	setsockopt(connection.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	assert_int_equal(
	    tls_stream_send(connection.stream, connection.fd, big, BIG), BIG);
	assert_true(tls_stream_has_output(connection.stream));
	assert_int_equal(
	    tls_stream_send(connection.stream, connection.fd, big, BIG), -1);
	assert_int_equal(errno, EAGAIN);
	sent = BIG;
	for (int turn = 0; got < 2 * BIG; turn++) {
		assert_true(turn < 1000);
		got += server_reads(&connection, plain + got, &status);
		int rc = tls_stream_flush(connection.stream, connection.fd);
		if (rc < 0)
			assert_int_equal(errno, EAGAIN);
		else if (sent < 2 * BIG) {
			ssize_t n =
			    tls_stream_send(connection.stream, connection.fd, big, BIG);
			assert_int_equal(n, BIG);
			sent += BIG;
		}
	}
	assert_memory_equal(plain, big, BIG);
	assert_memory_equal(plain + BIG, big, BIG);
	assert_true(counters_get(&connection.counts.record_bytes_sent) > 2 * BIG);
	finish(&connection);
}

static void
test_close_notify_and_fin_follow_what_was_kept(void **state)
{
	struct connection connection;
	static uint8_t plain[2 * BIG];
	enum tls_open_status status = TLS_OPEN_PARTIAL;
	int bytes = 8192;
	size_t got = 0;
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	setsockopt(connection.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	assert_int_equal(
	    tls_stream_send(connection.stream, connection.fd, big, BIG), BIG);
	assert_int_equal(tls_stream_finish(connection.stream, connection.fd), -1);
	assert_int_equal(errno, EAGAIN);
	for (int turn = 0; status != TLS_OPEN_CLOSED; turn++) {
		assert_true(turn < 1000);
		got += server_reads(&connection, plain + got, &status);
		(void)tls_stream_flush(connection.stream, connection.fd);
	}
	assert_int_equal(got, BIG);
	assert_memory_equal(plain, big, BIG);
	assert_int_equal(recv(connection.server.fd, plain, 1, 0), 0);
	/* Our direction has ended, the other one goes on. */
	server_sends(&connection, "late", 4);
	assert_int_equal(receive(&connection), 4);
	finish(&connection);
}

static void
test_the_end_of_a_stream_is_told_from_a_truncation(void **state)
{
	struct connection connection;
	struct server *server = &connection.server;
	uint8_t alert[TLS_ALERT_RECORD_MAX];
	(void)state;
	for (int is_truncated = 0; is_truncated < 2; is_truncated++) {
		start(&connection, 0, false);
		shake(&connection, NULL);
		server_sends(&connection, "bye", 3);
		size_t n = tls_record_seal_alert(
		    &server->session, server->ciphers, TLS_ALERT_CLOSE_NOTIFY, alert);
		if (!is_truncated)
			assert_int_equal(send(server->fd, alert, n, 0), n);
		close(server->fd);
		server->fd = -1;
		assert_int_equal(receive(&connection), 3);
		/* The end came with the data: no further event announces it. */
		assert_true(is_truncated || connection.stream->has_more);
		assert_int_equal(receive(&connection), 0);
		assert_int_equal(connection.stream->end,
		    is_truncated ? TLS_STREAM_TRUNCATED : TLS_STREAM_CLOSED);
		assert_true(counters_get(&connection.counts.truncated) ==
		    (uint64_t)is_truncated);
		finish(&connection);
	}
}

/* No event announces a FIN that comes together with a part of a record. */
static void
test_a_record_that_ends_early_is_a_truncation(void **state)
{
	static const uint8_t half[] = { 23, 3, 3, 0, 100, 1, 2, 3 };
	struct connection connection;
	struct server *server = &connection.server;
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	assert_int_equal(send(server->fd, half, sizeof(half), 0), sizeof(half));
	assert_int_equal(receive(&connection), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(connection.stream->has_read);
	assert_int_equal(receive(&connection), -1);
	assert_int_equal(errno, EAGAIN);
	assert_false(connection.stream->has_read);
	close(server->fd);
	server->fd = -1;
	assert_int_equal(receive(&connection), 0);
	assert_int_equal(connection.stream->end, TLS_STREAM_TRUNCATED);
	finish(&connection);
}

static void
test_an_alert_and_a_bad_record_end_the_stream(void **state)
{
	struct connection connection;
	struct server *server = &connection.server;
	uint8_t record[256];
	enum tls_open_status status;
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	size_t n = tls_record_seal_alert(
	    &server->session, server->ciphers, TLS_ALERT_INTERNAL_ERROR, record);
	assert_int_equal(send(server->fd, record, n, 0), n);
	assert_int_equal(receive(&connection), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(connection.stream->end, TLS_STREAM_ALERT);
	assert_int_equal(connection.stream->alert, TLS_ALERT_INTERNAL_ERROR);
	assert_true(counters_get(&connection.counts.alerts) == 1);
	finish(&connection);

	start(&connection, 0, false);
	shake(&connection, NULL);
	n = seal(&connection, "hello", 5, record);
	record[n - 1] ^= 1;
	assert_int_equal(send(server->fd, record, n, 0), n);
	assert_int_equal(receive(&connection), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(connection.stream->end, TLS_STREAM_BAD);
	assert_true(counters_get(&connection.counts.bad_records) == 1);
	/* The peer was told. */
	assert_int_equal(server_reads(&connection, received, &status), 0);
	assert_int_equal(status, TLS_OPEN_ALERT);
	finish(&connection);
}

static void
test_data_that_comes_with_the_end_of_the_handshake_is_received(void **state)
{
	struct connection connection;
	(void)state;
	/* In TLS 1.2 the server has the last word. */
	start(&connection, TLS_VERSION_1_2, false);
	shake(&connection, "welcome");
	assert_true(connection.stream->has_more);
	assert_int_equal(receive(&connection), 7);
	assert_memory_equal(received, "welcome", 7);
	/* The socket was not read: no event will tell what it has. */
	assert_true(connection.stream->has_more);
	finish(&connection);
}

static void
test_tickets_are_kept_and_each_is_used_once_but_the_last(void **state)
{
	struct connection connection;
	(void)state;
	start(&connection, 0, true);
	assert_false(connection.is_offered);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(connection.pool.tickets[0].awaited, 1);
		shake(&connection, NULL);
		assert_non_null(connection.stream->handshake); /* awaits a ticket */
		server_sends(&connection, "x", 1);
		assert_int_equal(receive(&connection), 1);
		assert_null(connection.stream->handshake);
		assert_int_equal(connection.pool.tickets[0].awaited, 0);
		assert_true(counters_get(&connection.counts.tickets) == 1U + i);
		close_stream(&connection);
		open_stream(&connection, true);
		assert_true(connection.is_offered);
		/* The last one stays for others. */
		assert_true(connection.pool.tickets[0].count >= 1);
	}
	finish(&connection);
}

static void
test_a_session_is_resumed_in_its_own_group_alone(void **state)
{
	struct connection connection;
	(void)state;
	start(&connection, 0, true);
	shake(&connection, NULL);
	server_sends(&connection, "x", 1);
	assert_int_equal(receive(&connection), 1);
	close_stream(&connection);
	open_stream_of_group(&connection, true, 1);
	assert_false(connection.is_offered);
	close_stream(&connection);
	open_stream_of_group(&connection, true, 0);
	assert_true(connection.is_offered);
	finish(&connection);
}

static void
test_ciphers_are_destroyed_when_a_connection_is_quiet(void **state)
{
	struct connection connection;
	(void)state;
	start(&connection, 0, false);
	shake(&connection, NULL);
	server_sends(&connection, "1", 1);
	assert_int_equal(receive(&connection), 1);
	assert_null(connection.stream->ciphers); /* the first use */
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2; i++) {
			server_sends(&connection, "2", 1);
			assert_int_equal(receive(&connection), 1);
		}
		assert_non_null(connection.stream->ciphers);
		assert_int_equal(connection.pool.armed_count, 1);
		tls_pool_sweep(&connection.pool);
		assert_non_null(connection.stream->ciphers); /* was in use */
		tls_pool_sweep(&connection.pool);
		assert_null(connection.stream->ciphers);
		assert_int_equal(connection.pool.armed_count, 0);
	}
	finish(&connection);
}

static int
set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
	tls_fixture_start();
	return tls_record_init();
}

static int
tear_down(void **state)
{
	(void)state;
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_arrive_at_any_segmentation),
		cmocka_unit_test(test_records_are_opened_and_sealed_in_place),
		cmocka_unit_test(test_a_slow_reader_reads_no_more_than_it_asks_for),
		cmocka_unit_test(
		    test_what_the_socket_does_not_take_is_kept_and_sent_first),
		cmocka_unit_test(test_close_notify_and_fin_follow_what_was_kept),
		cmocka_unit_test(test_the_end_of_a_stream_is_told_from_a_truncation),
		cmocka_unit_test(test_a_record_that_ends_early_is_a_truncation),
		cmocka_unit_test(test_an_alert_and_a_bad_record_end_the_stream),
		cmocka_unit_test(
		    test_data_that_comes_with_the_end_of_the_handshake_is_received),
		cmocka_unit_test(
		    test_tickets_are_kept_and_each_is_used_once_but_the_last),
		cmocka_unit_test(test_a_session_is_resumed_in_its_own_group_alone),
		cmocka_unit_test(test_ciphers_are_destroyed_when_a_connection_is_quiet),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
