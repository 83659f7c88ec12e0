#include "worker/transfer_send.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "proto/channel.h"
#include "proto/transfer.h"
#include "worker/acceptor.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/worker_state.h"
#include "worker/conversation/session.h"
#include "worker/faults/fault_injection.h"
#include "worker/transfer_state.h"
#include "worker/witness/witness_serve.h"

/* A batch stops growing when its unsent bytes reach this. */
#define STATE_BYTES_MAX (4 * 1024 * 1024)
/* A batch that cannot be sent is retried: the kernel limits the descriptors in flight
 * of all processes of a user to what one process may open (unix(7), ETOOMANYREFS), and
 * other senders use that up, too. */
#define RETRY_MS 20
#define RETRIES_MAX 250

struct sender {
	struct worker *worker;
	struct event event;
	struct event retry;
	unsigned failures; /* to send, in a row */
	int fd;
	uint32_t id;
	bool has_capacity;     /* CAPACITY has been received */
	uint32_t capacity;     /* connections that the receiver can still accept */
	uint32_t limit;        /* connections; 0: all, including new ones */
	uint32_t batch_max;    /* connections per batch: halved when one is rejected */
	bool only_movable;     /* only of listeners with balance "move" */
	uint64_t mask;         /* bit for each listener that the receiver serves */
	uint64_t same_replies; /* of these: as in CAPACITY */
	bool has_waiting;      /* a connection can move when its pass has ended */
	uint64_t moved;        /* connections */
	uint32_t batch;        /* number of the last batch that was sent */
	uint32_t place;        /* where the receiver publishes it (open_count.h) */
	uint32_t in_flight_count;
	uint64_t in_flight_bytes; /* of input and output */
	struct connection *in_flight[TRANSFER_BATCH_MAX];
};

static bool
has_bit(uint64_t mask, const struct connection *connection)
{
	return (mask >> connection->listener->number & 1) != 0;
}

static bool
can_move(struct sender *sender, const struct connection *connection)
{
	if (sender->only_movable &&
	    connection->listener->config->balance != BALANCE_MOVE)
		return false;
	if (connection->phase == CONNECTION_LINGERING)
		return false;
	if (!has_bit(sender->mask, connection))
		return false;
	if (connection->phase == CONNECTION_TLS_HANDSHAKE && connection->tls != NULL) {
		sender->has_waiting = true;
		return false;
	}
	bool can_move_now = !listener_plays(connection->listener) ||
	    has_bit(sender->same_replies, connection) ||
	    connection->phase != CONNECTION_SERVING ||
	    connection_is_between_passes(connection);
	if (!can_move_now)
		sender->has_waiting = true;
	return can_move_now;
}

/* To be called when any of the values used here has changed. */
static void
update_movable(struct worker_transfers *transfers)
{
	const struct sender *sender = transfers->sender;
	if (sender == NULL || sender->limit != 0)
		transfers->movable = transfers->is_expected ? UINT64_MAX : 0;
	else if (!sender->has_capacity)
		transfers->movable = UINT64_MAX;
	else
		transfers->movable = sender->capacity > 0 ? sender->mask : 0;
	transfers->between_passes = sender != NULL && sender->limit == 0 &&
		sender->has_capacity && sender->capacity > 0
	    ? sender->mask & ~sender->same_replies
	    : 0;
}

void
transfer_send_expect(struct worker *worker, bool is_expected)
{
	worker->transfers.is_expected = is_expected;
	update_movable(&worker->transfers);
}

bool
transfer_send_is_sending_all(const struct worker *worker)
{
	return worker->transfers.sender != NULL && worker->transfers.sender->limit == 0;
}

static void
send_packet(const struct sender *sender, const void *packet, size_t length)
{
	if (transfer_packet_send(sender->fd, packet, length, NULL, 0) < 0)
		log_debug(
		    "[transfer_send_failed] transfer: cannot send to the receiver");
}

static void
send_hello(const struct sender *sender)
{
	const struct worker *worker = sender->worker;
	struct transfer_hello hello = { .verb = TRANSFER_HELLO,
		.version = TRANSFER_VERSION,
		.count = (uint32_t)worker->config->listener_count };
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		const struct worker_listener *listener = &worker->accept.listeners[i];
		hello.listeners[listener->number].framing = listener->config->framing;
		hello.listeners[listener->number].reply =
		    reply_fingerprint(&listener->config->reply);
		hello.listeners[listener->number].opening =
		    transfer_state_opening(listener->config);
		snprintf(hello.listeners[listener->number].name, TRANSFER_NAME_MAX,
		    "%s", listener->name);
	}
	send_packet(sender, &hello, sizeof(hello));
}

static void
send_note(const struct sender *sender, enum transfer_verb verb, uint32_t count)
{
	const struct transfer_note note = { .verb = verb, .count = count };
	send_packet(sender, &note, sizeof(note));
}

static bool
accepts_batch(const struct sender *sender, const struct transfer_note *note)
{
	return note->verb == TRANSFER_ACCEPTED &&
	    (note->mask == 0 || note->mask == sender->batch);
}

/* Records that the next packet accepts the batch, before that is taken from the socket:
 * whether the keeper finds it there or in the record, it knows. False if no packet is
 * there: one that arrives now is not taken. */
static bool
record_accepted(const struct sender *sender)
{
	struct transfer_note note;
	ssize_t n = recv(sender->fd, &note, sizeof(note), MSG_PEEK);
	if (n == sizeof(note) && accepts_batch(sender, &note))
		sender->worker->record->sending.accepted = sender->batch;
	CRASH_RECORD_BARRIER();
	return n >= 0 || errno != EAGAIN;
}

/* Receives a packet. Its length, 0 or -1 as transfer_packet_receive() returns. */
static ssize_t
receive_note(const struct sender *sender, struct transfer_note *ret)
{
	union transfer_packet packet;
	if (!record_accepted(sender))
		return -1;
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t count;
	ssize_t n = transfer_packet_receive(sender->fd, &packet, fds, &count);
	channel_discard_fds(fds, count);
	if (n > 0)
		*ret = packet.note;
	return n;
}

static bool
add_to_batch(struct connection *connection, void *argument)
{
	struct sender *sender = argument;
	if (!can_move(sender, connection))
		return true;
	sender->in_flight[sender->in_flight_count++] = connection;
	sender->in_flight_bytes += transfer_state_bytes(connection);
	return sender->in_flight_count < sender->batch_max &&
	    sender->in_flight_count < sender->capacity &&
	    sender->in_flight_bytes < STATE_BYTES_MAX;
}

static struct open_shared *
own_open(const struct sender *sender)
{
	return &sender->worker->worker_ledger->open;
}

/* Serves the connections in flight here again. */
static void
resume_batch(struct sender *sender)
{
	uint32_t count = sender->in_flight_count;
	sender->in_flight_count = 0;
	open_count_store(&own_open(sender)->sent, 0);
	for (uint32_t i = 0; i < count; i++) {
		struct connection *connection = sender->in_flight[i];
		/* Continue with work that became due meanwhile. */
		if (!connection_resume(connection))
			continue;
		if (connection->faults != NULL)
			(void)fault_injection_replay(connection);
		else if (connection->listener->is_witness &&
		    connection->phase != CONNECTION_AWAITING_HEADER)
			(void)witness_serve_resume(connection);
	}
}

/* Goes on with a connection that has stopped between two passes. */
static bool
continue_one(struct connection *connection, void *argument)
{
	(void)argument;
	if (listener_plays(connection->listener) && !connection->frozen)
		(void)connection_io_replay(connection);
	return true;
}

/* The connections in flight are the receiver's now. */
static void
commit_batch(struct sender *sender)
{
	open_count_begin(own_open(sender));
	for (uint32_t i = 0; i < sender->in_flight_count; i++)
		connection_transferred(sender->in_flight[i]);
	open_count_store(&own_open(sender)->sent, 0);
	open_count_end(own_open(sender));
	sender->moved += sender->in_flight_count;
	sender->capacity -= sender->in_flight_count;
	sender->in_flight_count = 0;
	update_movable(&sender->worker->transfers);
}

/* From here on the receiver cannot accept the batch in flight, but it may have done so
 * already. */
static void
withdraw_batch(struct sender *sender)
{
	struct transfer_note note;
	if (sender->in_flight_count == 0)
		return;
	send_note(sender, TRANSFER_END, 0);
	shutdown(sender->fd, SHUT_RD);
	while (receive_note(sender, &note) > 0) {
		uint32_t count = sender->in_flight_count;
		if (!accepts_batch(sender, &note) || count == 0)
			continue;
		commit_batch(sender);
		send_note(sender, TRANSFER_COMMITTED, count);
	}
}

static void
finish(struct sender *sender, bool receiver_is_alive)
{
	struct worker *worker = sender->worker;
	worker->transfers.sender = NULL;
	/* If the receiver died or is full, the master starts another transfer:
	 * connections that can move wait for it. A transfer of some connections changes
	 * nothing: the worker may have started to drain meanwhile, and may expect a
	 * transfer of all. */
	bool is_full = receiver_is_alive && sender->limit == 0 &&
	    sender->has_capacity && sender->capacity == 0 && sender->mask != 0 &&
	    worker->connections.count > 0;
	if (sender->limit == 0)
		worker->transfers.is_expected = !receiver_is_alive || is_full;
	bool had_stopped = worker->transfers.between_passes != 0;
	update_movable(&worker->transfers);
	resume_batch(sender);
	if (had_stopped)
		connection_pool_for_each(&worker->connections, continue_one, NULL);
	event_del(&sender->event);
	event_del(&sender->retry);
	/* A death in between makes the keeper report the same number again. */
	worker_report(worker, CHANNEL_SENT, sender->id,
	    sender->moved | (is_full ? CHANNEL_SENT_FULL : 0));
	worker->record->sending.fd_plus_one = 0;
	close(sender->fd);
	free(sender);
}

void
transfer_send_stop(struct worker *worker)
{
	if (worker->transfers.sender == NULL)
		return;
	withdraw_batch(worker->transfers.sender);
	finish(worker->transfers.sender, true);
}

/* Nothing more can move and no new connections will come. */
static void
end(struct sender *sender)
{
	struct worker *worker = sender->worker;
	send_note(sender, TRANSFER_END, 0);
	finish(sender, true);
	worker_request_drain_check(worker);
}

/* errno is the reason. */
static void
on_send_failed(struct sender *sender)
{
	static const struct timeval retry_time = { .tv_usec = RETRY_MS * 1000 };
	bool gives_up = sender->failures++ == RETRIES_MAX;
	if (gives_up)
		log_warn("[transfer_send_failed connections] "
			 "transfer: cannot send %u connections: keeping them",
		    sender->in_flight_count);
	resume_batch(sender);
	if (!gives_up && event_add(&sender->retry, &retry_time) == 0)
		return;
	sender->capacity = 0;
	end(sender);
}

static void
record_batch(struct sender *sender)
{
	struct crash_record *record = sender->worker->record;
	uint32_t batch = ++sender->batch;
	record->sending.moved[batch % 2].before = sender->moved;
	record->sending.moved[batch % 2].with = sender->moved + sender->in_flight_count;
	CRASH_RECORD_BARRIER();
	record->sending.batch = batch;
	CRASH_RECORD_BARRIER();
}

static void
send_batch(struct sender *sender)
{
	struct worker *worker = sender->worker;
	sender->in_flight_bytes = 0;
	sender->has_waiting = false;
	if (sender->capacity > 0)
		connection_pool_for_each(&worker->connections, add_to_batch, sender);
	if (sender->in_flight_count == 0) {
		bool more_may_come = sender->limit == 0 &&
		    (!acceptor_is_closed(worker) || sender->has_waiting ||
			!LIST_EMPTY(&worker->transfers.receivers));
		if (!more_may_come || sender->capacity == 0)
			end(sender);
		return;
	}
	record_batch(sender);
	for (uint32_t i = 0; i < sender->in_flight_count; i++)
		connection_freeze(sender->in_flight[i]);
	open_count_store(&own_open(sender)->sent,
	    open_count_batch(sender->id, sender->batch, sender->place));
	if (transfer_state_send(
		sender->fd, sender->in_flight, sender->in_flight_count) == 0) {
		sender->failures = 0;
	} else {
		sender->batch--;
		on_send_failed(sender);
	}
}

/* transfer_send_continue() may have sent a batch meanwhile. */
static void
on_retry(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct sender *sender = argument;
	if (sender->in_flight_count == 0)
		send_batch(sender);
}

void
transfer_send_continue(struct worker *worker)
{
	struct sender *sender = worker->transfers.sender;
	if (sender != NULL && sender->has_capacity && sender->in_flight_count == 0)
		send_batch(sender);
}

static void
on_accepted(struct sender *sender)
{
	uint32_t count = sender->in_flight_count;
	if (count == 0)
		return;
	commit_batch(sender);
	send_note(sender, TRANSFER_COMMITTED, count);
	send_batch(sender);
}

static void
on_capacity(struct sender *sender, const struct transfer_note *note)
{
	/* Only the first counts: a batch may be in flight. */
	if (sender->has_capacity)
		return;
	sender->has_capacity = true;
	sender->capacity = note->count;
	if (sender->limit != 0 && sender->limit < sender->capacity)
		sender->capacity = sender->limit;
	sender->mask = note->mask;
	sender->same_replies = note->same_replies;
	sender->place = (uint32_t)note->place;
	update_movable(&sender->worker->transfers);
	send_batch(sender);
}

/* A batch is accepted as a whole or not at all: a smaller one may fit. */
static void
on_rejected(struct sender *sender)
{
	sender->batch_max = sender->in_flight_count / 2;
	resume_batch(sender);
	if (sender->batch_max > 0) {
		send_batch(sender);
		return;
	}
	sender->capacity = 0;
	end(sender);
}

static void
on_packet(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct sender *sender = argument;
	struct transfer_note note;
	ssize_t n = receive_note(sender, &note);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		finish(sender, false);
	else if (note.verb == TRANSFER_CAPACITY)
		on_capacity(sender, &note);
	else if (accepts_batch(sender, &note))
		on_accepted(sender);
	else if (note.verb != TRANSFER_ACCEPTED)
		on_rejected(sender);
}

/* The master starts no other transfer: a draining worker drains its connections. */
static void
reject(struct worker *worker, int fd, uint32_t id, uint64_t selection)
{
	log_warnx("[transfer_send_failed] transfer: cannot start to send");
	close(fd);
	if ((uint32_t)selection == 0)
		transfer_send_expect(worker, false);
	worker_report(worker, CHANNEL_SENT, id, 0);
}

void
transfer_send_start(struct worker *worker, int fd, uint32_t id, uint64_t selection)
{
	/* fd is -1 when this process had no room for the descriptor (unix(7)). */
	bool can_start = fd >= 0 && worker->transfers.sender == NULL;
	struct sender *sender = can_start ? calloc(1, sizeof(*sender)) : NULL;
	if (sender == NULL) {
		reject(worker, fd, id, selection);
		return;
	}
	sender->worker = worker;
	sender->fd = fd;
	sender->id = id;
	sender->limit = (uint32_t)selection;
	sender->batch_max = TRANSFER_BATCH_MAX;
	sender->only_movable = (selection & CHANNEL_SEND_MOVABLE_ONLY) != 0;
	worker->transfers.sender = sender;
	worker->record->sending.batch = worker->record->sending.accepted = 0;
	worker->record->sending.transfer = id;
	memset(worker->record->sending.moved, 0, sizeof(worker->record->sending.moved));
	CRASH_RECORD_BARRIER();
	worker->record->sending.fd_plus_one = fd + 1;
	if (sender->limit == 0)
		transfer_send_expect(worker, false);
	evtimer_assign(&sender->retry, worker->base, on_retry, sender);
	event_assign(
	    &sender->event, worker->base, fd, EV_READ | EV_PERSIST, on_packet, sender);
	if (event_add(&sender->event, NULL) == 0)
		send_hello(sender);
	else
		end(sender);
}
