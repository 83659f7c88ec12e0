#include "worker/connection/witness_state.h"

#include <sys/random.h>

#include <errno.h>
#include <string.h>

#include "lib/clock.h"
#include "net/socket_info.h"
#include "proto/witness/witness_records.h"
#include "worker/connection/connection.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/worker_state.h"

/* No time since the start of the system, with which a struct of whoami begins. */
#define MAGIC UINT64_C(0xf96f64656c776974)

_Static_assert(sizeof(struct witness_state) <= WHOAMI_ABOUT_MAX, "of a transfer");

struct witness_state *
witness_state_of(const struct connection *connection)
{
	return (void *)(connection->about->data + connection->about->start);
}

struct witness_state *
witness_state_find(const struct connection *connection)
{
	if (buffer_length(connection->about) != sizeof(struct witness_state))
		return NULL;
	struct witness_state *state = witness_state_of(connection);
	return state->magic == MAGIC ? state : NULL;
}

static struct witness_book *
book_of(const struct connection *connection)
{
	return connection->listener->worker->witness_book;
}

int
witness_state_create(struct connection *connection)
{
	const struct worker *worker = connection->listener->worker;
	struct witness_state state = { .magic = MAGIC,
		.accepted_ns = whoami_state_accepted_ns(connection),
		.record = { .slot = worker->slot,
		    .generation = worker->generation,
		    .is_open = true } };
	struct buffer *buffer = NULL;
	ssize_t n = getrandom(&state.record.id, sizeof(state.record.id), 0);
	if (n != (ssize_t)sizeof(state.record.id) ||
	    buffer_append(&buffer, &state, sizeof(state)) < 0)
		return -1;
	struct buffer *old = connection->about;
	connection->about = buffer;
	buffer_release(&old);
	witness_state_of(connection)->place = witness_book_take(book_of(connection));
	return 0;
}

static bool
is_valid(const struct witness_state *state)
{
	const uint64_t longest_ns = WITNESS_WAIT_MAX_MS * NS_PER_MS;
	const struct witness_record *record = &state->record;
	uint64_t now_ns = clock_now_ns();
	for (uint32_t i = 0;
	     i < record->event_count && record->event_count <= WITNESS_EVENTS_MAX;
	     i++) {
		if (record->events[i].kind >= WITNESS_EVENT_KIND_COUNT)
			return false;
	}
	return record->event_count <= WITNESS_EVENTS_MAX &&
	    record->reason < CLOSE_REASON_COUNT && state->mode <= WITNESS_ECHOES &&
	    state->line_bytes < WITNESS_LINE_MAX &&
	    state->pattern_queued <= state->pattern_bytes &&
	    state->pattern_bytes <= WITNESS_BYTES_MAX && state->accepted_ns <= now_ns &&
	    state->due_ns <= now_ns + longest_ns &&
	    state->due.kind < WITNESS_COMMAND_COUNT &&
	    state->due.bytes <= WITNESS_BYTES_MAX;
}

void
witness_state_check(struct connection *connection)
{
	struct witness_state *state = witness_state_find(connection);
	if (state == NULL)
		return;
	if (!is_valid(state)) {
		buffer_release(&connection->about);
		return;
	}
	const struct worker *worker = connection->listener->worker;
	state->record.slot = worker->slot;
	state->record.generation = worker->generation;
	state->place = 0;
	witness_state_add_event(connection, WITNESS_EVENT_MOVED);
}

bool
witness_state_holds(const struct witness_state *state)
{
	return state->due_ns != 0 && state->due.kind == WITNESS_HOLD;
}

void
witness_state_update(const struct connection *connection, uint64_t max_age_us)
{
	struct witness_state *state = witness_state_of(connection);
	struct witness_record *record = &state->record;
	int fd = connection_fd(connection);
	record->age_us = (clock_now_ns() - state->accepted_ns) / 1000;
	record->sent = connection->sent;
	record->unsent = connection_queued_bytes(connection) + state->pattern_bytes -
	    state->pattern_queued;
	record->unread = socket_info_unread(fd);
	if ((!record->has_tcp || record->age_us - record->tcp_at_us >= max_age_us) &&
	    tcp_info_read(fd, &record->tcp) == 0) {
		record->has_tcp = true;
		record->tcp_at_us = record->age_us;
	}
}

void
witness_state_add_event(
    const struct connection *connection, enum witness_event_kind kind)
{
	struct witness_state *state = witness_state_of(connection);
	struct witness_record *record = &state->record;
	witness_state_update(connection, 0);
	if (record->event_count == WITNESS_EVENTS_MAX)
		record->event_count--;
	record->events[record->event_count++] =
	    (struct witness_event){ .at_us = record->age_us,
		    .received = record->received,
		    .sent = record->sent,
		    .kind = kind };
}

void
witness_state_publish(const struct connection *connection)
{
	struct witness_state *state = witness_state_of(connection);
	struct witness_book *book = book_of(connection);
	if (state->place == 0)
		state->place = witness_book_take(book);
	witness_book_write(book, state->place, &state->record);
}

void
witness_state_on_close(const struct connection *connection, enum close_reason reason)
{
	struct witness_state *state = witness_state_find(connection);
	if (state == NULL)
		return;
	witness_state_add_event(connection, WITNESS_EVENT_CLOSED);
	state->record.is_open = false;
	state->record.reason = (uint8_t)reason;
	witness_state_publish(connection);
	witness_book_close(book_of(connection), state->place);
	state->place = 0;
}

void
witness_state_on_moved(const struct connection *connection)
{
	struct witness_state *state = witness_state_find(connection);
	if (state == NULL)
		return;
	witness_book_remove(book_of(connection), state->place);
	state->place = 0;
}
