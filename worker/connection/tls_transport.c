#include "worker/connection/tls_transport.h"

#include <sys/socket.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/log.h"
#include "net/tls/tls_alert.h"
#include "worker/connection/connection.h"
#include "worker/connection/crash_record.h"
#include "worker/connection/tls_state.h"

static void
log_end(const struct connection *connection, const char *what, const char *reason)
{
	char peer[ADDRESS_TEXT_MAX];
	log_warnx("[tls_ended listener peer what reason] "
		  "%s: TLS with %s: %s: %s",
	    connection->listener->name, address_format_compact(&connection->peer, peer),
	    what, reason);
}

/* Opens the whole records at the front of data[length] into out, at most as many bytes.
 * Returns the bytes consumed. */
static size_t
open_records(const struct connection *connection, struct tls_ciphers *ciphers,
    uint8_t *data, size_t length, uint8_t *out, size_t *ret_bytes)
{
	struct tls_state *tls = connection->tls;
	struct tls_opened opened;
	size_t used = 0;
	*ret_bytes = 0;
	while (tls->end == TLS_END_NONE && used < length) {
		switch (tls_record_open(&tls->session, ciphers, data + used,
		    length - used, out + *ret_bytes, &opened)) {
		case TLS_OPEN_PARTIAL:
			return used;
		case TLS_OPEN_DATA:
			if (opened.data != out + *ret_bytes)
				memmove(out + *ret_bytes, opened.data, opened.length);
			*ret_bytes += opened.length;
			break;
		case TLS_OPEN_CONTROL:
			break;
		case TLS_OPEN_CLOSED:
			tls->end = TLS_END_CLOSED;
			break;
		case TLS_OPEN_ALERT:
			tls->end = TLS_END_ALERT;
			log_end(connection, "the peer sent an alert",
			    tls_alert_name(opened.alert));
			break;
		case TLS_OPEN_BAD:
			tls->end = TLS_END_BAD;
			tls->alert = opened.alert;
			log_end(connection, "bad record", opened.reason);
			break;
		}
		used += opened.record;
	}
	/* Whatever is behind an end is ignored. */
	return tls->end == TLS_END_NONE ? used : length;
}

/* Keeps what has not been consumed of `length` bytes, of which the first `kept` are in
 * tls->partial already. */
static int
keep_rest(
    struct tls_state *tls, const uint8_t *data, size_t length, size_t kept, size_t used)
{
	if (used == 0)
		return buffer_append(&tls->partial, data + kept, length - kept);
	buffer_release(&tls->partial);
	return buffer_append(&tls->partial, data + used, length - used);
}

static ssize_t
report_end(const struct tls_state *tls)
{
	if (tls->end == TLS_END_CLOSED)
		return 0;
	errno = tls->end == TLS_END_ALERT ? EPROTO : EBADMSG;
	return -1;
}

static ssize_t
receive_some(struct connection *connection, uint8_t *data, size_t size)
{
	ssize_t n = recv(connection_fd(connection), data, size, MSG_DONTWAIT);
	if (n > 0) {
		connection->received += (uint64_t)n;
		ledger_count(connection->listener->block, LEDGER_TLS_BYTES_RECEIVED,
		    (uint64_t)n);
	}
	return n;
}

ssize_t
tls_transport_receive(struct connection *connection, uint8_t *data, bool *ret_more)
{
	struct tls_state *tls = connection->tls;
	uint8_t *received = connection->listener->worker->region.received;
	struct tls_ciphers *ciphers = tls_state_ciphers(connection);
	size_t kept = buffer_length(tls->partial), end = kept, used = 0, bytes = 0;
	ssize_t n = 1;
	*ret_more = false;
	if (ciphers == NULL)
		return -1;
	if (tls->end != TLS_END_NONE)
		return report_end(tls);
	if (kept > 0)
		memcpy(received, tls->partial->data + tls->partial->start, kept);
	/* Nothing that was read is overwritten before the crash record is committed. */
	for (;;) {
		used += open_records(
		    connection, ciphers, received + used, end - used, data, &bytes);
		if (bytes > 0 || tls->end != TLS_END_NONE ||
		    end == TLS_TRANSPORT_RECEIVED_BYTES)
			break;
		n = receive_some(
		    connection, received + end, TLS_TRANSPORT_RECEIVED_BYTES - end);
		if (n <= 0)
			break;
		end += (size_t)n;
	}
	int error = n == 0 ? ECONNABORTED : errno;
	*ret_more = end == TLS_TRANSPORT_RECEIVED_BYTES;
	if (keep_rest(tls, received, end, kept, used) < 0)
		return -1;
	if (bytes > 0)
		return (ssize_t)bytes;
	if (tls->end != TLS_END_NONE)
		return report_end(tls);
	errno = n > 0 ? EAGAIN : error;
	return -1;
}

int
tls_transport_open_kept(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct tls_state *tls = connection->tls;
	size_t kept = buffer_length(tls->partial), used, bytes;
	if (kept == 0 || kept > TLS_TRANSPORT_RECEIVED_BYTES ||
	    tls->end != TLS_END_NONE)
		return 0;
	struct tls_ciphers *ciphers = tls_state_ciphers(connection);
	if (ciphers == NULL)
		return -1;
	memcpy(worker->region.received, tls->partial->data + tls->partial->start, kept);
	used = open_records(
	    connection, ciphers, worker->region.received, kept, worker->input, &bytes);
	ledger_count(connection->listener->block, LEDGER_BYTES_RECEIVED, bytes);
	if (keep_rest(tls, worker->region.received, kept, kept, used) < 0)
		return -1;
	return buffer_append(&connection->input, worker->input, bytes);
}

/* As send(2). */
static ssize_t
send_some(struct connection *connection, const uint8_t *data, size_t length)
{
	ssize_t n =
	    send(connection_fd(connection), data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		connection->sent += (uint64_t)n;
		ledger_count(
		    connection->listener->block, LEDGER_TLS_BYTES_SENT, (uint64_t)n);
	}
	return n;
}

/* 0 when nothing is left, or -1 with errno. */
static int
flush_unsent(struct connection *connection)
{
	struct tls_state *tls = connection->tls;
	while (tls->unsent != NULL) {
		ssize_t n = send_some(connection,
		    tls->unsent->data + tls->unsent->start, buffer_length(tls->unsent));
		if (n < 0)
			return -1;
		buffer_consume(&tls->unsent, (size_t)n);
	}
	return 0;
}

/* Publishes and sends `length` sealed bytes, with `bytes` of application data; keeps
 * what the kernel does not take. 0, or -1 with errno. */
static int
send_sealed(struct connection *connection, size_t length, size_t bytes)
{
	struct worker *worker = connection->listener->worker;
	struct tls_state *tls = connection->tls;
	crash_record_publish_sealed(worker->record, tls, length, bytes);
	ssize_t n = send_some(connection, worker->region.sealed, length);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	size_t sent = n < 0 ? 0 : (size_t)n;
	return sent == length
	    ? 0
	    : buffer_append(&tls->unsent, worker->region.sealed + sent, length - sent);
}

/* As send(2), for application data; 0 if all of it is on its way but for the byte that
 * is held. */
static ssize_t
send_data(struct connection *connection, const uint8_t *data, size_t length)
{
	struct worker *worker = connection->listener->worker;
	struct tls_state *tls = connection->tls;
	struct tls_ciphers *ciphers = tls_state_ciphers(connection);
	size_t taken = 0;
	if (ciphers == NULL || flush_unsent(connection) < 0)
		return -1;
	if (tls->holds_byte && length > 0) {
		tls->holds_byte = false;
		taken = 1;
	}
	while (taken < length) {
		size_t bytes = length - taken < TLS_TRANSPORT_CHUNK
		    ? length - taken
		    : TLS_TRANSPORT_CHUNK;
		size_t sealed = tls_record_seal(
		    &tls->session, ciphers, data + taken, bytes, worker->region.sealed);
		if (sealed == 0) {
			log_end(connection, "no record can be sealed any more",
			    "TLS 1.2 cannot change its key (fix: TLS 1.3)");
			tls->alert = TLS_ALERT_INTERNAL_ERROR;
			errno = EOVERFLOW;
			return -1;
		}
		if (send_sealed(connection, sealed, bytes) < 0)
			return -1;
		taken += bytes;
		if (tls->unsent == NULL)
			continue;
		tls->holds_byte = true;
		return (ssize_t)taken - 1;
	}
	return (ssize_t)taken;
}

static struct connection *
connection_of(const struct stream *stream)
{
	/* It is a member of a connection that is not const. */
	union {
		const struct stream *member;
		char *at;
	} in = { .member = stream };
	return (
	    struct connection *)(void *)(in.at - offsetof(struct connection, stream));
}

/* The caller adds what it gets to the bytes of the connection, which are those of the
 * socket. */
static ssize_t
stream_send(const struct stream *stream, const void *data, size_t length)
{
	struct connection *connection = connection_of(stream);
	ssize_t n = send_data(connection, data, length);
	if (n > 0)
		connection->sent -= (uint64_t)n;
	return n;
}

static ssize_t
stream_receive(const struct stream *stream, void *data, size_t size)
{
	struct connection *connection = connection_of(stream);
	bool more;
	if (size < WORKER_INPUT_BYTES) {
		errno = EINVAL;
		return -1;
	}
	ssize_t n = tls_transport_receive(connection, data, &more);
	if (n > 0)
		connection->received -= (uint64_t)n;
	return n;
}

static ssize_t
stream_receive_timed(
    const struct stream *stream, void *data, size_t size, uint64_t *ret_waited_ns)
{
	*ret_waited_ns = 0;
	return stream_receive(stream, data, size);
}

/* Seals the alert that ends this direction and sends it. -1 with errno, among others
 * EAGAIN, if a part is unsent. */
static int
send_end(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct tls_state *tls = connection->tls;
	if (flush_unsent(connection) < 0)
		return -1;
	tls->holds_byte = false;
	struct tls_ciphers *ciphers = tls_state_ciphers(connection);
	size_t sealed = ciphers == NULL
	    ? 0
	    : tls_record_seal_alert(&tls->session, ciphers, (enum tls_alert)tls->alert,
		  worker->region.sealed);
	if (sealed == 0)
		return 0;
	if (send_sealed(connection, sealed, 0) < 0)
		return -1;
	errno = EAGAIN;
	return tls->unsent == NULL ? 0 : -1;
}

bool
tls_transport_end(struct connection *connection)
{
	struct tls_state *tls = connection->tls;
	if (tls->is_handshaking || send_end(connection) == 0 ||
	    (errno != EAGAIN && errno != EINTR))
		return true;
	/* Without memory for that the alert is lost. */
	return connection->output == NULL &&
	    connection_create_output(connection) == NULL;
}

void
tls_transport_end_at_close(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	const struct tls_state *tls = connection->tls;
	/* Data that is missing is no orderly end. */
	if (tls->is_handshaking || connection->output != NULL || tls->unsent != NULL ||
	    tls->session.send_closed)
		return;
	if (worker->record->current != connection)
		crash_record_begin_any(connection);
	(void)send_end(connection);
}

static int
stream_finish(const struct stream *stream)
{
	struct connection *connection = connection_of(stream);
	if (!connection->tls->is_handshaking)
		(void)send_end(connection);
	return shutdown(stream->fd, SHUT_WR);
}

const struct transport transport_tls = {
	.name = "tls",
	.receive = stream_receive,
	.send = stream_send,
	.receive_timed = stream_receive_timed,
	.finish = stream_finish,
};
