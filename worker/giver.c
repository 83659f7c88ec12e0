#include "worker/giver.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "proto/channel.h"
#include "proto/handover.h"

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

struct giver {
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
	struct connection *on_way[HANDOVER_BATCH_MAX];
};

static bool
can_move(const struct giver *giver, const struct connection *connection)
{
	if (giver->only_movable &&
	    connection->listener->config->balance != BALANCE_MOVE)
		return false;
	return connection->phase != CONNECTION_LINGERING &&
	    (giver->mask >> connection->listener->number & 1) != 0;
}

bool
giver_wants(const struct worker *worker, const struct connection *connection)
{
	const struct giver *giver = worker->giver;
	if (giver == NULL || giver->limit != 0)
		return worker->awaits_taker;
	return !giver->has_room || (giver->capacity > 0 && can_move(giver, connection));
}

bool
giver_is_giving_all(const struct worker *worker)
{
	return worker->giver != NULL && worker->giver->limit == 0;
}

static void
say_hello(struct giver *giver)
{
	const struct worker *worker = giver->worker;
	struct handover_hello hello = { .verb = HANDOVER_HELLO,
		.version = HANDOVER_VERSION,
		.count = (uint32_t)worker->config->listener_count };
	for (size_t i = 0; i < worker->listener_count; i++) {
		const struct listener *listener = &worker->listeners[i];
		hello.listeners[listener->number].framing = listener->config->framing;
		snprintf(hello.listeners[listener->number].name, HANDOVER_NAME_MAX,
		    "%s", listener->name);
	}
	if (handover_send(giver->fd, &hello, sizeof(hello), NULL, 0) < 0)
		log_debug("the taker does not hear us");
}

static void
send_note(const struct giver *giver, enum handover_verb verb, uint32_t count)
{
	const struct handover_note note = { .verb = verb, .count = count };
	if (handover_send(giver->fd, &note, sizeof(note), NULL, 0) < 0)
		log_debug("the taker does not hear us");
}

/* A packet of the taker's: its length, 0 or -1 as handover_receive says. */
static ssize_t
hear(const struct giver *giver, struct handover_note *ret)
{
	union handover_packet packet;
	int fds[HANDOVER_BATCH_MAX + 1];
	size_t count;
	ssize_t n = handover_receive(giver->fd, &packet, fds, &count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	if (n > 0)
		*ret = packet.note;
	return n;
}

struct collecting {
	struct giver *giver;
	uint64_t state_bytes;
};

static bool
collect(struct connection *connection, void *argument)
{
	struct collecting *collecting = argument;
	struct giver *giver = collecting->giver;
	if (!can_move(giver, connection))
		return true;
	giver->on_way[giver->on_way_count++] = connection;
	collecting->state_bytes += parcel_state_bytes(connection);
	return giver->on_way_count < giver->batch_max &&
	    giver->on_way_count < giver->capacity &&
	    collecting->state_bytes < STATE_BYTES_MAX;
}

/* The connections that were on their way are served here again. */
static void
take_back(struct giver *giver)
{
	uint32_t count = giver->on_way_count;
	giver->on_way_count = 0;
	for (uint32_t i = 0; i < count; i++)
		connection_resume(giver->on_way[i]);
}

static void
tell_master(const struct worker *worker, uint32_t id, uint64_t moved)
{
	const struct channel_message gave = {
		.verb = CHANNEL_GAVE, .argument = id, .value = moved
	};
	if (channel_send(worker->channel_fd, &gave, -1) < 0)
		log_debug("the master does not hear what was given");
}

/* They are the taker's. */
static void
give_away(struct giver *giver)
{
	for (uint32_t i = 0; i < giver->on_way_count; i++)
		connection_give_away(giver->on_way[i]);
	giver->moved += giver->on_way_count;
	giver->capacity -= giver->on_way_count;
	giver->on_way_count = 0;
}

/* From now on the taker cannot take what is on its way; it may have said already that
 * it did. */
static void
recall(struct giver *giver)
{
	struct handover_note note;
	if (giver->on_way_count == 0)
		return;
	send_note(giver, HANDOVER_END, 0);
	shutdown(giver->fd, SHUT_RD);
	while (hear(giver, &note) > 0) {
		if (note.verb == HANDOVER_TAKEN)
			give_away(giver);
	}
}

static void
finish(struct giver *giver, bool taker_is_alive)
{
	struct worker *worker = giver->worker;
	worker->giver = NULL;
	/* A dead taker is followed by another: what can move waits for it. Who gave
	 * only some may have been told to leave meanwhile, and its taker comes. */
	if (giver->limit == 0)
		worker->awaits_taker = !taker_is_alive;
	take_back(giver);
	event_del(&giver->event);
	event_del(&giver->retry);
	close(giver->fd);
	tell_master(worker, giver->id, giver->moved);
	free(giver);
}

void
giver_stop(struct worker *worker)
{
	if (worker->giver == NULL)
		return;
	recall(worker->giver);
	finish(worker->giver, true);
}

/* Nothing more can move, and nobody new comes. */
static void
end(struct giver *giver)
{
	struct worker *worker = giver->worker;
	send_note(giver, HANDOVER_END, 0);
	finish(giver, true);
	leave_check(worker);
}

/* errno says why. */
static void
on_unsent(struct giver *giver)
{
	static const struct timeval retry_time = { .tv_usec = RETRY_MS * 1000 };
	bool is_over = giver->failures++ == RETRIES_MAX;
	if (is_over)
		log_warn(
		    "%u connections stay: they cannot be sent", giver->on_way_count);
	take_back(giver);
	if (!is_over && event_add(&giver->retry, &retry_time) == 0)
		return;
	giver->capacity = 0;
	end(giver);
}

static void
give_batch(struct giver *giver)
{
	struct worker *worker = giver->worker;
	struct collecting collecting = { .giver = giver };
	if (giver->capacity > 0)
		pool_visit(&worker->pool, collect, &collecting);
	if (giver->on_way_count == 0) {
		bool more_may_come = giver->limit == 0 &&
		    (!acceptor_is_closed(worker) || worker->takers != NULL);
		if (!more_may_come || giver->capacity == 0)
			end(giver);
		return;
	}
	for (uint32_t i = 0; i < giver->on_way_count; i++)
		connection_suspend(giver->on_way[i]);
	if (parcel_send(giver->fd, giver->on_way, giver->on_way_count) == 0)
		giver->failures = 0;
	else
		on_unsent(giver);
}

/* A batch may have gone meanwhile (giver_continue). */
static void
on_retry(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct giver *giver = argument;
	if (giver->on_way_count == 0)
		give_batch(giver);
}

void
giver_continue(struct worker *worker)
{
	struct giver *giver = worker->giver;
	if (giver != NULL && giver->has_room && giver->on_way_count == 0)
		give_batch(giver);
}

static void
on_taken(struct giver *giver)
{
	uint32_t count = giver->on_way_count;
	if (count == 0)
		return;
	give_away(giver);
	send_note(giver, HANDOVER_DONE, count);
	give_batch(giver);
}

static void
on_room(struct giver *giver, const struct handover_note *note)
{
	/* Said once: a batch may be on its way. */
	if (giver->has_room)
		return;
	giver->has_room = true;
	giver->capacity = note->count;
	if (giver->limit != 0 && giver->limit < giver->capacity)
		giver->capacity = giver->limit;
	giver->mask = note->mask;
	give_batch(giver);
}

/* All of a batch or nothing is taken: of a smaller one perhaps all. */
static void
on_refused(struct giver *giver)
{
	giver->batch_max = giver->on_way_count / 2;
	take_back(giver);
	if (giver->batch_max > 0) {
		give_batch(giver);
		return;
	}
	giver->capacity = 0;
	end(giver);
}

static void
on_note(struct giver *giver, const struct handover_note *note)
{
	switch ((enum handover_verb)note->verb) {
	case HANDOVER_ROOM:
		on_room(giver, note);
		break;
	case HANDOVER_TAKEN:
		on_taken(giver);
		break;
	default: /* REFUSED */
		on_refused(giver);
		break;
	}
}

static void
on_packet(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct giver *giver = argument;
	struct handover_note note;
	ssize_t n = hear(giver, &note);
	if (n > 0)
		on_note(giver, &note);
	else if (n == 0 || errno != EAGAIN)
		finish(giver, false);
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
	struct giver *giver = worker->giver == NULL ? calloc(1, sizeof(*giver)) : NULL;
	if (giver == NULL) {
		refuse(worker, fd, id, what);
		return;
	}
	giver->worker = worker;
	giver->fd = fd;
	giver->id = id;
	giver->limit = (uint32_t)what;
	giver->batch_max = HANDOVER_BATCH_MAX;
	giver->only_movable = (what & CHANNEL_GIVE_MOVABLE) != 0;
	worker->giver = giver;
	if (giver->limit == 0)
		worker->awaits_taker = false;
	evtimer_assign(&giver->retry, worker->base, on_retry, giver);
	event_assign(
	    &giver->event, worker->base, fd, EV_READ | EV_PERSIST, on_packet, giver);
	if (event_add(&giver->event, NULL) == 0)
		say_hello(giver);
	else
		end(giver);
}
