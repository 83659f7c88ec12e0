#include "worker/transfer_receive.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "net/socket_info.h"
#include "proto/channel.h"
#include "proto/transfer.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/crash_record.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/witness_state.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"
#include "worker/faults/fault_injection.h"
#include "worker/limits/sandbox.h"
#include "worker/proxy_phase.h"
#include "worker/tls_phase.h"
#include "worker/transfer_state.h"
#include "worker/witness/witness_serve.h"

struct receiver {
	LIST_ENTRY(receiver) next; /* in worker->transfers.receivers */
	struct worker *worker;
	struct event event;
	int fd;
	uint32_t id;
	uint64_t received; /* connections, counted as moved in */
	uint32_t batch;    /* number of the last batch that came */
	uint32_t place;    /* of its batches (open_count.h); OPEN_COUNT_PLACES: none */
	int *recorded_fd;  /* in the crash record; NULL: it had no room */
	/* By the listener number of the sender: */
	struct worker_listener *listeners[TRANSFER_LISTENERS_MAX];
	uint64_t replies[TRANSFER_LISTENERS_MAX]; /* fingerprints */
	uint64_t opening[TRANSFER_LISTENERS_MAX];
	/* The listeners of connections that are installed, not yet COMMITTED; some may
	 * have been closed meanwhile. */
	struct worker_listener *arrivals[TRANSFER_BATCH_MAX];
	uint32_t arrival_count;
};

static struct open_shared *
own_open(const struct receiver *receiver)
{
	return &receiver->worker->worker_ledger->open;
}

static bool
is_taken(const struct worker *worker, uint32_t place)
{
	const struct receiver *receiver = LIST_FIRST(&worker->transfers.receivers);
	while (receiver != NULL && receiver->place != place)
		receiver = LIST_NEXT(receiver, next);
	return receiver != NULL;
}

static uint32_t
find_place(const struct worker *worker)
{
	uint32_t place = 0;
	while (place < OPEN_COUNT_PLACES && is_taken(worker, place))
		place++;
	return place;
}

static void
set_installed(const struct receiver *receiver, uint64_t batch)
{
	if (receiver->place < OPEN_COUNT_PLACES)
		open_count_store(
		    &own_open(receiver)->installed[receiver->place], batch);
}

/* From here on the batch counts here and no longer at its sender. */
static void
publish(const struct receiver *receiver, struct connection **installed, uint32_t count)
{
	const struct worker *worker = receiver->worker;
	open_count_begin(own_open(receiver));
	for (uint32_t i = 0; i < count; i++)
		connection_count_arriving(installed[i], -1);
	set_installed(receiver,
	    open_count_batch(receiver->id, receiver->batch,
		open_count_place(worker->ledger_entry, receiver->place)));
	open_count_end(own_open(receiver));
}

static void
withdraw(const struct receiver *receiver, struct connection **installed, uint32_t count)
{
	open_count_begin(own_open(receiver));
	set_installed(receiver, 0);
	for (uint32_t i = 0; i < count; i++)
		connection_count_arriving(installed[i], 1);
	open_count_end(own_open(receiver));
}

static void
count_committed(struct receiver *receiver)
{
	for (uint32_t i = 0; i < receiver->arrival_count; i++)
		ledger_count(
		    receiver->arrivals[i]->block, LEDGER_CONNECTIONS_MOVED_IN, 1);
	receiver->received += receiver->arrival_count;
	receiver->arrival_count = 0;
}

static void
finish(struct receiver *receiver)
{
	struct worker *worker = receiver->worker;
	count_committed(receiver);
	set_installed(receiver, 0);
	worker_report(worker, CHANNEL_RECEIVED, receiver->id, receiver->received);
	LIST_REMOVE(receiver, next);
	event_del(&receiver->event);
	if (receiver->recorded_fd != NULL)
		*receiver->recorded_fd = 0;
	close(receiver->fd);
	free(receiver);
	worker_request_drain_check(worker);
}

static int *
record_fd(struct crash_record *record, int fd)
{
	for (int i = 0; i < CRASH_RECORD_RECEIVERS; i++) {
		int *recorded_fd = &record->receiver_fds_plus_one[i];
		if (*recorded_fd != 0)
			continue;
		*recorded_fd = fd + 1;
		return recorded_fd;
	}
	return NULL;
}

static bool
overlaps(const struct worker_listener *listener, const char *name)
{
	struct address address;
	char text[TRANSFER_NAME_MAX + 1], error[128];
	snprintf(text, sizeof(text), "%.*s", TRANSFER_NAME_MAX, name);
	/* The sandbox forbids to look up the interface of a link-local address. */
	return strchr(text, '%') == NULL &&
	    address_parse(text, &address, error, sizeof(error)) == 0 &&
	    address_overlaps(&listener->address, &address);
}

/* The listener of the same address and framing; else one whose address overlaps, which
 * a reload has put in its place. NULL: none. */
static struct worker_listener *
match_listener(struct worker *worker, const char *name, uint32_t framing)
{
	struct worker_listener *overlapping = NULL;
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		struct worker_listener *listener = &worker->accept.listeners[i];
		if (listener->config->framing != framing)
			continue;
		if (strncmp(listener->name, name, TRANSFER_NAME_MAX) == 0)
			return listener;
		if (overlapping == NULL && overlaps(listener, name))
			overlapping = listener;
	}
	return overlapping;
}

/* Several listeners may have replaced that of a wildcard. */
static struct worker_listener *
listener_of(const struct receiver *receiver, uint32_t number, int fd)
{
	struct worker_listener *matched = receiver->listeners[number];
	struct worker_accept *accept = &receiver->worker->accept;
	struct address own = { .length = sizeof(own.storage) };
	if (accept->listener_count == 1 || address_is_wildcard(&matched->address) ||
	    getsockname(fd, (struct sockaddr *)&own.storage, &own.length) < 0)
		return matched;
	for (size_t i = 0; i < accept->listener_count; i++) {
		struct worker_listener *listener = &accept->listeners[i];
		if (listener->config->framing == matched->config->framing &&
		    address_equal(&listener->address, &own))
			return listener;
	}
	return matched;
}

static bool
has_same_reply(const struct receiver *receiver, uint32_t number,
    const struct worker_listener *listener)
{
	return receiver->replies[number] == reply_fingerprint(&listener->config->reply);
}

/* True if its connections can go on at this listener: those of a conversation only in
 * one of the same kind. */
static bool
has_same_opening(const struct receiver *receiver, uint32_t number,
    const struct worker_listener *listener)
{
	return receiver->opening[number] == transfer_state_opening(listener->config);
}

static void
on_hello(struct receiver *receiver, const struct transfer_hello *hello, size_t length)
{
	struct worker *worker = receiver->worker;
	struct transfer_note capacity = { .verb = TRANSFER_CAPACITY,
		.place = receiver->place < OPEN_COUNT_PLACES
		    ? open_count_place(worker->ledger_entry, receiver->place)
		    : OPEN_COUNT_NOWHERE };
	bool fits = length == sizeof(*hello) && hello->version == TRANSFER_VERSION;
	for (uint32_t i = 0; fits && i < hello->count && i < TRANSFER_LISTENERS_MAX;
	     i++) {
		receiver->listeners[i] = match_listener(
		    worker, hello->listeners[i].name, hello->listeners[i].framing);
		receiver->replies[i] = hello->listeners[i].reply;
		receiver->opening[i] = hello->listeners[i].opening;
		const struct worker_listener *listener = receiver->listeners[i];
		if (listener == NULL || !has_same_opening(receiver, i, listener))
			continue;
		capacity.mask |= UINT64_C(1) << i;
		if (has_same_reply(receiver, i, listener))
			capacity.same_replies |= UINT64_C(1) << i;
	}
	if (worker->limits.max_connections > worker->connections.count)
		capacity.count = (uint32_t)(worker->limits.max_connections -
		    worker->connections.count);
	if (transfer_packet_send(receiver->fd, &capacity, sizeof(capacity), NULL, 0) <
	    0)
		log_debug(
		    "[transfer_answer_failed] transfer: cannot answer the sender");
}

/* Rejects records that no correct sender makes. */
static bool
record_is_valid(const struct receiver *receiver, const struct transfer_record *record)
{
	bool has_output = record->output_bytes > 0;
	if (record->about_bytes > WHOAMI_ABOUT_MAX)
		return false;
	return record->listener < TRANSFER_LISTENERS_MAX &&
	    receiver->listeners[record->listener] != NULL &&
	    (record->phase == CONNECTION_SERVING ||
		(record->phase == CONNECTION_AWAITING_HEADER && !has_output) ||
		(record->phase == CONNECTION_TLS_HANDSHAKE && !has_output &&
		    record->tls_bytes == 0) ||
		record->phase == CONNECTION_FINISHING ||
		(record->phase == CONNECTION_LINGERING && !has_output &&
		    record->input_bytes == 0)) &&
	    (record->reading_paused == 0 || has_output || record->fault_bytes != 0) &&
	    (record->skip == 0 || !has_output) && record->reason < CLOSE_REASON_COUNT &&
	    record->searched <= record->input_bytes;
}

/* False for what a compromised sender may pass instead, such as a listening socket,
 * whose accept queue would live on here. */
static bool
is_connection(int fd)
{
	return socket_info_option(fd, SO_TYPE) == SOCK_STREAM &&
	    socket_info_option(fd, SO_ACCEPTCONN) == 0;
}

/* Checks the session that came as the first bytes of the input, and makes it one of
 * this worker's conversation. */
static bool
take_session(
    const struct receiver *receiver, struct connection *connection, uint32_t number)
{
	const struct worker_listener *listener = connection->listener;
	if (!has_same_opening(receiver, number, listener))
		return false;
	return !listener_plays(listener) || connection->phase != CONNECTION_SERVING ||
	    session_adopt(&listener->side, &connection->input);
}

/* Another configuration may have TLS at a listener that has none here. */
static void
hide_keys(struct worker *worker, const struct transfer_record *record)
{
	if (record->tls_bytes == 0 || worker->tls.is_hidden)
		return;
	worker->tls.is_hidden = true;
	sandbox_hide_memory();
}

/* Makes a frozen connection of a record and its bytes; NULL on failure. */
static struct connection *
install_one(struct receiver *receiver, const struct transfer_record *record, int fd,
    int state_fd)
{
	if (!record_is_valid(receiver, record) ||
	    fd >= receiver->worker->limits.fd_end || !is_connection(fd))
		return NULL;
	struct worker_listener *listener = listener_of(receiver, record->listener, fd);
	/* A part of a reply has been sent: another reply has no such part. */
	if (record->skip > 0 && !has_same_reply(receiver, record->listener, listener))
		return NULL;
	struct connection *connection = connection_install(listener, fd, record);
	if (connection == NULL)
		return NULL;
	hide_keys(receiver->worker, record);
	receiver->arrivals[receiver->arrival_count++] = connection->listener;
	if (transfer_state_read(connection, record, state_fd) < 0 ||
	    !take_session(receiver, connection, record->listener)) {
		connection_free(connection);
		return NULL;
	}
	if (connection->tls != NULL)
		connection_set_callback(connection);
	if (witness_state_find(connection) != NULL && listener->is_witness)
		witness_state_check(connection);
	else
		whoami_state_check(connection);
	if (connection->listener->keeps_about && connection->about == NULL &&
	    whoami_state_create(connection) < 0) {
		connection_free(connection);
		return NULL;
	}
	/* A reload may have changed limits.max_pending. */
	if (connection_is_over_output_limit(connection))
		connection->reading_paused = true;
	return connection;
}

static uint32_t
install(struct receiver *receiver, const struct transfer_batch *batch, const int *fds,
    int state_fd, struct connection **ret)
{
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

/* Undoes a batch: its connections remain with the sender. */
static void
discard(struct receiver *receiver, struct connection **installed, uint32_t count,
    const int *fds, size_t fd_count)
{
	for (uint32_t i = 0; i < count; i++)
		connection_free(installed[i]);
	receiver->arrival_count = 0;
	channel_discard_fds(fds, fd_count);
}

/* True at end of file. A sender that only withdraws its batch sends a packet first. */
static bool
sender_is_gone(const struct receiver *receiver)
{
	union transfer_packet packet;
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t fd_count;
	ssize_t n = transfer_packet_receive(receiver->fd, &packet, fds, &fd_count);
	channel_discard_fds(fds, fd_count);
	return n == 0;
}

/* Tells the sender what became of the batch. True as well if the sender has died; false
 * if it lives and cannot have received the answer. */
static bool
send_answer(const struct receiver *receiver, uint32_t verb, uint32_t count)
{
	const struct transfer_note note = {
		.verb = verb, .count = count, .mask = receiver->batch
	};
	if (transfer_packet_send(receiver->fd, &note, sizeof(note), NULL, 0) == 0)
		return true;
	log_debug("[transfer_answer_failed reason] "
		  "transfer: cannot answer the sender: %s",
	    strerror(errno));
	return (errno == EPIPE || errno == ECONNRESET) && sender_is_gone(receiver);
}

/* From here until the connections are recorded the keeper asks the sender whether they
 * are this worker's. */
static void
record_answering(const struct receiver *receiver)
{
	struct crash_record *record = receiver->worker->record;
	record->answering.batch = receiver->batch;
	CRASH_RECORD_BARRIER();
	record->answering.fd_plus_one = receiver->fd + 1;
	CRASH_RECORD_BARRIER();
}

/* Records that a dead worker had read are read again: no event reports them. */
static void
replay_faults(struct connection *connection)
{
	if (fault_injection_replay(connection) && connection->tls != NULL &&
	    connection->tls->partial != NULL)
		event_active(&connection->event, EV_READ, 0);
}

static void
serve_witness(struct connection *connection)
{
	if (proxy_phase_replay(connection) && tls_phase_replay(connection))
		(void)witness_serve_resume(connection);
}

static void
serve(struct connection **connections, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct connection *connection = connections[i];
		if (connection->faults != NULL)
			fault_injection_adopt(connection);
		if (!connection_resume(connection))
			continue;
		if (connection->listener->is_witness)
			serve_witness(connection);
		else if (connection->faults != NULL)
			replay_faults(connection);
		else if (proxy_phase_replay(connection) &&
		    tls_phase_replay(connection) && connection->faults == NULL &&
		    connection_io_replay(connection) &&
		    connection->listener->faults.count > 0 &&
		    connection->phase != CONNECTION_LINGERING)
			(void)fault_injection_open(connection);
	}
}

/* Installs all of a batch or nothing. False if the transfer must end. */
static bool
on_batch(struct receiver *receiver, const struct transfer_batch *batch, size_t length,
    const int *fds, size_t fd_count)
{
	struct connection *installed[TRANSFER_BATCH_MAX];
	struct crash_record *record = receiver->worker->record;
	uint32_t count = 0;
	receiver->batch++;
	bool is_complete = batch_is_complete(batch, length, fd_count);
	count_committed(receiver); /* a correct sender has said so before */
	int state_fd = is_complete && batch->state_bytes > 0 ? fds[fd_count - 1] : -1;
	if (is_complete && transfer_state_is_complete(batch, state_fd))
		count = install(receiver, batch, fds, state_fd, installed);
	if (is_complete)
		transfer_state_wipe(batch, state_fd);
	if (!is_complete || count < batch->count) {
		log_warnx(
		    "[transfer_rejected installable connections] "
		    "transfer: only %u of %u connections can be installed: rejecting the batch",
		    count, batch->count);
		discard(receiver, installed, count, fds, fd_count);
		return send_answer(receiver, TRANSFER_REJECTED, 0);
	}
	publish(receiver, installed, count);
	/* Once the answer is sent, or the sender has died, they are this worker's. */
	record_answering(receiver);
	if (!send_answer(receiver, TRANSFER_ACCEPTED, count)) {
		withdraw(receiver, installed, count);
		discard(receiver, installed, count, fds, fd_count);
		record->answering.fd_plus_one = 0;
		return false;
	}
	for (uint32_t i = 0; i < count; i++)
		installed[i]->is_recorded = true;
	CRASH_RECORD_BARRIER();
	record->answering.fd_plus_one = 0;
	if (state_fd >= 0)
		close(state_fd);
	serve(installed, count);
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
		channel_discard_fds(fds, fd_count);
		finish(receiver);
		return;
	}
	if (packet.verb != TRANSFER_BATCH)
		channel_discard_fds(fds, fd_count);
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
		log_warnx("[transfer_packet_unknown packet] "
			  "transfer: unknown packet %u from the sender",
		    packet.verb);
		break;
	}
}

/* Tells the sender explicitly: after EOF alone it would wait for another receiver,
 * which the master would not assign. */
static void
reject(struct worker *worker, int fd, uint32_t id)
{
	const struct transfer_note rejected = { .verb = TRANSFER_REJECTED };
	log_warn("[transfer_receive_failed] transfer: cannot start to receive");
	if (transfer_packet_send(fd, &rejected, sizeof(rejected), NULL, 0) < 0)
		log_debug(
		    "[transfer_answer_failed] transfer: cannot answer the sender");
	close(fd);
	worker_report(worker, CHANNEL_RECEIVED, id, 0);
}

void
transfer_receive_start(struct worker *worker, int fd, uint32_t id)
{
	/* fd is -1 when this process had no room for the descriptor (unix(7)). */
	struct receiver *receiver = fd < 0 ? NULL : calloc(1, sizeof(*receiver));
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
	receiver->worker = worker;
	receiver->place = find_place(worker);
	LIST_INSERT_HEAD(&worker->transfers.receivers, receiver, next);
	receiver->fd = fd;
	receiver->id = id;
	receiver->recorded_fd = record_fd(worker->record, fd);
}

void
transfer_receive_stop_all(struct worker *worker)
{
	while (!LIST_EMPTY(&worker->transfers.receivers))
		finish(LIST_FIRST(&worker->transfers.receivers));
}
