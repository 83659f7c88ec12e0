#include "worker/transfer_receive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "proto/channel.h"
#include "proto/transfer.h"

#include "worker/connection.h"
#include "worker/worker_state.h"

struct receiver {
	struct receiver *next; /* in worker->takers */
	struct worker *worker;
	struct event event;
	int fd;
	uint32_t id;
	uint64_t received; /* booked */
	/* By the giver's number: */
	struct listener *listeners[TRANSFER_LISTENERS_MAX];
	uint32_t uncommitted[TRANSFER_LISTENERS_MAX]; /* taken, DONE has not come */
};

static void
count_committed(struct receiver *receiver)
{
	for (int i = 0; i < TRANSFER_LISTENERS_MAX; i++) {
		if (receiver->uncommitted[i] == 0)
			continue;
		ledger_count(receiver->listeners[i]->block, LEDGER_CONNECTIONS_MOVED_IN,
		    receiver->uncommitted[i]);
		receiver->received += receiver->uncommitted[i];
		receiver->uncommitted[i] = 0;
	}
}

static void
report_to_master(const struct worker *worker, uint32_t id, uint64_t received)
{
	const struct channel_message received_message = {
		.verb = CHANNEL_RECEIVED, .argument = id, .value = received
	};
	if (channel_send(worker->channel_fd, &received_message, -1) < 0)
		log_debug("the master does not hear what was taken");
}

static void
finish(struct receiver *receiver)
{
	struct worker *worker = receiver->worker;
	count_committed(receiver);
	report_to_master(worker, receiver->id, receiver->received);
	struct receiver **at = &worker->transfers.receivers;
	while (*at != receiver)
		at = &(*at)->next;
	*at = receiver->next;
	event_del(&receiver->event);
	close(receiver->fd);
	free(receiver);
	worker_request_drain_check(worker);
}

/* Our listener of the same address and framing, or NULL. */
static struct listener *
match_listener(struct worker *worker, const char *name, uint32_t framing)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct listener *listener = &worker->accept.listeners[i];
		if (strncmp(listener->name, name, TRANSFER_NAME_MAX) == 0 &&
		    listener->config->framing == framing)
			return listener;
	}
	return NULL;
}

static void
on_hello(struct receiver *receiver, const struct transfer_hello *hello, size_t length)
{
	struct worker *worker = receiver->worker;
	struct transfer_note capacity = { .verb = TRANSFER_CAPACITY };
	bool fits = length == sizeof(*hello) && hello->version == TRANSFER_VERSION;
	for (uint32_t i = 0; fits && i < hello->count && i < TRANSFER_LISTENERS_MAX;
	     i++) {
		receiver->listeners[i] = match_listener(
		    worker, hello->listeners[i].name, hello->listeners[i].framing);
		if (receiver->listeners[i] != NULL)
			capacity.mask |= UINT64_C(1) << i;
	}
	if (worker->limits.max_connections > worker->connections.count)
		capacity.count = (uint32_t)(worker->limits.max_connections -
		    worker->connections.count);
	if (transfer_packet_send(receiver->fd, &capacity, sizeof(capacity), NULL, 0) <
	    0)
		log_debug("the giver does not hear us");
}

/* Reads `length` bytes of the memory file to the end of a buffer. */
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

/* What a giver in its right mind says: nothing else is believed. */
static bool
record_is_valid(const struct receiver *receiver, const struct transfer_record *record)
{
	bool owes = record->output_bytes > 0;
	return record->listener < TRANSFER_LISTENERS_MAX &&
	    receiver->listeners[record->listener] != NULL &&
	    (record->phase == CONNECTION_SERVING ||
		(record->phase == CONNECTION_FINISHING && owes)) &&
	    (record->reading_paused == 0 || owes) &&
	    record->reason < CLOSE_REASON_COUNT &&
	    record->searched <= record->input_bytes;
}

static int
read_state(struct connection *connection, const struct transfer_record *record, int fd)
{
	if (read_bytes(fd, &connection->input, record->input_bytes) < 0)
		return -1;
	return connection->output == NULL
	    ? 0
	    : read_bytes(fd, &connection->output->bytes, record->output_bytes);
}

/* Makes one connection of a record and its bytes; not served yet. */
static struct connection *
install_one(struct receiver *receiver, const struct transfer_record *record, int fd,
    int state_fd)
{
	if (!record_is_valid(receiver, record) || fd >= receiver->worker->limits.fd_end)
		return NULL;
	struct connection *connection =
	    connection_install(receiver->listeners[record->listener], fd, record);
	if (connection == NULL)
		return NULL;
	if (read_state(connection, record, state_fd) < 0) {
		connection_free(connection);
		return NULL;
	}
	/* The giver's limit may have been another one. */
	if (connection_is_over_output_limit(connection))
		connection->reading_paused = true;
	return connection;
}

static uint32_t
install(struct receiver *receiver, const struct transfer_batch *batch, const int *fds,
    int state_fd, struct connection **ret)
{
	if (state_fd >= 0 && lseek(state_fd, 0, SEEK_SET) < 0)
		return 0;
	uint32_t i = 0;
	while (i < batch->count &&
	    (ret[i] = install_one(receiver, &batch->records[i], fds[i], state_fd)) !=
		NULL)
		i++;
	return i;
}

static bool
batch_is_complete(const struct transfer_batch *batch, size_t length, size_t fd_count)
{
	size_t expected = batch->count + (batch->state_bytes > 0 ? 1U : 0U);
	return batch->count <= TRANSFER_BATCH_MAX &&
	    length == transfer_batch_bytes(batch->count) && fd_count == expected;
}

/* The memory file holds what the records say, so that no number alone makes memory. */
static bool
state_is_complete(const struct transfer_batch *batch, int state_fd)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < batch->count; i++)
		bytes += (uint64_t)batch->records[i].input_bytes +
		    batch->records[i].output_bytes;
	return bytes == batch->state_bytes &&
	    (state_fd < 0 || lseek(state_fd, 0, SEEK_END) == (off_t)bytes);
}

/* What was made of a batch that stays the giver's. */
static void
discard(struct connection **installed, uint32_t count, const int *fds, size_t fd_count)
{
	for (uint32_t i = 0; i < count; i++)
		connection_free(installed[i]);
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
}

/* There is nobody any more to hear us; a giver that only does not want to says so. */
static bool
sender_is_gone(const struct receiver *receiver)
{
	union transfer_packet packet;
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t fd_count;
	ssize_t n = transfer_packet_receive(receiver->fd, &packet, fds, &fd_count);
	discard(NULL, 0, fds, fd_count);
	return n == 0;
}

/* Says what became of the batch. Also true when there is nobody any more to hear it;
 * not when the giver lives and cannot have heard it. */
static bool
send_answer(const struct receiver *receiver, uint32_t verb, uint32_t count)
{
	const struct transfer_note note = { .verb = verb, .count = count };
	if (transfer_packet_send(receiver->fd, &note, sizeof(note), NULL, 0) == 0)
		return true;
	log_debug("the giver does not hear what was taken: %s", strerror(errno));
	return (errno == EPIPE || errno == ECONNRESET) && sender_is_gone(receiver);
}

/* All of a batch or nothing. False when the hand-over must end. */
static bool
on_batch(struct receiver *receiver, const struct transfer_batch *batch, size_t length,
    const int *fds, size_t fd_count)
{
	struct connection *installed[TRANSFER_BATCH_MAX];
	uint32_t count = 0;
	bool whole = batch_is_complete(batch, length, fd_count);
	int state_fd = whole && batch->state_bytes > 0 ? fds[fd_count - 1] : -1;
	if (whole && state_is_complete(batch, state_fd))
		count = install(receiver, batch, fds, state_fd, installed);
	if (!whole || count < batch->count) {
		log_warnx("%u of %u connections can be taken over: none is", count,
		    batch->count);
		discard(installed, count, fds, fd_count);
		return send_answer(receiver, TRANSFER_REJECTED, 0);
	}
	/* Once the giver can hear it, or is gone, they are ours. */
	if (!send_answer(receiver, TRANSFER_ACCEPTED, count)) {
		discard(installed, count, fds, fd_count);
		return false;
	}
	if (state_fd >= 0)
		close(state_fd);
	for (uint32_t i = 0; i < count; i++) {
		receiver->uncommitted[batch->records[i].listener]++;
		connection_resume(installed[i]);
	}
	worker_request_drain_check(receiver->worker);
	return true;
}

static void
on_packet(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	static union transfer_packet packet;
	struct receiver *receiver = argument;
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t fd_count;
	ssize_t n = transfer_packet_receive(fd, &packet, fds, &fd_count);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || packet.verb == TRANSFER_END) {
		discard(NULL, 0, fds, fd_count);
		finish(receiver);
		return;
	}
	if (packet.verb != TRANSFER_BATCH)
		discard(NULL, 0, fds, fd_count);
	switch ((enum transfer_verb)packet.verb) {
	case TRANSFER_HELLO:
		on_hello(receiver, &packet.hello, (size_t)n);
		break;
	case TRANSFER_BATCH:
		if (!on_batch(receiver, &packet.batch, (size_t)n, fds, fd_count))
			finish(receiver);
		break;
	case TRANSFER_COMMITTED:
		count_committed(receiver);
		break;
	default:
		log_warnx("packet %u of a giver is not known", packet.verb);
		break;
	}
}

/* Who only hears the end waits for another taker, and the master knows of none. */
static void
reject(struct worker *worker, int fd, uint32_t id)
{
	const struct transfer_note rejected = { .verb = TRANSFER_REJECTED };
	log_warnx("a hand-over cannot start");
	if (transfer_packet_send(fd, &rejected, sizeof(rejected), NULL, 0) < 0)
		log_debug("the giver does not hear that nothing is taken");
	close(fd);
	report_to_master(worker, id, 0);
}

void
transfer_receive_start(struct worker *worker, int fd, uint32_t id)
{
	struct receiver *receiver = calloc(1, sizeof(*receiver));
	if (receiver == NULL) {
		reject(worker, fd, id);
		return;
	}
	event_assign(&receiver->event, worker->base, fd, EV_READ | EV_PERSIST,
	    on_packet, receiver);
	if (event_add(&receiver->event, NULL) < 0) {
		free(receiver);
		reject(worker, fd, id);
		return;
	}
	receiver->next = worker->transfers.receivers;
	worker->transfers.receivers = receiver;
	receiver->worker = worker;
	receiver->fd = fd;
	receiver->id = id;
}

void
transfer_receive_stop_all(struct worker *worker)
{
	while (worker->transfers.receivers != NULL)
		finish(worker->transfers.receivers);
}
