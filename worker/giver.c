#include "worker/giver.h"

#include <sys/mman.h>

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
#include "worker/state.h"

/* A batch stops growing when its unsent bytes reach this. */
#define STATE_BYTES_MAX (4 * 1024 * 1024)

struct giver {
	struct worker *worker;
	struct event event;
	int fd;
	uint32_t id;
	bool has_room; /* ROOM has come */
	uint32_t room;
	uint32_t limit;    /* connections; 0: all, and those that still come */
	bool only_movable; /* of listeners that are balanced by moving */
	uint64_t mask;     /* listeners that the taker serves */
	uint64_t moved;    /* connections */
	uint32_t on_way_count;
	struct connection *on_way[HANDOVER_BATCH_MAX];
};

static uint32_t
listener_number(const struct connection *connection)
{
	return (uint32_t)connection->listener->number;
}

static bool
can_move(const struct giver *giver, const struct connection *connection)
{
	if (giver->only_movable &&
	    connection->listener->config->balance != BALANCE_MOVE)
		return false;
	return connection->phase != CONNECTION_LINGERING &&
	    (giver->mask >> listener_number(connection) & 1) != 0;
}

bool
giver_wants(const struct worker *worker, const struct connection *connection)
{
	const struct giver *giver = worker->giver;
	if (giver == NULL || giver->limit != 0)
		return worker->awaits_taker;
	return !giver->has_room || (giver->room > 0 && can_move(giver, connection));
}

bool
giver_is_giving_all(const struct worker *worker)
{
	return worker->giver != NULL && worker->giver->limit == 0;
}

static void
say_hello(struct giver *giver)
{
	const struct config *config = giver->worker->config;
	struct handover_hello hello = { .verb = HANDOVER_HELLO,
		.version = HANDOVER_VERSION,
		.count = (uint32_t)config->listener_count };
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *listener = &config->listeners[i];
		hello.listeners[i].framing = listener->framing;
		snprintf(hello.listeners[i].name, HANDOVER_NAME_MAX, "%s",
		    listener->address_text);
	}
	if (handover_send(giver->fd, &hello, sizeof(hello), NULL, 0) < 0)
		log_debug("the taker does not hear us");
}

/* --- one batch ----------------------------------------------------------------------
 */

struct packing {
	struct giver *giver;
	struct handover_batch *batch;
	int *fds;
};

static void
fill_record(struct handover_record *record, const struct connection *connection)
{
	const struct output *output = connection->output;
	*record = (struct handover_record){
		.listener = listener_number(connection),
		.input_bytes = (uint32_t)buffer_length(connection->input),
		.output_bytes =
		    output == NULL ? 0 : (uint32_t)buffer_length(output->bytes),
		.searched = connection->searched,
		.replies = output == NULL ? 0 : output->replies,
		.idle_ms = connection->listener->worker->now_ms - connection->active_ms,
		.phase = connection->phase,
		.reason = connection->reason,
		.peer_family = connection->peer.family,
		.reading_paused = connection->reading_paused,
		.peer_port = connection->peer.port,
	};
	memcpy(record->peer, connection->peer.bytes, sizeof(record->peer));
}

static bool
pack(struct connection *connection, void *argument)
{
	struct packing *packing = argument;
	struct giver *giver = packing->giver;
	struct handover_batch *batch = packing->batch;
	if (!can_move(giver, connection))
		return true;
	struct handover_record *record = &batch->records[batch->count];
	fill_record(record, connection);
	packing->fds[batch->count] = connection_fd(connection);
	giver->on_way[batch->count++] = connection;
	batch->state_bytes += record->input_bytes + record->output_bytes;
	return batch->count < HANDOVER_BATCH_MAX && batch->count < giver->room &&
	    batch->state_bytes < STATE_BYTES_MAX;
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

/* The bytes that go along, in a memory file; -1 with errno. */
static int
write_state(const struct giver *giver, uint32_t count)
{
	int fd = memfd_create("yodeld-handover", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		const struct connection *c = giver->on_way[i];
		if (write_bytes(fd, c->input) < 0 ||
		    (c->output != NULL && write_bytes(fd, c->output->bytes) < 0)) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static int
send_batch(const struct giver *giver, const struct handover_batch *batch, int *fds)
{
	size_t fd_count = batch->count;
	int state_fd = -1;
	if (batch->state_bytes > 0) {
		state_fd = write_state(giver, batch->count);
		if (state_fd < 0)
			return -1;
		fds[fd_count++] = state_fd;
	}
	int rc = handover_send(
	    giver->fd, batch, handover_batch_bytes(batch->count), fds, fd_count);
	if (state_fd >= 0)
		close(state_fd);
	return rc;
}

/* --- the end ------------------------------------------------------------------------
 */

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
finish(struct giver *giver, bool taker_is_alive)
{
	struct worker *worker = giver->worker;
	struct channel_message gave = {
		.verb = CHANNEL_GAVE, .argument = giver->id, .value = giver->moved
	};
	worker->giver = NULL;
	/* A dead taker is followed by another: what can move waits for it. Who gave
	 * only some may have been told to leave meanwhile, and its taker comes. */
	if (giver->limit == 0)
		worker->awaits_taker = !taker_is_alive;
	take_back(giver);
	event_del(&giver->event);
	close(giver->fd);
	if (channel_send(worker->channel_fd, &gave, -1) < 0)
		log_debug("the master does not hear what was given");
	free(giver);
}

void
giver_stop(struct worker *worker)
{
	if (worker->giver != NULL)
		finish(worker->giver, true);
}

/* Nothing more can move, and nobody new comes. */
static void
end(struct giver *giver)
{
	struct worker *worker = giver->worker;
	struct handover_note note = { .verb = HANDOVER_END };
	if (handover_send(giver->fd, &note, sizeof(note), NULL, 0) < 0)
		log_debug("the taker does not hear the end");
	finish(giver, true);
	leave_check(worker);
}

/* --- the course ---------------------------------------------------------------------
 */

static void
give_batch(struct giver *giver)
{
	static struct handover_batch batch;
	int fds[HANDOVER_BATCH_MAX + 1];
	struct worker *worker = giver->worker;
	struct packing packing = { .giver = giver, .batch = &batch, .fds = fds };
	batch = (struct handover_batch){ .verb = HANDOVER_BATCH };
	if (giver->room > 0)
		pool_visit(&worker->pool, pack, &packing);
	if (batch.count == 0) {
		bool more_may_come = giver->limit == 0 &&
		    (!acceptor_is_closed(worker) || worker->takers != NULL);
		if (!more_may_come || giver->room == 0)
			end(giver);
		return;
	}
	for (uint32_t i = 0; i < batch.count; i++)
		connection_suspend(giver->on_way[i]);
	giver->on_way_count = batch.count;
	if (send_batch(giver, &batch, fds) < 0) {
		log_warn("%u connections stay: they cannot be sent", batch.count);
		giver->room = 0;
		take_back(giver);
		end(giver);
	}
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
	struct handover_note done = { .verb = HANDOVER_DONE,
		.count = giver->on_way_count };
	for (uint32_t i = 0; i < giver->on_way_count; i++)
		connection_give_away(giver->on_way[i]);
	giver->moved += giver->on_way_count;
	giver->room -= giver->on_way_count;
	giver->on_way_count = 0;
	if (handover_send(giver->fd, &done, sizeof(done), NULL, 0) < 0)
		log_debug("the taker does not hear that it is done");
	give_batch(giver);
}

static void
on_note(struct giver *giver, const struct handover_note *note)
{
	switch ((enum handover_verb)note->verb) {
	case HANDOVER_ROOM:
		giver->has_room = true;
		giver->room = note->count;
		if (giver->limit != 0 && giver->limit < giver->room)
			giver->room = giver->limit;
		giver->mask = note->mask;
		give_batch(giver);
		break;
	case HANDOVER_TAKEN:
		on_taken(giver);
		break;
	default: /* REFUSED */
		giver->room = 0;
		take_back(giver);
		end(giver);
		break;
	}
}

static void
on_packet(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct giver *giver = argument;
	union handover_packet packet;
	int fds[HANDOVER_BATCH_MAX + 1];
	size_t count;
	ssize_t n = handover_receive(fd, &packet, fds, &count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	if (n > 0)
		on_note(giver, &packet.note);
	else if (n == 0 || errno != EAGAIN)
		finish(giver, false);
}

void
giver_start(struct worker *worker, int fd, uint32_t id, uint64_t what)
{
	struct giver *giver = worker->giver == NULL ? calloc(1, sizeof(*giver)) : NULL;
	if (giver == NULL) {
		log_warnx("a hand-over cannot start");
		close(fd);
		struct channel_message gave = { .verb = CHANNEL_GAVE, .argument = id };
		if (channel_send(worker->channel_fd, &gave, -1) < 0)
			log_debug("the master does not hear what was given");
		return;
	}
	giver->worker = worker;
	giver->fd = fd;
	giver->id = id;
	giver->limit = (uint32_t)what;
	giver->only_movable = (what & CHANNEL_GIVE_MOVABLE) != 0;
	worker->giver = giver;
	if (giver->limit == 0)
		worker->awaits_taker = false;
	event_assign(
	    &giver->event, worker->base, fd, EV_READ | EV_PERSIST, on_packet, giver);
	if (event_add(&giver->event, NULL) == 0)
		say_hello(giver);
	else
		end(giver);
}
