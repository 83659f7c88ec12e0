#include "worker/faults/fault_queue.h"

#include "lib/clock.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_selection.h"

/* A reply that is held for the next one is sent alone after this time. */
#define HOLD_NS (200 * NS_PER_MS)

/* 0, or -1 with ENOMEM. */
static int
append_segment(struct connection *connection, const struct fault_segment *segment)
{
	if (connection->output == NULL && connection_create_output(connection) == NULL)
		return -1;
	return buffer_append(&connection->faults->segments, segment, sizeof(*segment));
}

/* Puts an action behind what is queued, `at` bytes after the start of the next reply.
 */
static int
append_action(struct connection *connection, const struct fault *fault,
    uint64_t message, uint64_t at)
{
	struct fault_progress *progress = &connection->faults->progress;
	const struct fault_segment segment = {
		.due_ns = progress->last_due_ns,
		.message = message,
		.offset = progress->offset + at,
		.value = fault->kind == FAULT_STALL ? fault->time_ns : fault->count,
		.action = (uint8_t)fault->kind,
	};
	if (append_segment(connection, &segment) < 0)
		return -1;
	if (fault->kind == FAULT_CLOSE || fault->kind == FAULT_RESET ||
	    fault->kind == FAULT_HALF_CLOSE)
		progress->is_ending = 1;
	return 0;
}

/* True, once, if the fault has not happened to the connection yet. */
static bool
take_once(struct connection *connection, size_t fault)
{
	struct fault_progress *progress = &connection->faults->progress;
	uint64_t bit = UINT64_C(1) << fault;
	bool is_first = (progress->fired & bit) == 0;
	progress->fired |= bit;
	return is_first;
}

int
fault_queue_by_age(struct connection *connection)
{
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_state *state = connection->faults;
	for (size_t i = 0; i < faults->count; i++) {
		if (fault_selection_at_age(connection, i) &&
		    !state->progress.is_ending && take_once(connection, i) &&
		    append_action(connection, &faults->rows[i], 0, 0) < 0)
			return -1;
	}
	return 0;
}

int
fault_queue_by_message(struct connection *connection, const struct fault_point *point)
{
	const struct listener_faults *faults = &connection->listener->faults;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (connection->faults->progress.is_ending ||
		    !fault_selection_at_message(fault, point))
			continue;
		if (fault->kind != FAULT_STALL && !take_once(connection, i))
			continue;
		if (append_action(connection, fault, point->message, 0) < 0)
			return -1;
	}
	return 0;
}

void
fault_queue_release(struct fault_state *state)
{
	struct buffer *segments = state->segments;
	state->progress.last_due_ns = 0;
	if (segments == NULL)
		return;
	struct fault_segment *first = (void *)(segments->data + segments->start);
	for (size_t i = 0; i < fault_state_segment_count(state); i++) {
		first[i].due_ns = 0;
		first[i].is_held = 0;
		if (first[i].action == FAULT_STALL ||
		    first[i].action == FAULT_TRICKLE ||
		    first[i].action == FAULT_NEVER_READ)
			first[i].action = FAULT_NO_ACTION; /* of no bytes: nothing */
	}
}

/* The last segment, if it is a reply that is held for this one. */
static const struct fault_segment *
find_held(const struct fault_state *state)
{
	size_t count = fault_state_segment_count(state);
	if (count == 0)
		return NULL;
	const struct fault_segment *last = fault_state_front(state) + count - 1;
	return last->is_held && !(count == 1 && state->progress.front_sent > 0) ? last
										: NULL;
}

bool
fault_queue_holds_reply(const struct connection *connection)
{
	return find_held(connection->faults) != NULL;
}

/* Appends a part of the reply's bytes to the output. 0, or -1 with ENOMEM. */
static int
append_bytes(struct fault_altered *reply, size_t from, size_t end, uint64_t due_ns)
{
	struct connection *connection = reply->connection;
	const struct fault_segment segment = {
		.due_ns = due_ns,
		.message = reply->message,
		.offset = connection->faults->progress.offset,
		.value = reply->original,
		.length = (uint32_t)(end - from),
		.replies = end == reply->length,
		.action = FAULT_NO_ACTION,
		.is_held = reply->is_held,
	};
	if (from == end)
		return 0;
	if (append_segment(connection, &segment) < 0)
		return -1;
	return buffer_append(
	    &connection->output->bytes, reply->data + from, end - from);
}

/* Replaces bytes that a crash would restore by a copy, which may be changed. 0, or -1
 * with ENOMEM. */
static int
make_own(struct buffer **buffer, const struct buffer *restored)
{
	struct buffer *copy = NULL;
	if (*buffer != restored)
		return 0;
	if (buffer_append(
		&copy, (*buffer)->data + (*buffer)->start, buffer_length(*buffer)) < 0)
		return -1;
	buffer_release(buffer);
	*buffer = copy;
	return 0;
}

/* Puts the reply before the one that was held for it. 0, or -1 with ENOMEM. */
static int
append_before_held(
    struct fault_altered *reply, struct fault_segment held, uint64_t due_ns)
{
	struct connection *connection = reply->connection;
	const struct crash_record *record = connection->listener->worker->record;
	struct fault_state *state = connection->faults;
	struct buffer **bytes = &connection->output->bytes;
	if (make_own(&state->segments, record->undo_faults.segments) < 0 ||
	    make_own(bytes, record->undo_output_bytes) < 0)
		return -1;
	state->segments->end -= sizeof(held);
	held.is_held = 0;
	held.due_ns = due_ns;
	if (append_bytes(reply, 0, reply->length, due_ns) < 0 ||
	    append_segment(connection, &held) < 0)
		return -1;
	uint8_t *end = (*bytes)->data + (*bytes)->end;
	uint8_t *to = end - reply->length - held.length;
	memmove(end - held.length, to, held.length);
	memcpy(to, reply->data, reply->length);
	fault_state_note(connection->listener, state,
	    &(struct fault_note){ .kind = FAULT_REORDER,
		.peer = &connection->peer,
		.message = held.message,
		.offset = held.offset,
		.length = state->progress.offset + reply->original - held.offset,
		.value = reply->message - held.message });
	return 0;
}

int
fault_queue_reply(struct fault_altered *reply)
{
	struct connection *connection = reply->connection;
	struct fault_progress *progress = &connection->faults->progress;
	size_t from = 0, number = 0;
	uint64_t at = 0, due_ns = progress->last_due_ns;
	const struct fault_segment *held = find_held(connection->faults);
	const struct fault *cut;
	if (reply->delay_ns > 0) {
		uint64_t own_ns = clock_now_ns() + reply->delay_ns;
		due_ns = own_ns > due_ns ? own_ns : due_ns;
	}
	progress->last_due_ns = due_ns;
	if (held != NULL &&
	    fault_selection_cut(connection, reply->original, &at, &number) == NULL) {
		if (reply->length > 0)
			return append_before_held(reply, *held, due_ns);
		return 0;
	}
	if (reply->is_held)
		due_ns = clock_now_ns() + HOLD_NS > due_ns ? clock_now_ns() + HOLD_NS
							   : due_ns;
	while ((cut = fault_selection_cut(connection, reply->original, &at, &number)) !=
	    NULL) {
		size_t end = at < reply->length ? (size_t)at : reply->length;
		end = end < from ? from : end;
		if (append_bytes(reply, from, end, due_ns) < 0)
			return -1;
		from = end;
		(void)take_once(connection, number);
		if (append_action(connection, cut, reply->message, at) < 0)
			return -1;
		if (progress->is_ending)
			return 0;
	}
	return append_bytes(reply, from, reply->length, due_ns);
}
