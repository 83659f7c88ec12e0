#include "client/tls/tls_stream.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>

#include "lib/xmalloc.h"
#include "net/receive_time.h"

static void
append(struct buffer **to, const void *data, size_t length)
{
	if (length > 0 && buffer_append(to, data, length) < 0)
		xmalloc_fail();
}

struct tls_stream *
tls_stream_create(const struct tls_stream_args *args, bool *ret_offered)
{
	struct tls_pool *pool = args->pool;
	struct tls_stream *stream = tls_pool_take(pool);
	struct tls_ticket *ticket =
	    args->resumes ? tls_pool_take_ticket(pool, args->group) : NULL;
	struct tls_client_options options = {
		.name = args->name,
		.identity = args->identity,
		.ticket = ticket,
		.keeps_ticket =
		    args->keeps_ticket && tls_pool_wants_ticket(pool, args->group),
	};
	stream->group = args->group;
	stream->dribbles = args->dribbles;
	stream->is_awaiting = options.keeps_ticket;
	pool->tickets[args->group].awaited += options.keeps_ticket;
	stream->handshake =
	    xmalloc_check(tls_handshake_create_client(args->context, &options));
	*ret_offered = ticket != NULL;
	tls_ticket_release(ticket);
	return stream;
}

static void
stop_awaiting(struct tls_stream *stream)
{
	if (stream->is_awaiting)
		stream->pool->tickets[stream->group].awaited--;
	stream->is_awaiting = false;
}

void
tls_stream_destroy(struct tls_stream *stream)
{
	if (stream == NULL)
		return;
	stop_awaiting(stream);
	tls_pool_disarm(stream->pool, stream);
	tls_handshake_destroy(stream->handshake);
	buffer_release(&stream->input);
	buffer_release(&stream->output);
	tls_session_wipe(&stream->session);
	tls_pool_give_back(stream->pool, stream);
}

static counters_value *
sent_bytes(struct tls_stream *stream)
{
	struct counters_tls *counts = stream->pool->counts;
	return stream->is_ready ? &counts->record_bytes_sent
				: &counts->handshake_bytes_sent;
}

/* As send(2), and counts. */
static ssize_t
send_some(struct tls_stream *stream, int fd, const void *data, size_t length)
{
	ssize_t n = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		counters_add(sent_bytes(stream), (uint64_t)n);
	return n;
}

int
tls_stream_flush(struct tls_stream *stream, int fd)
{
	while (stream->output != NULL) {
		size_t length = buffer_length(stream->output);
		if (stream->dribbles && !stream->is_ready)
			length = 1;
		ssize_t n = send_some(
		    stream, fd, stream->output->data + stream->output->start, length);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			buffer_consume(&stream->output, (size_t)n);
	}
	if (!stream->fin_is_due)
		return 0;
	stream->fin_is_due = false;
	return shutdown(fd, SHUT_WR);
}

static enum tls_stream_status
fail(struct tls_stream *stream, int error)
{
	tls_handshake_cut(stream->handshake, error);
	return TLS_STREAM_FAILED;
}

static enum tls_stream_status
step(struct tls_stream *stream, int fd, const uint8_t *data, size_t length)
{
	size_t consumed = 0;
	switch (tls_handshake_step(
	    stream->handshake, data, length, &stream->output, &consumed)) {
	case TLS_HANDSHAKE_WANT_MORE:
		break;
	case TLS_HANDSHAKE_DONE:
		/* Failures of the socket show when it is used. */
		(void)tls_stream_flush(stream, fd);
		append(&stream->input, data + consumed, length - consumed);
		stream->has_rest = stream->has_more = length > consumed;
		return TLS_STREAM_READY;
	case TLS_HANDSHAKE_FAILED:
		(void)tls_stream_flush(stream, fd); /* the alert */
		return TLS_STREAM_FAILED;
	}
	if (tls_stream_flush(stream, fd) < 0 && errno != EAGAIN)
		return fail(stream, errno);
	return TLS_STREAM_WAIT;
}

/* The bytes that came with the end of the handshake are records. */
static void
count_handshake(struct tls_stream *stream, size_t received)
{
	struct counters_tls *counts = stream->pool->counts;
	size_t rest = buffer_length(stream->input);
	counters_add(&counts->handshake_bytes_received, received - rest);
	counters_add(&counts->record_bytes_received, rest);
}

enum tls_stream_status
tls_stream_shake(struct tls_stream *stream, int fd)
{
	struct tls_pool *pool = stream->pool;
	enum tls_stream_status status = step(stream, fd, NULL, 0);
	while (status == TLS_STREAM_WAIT) {
		ssize_t n = recv(fd, pool->incoming, TLS_POOL_BYTES, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			return fail(stream, n == 0 ? 0 : errno);
		status = step(stream, fd, pool->incoming, (size_t)n);
		count_handshake(stream, (size_t)n);
	}
	stream->is_ready = status == TLS_STREAM_READY;
	return status;
}

/* Drops a handshake that is no longer needed, or whose ticket has come. */
static void
drop_handshake(struct tls_stream *stream)
{
	struct tls_ticket *ticket = tls_handshake_fetch_ticket(stream->handshake);
	stop_awaiting(stream);
	tls_pool_add_ticket(stream->pool, stream->group, ticket);
	tls_handshake_destroy(stream->handshake);
	stream->handshake = NULL;
}

static void
watch(struct tls_stream *stream, const uint8_t *data, size_t length)
{
	if (stream->handshake != NULL &&
	    !tls_handshake_watch(stream->handshake, data, length))
		drop_handshake(stream);
}

void
tls_stream_settle(struct tls_stream *stream)
{
	size_t length = buffer_length(stream->input);
	if (tls_handshake_take(stream->handshake, &stream->session) < 0)
		xmalloc_fail();
	if (!stream->is_awaiting)
		drop_handshake(stream);
	else if (length > 0)
		watch(stream, stream->input->data + stream->input->start, length);
	else
		watch(stream, NULL, 0);
}

static void
end_by_alert(struct tls_stream *stream, uint8_t alert)
{
	stream->end = TLS_STREAM_ALERT;
	stream->alert = alert;
	counters_add(&stream->pool->counts->alerts, 1);
}

static void
append_alert(struct tls_stream *stream, enum tls_alert alert)
{
	uint8_t record[TLS_ALERT_RECORD_MAX];
	size_t length = tls_record_seal_alert(
	    &stream->session, tls_pool_ciphers(stream->pool, stream), alert, record);
	append(&stream->output, record, length);
}

/* Tells the peer, as far as there is room. */
static void
end_by_bad_record(struct tls_stream *stream, int fd, const struct tls_opened *opened)
{
	stream->end = TLS_STREAM_BAD;
	stream->alert = opened->alert;
	stream->reason = opened->reason;
	counters_add(&stream->pool->counts->bad_records, 1);
	append_alert(stream, (enum tls_alert)opened->alert);
	(void)tls_stream_flush(stream, fd);
}

/* Where received bytes begin: the data of the first record is at pool->incoming. */
static uint8_t *
first_record(const struct tls_stream *stream)
{
	return stream->pool->incoming - tls_record_prefix(&stream->session);
}

/* Opens the received records[length] to pool->incoming; the bytes there. Keeps those of
 * an unfinished record. */
static size_t
open_records(struct tls_stream *stream, int fd, size_t length)
{
	struct tls_ciphers *ciphers = tls_pool_ciphers(stream->pool, stream);
	uint8_t *plain = stream->pool->incoming;
	uint8_t *at = first_record(stream), *end = at + length;
	size_t opened_bytes = 0;
	struct tls_opened opened;
	while (at < end && stream->end == TLS_STREAM_OPEN) {
		switch (tls_record_open(
		    &stream->session, ciphers, at, (size_t)(end - at), NULL, &opened)) {
		case TLS_OPEN_PARTIAL:
			append(&stream->input, at, (size_t)(end - at));
			return opened_bytes;
		case TLS_OPEN_DATA:
			if (opened.data != plain + opened_bytes)
				memmove(
				    plain + opened_bytes, opened.data, opened.length);
			opened_bytes += opened.length;
			break;
		case TLS_OPEN_CONTROL:
			break;
		case TLS_OPEN_CLOSED:
			stream->end = TLS_STREAM_CLOSED;
			break;
		case TLS_OPEN_ALERT:
			end_by_alert(stream, opened.alert);
			break;
		case TLS_OPEN_BAD:
			end_by_bad_record(stream, fd, &opened);
			break;
		}
		at += opened.record;
	}
	return opened_bytes;
}

/* Return value of receive once the peer has ended the stream. */
static ssize_t
end_result(const struct tls_stream *stream)
{
	if (stream->end == TLS_STREAM_CLOSED || stream->end == TLS_STREAM_TRUNCATED)
		return 0;
	errno = EPROTO;
	return -1;
}

/* Reads behind the bytes that are kept. 0, or -1 with errno. */
static int
read_some(struct tls_stream *stream, int fd, size_t kept, size_t size,
    uint64_t *ret_waited_ns, size_t *ret_length)
{
	struct counters_tls *counts = stream->pool->counts;
	uint8_t *to = first_record(stream) + kept;
	ssize_t n = ret_waited_ns != NULL
	    ? receive_time_recv(fd, to, size, ret_waited_ns)
	    : recv(fd, to, size, MSG_DONTWAIT);
	if (n < 0)
		return -1;
	if (n == 0) {
		stream->end = TLS_STREAM_TRUNCATED;
		counters_add(&counts->truncated, 1);
	}
	counters_add(&counts->record_bytes_received, (uint64_t)n);
	watch(stream, to, (size_t)n);
	*ret_length = (size_t)n;
	stream->has_read = n > 0;
	return 0;
}

ssize_t
tls_stream_receive(
    struct tls_stream *stream, int fd, void *data, size_t size, uint64_t *ret_waited_ns)
{
	size_t kept = buffer_length(stream->input), n = 0;
	size_t most = size < TLS_POOL_BYTES - kept ? size : TLS_POOL_BYTES - kept;
	bool has_rest = stream->has_rest;
	if (ret_waited_ns != NULL)
		*ret_waited_ns = RECEIVE_TIME_UNKNOWN;
	if (stream->end != TLS_STREAM_OPEN)
		return end_result(stream);
	stream->has_rest = stream->has_more = stream->has_read = false;
	if (!has_rest && read_some(stream, fd, kept, most, ret_waited_ns, &n) < 0)
		return -1;
	if (kept > 0)
		memcpy(first_record(stream), stream->input->data + stream->input->start,
		    kept);
	buffer_release(&stream->input);
	size_t opened = open_records(stream, fd, kept + n);
	if (data != stream->pool->incoming)
		memcpy(data, stream->pool->incoming, opened);
	stream->has_more = has_rest || n == most || stream->end != TLS_STREAM_OPEN;
	if (opened > 0)
		return (ssize_t)opened;
	if (stream->end != TLS_STREAM_OPEN)
		return end_result(stream);
	errno = EAGAIN;
	return -1;
}

ssize_t
tls_stream_send(struct tls_stream *stream, int fd, const void *data, size_t length)
{
	struct tls_pool *pool = stream->pool;
	uint8_t *sealed = pool->sealed;
	if (tls_stream_flush(stream, fd) < 0)
		return -1;
	if (length > TLS_POOL_BYTES)
		length = TLS_POOL_BYTES;
	if (data == pool->outgoing && tls_record_is_one(&stream->session, length))
		sealed = pool->outgoing - tls_record_prefix(&stream->session);
	size_t size = tls_record_seal(
	    &stream->session, tls_pool_ciphers(pool, stream), data, length, sealed);
	if (size == 0) {
		errno = EPROTO;
		return -1;
	}
	ssize_t n = send_some(stream, fd, sealed, size);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	size_t sent = n < 0 ? 0 : (size_t)n;
	append(&stream->output, sealed + sent, size - sent);
	return (ssize_t)length;
}

int
tls_stream_finish(struct tls_stream *stream, int fd)
{
	append_alert(stream, TLS_ALERT_CLOSE_NOTIFY);
	stream->fin_is_due = true;
	return tls_stream_flush(stream, fd);
}

void
tls_stream_say_goodbye(struct tls_stream *stream, int fd)
{
	append_alert(stream, TLS_ALERT_CLOSE_NOTIFY);
	(void)tls_stream_flush(stream, fd);
}
