#include "keeper/keeper_send.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "proto/channel.h"
#include "proto/transfer.h"
#include "worker/transfer_state.h"

/* A batch stops growing when its bytes reach this. */
#define STATE_BYTES_MAX (4 * 1024 * 1024)
/* The kernel limits the descriptors in flight (unix(7), ETOOMANYREFS). */
#define RETRY_MS 20
#define RETRIES_MAX 250
/* Receivers that may reject a connection. */
#define REJECTIONS_MAX 2

struct transfer_out {
	struct kept *kept;
	int fd;
	uint64_t mask, same_replies; /* listeners: as in CAPACITY */
	uint32_t capacity;           /* connections that it can still install */
	uint32_t batch_max;          /* connections */
	uint32_t number;             /* of the last batch */
	uint64_t moved;
};

struct batch_out {
	struct transfer_batch packet;
	size_t indices[TRANSFER_BATCH_MAX]; /* in kept->connections, ascending */
	struct recovered_connection recovered[TRANSFER_BATCH_MAX];
};

static int
send_note(int fd, enum transfer_verb verb, uint32_t count)
{
	const struct transfer_note note = { .verb = verb, .count = count };
	return transfer_packet_send(fd, &note, sizeof(note), NULL, 0);
}

/* Waits for a packet. Its length, 0 at the end of file, or -1 with errno. */
static ssize_t
receive_note(int fd, struct transfer_note *ret)
{
	union transfer_packet packet;
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t count;
	struct pollfd events = { .fd = fd, .events = POLLIN };
	ssize_t n;
	do {
		(void)poll(&events, 1, -1);
		n = transfer_packet_receive(fd, &packet, fds, &count);
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n > 0)
		*ret = packet.note;
	return n;
}

static int
send_hello(const struct transfer_out *out)
{
	const struct worker_args *args = out->kept->args;
	struct transfer_hello hello = { .verb = TRANSFER_HELLO,
		.version = TRANSFER_VERSION,
		.count = (uint32_t)args->config->listener_count };
	for (size_t i = 0; i < args->socket_count; i++) {
		uint32_t number = args->sockets[i].listener;
		const struct listener_config *config = &args->config->listeners[number];
		hello.listeners[number].framing = config->framing;
		hello.listeners[number].reply = reply_fingerprint(&config->reply);
		hello.listeners[number].opening = transfer_state_opening(config);
		snprintf(hello.listeners[number].name, TRANSFER_NAME_MAX, "%s",
		    out->kept->names[i]);
	}
	return transfer_packet_send(out->fd, &hello, sizeof(hello), NULL, 0);
}

static int
write_piece(int fd, const struct recovery_piece *piece)
{
	for (size_t done = 0; done < piece->length;) {
		ssize_t n = write(fd, piece->data + done, piece->length - done);
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int
write_faults(int fd, const struct recovered_connection *c)
{
	const struct recovery_piece progress = { (const uint8_t *)&c->fault_progress,
		sizeof(c->fault_progress) };
	if (!c->has_faults)
		return 0;
	return write_piece(fd, &progress) < 0 ? -1
					      : write_piece(fd, &c->fault_segments);
}

static int
write_tls(int fd, const struct recovered_connection *c)
{
	const struct recovery_piece state = { (const uint8_t *)&c->tls,
		sizeof(c->tls) };
	if (!c->has_tls)
		return 0;
	return write_piece(fd, &state) < 0 || write_piece(fd, &c->partial[0]) < 0 ||
		write_piece(fd, &c->partial[1]) < 0
	    ? -1
	    : write_piece(fd, &c->unsent);
}

/* Returns the memory file of the batch; -1 with errno. */
static int
write_state(const struct batch_out *batch)
{
	int fd = memfd_create("yodeld-transfer", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	for (uint32_t i = 0; i < batch->packet.count; i++) {
		const struct recovered_connection *c = &batch->recovered[i];
		if (write_piece(fd, &c->input[0]) < 0 ||
		    write_piece(fd, &c->input[1]) < 0 ||
		    write_piece(fd, &c->output) < 0 || write_piece(fd, &c->about) < 0 ||
		    write_faults(fd, c) < 0 || write_tls(fd, c) < 0) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static bool
has_bit(uint64_t listeners, const struct transfer_out *out,
    const struct kept_connection *connection)
{
	return (listeners >> out->kept->args->sockets[connection->socket].listener &
		   1) != 0;
}

/* The rest of a reply of which a part has been sent, or of a pass of a conversation,
 * needs a receiver that makes the same reply. */
static bool
can_move(const struct transfer_out *out, const struct kept_connection *connection)
{
	bool same_reply = has_bit(out->same_replies, out, connection);
	return has_bit(out->mask, out, connection) &&
	    (same_reply || !connection->needs_same_reply);
}

/* Takes connections in order; those that fail for good are closed. */
static void
fill_batch(struct transfer_out *out, struct batch_out *batch)
{
	struct kept *kept = out->kept;
	struct transfer_batch *packet = &batch->packet;
	*packet = (struct transfer_batch){ .verb = TRANSFER_BATCH };
	uint32_t max = out->batch_max < out->capacity ? out->batch_max : out->capacity;
	for (size_t i = 0; i < kept->count && packet->count < max &&
	     packet->state_bytes < STATE_BYTES_MAX;) {
		struct recovered_connection *c = &batch->recovered[packet->count];
		if (!can_move(out, &kept->connections[i])) {
			i++;
			continue;
		}
		if (kept_read(kept, &kept->connections[i], c) != RECOVERY_OK) {
			kept_close(kept, i, CLOSE_WORKER_LOST);
			continue;
		}
		packet->records[packet->count] = c->record;
		packet->state_bytes += (uint64_t)c->record.input_bytes +
		    c->record.output_bytes + c->record.about_bytes +
		    c->record.fault_bytes + c->record.tls_bytes;
		batch->indices[packet->count++] = i++;
	}
}

/* 0, or -1 with errno and nothing sent. */
static int
send_once(const struct transfer_out *out, const struct batch_out *batch)
{
	int fds[TRANSFER_BATCH_MAX + 1], state_fd = -1;
	size_t count = batch->packet.count;
	for (size_t i = 0; i < count; i++)
		fds[i] = batch->recovered[i].fd;
	if (batch->packet.state_bytes > 0) {
		state_fd = write_state(batch);
		if (state_fd < 0)
			return -1;
		fds[count++] = state_fd;
	}
	int rc = transfer_packet_send(out->fd, &batch->packet,
	    transfer_batch_bytes(batch->packet.count), fds, count);
	int saved = errno;
	if (state_fd >= 0)
		close(state_fd);
	errno = saved;
	return rc;
}

static int
send_batch(struct transfer_out *out, const struct batch_out *batch)
{
	static const struct timespec pause = { .tv_nsec = RETRY_MS * NS_PER_MS };
	int rc = -1;
	for (int i = 0; i < RETRIES_MAX && (rc = send_once(out, batch)) < 0; i++) {
		if (errno == EPIPE || errno == ECONNRESET)
			break;
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	if (rc == 0)
		out->number++;
	return rc;
}

/* Waits for the answer to the batch. ACCEPTED, REJECTED, or END: the receiver has gone.
 */
static enum transfer_verb
wait_for_answer(const struct transfer_out *out)
{
	struct transfer_note note;
	while (receive_note(out->fd, &note) > 0) {
		if (note.verb == TRANSFER_REJECTED ||
		    (note.verb == TRANSFER_ACCEPTED &&
			(note.mask == 0 || note.mask == out->number)))
			return note.verb;
	}
	return TRANSFER_END;
}

static void
on_accepted(struct transfer_out *out, const struct batch_out *batch)
{
	uint32_t count = batch->packet.count;
	/* From the last one on: the place of a moved one is filled from behind. */
	for (uint32_t i = count; i > 0; i--)
		kept_moved(out->kept, batch->indices[i - 1]);
	out->moved += count;
	out->capacity -= count;
	(void)send_note(out->fd, TRANSFER_COMMITTED, count);
}

/* A smaller batch may fit; a single connection that does not may fit elsewhere. */
static void
on_rejected(struct transfer_out *out, const struct batch_out *batch)
{
	if (batch->packet.count > 1) {
		out->batch_max = batch->packet.count / 2;
		return;
	}
	size_t i = batch->indices[0];
	if (++out->kept->connections[i].rejections >= REJECTIONS_MAX)
		kept_close(out->kept, i, CLOSE_WORKER_LOST);
	else
		out->capacity = 0; /* the next receiver tries */
	out->batch_max = TRANSFER_BATCH_MAX;
}

/* Value in SENT that describes the connections that are left. */
static uint64_t
describe_rest(const struct transfer_out *out, bool is_alive)
{
	const struct kept *kept = out->kept;
	bool may_move = !is_alive;
	for (size_t i = 0; i < kept->count && !may_move; i++)
		may_move = can_move(out, &kept->connections[i]);
	if (kept->count == 0)
		return 0;
	return may_move ? CHANNEL_SENT_FULL : CHANNEL_SENT_UNSERVED;
}

uint64_t
keeper_send(struct kept *kept, int fd)
{
	static struct batch_out batch;
	struct transfer_note note;
	struct transfer_out out = {
		.kept = kept, .fd = fd, .batch_max = TRANSFER_BATCH_MAX
	};
	bool is_alive = send_hello(&out) == 0 && receive_note(fd, &note) > 0 &&
	    note.verb == TRANSFER_CAPACITY;
	if (is_alive) {
		out.capacity = note.count;
		out.mask = note.mask;
		out.same_replies = note.same_replies;
	}
	while (is_alive) {
		fill_batch(&out, &batch);
		if (batch.packet.count == 0)
			break;
		enum transfer_verb verb =
		    send_batch(&out, &batch) < 0 ? TRANSFER_END : wait_for_answer(&out);
		if (verb == TRANSFER_ACCEPTED)
			on_accepted(&out, &batch);
		else if (verb == TRANSFER_REJECTED)
			on_rejected(&out, &batch);
		else
			is_alive = false;
	}
	if (is_alive)
		(void)send_note(fd, TRANSFER_END, 0);
	close(fd);
	return out.moved | describe_rest(&out, is_alive);
}

bool
keeper_send_withdraw(int fd, uint32_t batch, bool is_recorded)
{
	struct transfer_note note;
	bool is_accepted = is_recorded;
	(void)send_note(fd, TRANSFER_END, 0);
	(void)shutdown(fd, SHUT_RD);
	while (receive_note(fd, &note) > 0) {
		if (note.verb == TRANSFER_ACCEPTED &&
		    (note.mask == 0 || note.mask == batch))
			is_accepted = true;
	}
	if (is_accepted)
		(void)send_note(fd, TRANSFER_COMMITTED, 0);
	return is_accepted;
}
