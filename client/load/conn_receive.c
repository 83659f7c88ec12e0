#include "client/load/conn_receive.h"

#include <sys/socket.h>

#include <errno.h>

#include "lib/clock.h"

#include "client/load/accounting.h"
#include "client/load/conn_close.h"
#include "client/load/generator.h"
#include "client/load/transcript.h"

#define READS_MAX 4    /* in one turn, so that no socket starves the others */
#define SLOW_TICKS 100 /* reads a second of a slow reader, when it reads that much */

/* Verifies what came. */
static void
verify_received(
    struct generator *generator, struct conn *conn, const uint8_t *data, size_t length)
{
	struct verify *verify = &generator->verify;
	uint64_t connection = generator_connection(generator, conn);

	if (generator->plan->expect == PLAN_EXPECT_NONE)
		return;
	verify->fd = conn->fd;
	while (length > 0 || conn->answers.gap > 0) {
		enum verify_result result;
		/* Nothing is owed to a message that still goes out to one who is to
		 * discard it. */
		if (conn->in_flight == 0 || verify->expectation->none) {
			verify_unexpected(
			    verify, connection, &conn->answers, data, length);
			return;
		}
		size_t n = verify_feed(verify, connection, &conn->answers,
		    conn->in_flight, data, length, &result);
		data += n;
		length -= n;
		if (result != VERIFY_MORE)
			accounting_answered(generator, conn, result == VERIFY_RIGHT);
	}
}

/* The peer has closed its side. */
static void
on_eof(struct generator *generator, struct conn *conn)
{
	if (conn->state == CONN_CLOSING) {
		conn_close_finish(generator, conn, true);
		return;
	}
	if (conn->in_flight > 0 ||
	    (conn_has_work(generator, conn) && !conn_has_expired(generator, conn))) {
		conn_close_lost(generator, conn, MESSAGE_LOSS_CLOSED);
		return;
	}
	conn_close(generator, conn);
	if (conn->state == CONN_CLOSING)
		conn_close_finish(generator, conn, true);
}

static void
on_read_error(struct generator *generator, struct conn *conn)
{
	if (errno == EAGAIN)
		return;
	if (conn->state == CONN_CLOSING)
		conn_close_finish(generator, conn, false);
	else
		conn_close_lost(generator, conn, MESSAGE_LOSS_RESET);
}

size_t
conn_receive_slow_bytes(uint64_t bytes_per_s)
{
	uint64_t bytes = bytes_per_s / SLOW_TICKS;

	if (bytes == 0)
		return 1;
	return bytes < GENERATOR_BUFFER ? bytes : GENERATOR_BUFFER;
}

uint64_t
conn_receive_slow_next_ns(uint64_t bytes_per_s, uint64_t now_ns)
{
	double share = (double)conn_receive_slow_bytes(bytes_per_s);
	uint64_t every_ns = (uint64_t)(share * 1e9 / (double)bytes_per_s);

	return (now_ns / every_ns + 1) * every_ns;
}

static size_t
read_limit(const struct generator *generator)
{
	uint64_t slow = generator->plan->slow_read;

	return slow == 0 ? GENERATOR_BUFFER : conn_receive_slow_bytes(slow);
}

/* A read that is verified. */
static ssize_t
receive_once(struct generator *generator, struct conn *conn, size_t most)
{
	ssize_t n = recv(conn->fd, generator->received, most, 0);

	generator->now_ns = clock_now_ns();
	if (n <= 0)
		return n;
	conn->received_ns = generator->now_ns;
	counters_add(&generator->counters->bytes_received, (uint64_t)n);
	transcript_received(generator, conn, generator->received, (size_t)n);
	verify_received(generator, conn, generator->received, (size_t)n);
	return n;
}

void
conn_receive_rest(struct generator *generator, struct conn *conn)
{
	while (receive_once(generator, conn, GENERATOR_BUFFER) > 0)
		;
	conn_close_lost(generator, conn, MESSAGE_LOSS_RESET);
}

void
conn_receive(struct generator *generator, struct conn *conn, bool until_eof)
{
	size_t most = read_limit(generator);

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = receive_once(generator, conn, most);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			on_read_error(generator, conn);
			return;
		}
		if (n == 0) {
			on_eof(generator, conn);
			return;
		}
		if (generator->plan->slow_read > 0 && conn->state == CONN_OPEN) {
			conn->is_paused = true;
			conn_set_timer(generator, conn);
			return;
		}
		if ((size_t)n < most && !until_eof)
			return;
	}
	generator_enqueue_ready(generator, conn);
}
