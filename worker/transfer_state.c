#include "worker/transfer_state.h"

#include <sys/mman.h>

#include <string.h>
#include <unistd.h>

#include "worker/connection.h"
#include "worker/worker_state.h"

uint64_t
transfer_state_bytes(const struct connection *connection)
{
	return (uint64_t)buffer_length(connection->input) +
	    connection_queued_bytes(connection) + buffer_length(connection->about);
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
		.reading_paused = connection->reading_paused,
		.peer_port = connection->peer.port,
		.deaths = connection->deaths,
		.skip = connection->skip,
		.about_bytes = (uint32_t)buffer_length(connection->about),
		.received = connection->received,
		.sent = connection->sent,
	};
	memcpy(record->peer, connection->peer.bytes, sizeof(record->peer));
}

static int
write_bytes(int fd, const struct buffer *buffer)
{
	size_t done = 0, length = buffer_length(buffer);
	while (done < length) {
		ssize_t n =
		    write(fd, buffer->data + buffer->start + done, length - done);
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
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
		    write_bytes(fd, c->about) < 0) {
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
		    batch->records[i].output_bytes + batch->records[i].about_bytes;
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

int
transfer_state_read(
    struct connection *connection, const struct transfer_record *record, int state_fd)
{
	if (read_bytes(state_fd, &connection->input, record->input_bytes) < 0)
		return -1;
	if (connection->output != NULL &&
	    read_bytes(state_fd, &connection->output->bytes, record->output_bytes) < 0)
		return -1;
	return read_bytes(state_fd, &connection->about, record->about_bytes);
}
