#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>

#include "lib/clock.h"
#include "proto/faults/fault_record.h"
#include "tests/lib/worker_fixture.h"
#include "worker/faults/fault_injection.h"
#include "worker/faults/fault_listener.h"

#define RING 256

struct fixture {
	struct worker_fixture w;
	struct fault faults[FAULTS_MAX];
	int peer, other; /* clients */
};

/* A worker whose listener has the faults, separated by ";". */
static void
start(struct fixture *f, const char *faults, enum framing framing)
{
	char copy[512], error[256], *rest = copy, *one;
	snprintf(copy, sizeof(copy), "%s", faults);
	worker_fixture_start(&f->w, "echo", framing, 65536, 65536);
	f->w.listener_config.faults = f->faults;
	f->w.listener_config.fault_count = 0;
	f->w.config.fault_seed = 1;
	while ((one = strsep(&rest, ";")) != NULL)
		assert_int_equal(
		    fault_parse(one, &f->faults[f->w.listener_config.fault_count++],
			error, sizeof(error)),
		    0);
	assert_int_equal(fault_timers_start(&f->w.worker), 0);
	f->w.worker.fault_ring =
	    calloc(1, sizeof(struct fault_ring) + RING * sizeof(struct fault_record));
	f->w.worker.fault_ring->capacity = RING;
	fault_listener_prepare(&f->w.listener);
}

/* Returns the client of a new connection from that port. */
static int
serve(struct fixture *f, uint16_t port)
{
	int fds[2];
	struct address peer = { .length = sizeof(peer.in) };
	peer.in.sin_family = AF_INET;
	peer.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer.in.sin_port = htons(port);
	open_tcp_pair(fds, 0);
	ledger_count(f->w.listener.block, LEDGER_CONNECTIONS_ACCEPTED, 1);
	struct connection *connection = connection_open(&f->w.listener, fds[1], &peer);
	assert_non_null(connection);
	if (f->w.listener.faults.count > 0)
		fault_injection_open(connection);
	return fds[0];
}

static void
finish(struct fixture *f)
{
	connection_pool_for_each(
	    &f->w.worker.connections, worker_fixture_close_one, NULL);
	fault_listener_stop(&f->w.listener);
	fault_timers_stop(&f->w.worker);
	free(f->w.worker.faults.scratch);
	free(f->w.worker.fault_ring);
	worker_fixture_finish(&f->w);
}

static void
send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the client has received within that time, or until it has `bytes`; the last
 * result of recv(2) in *ret. */
static const char *
receive(struct fixture *f, int fd, size_t bytes, unsigned ms, ssize_t *ret)
{
	static char text[1024];
	uint64_t end_ms = worker_fixture_clock_ms() + ms;
	size_t length = 0;
	ssize_t n = -1;
	do {
		worker_fixture_run_once(&f->w);
		n = recv(fd, text + length, sizeof(text) - 1 - length, MSG_DONTWAIT);
		if (n > 0)
			length += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
		usleep(200);
	} while (length < bytes && worker_fixture_clock_ms() < end_ms);
	if (ret != NULL)
		*ret = n < 0 && errno != EAGAIN ? -errno : n;
	text[length] = '\0';
	return text;
}

static uint64_t
injected(const struct fixture *f, enum fault_kind kind)
{
	return atomic_load(&f->w.listener.block->faults[kind]);
}

static const struct fault_record *
record(const struct fixture *f, size_t i)
{
	assert_true(atomic_load(&f->w.worker.fault_ring->written) > i);
	return &f->w.worker.fault_ring->records[i];
}

#define LONG_MS 5000

static void
test_alters_replies(void **state)
{
	(void)state;
	static const struct {
		const char *faults, *sent, *expected;
	} cases[] = {
		{ "truncate 2 bytes at message 2", "aaa\nbbb\nccc\n", "aaa\nbbccc\n" },
		{ "truncate 99 bytes at message 2", "aaa\nbbb\nccc\n", "aaa\nccc\n" },
		{ "duplicate at message 2", "aaa\nbbb\nccc\n", "aaa\nbbb\nbbb\nccc\n" },
		{ "drop every 2", "aaa\nbbb\nccc\nddd\n", "aaa\nccc\n" },
		{ "reorder at message 1", "aaa\nbbb\nccc\n", "bbb\naaa\nccc\n" },
		{ "reorder at message 1;drop at message 2", "aaa\nbbb\nccc\n",
		    "ccc\naaa\n" },
		{ "drop after 8 bytes", "aaa\nbbb\nccc\nddd\n", "aaa\nbbb\n" },
		{ "truncate 1 byte;duplicate at message 1", "aaa\nbbb\n", "aaaaaabbb" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		start(&f, cases[i].faults, FRAMING_LINE);
		int fd = serve(&f, 4000);
		send_text(fd, cases[i].sent);
		assert_string_equal(
		    receive(&f, fd, strlen(cases[i].expected), LONG_MS, NULL),
		    cases[i].expected);
		close(fd);
		finish(&f);
	}
}

static void
test_corrupts_and_inserts_that_many_bytes(void **state)
{
	(void)state;
	struct fixture f;
	start(&f,
	    "corrupt 2 bytes at message 1;corrupt 1 bit at message 2;insert 3 bytes at message 3",
	    FRAMING_LENGTH32);
	int fd = serve(&f, 4000), differing = 0, bits = 0;
	char sent[36];
	for (int i = 0; i < 3; i++) {
		memcpy(sent + 12 * i, "\0\0\0\10", 4);
		memcpy(sent + 12 * i + 4, "abcdefgh", 8);
	}
	assert_int_equal(send(fd, sent, sizeof(sent), 0), sizeof(sent));
	const char *got = receive(&f, fd, 39, LONG_MS, NULL);
	for (int i = 0; i < 12; i++)
		differing += got[i] != sent[i];
	for (int i = 12; i < 24; i++)
		bits += __builtin_popcount((unsigned char)(got[i] ^ sent[i]));
	assert_int_equal(differing, 2);
	assert_int_equal(bits, 1);
	assert_memory_not_equal(got + 24, sent + 24, 12);
	assert_int_equal(injected(&f, FAULT_CORRUPT), 2);
	assert_int_equal(injected(&f, FAULT_INSERT), 1);
	assert_int_equal(record(&f, 2)->message, 3);
	assert_int_equal(record(&f, 2)->offset, 24);
	assert_int_equal(record(&f, 2)->length, 12);
	assert_int_equal(record(&f, 2)->peer_port, 4000);
	close(fd);
	finish(&f);
}

static void
test_delays_replies_in_their_order(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "delay 60ms at message 1", FRAMING_LINE);
	int fd = serve(&f, 4000);
	uint64_t begin_ms = worker_fixture_clock_ms();
	send_text(fd, "aaa\nbbb\n");
	assert_string_equal(receive(&f, fd, 8, LONG_MS, NULL), "aaa\nbbb\n");
	assert_true(worker_fixture_clock_ms() - begin_ms >= 59);
	assert_int_equal(injected(&f, FAULT_DELAY), 1);
	assert_int_equal(record(&f, 0)->value, 60000000);
	assert_int_equal(ledger_read(f.w.listener.block, LEDGER_REPLIES_SENT), 2);
	close(fd);
	finish(&f);
}

static void
test_a_held_reply_is_sent_alone_in_the_end(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "reorder at message 1", FRAMING_LINE);
	int fd = serve(&f, 4000);
	send_text(fd, "aaa\n");
	assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "aaa\n");
	assert_int_equal(injected(&f, FAULT_REORDER), 0);
	close(fd);
	finish(&f);
}

static void
test_swaps_with_another_connection(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "swap at message 2", FRAMING_LINE);
	int one = serve(&f, 4000), other = serve(&f, 4001);
	send_text(other, "other\n");
	assert_string_equal(receive(&f, other, 6, LONG_MS, NULL), "other\n");
	send_text(one, "a\nb\nc\n");
	assert_string_equal(receive(&f, one, 10, LONG_MS, NULL), "a\nother\nc\n");
	close(one);
	close(other);
	finish(&f);
}

static void
test_ends_a_connection(void **state)
{
	(void)state;
	static const struct {
		const char *fault, *expected;
		ssize_t end; /* of recv */
	} cases[] = {
		{ "close at message 3", "aaa\nbbb\n", 0 },
		{ "close after 6 bytes", "aaa\nbb", 0 },
		{ "reset after 8 bytes", "aaa\nbbb\n", -ECONNRESET },
		{ "reset after 5 bytes;delay 10ms", "aaa\nb", -ECONNRESET },
		{ "half-close after 4 bytes", "aaa\n", 0 },
		{ "close", "", 0 },
		{ "close after 30ms", "aaa\nbbb\nccc\n", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		ssize_t end;
		start(&f, cases[i].fault, FRAMING_LINE);
		int fd = serve(&f, 4000);
		send_text(fd, "aaa\nbbb\nccc\n");
		assert_string_equal(
		    receive(&f, fd, 100, LONG_MS, &end), cases[i].expected);
		assert_int_equal(end, cases[i].end);
		close(fd);
		assert_true(worker_fixture_run_until(
		    &f.w, atomic_load(&f.w.listener.block->closed[CLOSE_FAULT]) == 1));
		assert_null(worker_fixture_connection(&f.w));
		finish(&f);
	}
}

static void
test_half_closes_and_reads_on(void **state)
{
	(void)state;
	struct fixture f;
	ssize_t end;
	start(&f, "half-close at message 2", FRAMING_LINE);
	int fd = serve(&f, 4000);
	send_text(fd, "aaa\nbbb\n");
	assert_string_equal(receive(&f, fd, 100, LONG_MS, &end), "aaa\n");
	assert_int_equal(end, 0);
	send_text(fd, "ccc\n");
	assert_true(worker_fixture_run_until(
	    &f.w, ledger_read(f.w.listener.block, LEDGER_MESSAGES_RECEIVED) == 3));
	close(fd);
	finish(&f);
}

static void
test_stalls_for_a_time(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "stall 80ms at message 2", FRAMING_LINE);
	int fd = serve(&f, 4000);
	uint64_t begin_ms = worker_fixture_clock_ms();
	send_text(fd, "aaa\nbbb\n");
	assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "aaa\n");
	assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "bbb\n");
	assert_true(worker_fixture_clock_ms() - begin_ms >= 79);
	send_text(fd, "ccc\n");
	assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "ccc\n");
	close(fd);
	finish(&f);
}

static void
test_reads_no_more(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "never-read at message 2", FRAMING_LINE);
	int fd = serve(&f, 4000);
	send_text(fd, "aaa\nbbb\n");
	assert_string_equal(receive(&f, fd, 8, LONG_MS, NULL), "aaa\nbbb\n");
	send_text(fd, "ccc\n");
	assert_string_equal(receive(&f, fd, 4, 60, NULL), "");
	/* The end of the peer's stream is noticed all the same. */
	close(fd);
	assert_true(worker_fixture_run_until(
	    &f.w, atomic_load(&f.w.listener.block->closed[CLOSE_FAULT]) == 1));
	finish(&f);
}

static void
test_trickles(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "trickle 100 bytes/s", FRAMING_LINE);
	int fd = serve(&f, 4000);
	uint64_t begin_ms = worker_fixture_clock_ms();
	send_text(fd, "aaaaaaaaa\nbbbbbbbbb\n");
	assert_string_equal(
	    receive(&f, fd, 20, LONG_MS, NULL), "aaaaaaaaa\nbbbbbbbbb\n");
	assert_true(worker_fixture_clock_ms() - begin_ms >= 170);
	close(fd);
	finish(&f);
}

static void
test_refuses_some_connections_again_and_again(void **state)
{
	(void)state;
	struct fixture f;
	int refused = 0;
	start(&f, "refuse on 20%", FRAMING_LINE);
	for (uint16_t port = 1; port <= 200; port++) {
		struct address peer = { .length = sizeof(peer.in) };
		peer.in.sin_family = AF_INET;
		peer.in.sin_port = htons(port);
		bool is_refused = fault_injection_refuses(&f.w.listener, &peer);
		assert_true(
		    fault_injection_refuses(&f.w.listener, &peer) == is_refused);
		refused += is_refused;
	}
	assert_in_range(refused, 20, 62);
	finish(&f);
}

static void
test_bounds_what_waits(void **state)
{
	(void)state;
	struct fixture f;
	char text[256];
	start(&f, "delay 60s", FRAMING_LINE);
	int fd = serve(&f, 4000), sends = 0;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	for (; sends < 100000; sends++) {
		if (send(fd, text, sizeof(text), MSG_DONTWAIT) <= 0)
			break;
		worker_fixture_run_once(&f.w);
	}
	const struct connection *connection = worker_fixture_connection(&f.w);
	assert_true(connection->reading_paused);
	assert_true(connection_queued_bytes(connection) < 3 * 65536);
	close(fd);
	finish(&f);
}

static void
test_new_faults_hold_from_the_next_message(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "drop at message 99", FRAMING_LINE);
	f.w.worker.accept.listeners = &f.w.listener;
	f.w.worker.accept.listener_count = 1;
	int fd = serve(&f, 4000);
	send_text(fd, "aaa\n");
	assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "aaa\n");
	const char *set =
	    "listener 127.0.0.1:0\nsince 1\nfault duplicate\nfault truncate 1 byte\n";
	fault_listener_set(&f.w.worker, set, strlen(set));
	send_text(fd, "bbb\n");
	assert_string_equal(receive(&f, fd, 7, LONG_MS, NULL), "bbb\nbbb");
	/* Those of another listener were set at another time. */
	set = "listener 127.0.0.1:0\nsince 1\nlistener 127.0.0.2:0\nsince 2\n";
	fault_listener_set(&f.w.worker, set, strlen(set));
	assert_int_equal(f.w.listener.faults.count, 2);
	set = "listener 127.0.0.1:0\nsince 2\n";
	fault_listener_set(&f.w.worker, set, strlen(set));
	send_text(fd, "ccc\n");
	assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "ccc\n");
	assert_int_equal(f.w.listener.faults.count, 0);
	close(fd);
	finish(&f);
}

/* Sends 'x' bytes until the connection has queued output. */
static size_t
fill_output(struct fixture *f, int fd, const struct connection *connection)
{
	static char text[65536];
	size_t sent = 0;
	memset(text, 'x', sizeof(text));
	while (connection->output == NULL) {
		ssize_t n = send(fd, text, sizeof(text), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		worker_fixture_run_once(&f->w);
	}
	return sent;
}

static void
test_new_faults_keep_what_is_queued(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "drop at message 99", FRAMING_STREAM);
	f.w.worker.accept.listeners = &f.w.listener;
	f.w.worker.accept.listener_count = 1;
	const char *set = "listener 127.0.0.1:0\nsince 1\n";
	fault_listener_set(&f.w.worker, set, strlen(set));
	int fd = serve(&f, 0);
	const struct connection *connection = worker_fixture_connection(&f.w);
	assert_null(connection->faults);
	size_t sent = fill_output(&f, fd, connection), received = 0;
	set = "listener 127.0.0.1:0\nsince 2\nfault delay 1ms\n";
	fault_listener_set(&f.w.worker, set, strlen(set));
	assert_non_null(connection->faults);
	while (received < sent) {
		size_t n = strlen(receive(&f, fd, 1000, LONG_MS, NULL));
		assert_int_not_equal(n, 0);
		received += n;
	}
	assert_int_equal(received, sent);
	close(fd);
	finish(&f);
}

/* As after a transfer, during which the faults have changed or become due. */
static void
test_continues_with_other_faults(void **state)
{
	static const enum framing both[] = { FRAMING_STREAM, FRAMING_LINE };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;
		start(&f, "drop at message 99", both[i]);
		int fd = serve(&f, 4000);
		struct connection *connection = worker_fixture_connection(&f.w);
		must(buffer_append(&connection->input, "aaa\n", 4) == 0);
		connection->faults->progress.list_id++;
		assert_true(fault_injection_replay(connection));
		assert_string_equal(receive(&f, fd, 4, LONG_MS, NULL), "aaa\n");
		close(fd);
		finish(&f);
	}
}

static void
test_continues_with_what_became_due(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "close after 10s", FRAMING_LINE);
	int fd = serve(&f, 4000);
	struct connection *connection = worker_fixture_connection(&f.w);
	connection->faults->progress.accepted_ns -= 11 * NS_PER_S;
	assert_true(fault_injection_replay(connection));
	assert_int_equal(connection->phase, CONNECTION_LINGERING);
	close(fd);
	finish(&f);
}

/* A worker died between a send and its commit. */
static void
test_continues_behind_what_was_sent(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "delay 60s at message 1;reorder at message 2", FRAMING_LINE);
	int fd = serve(&f, 4000);
	send_text(fd, "aaa\nbbb\n");
	struct connection *connection = worker_fixture_connection(&f.w);
	assert_true(
	    worker_fixture_run_until(&f.w, connection_queued_bytes(connection) == 8));
	buffer_consume(&connection->output->bytes, 6);
	connection->faults->progress.front_sent = 6;
	must(buffer_append(&connection->input, "ccc\n", 4) == 0);
	assert_true(fault_injection_replay(connection));
	assert_int_equal(connection_queued_bytes(connection), 6);
	assert_memory_equal(
	    connection->output->bytes->data + connection->output->bytes->start,
	    "b\nccc\n", 6);
	close(fd);
	finish(&f);
}

static size_t allocated;

static void *
count_block(size_t *bytes, void *argument)
{
	(void)argument;
	allocated += *bytes;
	return malloc(*bytes);
}

static void
free_block(void *block, size_t bytes, void *argument)
{
	(void)bytes;
	(void)argument;
	free(block);
}

/* What is freed in a step is used again only after it. */
static void
test_reorders_many_replies_in_little_memory(void **state)
{
	static const struct buffer_memory memory = { count_block, free_block, NULL };
	static char text[65536];
	(void)state;
	struct fixture f;
	buffer_set_memory(&memory);
	start(&f, "reorder every 2;delay 60s", FRAMING_LINE);
	f.w.config.limits.max_pending = 1024 * 1024;
	int fd = serve(&f, 4000);
	memset(text, '\n', sizeof(text));
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	const struct connection *connection = worker_fixture_connection(&f.w);
	assert_true(worker_fixture_run_until(&f.w, connection->reading_paused));
	assert_in_range(injected(&f, FAULT_REORDER), 1000, 65536);
	assert_in_range(allocated, 0, 32 * 1024 * 1024);
	close(fd);
	finish(&f);
	buffer_set_memory(NULL);
}

static void
test_bounds_a_reply_that_grows(void **state)
{
	char faults[FAULTS_MAX * sizeof("duplicate")] = "duplicate";
	(void)state;
	struct fixture f;
	for (int i = 1; i < FAULTS_MAX; i++)
		strcat(faults, ";duplicate");
	start(&f, faults, FRAMING_LINE);
	int fd = serve(&f, 4000);
	send_text(fd, "aaaaaaa\n");
	assert_true(worker_fixture_run_until(
	    &f.w, atomic_load(&f.w.listener.block->closed[CLOSE_NO_MEMORY]) == 1));
	assert_in_range(f.w.worker.faults.scratch_bytes, 1, 65 * 1024 * 1024);
	close(fd);
	finish(&f);
}

static void
test_notices_a_reset_while_it_holds(void **state)
{
	static const struct linger at_once = { .l_onoff = 1 };
	static const char *const holds[] = { "never-read at message 2",
		"stall at message 2", "stall 60s at message 2" };
	(void)state;
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		struct fixture f;
		start(&f, holds[i], FRAMING_LINE);
		int fd = serve(&f, 4000);
		send_text(fd, "aaa\nbbb\n");
		assert_memory_equal(receive(&f, fd, 4, LONG_MS, NULL), "aaa\n", 4);
		const struct connection *connection = worker_fixture_connection(&f.w);
		assert_true(worker_fixture_run_until(&f.w, connection->reading_held));
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		assert_true(worker_fixture_run_until(
		    &f.w, atomic_load(&f.w.listener.block->closed[CLOSE_RESET]) == 1));
		finish(&f);
	}
}

static void
test_closes_when_it_stalls_behind_the_last_message(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, "delay 20ms;stall at message 2", FRAMING_LINE);
	int fd = serve(&f, 4000);
	send_text(fd, "aaa\nbbb\n");
	shutdown(fd, SHUT_WR);
	assert_true(worker_fixture_run_until(
	    &f.w, atomic_load(&f.w.listener.block->closed[CLOSE_FAULT]) == 1));
	close(fd);
	finish(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alters_replies),
		cmocka_unit_test(test_corrupts_and_inserts_that_many_bytes),
		cmocka_unit_test(test_delays_replies_in_their_order),
		cmocka_unit_test(test_a_held_reply_is_sent_alone_in_the_end),
		cmocka_unit_test(test_swaps_with_another_connection),
		cmocka_unit_test(test_ends_a_connection),
		cmocka_unit_test(test_half_closes_and_reads_on),
		cmocka_unit_test(test_stalls_for_a_time),
		cmocka_unit_test(test_reads_no_more),
		cmocka_unit_test(test_trickles),
		cmocka_unit_test(test_refuses_some_connections_again_and_again),
		cmocka_unit_test(test_bounds_what_waits),
		cmocka_unit_test(test_new_faults_hold_from_the_next_message),
		cmocka_unit_test(test_new_faults_keep_what_is_queued),
		cmocka_unit_test(test_bounds_a_reply_that_grows),
		cmocka_unit_test(test_notices_a_reset_while_it_holds),
		cmocka_unit_test(test_closes_when_it_stalls_behind_the_last_message),
		cmocka_unit_test(test_continues_with_other_faults),
		cmocka_unit_test(test_reorders_many_replies_in_little_memory),
		cmocka_unit_test(test_continues_with_what_became_due),
		cmocka_unit_test(test_continues_behind_what_was_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
