#include "worker/transfer_state.h"

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

#include "worker/connection/connection.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"

/* In place of the fingerprint of a conversation. */
#define WITNESS_OPENING UINT64_C(0x7769746e65737301)

uint64_t
transfer_state_opening(const struct listener_config *config)
{
	return config->reply.kind == REPLY_WITNESS
	    ? WITNESS_OPENING
	    : session_opening_fingerprint(config->conversation);
}

static uint32_t
fault_bytes(const struct connection *connection)
{
	const struct fault_state *faults = connection->faults;
	return faults == NULL
	    ? 0
	    : (uint32_t)(sizeof(faults->progress) + buffer_length(faults->segments));
}

static uint32_t
tls_bytes(const struct connection *connection)
{
	const struct tls_state *tls = connection->tls;
	return tls == NULL
	    ? 0
	    : (uint32_t)(sizeof(struct tls_moved) + buffer_length(tls->partial) +
		  buffer_length(tls->unsent));
}

uint64_t
transfer_state_bytes(const struct connection *connection)
{
	return (uint64_t)buffer_length(connection->input) +
	    connection_queued_bytes(connection) + buffer_length(connection->about) +
	    fault_bytes(connection) + tls_bytes(connection);
}

static void
fill_record(struct transfer_record *record, const struct connection *connection)
{
	const struct output *output = connection->output;
	const struct worker_listener *listener = connection->listener;
	*record = (struct transfer_record){
		.listener = (uint32_t)listener->number,
		.input_bytes = (uint32_t)buffer_length(connection->input),
		.output_bytes = (uint32_t)connection_queued_bytes(connection),
		.searched = connection->searched,
		.replies = output == NULL ? 0 : output->replies,
		.idle_ms = listener->worker->timeouts.now_ms - connection->active_ms,
		.phase = connection->phase,
		.reason = connection->reason,
		.peer_family = connection->peer.family,
		.reading_paused = connection->reading_paused && output != NULL &&
		    (output->bytes != NULL || connection->faults != NULL),
		.peer_port = connection->peer.port,
		.deaths = connection->deaths,
		.skip = connection->skip,
		.about_bytes = (uint32_t)buffer_length(connection->about),
		.received = connection->received,
		.sent = connection->sent,
		.fault_bytes = fault_bytes(connection),
		.tls_bytes = tls_bytes(connection),
	};
	memcpy(record->peer, connection->peer.bytes, sizeof(record->peer));
}

static int
write_all(int fd, const uint8_t *data, size_t length)
{
	size_t done = 0;
	while (done < length) {
		ssize_t n = write(fd, data + done, length - done);
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int
write_bytes(int fd, const struct buffer *buffer)
{
	return buffer == NULL
	    ? 0
	    : write_all(fd, buffer->data + buffer->start, buffer_length(buffer));
}

static int
write_faults(int fd, const struct fault_state *faults)
{
	if (faults == NULL)
		return 0;
	return write_all(
		   fd, (const uint8_t *)&faults->progress, sizeof(faults->progress)) < 0
	    ? -1
	    : write_bytes(fd, faults->segments);
}

static int
write_tls(int fd, const struct tls_state *tls)
{
	if (tls == NULL)
		return 0;
	struct tls_moved packed = { .session = tls->session,
		.partial_bytes = (uint32_t)buffer_length(tls->partial),
		.unsent_bytes = (uint32_t)buffer_length(tls->unsent),
		.end = tls->end,
		.alert = tls->alert,
		.holds_byte = tls->holds_byte };
	int rc = write_all(fd, (const uint8_t *)&packed, sizeof(packed));
	tls_session_wipe(&packed.session);
	return rc < 0 || write_bytes(fd, tls->partial) < 0
	    ? -1
	    : write_bytes(fd, tls->unsent);
}

/* Returns the memory file; -1 with errno. */
static int
write_state(struct connection *const *connections, uint32_t count)
{
	int fd = memfd_create("yodeld-transfer", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		const struct connection *c = connections[i];
		if (write_bytes(fd, c->input) < 0 ||
		    (c->output != NULL && write_bytes(fd, c->output->bytes) < 0) ||
		    write_bytes(fd, c->about) < 0 || write_faults(fd, c->faults) < 0 ||
		    write_tls(fd, c->tls) < 0) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

int
transfer_state_send(int fd, struct connection *const *connections, uint32_t count)
{
	struct transfer_batch batch = { .verb = TRANSFER_BATCH, .count = count };
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t fd_count = count;
	int state_fd = -1;
	for (uint32_t i = 0; i < count; i++) {
		fill_record(&batch.records[i], connections[i]);
		batch.state_bytes += transfer_state_bytes(connections[i]);
		fds[i] = connection_fd(connections[i]);
	}
	if (batch.state_bytes > 0) {
		state_fd = write_state(connections, count);
		if (state_fd < 0)
			return -1;
		fds[fd_count++] = state_fd;
	}
	int rc = transfer_packet_send(
	    fd, &batch, transfer_batch_bytes(count), fds, fd_count);
	if (state_fd >= 0)
		close(state_fd);
	return rc;
}

bool
transfer_state_is_complete(const struct transfer_batch *batch, int state_fd)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < batch->count; i++)
		bytes += (uint64_t)batch->records[i].input_bytes +
		    batch->records[i].output_bytes + batch->records[i].about_bytes +
		    batch->records[i].fault_bytes + batch->records[i].tls_bytes;
	return bytes == batch->state_bytes &&
	    (state_fd < 0 ||
		(lseek(state_fd, 0, SEEK_END) == (off_t)bytes &&
		    lseek(state_fd, 0, SEEK_SET) == 0));
}

/* Appends the next `length` bytes of the memory file to the buffer. */
static int
read_bytes(int fd, struct buffer **buffer, size_t length)
{
	if (length == 0)
		return 0;
	if (buffer_reserve(buffer, length) < 0)
		return -1;
	size_t done = 0;
	while (done < length) {
		ssize_t n = read(fd, (*buffer)->data + (*buffer)->end, length - done);
		if (n <= 0)
			return -1;
		done += (size_t)n;
		(*buffer)->end += (size_t)n;
	}
	return 0;
}

/* The segments are of the output, and nothing else is; what has been sent of them lies
 * before the first action. */
static bool
is_valid(const struct fault_state *state, uint64_t output_bytes)
{
	const struct fault_segment *segment = fault_state_front(state);
	size_t count = fault_state_segment_count(state);
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++) {
		bool is_action = segment[i].action < FAULT_NO_ACTION;
		if (segment[i].action > FAULT_NO_ACTION ||
		    is_action != (segment[i].length == 0) ||
		    (is_action && state->progress.front_sent > bytes))
			return false;
		bytes += segment[i].length;
	}
	return bytes == output_bytes + state->progress.front_sent;
}

static int
read_faults(
    struct connection *connection, const struct transfer_record *record, int state_fd)
{
	struct fault_progress progress;
	size_t segment_bytes = record->fault_bytes - sizeof(progress);
	struct buffer *segments = NULL;
	struct fault_state *state;
	if (record->fault_bytes < sizeof(progress) ||
	    segment_bytes % sizeof(struct fault_segment) != 0 ||
	    read(state_fd, &progress, sizeof(progress)) != sizeof(progress))
		return -1;
	if (read_bytes(state_fd, &segments, segment_bytes) < 0 ||
	    (state = fault_state_create(connection, segments)) == NULL) {
		buffer_release(&segments);
		return -1;
	}
	state->progress = progress;
	if (!is_valid(state, record->output_bytes))
		return -1;
	/* Actions are behind an output, even if it is empty. */
	return segment_bytes == 0 || connection->output != NULL ||
		connection_create_output(connection) != NULL
	    ? 0
	    : -1;
}

static int
read_tls(
    struct connection *connection, const struct transfer_record *record, int state_fd)
{
	struct tls_moved packed;
	if (record->tls_bytes < sizeof(packed) ||
	    read(state_fd, &packed, sizeof(packed)) != sizeof(packed))
		return -1;
	if (!tls_session_is_valid(&packed.session) || packed.end > TLS_END_BAD ||
	    packed.partial_bytes > TLS_TRANSPORT_RECEIVED_BYTES ||
	    (uint64_t)packed.partial_bytes + packed.unsent_bytes !=
		record->tls_bytes - sizeof(packed) ||
	    tls_state_create(connection) < 0) {
		tls_session_wipe(&packed.session);
		return -1;
	}
	struct tls_state *tls = connection->tls;
	tls->session = packed.session;
	tls_session_wipe(&packed.session);
	tls->end = packed.end;
	tls->alert = packed.alert;
	tls->holds_byte = packed.holds_byte != 0;
	if (read_bytes(state_fd, &tls->partial, packed.partial_bytes) < 0)
		return -1;
	return read_bytes(state_fd, &tls->unsent, packed.unsent_bytes);
}

int
transfer_state_read(
    struct connection *connection, const struct transfer_record *record, int state_fd)
{
	if (read_bytes(state_fd, &connection->input, record->input_bytes) < 0)
		return -1;
	if (connection->output != NULL &&
	    read_bytes(state_fd, &connection->output->bytes, record->output_bytes) < 0)
		return -1;
	if (read_bytes(state_fd, &connection->about, record->about_bytes) < 0)
		return -1;
	if (record->fault_bytes > 0 && read_faults(connection, record, state_fd) < 0)
		return -1;
	return record->tls_bytes > 0 ? read_tls(connection, record, state_fd) : 0;
}

void
transfer_state_wipe(const struct transfer_batch *batch, int state_fd)
{
	static const uint8_t zeros[16 * 1024];
	bool has_secrets = false;
	for (uint32_t i = 0; i < batch->count; i++)
		has_secrets = has_secrets || batch->records[i].tls_bytes > 0;
	if (state_fd < 0 || !has_secrets)
		return;
	/* No more than there is, whatever the sender says: the file must not grow. */
	off_t end = lseek(state_fd, 0, SEEK_END);
	if (end < 0 || lseek(state_fd, 0, SEEK_SET) != 0)
		return;
	uint64_t left = (uint64_t)end;
	if (left > batch->state_bytes)
		left = batch->state_bytes;
	while (left > 0) {
		size_t length = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
		if (write_all(state_fd, zeros, length) < 0)
			return;
		left -= length;
	}
}
