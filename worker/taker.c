#include "worker/taker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "proto/channel.h"
#include "proto/handover.h"

#include "worker/connection.h"
#include "worker/leave.h"
#include "worker/state.h"

struct taker {
	struct taker *next; /* in worker->takers */
	struct worker *worker;
	struct event event;
	int fd;
	uint32_t id;
	uint64_t received; /* booked */
	/* By the giver's number: */
	struct listener *listeners[HANDOVER_LISTENERS_MAX];
	uint32_t undone[HANDOVER_LISTENERS_MAX]; /* taken, DONE has not come */
};

static void
book(struct taker *taker)
{
	for (int i = 0; i < HANDOVER_LISTENERS_MAX; i++) {
		if (taker->undone[i] == 0)
			continue;
		ledger_count(taker->listeners[i]->block, LEDGER_CONNECTIONS_MOVED_IN,
		    taker->undone[i]);
		taker->received += taker->undone[i];
		taker->undone[i] = 0;
	}
}

static void
tell_master(const struct worker *worker, uint32_t id, uint64_t received)
{
	const struct channel_message received_message = {
		.verb = CHANNEL_TOOK, .argument = id, .value = received
	};
	if (channel_send(worker->channel_fd, &received_message, -1) < 0)
		log_debug("the master does not hear what was taken");
}

static void
finish(struct taker *taker)
{
	struct worker *worker = taker->worker;
	book(taker);
	tell_master(worker, taker->id, taker->received);
	struct taker **at = &worker->takers;
	while (*at != taker)
		at = &(*at)->next;
	*at = taker->next;
	event_del(&taker->event);
	close(taker->fd);
	free(taker);
	leave_check(worker);
}

/* Our listener of the same address and framing, or NULL. */
static struct listener *
match_listener(struct worker *worker, const char *name, uint32_t framing)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		struct listener *listener = &worker->listeners[i];
		if (strncmp(listener->name, name, HANDOVER_NAME_MAX) == 0 &&
		    listener->config->framing == framing)
			return listener;
	}
	return NULL;
}

static void
on_hello(struct taker *taker, const struct handover_hello *hello, size_t length)
{
	struct worker *worker = taker->worker;
	struct handover_note capacity = { .verb = HANDOVER_ROOM };
	bool fits = length == sizeof(*hello) && hello->version == HANDOVER_VERSION;
	for (uint32_t i = 0; fits && i < hello->count && i < HANDOVER_LISTENERS_MAX;
	     i++) {
		taker->listeners[i] = match_listener(
		    worker, hello->listeners[i].name, hello->listeners[i].framing);
		if (taker->listeners[i] != NULL)
			capacity.mask |= UINT64_C(1) << i;
	}
	if (worker->max_connections > worker->pool.count)
		capacity.count =
		    (uint32_t)(worker->max_connections - worker->pool.count);
	if (handover_send(taker->fd, &capacity, sizeof(capacity), NULL, 0) < 0)
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
record_is_sane(const struct taker *taker, const struct handover_record *record)
{
	bool owes = record->output_bytes > 0;
	return record->listener < HANDOVER_LISTENERS_MAX &&
	    taker->listeners[record->listener] != NULL &&
	    (record->phase == CONNECTION_SERVING ||
		(record->phase == CONNECTION_FINISHING && owes)) &&
	    (record->reading_paused == 0 || owes) &&
	    record->reason < CLOSE_REASON_COUNT &&
	    record->searched <= record->input_bytes;
}

static int
read_state(struct connection *connection, const struct handover_record *record, int fd)
{
	if (read_bytes(fd, &connection->input, record->input_bytes) < 0)
		return -1;
	return connection->output == NULL
	    ? 0
	    : read_bytes(fd, &connection->output->bytes, record->output_bytes);
}

/* Makes one connection of a record and its bytes; not served yet. */
static struct connection *
install_one(
    struct taker *taker, const struct handover_record *record, int fd, int state_fd)
{
	if (!record_is_sane(taker, record) || fd >= taker->worker->descriptor_end)
		return NULL;
	struct connection *connection =
	    connection_adopt(taker->listeners[record->listener], fd, record);
	if (connection == NULL)
		return NULL;
	if (read_state(connection, record, state_fd) < 0) {
		connection_forget(connection);
		return NULL;
	}
	/* The giver's limit may have been another one. */
	if (connection_is_stuffed(connection))
		connection->reading_paused = true;
	return connection;
}

static uint32_t
install(struct taker *taker, const struct handover_batch *batch, const int *fds,
    int state_fd, struct connection **ret)
{
	if (state_fd >= 0 && lseek(state_fd, 0, SEEK_SET) < 0)
		return 0;
	uint32_t i = 0;
	while (i < batch->count &&
	    (ret[i] = install_one(taker, &batch->records[i], fds[i], state_fd)) != NULL)
		i++;
	return i;
}

static bool
batch_is_whole(const struct handover_batch *batch, size_t length, size_t fd_count)
{
	size_t expected = batch->count + (batch->state_bytes > 0 ? 1U : 0U);
	return batch->count <= HANDOVER_BATCH_MAX &&
	    length == handover_batch_bytes(batch->count) && fd_count == expected;
}

/* The memory file holds what the records say, so that no number alone makes memory. */
static bool
state_is_whole(const struct handover_batch *batch, int state_fd)
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
drop(struct connection **installed, uint32_t count, const int *fds, size_t fd_count)
{
	for (uint32_t i = 0; i < count; i++)
		connection_forget(installed[i]);
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
}

/* There is nobody any more to hear us; a giver that only does not want to says so. */
static bool
giver_is_gone(const struct taker *taker)
{
	union handover_packet packet;
	int fds[HANDOVER_BATCH_MAX + 1];
	size_t fd_count;
	ssize_t n = handover_receive(taker->fd, &packet, fds, &fd_count);
	drop(NULL, 0, fds, fd_count);
	return n == 0;
}

/* Says what became of the batch. Also true when there is nobody any more to hear it;
 * not when the giver lives and cannot have heard it. */
static bool
send_answer(const struct taker *taker, uint32_t verb, uint32_t count)
{
	const struct handover_note note = { .verb = verb, .count = count };
	if (handover_send(taker->fd, &note, sizeof(note), NULL, 0) == 0)
		return true;
	log_debug("the giver does not hear what was taken: %s", strerror(errno));
	return (errno == EPIPE || errno == ECONNRESET) && giver_is_gone(taker);
}

/* All of a batch or nothing. False when the hand-over must end. */
static bool
on_batch(struct taker *taker, const struct handover_batch *batch, size_t length,
    const int *fds, size_t fd_count)
{
	struct connection *installed[HANDOVER_BATCH_MAX];
	uint32_t count = 0;
	bool whole = batch_is_whole(batch, length, fd_count);
	int state_fd = whole && batch->state_bytes > 0 ? fds[fd_count - 1] : -1;
	if (whole && state_is_whole(batch, state_fd))
		count = install(taker, batch, fds, state_fd, installed);
	if (!whole || count < batch->count) {
		log_warnx("%u of %u connections can be taken over: none is", count,
		    batch->count);
		drop(installed, count, fds, fd_count);
		return send_answer(taker, HANDOVER_REFUSED, 0);
	}
	/* Once the giver can hear it, or is gone, they are ours. */
	if (!send_answer(taker, HANDOVER_TAKEN, count)) {
		drop(installed, count, fds, fd_count);
		return false;
	}
	if (state_fd >= 0)
		close(state_fd);
	for (uint32_t i = 0; i < count; i++) {
		taker->undone[batch->records[i].listener]++;
		connection_resume(installed[i]);
	}
	leave_check(taker->worker);
	return true;
}

static void
on_packet(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	static union handover_packet packet;
	struct taker *taker = argument;
	int fds[HANDOVER_BATCH_MAX + 1];
	size_t fd_count;
	ssize_t n = handover_receive(fd, &packet, fds, &fd_count);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || packet.verb == HANDOVER_END) {
		drop(NULL, 0, fds, fd_count);
		finish(taker);
		return;
	}
	if (packet.verb != HANDOVER_BATCH)
		drop(NULL, 0, fds, fd_count);
	switch ((enum handover_verb)packet.verb) {
	case HANDOVER_HELLO:
		on_hello(taker, &packet.hello, (size_t)n);
		break;
	case HANDOVER_BATCH:
		if (!on_batch(taker, &packet.batch, (size_t)n, fds, fd_count))
			finish(taker);
		break;
	case HANDOVER_DONE:
		book(taker);
		break;
	default:
		log_warnx("packet %u of a giver is not known", packet.verb);
		break;
	}
}

/* Who only hears the end waits for another taker, and the master knows of none. */
static void
refuse(struct worker *worker, int fd, uint32_t id)
{
	const struct handover_note rejected = { .verb = HANDOVER_REFUSED };
	log_warnx("a hand-over cannot start");
	if (handover_send(fd, &rejected, sizeof(rejected), NULL, 0) < 0)
		log_debug("the giver does not hear that nothing is taken");
	close(fd);
	tell_master(worker, id, 0);
}

void
taker_start(struct worker *worker, int fd, uint32_t id)
{
	struct taker *taker = calloc(1, sizeof(*taker));
	if (taker == NULL) {
		refuse(worker, fd, id);
		return;
	}
	event_assign(
	    &taker->event, worker->base, fd, EV_READ | EV_PERSIST, on_packet, taker);
	if (event_add(&taker->event, NULL) < 0) {
		free(taker);
		refuse(worker, fd, id);
		return;
	}
	taker->next = worker->takers;
	worker->takers = taker;
	taker->worker = worker;
	taker->fd = fd;
	taker->id = id;
}

void
taker_stop_all(struct worker *worker)
{
	while (worker->takers != NULL)
		finish(worker->takers);
}
