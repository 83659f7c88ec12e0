#include "worker/giver.h"

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
#include "worker/connection.h"
#include "worker/leave.h"
#include "worker/parcel.h"
#include "worker/state.h"

/* A batch stops growing when its unsent bytes reach this. */
#define STATE_BYTES_MAX (4 * 1024 * 1024)
/* One that cannot be sent is tried again: the kernel lets a user's processes have no
 * more descriptors on their way, all together, than one of them may open (unix(7),
 * ETOOMANYREFS), and other givers fill that. */
#define RETRY_MS 20
#define RETRIES_MAX 250

struct sender {
	struct worker *worker;
	struct event event;
	struct event retry;
	unsigned failures; /* to send, one after the other */
	int fd;
	uint32_t id;
	bool has_room; /* ROOM has come */
	uint32_t capacity;
	uint32_t limit;     /* connections; 0: all, and those that still come */
	uint32_t batch_max; /* connections in one: less once some were refused */
	bool only_movable;  /* of listeners that are balanced by moving */
	uint64_t mask;      /* listeners that the taker serves */
	uint64_t moved;     /* connections */
	uint32_t on_way_count;
	struct connection *on_way[TRANSFER_BATCH_MAX];
};

static bool
can_move(const struct sender *sender, const struct connection *connection)
{
	if (sender->only_movable &&
	    connection->listener->config->balance != BALANCE_MOVE)
		return false;
	return connection->phase != CONNECTION_LINGERING &&
	    (sender->mask >> connection->listener->number & 1) != 0;
}

bool
giver_wants(const struct worker *worker, const struct connection *connection)
{
	const struct sender *sender = worker->sender;
	if (sender == NULL || sender->limit != 0)
		return worker->awaits_taker;
	return !sender->has_room ||
	    (sender->capacity > 0 && can_move(sender, connection));
}

bool
giver_is_giving_all(const struct worker *worker)
{
	return worker->sender != NULL && worker->sender->limit == 0;
}

static void
say_hello(struct sender *sender)
{
	const struct worker *worker = sender->worker;
	struct transfer_hello hello = { .verb = TRANSFER_HELLO,
		.version = TRANSFER_VERSION,
		.count = (uint32_t)worker->config->listener_count };
	for (size_t i = 0; i < worker->listener_count; i++) {
		const struct listener *listener = &worker->listeners[i];
		hello.listeners[listener->number].framing = listener->config->framing;
		snprintf(hello.listeners[listener->number].name, TRANSFER_NAME_MAX,
		    "%s", listener->name);
	}
	if (transfer_packet_send(sender->fd, &hello, sizeof(hello), NULL, 0) < 0)
		log_debug("the taker does not hear us");
}

static void
send_note(const struct sender *sender, enum transfer_verb verb, uint32_t count)
{
	const struct transfer_note note = { .verb = verb, .count = count };
	if (transfer_packet_send(sender->fd, &note, sizeof(note), NULL, 0) < 0)
		log_debug("the taker does not hear us");
}

/* A packet of the taker's: its length, 0 or -1 as transfer_packet_receive says. */
static ssize_t
hear(const struct sender *sender, struct transfer_note *ret)
{
	union transfer_packet packet;
	int fds[TRANSFER_BATCH_MAX + 1];
	size_t count;
	ssize_t n = transfer_packet_receive(sender->fd, &packet, fds, &count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	if (n > 0)
		*ret = packet.note;
	return n;
}

struct collecting {
	struct sender *sender;
	uint64_t state_bytes;
};

static bool
collect(struct connection *connection, void *argument)
{
	struct collecting *collecting = argument;
	struct sender *sender = collecting->sender;
	if (!can_move(sender, connection))
		return true;
	sender->on_way[sender->on_way_count++] = connection;
	collecting->state_bytes += parcel_state_bytes(connection);
	return sender->on_way_count < sender->batch_max &&
	    sender->on_way_count < sender->capacity &&
	    collecting->state_bytes < STATE_BYTES_MAX;
}

/* The connections that were on their way are served here again. */
static void
take_back(struct sender *sender)
{
	uint32_t count = sender->on_way_count;
	sender->on_way_count = 0;
	for (uint32_t i = 0; i < count; i++)
		connection_resume(sender->on_way[i]);
}

static void
tell_master(const struct worker *worker, uint32_t id, uint64_t moved)
{
	const struct channel_message sent_message = {
		.verb = CHANNEL_SENT, .argument = id, .value = moved
	};
	if (channel_send(worker->channel_fd, &sent_message, -1) < 0)
		log_debug("the master does not hear what was given");
}

/* They are the taker's. */
static void
give_away(struct sender *sender)
{
	for (uint32_t i = 0; i < sender->on_way_count; i++)
		connection_give_away(sender->on_way[i]);
	sender->moved += sender->on_way_count;
	sender->capacity -= sender->on_way_count;
	sender->on_way_count = 0;
}

/* From now on the taker cannot take what is on its way; it may have said already that
 * it did. */
static void
recall(struct sender *sender)
{
	struct transfer_note note;
	if (sender->on_way_count == 0)
		return;
	send_note(sender, TRANSFER_END, 0);
	shutdown(sender->fd, SHUT_RD);
	while (hear(sender, &note) > 0) {
		if (note.verb == TRANSFER_ACCEPTED)
			give_away(sender);
	}
}

static void
finish(struct sender *sender, bool taker_is_alive)
{
	struct worker *worker = sender->worker;
	worker->sender = NULL;
	/* A dead taker is followed by another: what can move waits for it. Who gave
	 * only some may have been told to leave meanwhile, and its taker comes. */
	if (sender->limit == 0)
		worker->awaits_taker = !taker_is_alive;
	take_back(sender);
	event_del(&sender->event);
	event_del(&sender->retry);
	close(sender->fd);
	tell_master(worker, sender->id, sender->moved);
	free(sender);
}

void
giver_stop(struct worker *worker)
{
	if (worker->sender == NULL)
		return;
	recall(worker->sender);
	finish(worker->sender, true);
}

/* Nothing more can move, and nobody new comes. */
static void
end(struct sender *sender)
{
	struct worker *worker = sender->worker;
	send_note(sender, TRANSFER_END, 0);
	finish(sender, true);
	leave_check(worker);
}

/* errno says why. */
static void
on_unsent(struct sender *sender)
{
	static const struct timeval retry_time = { .tv_usec = RETRY_MS * 1000 };
	bool is_over = sender->failures++ == RETRIES_MAX;
	if (is_over)
		log_warn(
		    "%u connections stay: they cannot be sent", sender->on_way_count);
	take_back(sender);
	if (!is_over && event_add(&sender->retry, &retry_time) == 0)
		return;
	sender->capacity = 0;
	end(sender);
}

static void
give_batch(struct sender *sender)
{
	struct worker *worker = sender->worker;
	struct collecting collecting = { .sender = sender };
	if (sender->capacity > 0)
		pool_visit(&worker->pool, collect, &collecting);
	if (sender->on_way_count == 0) {
		bool more_may_come = sender->limit == 0 &&
		    (!acceptor_is_closed(worker) || worker->takers != NULL);
		if (!more_may_come || sender->capacity == 0)
			end(sender);
		return;
	}
	for (uint32_t i = 0; i < sender->on_way_count; i++)
		connection_suspend(sender->on_way[i]);
	if (parcel_send(sender->fd, sender->on_way, sender->on_way_count) == 0)
		sender->failures = 0;
	else
		on_unsent(sender);
}

/* A batch may have gone meanwhile (giver_continue). */
static void
on_retry(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct sender *sender = argument;
	if (sender->on_way_count == 0)
		give_batch(sender);
}

void
giver_continue(struct worker *worker)
{
	struct sender *sender = worker->sender;
	if (sender != NULL && sender->has_room && sender->on_way_count == 0)
		give_batch(sender);
}

static void
on_taken(struct sender *sender)
{
	uint32_t count = sender->on_way_count;
	if (count == 0)
		return;
	give_away(sender);
	send_note(sender, TRANSFER_COMMITTED, count);
	give_batch(sender);
}

static void
on_room(struct sender *sender, const struct transfer_note *note)
{
	/* Said once: a batch may be on its way. */
	if (sender->has_room)
		return;
	sender->has_room = true;
	sender->capacity = note->count;
	if (sender->limit != 0 && sender->limit < sender->capacity)
		sender->capacity = sender->limit;
	sender->mask = note->mask;
	give_batch(sender);
}

/* All of a batch or nothing is taken: of a smaller one perhaps all. */
static void
on_refused(struct sender *sender)
{
	sender->batch_max = sender->on_way_count / 2;
	take_back(sender);
	if (sender->batch_max > 0) {
		give_batch(sender);
		return;
	}
	sender->capacity = 0;
	end(sender);
}

static void
on_note(struct sender *sender, const struct transfer_note *note)
{
	switch ((enum transfer_verb)note->verb) {
	case TRANSFER_CAPACITY:
		on_room(sender, note);
		break;
	case TRANSFER_ACCEPTED:
		on_taken(sender);
		break;
	default: /* REFUSED */
		on_refused(sender);
		break;
	}
}

static void
on_packet(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct sender *sender = argument;
	struct transfer_note note;
	ssize_t n = hear(sender, &note);
	if (n > 0)
		on_note(sender, &note);
	else if (n == 0 || errno != EAGAIN)
		finish(sender, false);
}

/* No other one comes: who leaves drains what it has. */
static void
refuse(struct worker *worker, int fd, uint32_t id, uint64_t what)
{
	log_warnx("a hand-over cannot start");
	close(fd);
	if ((uint32_t)what == 0)
		worker->awaits_taker = false;
	tell_master(worker, id, 0);
}

void
giver_start(struct worker *worker, int fd, uint32_t id, uint64_t what)
{
	struct sender *sender =
	    worker->sender == NULL ? calloc(1, sizeof(*sender)) : NULL;
	if (sender == NULL) {
		refuse(worker, fd, id, what);
		return;
	}
	sender->worker = worker;
	sender->fd = fd;
	sender->id = id;
	sender->limit = (uint32_t)what;
	sender->batch_max = TRANSFER_BATCH_MAX;
	sender->only_movable = (what & CHANNEL_SEND_MOVABLE_ONLY) != 0;
	worker->sender = sender;
	if (sender->limit == 0)
		worker->awaits_taker = false;
	evtimer_assign(&sender->retry, worker->base, on_retry, sender);
	event_assign(
	    &sender->event, worker->base, fd, EV_READ | EV_PERSIST, on_packet, sender);
	if (event_add(&sender->event, NULL) == 0)
		say_hello(sender);
	else
		end(sender);
}
