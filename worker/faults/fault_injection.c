#include "worker/faults/fault_injection.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "proto/fault_decision.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/responder.h"

#define READS_PER_WAKEUP 4
/* A reply that is held for the next one is sent alone after this time. */
#define HOLD_NS (200 * NS_PER_MS)
#define TRICKLES_PER_S 50
/* Longer replies are not given to other connections. */
#define SWAP_BYTES_MAX ((size_t)64 * 1024)

/* Makes room in the worker's scratch memory. NULL with ENOMEM. */
static uint8_t *
scratch(struct worker *worker, size_t length)
{
	struct worker_faults *faults = &worker->faults;
	if (length > faults->scratch_bytes) {
		uint8_t *larger = realloc(faults->scratch, length);
		if (larger == NULL)
			return NULL;
		faults->scratch = larger;
		faults->scratch_bytes = length;
	}
	return faults->scratch;
}

static struct fault_point
point_of(const struct connection *connection, uint64_t message)
{
	const struct fault_state *state = connection->faults;
	return (struct fault_point){
		.connection_seed = state->seed,
		.peer = &connection->peer,
		.message = message,
		.offset = state->progress.offset,
		.age_ns = clock_now_ns() - state->progress.accepted_ns,
	};
}

static bool
is_in_time(const struct fault *fault, const struct fault_state *state)
{
	uint64_t age_ns = clock_now_ns() - state->progress.accepted_ns;
	return age_ns >= fault->from_ns && age_ns < fault->to_ns;
}

/* A crash from here on is undone to what the connection is now. */
static void
begin(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	crash_record_save_faults(worker->record, connection);
	crash_record_begin(worker->record, connection, connection->listener->block);
}

static void
commit(const struct connection *connection)
{
	crash_record_commit(connection->listener->worker->record);
}

/* 0, or -1 with ENOMEM. */
static int
append_segment(struct connection *connection, const struct fault_segment *segment)
{
	if (connection->output == NULL && connection_create_output(connection) == NULL)
		return -1;
	return buffer_append(&connection->faults->segments, segment, sizeof(*segment));
}

/* Puts an action behind what is queued. */
static int
append_action(
    struct connection *connection, const struct fault *fault, uint64_t message)
{
	struct fault_progress *progress = &connection->faults->progress;
	const struct fault_segment segment = {
		.due_ns = progress->last_due_ns,
		.message = message,
		.offset = progress->offset,
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

/* One that needs no message: it happens at some age or after some bytes. */
static bool
is_of_connection(const struct connection *connection, const struct fault *fault)
{
	return fault->scope == FAULT_SCOPE_CONNECTION &&
	    !fault_selects_messages(fault) &&
	    fault_selects_connection(
		fault, connection->faults->seed, &connection->peer);
}

/* Begins what the age of the connection selects. 0, or -1 with ENOMEM. */
static int
begin_by_age(struct connection *connection)
{
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_state *state = connection->faults;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		bool is_at_start = fault->has_after_bytes && fault->after_bytes == 0;
		if (is_of_connection(connection, fault) &&
		    (!fault->has_after_bytes || is_at_start) &&
		    is_in_time(fault, state) && !state->progress.is_ending &&
		    take_once(connection, i) && append_action(connection, fault, 0) < 0)
			return -1;
	}
	return 0;
}

/* When begin_by_age() will have something to do. */
static uint64_t
next_age_ns(const struct connection *connection)
{
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_progress *progress = &connection->faults->progress;
	uint64_t next_ns = FAULT_FOR_EVER, now_ns = clock_now_ns();
	for (size_t i = 0; i < faults->count && !progress->is_ending; i++) {
		const struct fault *fault = &faults->rows[i];
		uint64_t at_ns = progress->accepted_ns + fault->from_ns;
		if (fault->from_ns != 0 && !fault->has_after_bytes &&
		    (progress->fired >> i & 1) == 0 && at_ns > now_ns &&
		    at_ns < next_ns && is_of_connection(connection, fault))
			next_ns = at_ns;
	}
	return next_ns;
}

/* A reply while its faults are applied. */
struct altered {
	struct connection *connection;
	uint8_t *data; /* the worker's scratch memory */
	size_t length;
	uint64_t original; /* bytes without faults */
	uint64_t delay_ns;
	uint64_t message;
	bool is_held;
	bool is_dropped;
};

static void
note_reply(const struct altered *reply, const struct fault *fault, uint64_t value)
{
	const struct connection *connection = reply->connection;
	fault_state_note(connection->listener, connection->faults,
	    &(struct fault_note){
		.kind = fault->kind,
		.peer = &connection->peer,
		.message = reply->message,
		.offset = connection->faults->progress.offset,
		.length = reply->original,
		.value = value,
	    });
}

static void
corrupt(struct altered *reply, const struct fault *fault, struct fault_random *random)
{
	uint64_t bits = (uint64_t)reply->length * 8;
	uint64_t count = fault->count;
	uint64_t max = fault->is_bits ? bits : reply->length;
	if (count > max)
		count = max;
	/* Different places: count of them from a random one on if that is most of it.
	 */
	uint64_t first = fault_random_below(random, max);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t stride = max / count;
		uint64_t at = (first + i * stride) % max;
		if (fault->is_bits)
			reply->data[at / 8] ^= (uint8_t)(1U << at % 8);
		else
			reply->data[at] ^=
			    (uint8_t)(1 + fault_random_below(random, 255));
	}
}

/* 0, or -1 with ENOMEM. */
static int
grow(struct altered *reply, size_t more)
{
	struct worker *worker = reply->connection->listener->worker;
	uint8_t *data = scratch(worker, reply->length + more);
	if (data == NULL)
		return -1;
	reply->data = data;
	return 0;
}

static int
insert(struct altered *reply, const struct fault *fault, struct fault_random *random)
{
	size_t count = (size_t)fault->count;
	size_t at = (size_t)fault_random_below(random, reply->length + 1);
	if (grow(reply, count) < 0)
		return -1;
	memmove(reply->data + at + count, reply->data + at, reply->length - at);
	for (size_t i = 0; i < count; i++)
		reply->data[at + i] = (uint8_t)fault_random_next(random);
	reply->length += count;
	return 0;
}

static int
duplicate(struct altered *reply)
{
	size_t length = reply->length;
	if (grow(reply, length) < 0)
		return -1;
	memcpy(reply->data + length, reply->data, length);
	reply->length += length;
	return 0;
}

/* The latest reply of another connection of the listener; NULL: there is none. */
static const struct kept_reply *
find_other(const struct connection *connection)
{
	const struct listener_faults *faults = &connection->listener->faults;
	for (int i = 0; i < 2; i++) {
		if (faults->latest[i].data != NULL &&
		    faults->latest[i].seed != connection->faults->seed)
			return &faults->latest[i];
	}
	return NULL;
}

/* 1, 0 if there is nothing to swap with, or -1 with ENOMEM. */
static int
swap(struct altered *reply)
{
	const struct kept_reply *other = find_other(reply->connection);
	if (other == NULL)
		return 0;
	if (other->length > reply->length &&
	    grow(reply, other->length - reply->length) < 0)
		return -1;
	memcpy(reply->data, other->data, other->length);
	reply->length = other->length;
	return 1;
}

/* Keeps a reply for the next swap, the latest ones of two connections. */
static void
keep_latest(struct connection *connection, const uint8_t *data, size_t length)
{
	struct kept_reply *latest = connection->listener->faults.latest;
	if (length == 0 || length > SWAP_BYTES_MAX)
		return;
	if (latest[0].data != NULL && latest[0].seed != connection->faults->seed) {
		struct kept_reply first = latest[0];
		latest[0] = latest[1];
		latest[1] = first;
	}
	if (latest[0].capacity < length) {
		uint8_t *larger = realloc(latest[0].data, length);
		if (larger == NULL)
			return;
		latest[0].data = larger;
		latest[0].capacity = length;
	}
	memcpy(latest[0].data, data, length);
	latest[0].length = length;
	latest[0].seed = connection->faults->seed;
}

/* Applies a fault that the reply is selected for. 0, or -1 with ENOMEM. */
static int
apply(struct altered *reply, const struct fault *fault)
{
	struct fault_random random =
	    fault_random_of(fault, reply->connection->faults->seed, reply->message);
	uint64_t value = fault->count;
	int rc = 1;
	switch (fault->kind) {
	case FAULT_DELAY:
		value = fault_delay_ns(fault, &random);
		reply->delay_ns += value;
		break;
	case FAULT_TRUNCATE:
		if (value > reply->length)
			value = reply->length;
		reply->length -= (size_t)value;
		break;
	case FAULT_CORRUPT:
		if (reply->length == 0)
			return 0;
		corrupt(reply, fault, &random);
		break;
	case FAULT_INSERT:
		rc = insert(reply, fault, &random);
		break;
	case FAULT_DUPLICATE:
		rc = duplicate(reply);
		break;
	case FAULT_DROP:
		reply->length = 0;
		reply->is_dropped = true;
		break;
	case FAULT_SWAP:
		rc = swap(reply);
		break;
	default:
		return 0;
	}
	if (rc == 0 && fault->kind == FAULT_SWAP)
		return 0;
	if (rc >= 0)
		note_reply(reply, fault, value);
	return rc < 0 ? -1 : 0;
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

/* Appends a part of the reply's bytes to the output. 0, or -1 with ENOMEM. */
static int
append_bytes(struct altered *reply, size_t from, size_t end, uint64_t due_ns)
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

/* Puts the reply before the one that was held for it. What is queued is not changed but
 * replaced, so that it can be undone. */
static int
append_before_held(struct altered *reply, uint64_t due_ns)
{
	struct connection *connection = reply->connection;
	struct fault_state *state = connection->faults;
	struct fault_segment held = *find_held(state);
	struct buffer *segments = NULL, *bytes = NULL;
	struct buffer *old_segments = state->segments;
	struct buffer *old_bytes = connection->output->bytes;
	size_t kept_segments = buffer_length(old_segments) - sizeof(held);
	size_t kept_bytes = buffer_length(old_bytes) - held.length;
	const uint8_t *held_bytes = old_bytes->data + old_bytes->start + kept_bytes;
	held.is_held = 0;
	held.due_ns = due_ns;
	const struct fault_note note = { .kind = FAULT_REORDER,
		.peer = &connection->peer,
		.message = held.message,
		.offset = held.offset,
		.length = state->progress.offset + reply->original - held.offset,
		.value = reply->message - held.message };
	if (buffer_append(&segments, old_segments->data + old_segments->start,
		kept_segments) == 0 &&
	    buffer_append(&bytes, old_bytes->data + old_bytes->start, kept_bytes) ==
		0) {
		state->segments = segments;
		connection->output->bytes = bytes;
		if (append_bytes(reply, 0, reply->length, due_ns) == 0 &&
		    append_segment(connection, &held) == 0 &&
		    buffer_append(
			&connection->output->bytes, held_bytes, held.length) == 0) {
			buffer_release(&old_segments);
			buffer_release(&old_bytes);
			fault_state_note(connection->listener, state, &note);
			return 0;
		}
		segments = state->segments;
		bytes = connection->output->bytes;
		state->segments = old_segments;
		connection->output->bytes = old_bytes;
	}
	buffer_release(&segments);
	buffer_release(&bytes);
	return -1;
}

/* The fault that acts within the reply or at its end, after the fewest bytes; *ret_at:
 * after how many. NULL: none. */
static const struct fault *
find_cut(struct altered *reply, uint64_t *ret_at, size_t *ret_number)
{
	struct connection *connection = reply->connection;
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_state *state = connection->faults;
	const struct fault *found = NULL;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (!fault->has_after_bytes || !is_of_connection(connection, fault) ||
		    (state->progress.fired >> i & 1) != 0 ||
		    fault->after_bytes <= state->progress.offset ||
		    fault->after_bytes - state->progress.offset > reply->original ||
		    !is_in_time(fault, state))
			continue;
		uint64_t at = fault->after_bytes - state->progress.offset;
		if (found != NULL && at >= *ret_at)
			continue;
		found = fault;
		*ret_at = at;
		*ret_number = i;
	}
	return found;
}

/* Queues the reply, with the actions that cut it. 0, or -1 with ENOMEM. */
static int
queue(struct altered *reply)
{
	struct connection *connection = reply->connection;
	struct fault_progress *progress = &connection->faults->progress;
	size_t from = 0, number = 0;
	uint64_t at = 0, due_ns = progress->last_due_ns;
	const struct fault *cut;
	if (reply->delay_ns > 0) {
		uint64_t own_ns = clock_now_ns() + reply->delay_ns;
		due_ns = own_ns > due_ns ? own_ns : due_ns;
	}
	progress->last_due_ns = due_ns;
	if (find_held(connection->faults) != NULL &&
	    find_cut(reply, &at, &number) == NULL) {
		if (reply->length > 0)
			return append_before_held(reply, due_ns);
		return 0;
	}
	if (reply->is_held)
		due_ns = clock_now_ns() + HOLD_NS > due_ns ? clock_now_ns() + HOLD_NS
							   : due_ns;
	while ((cut = find_cut(reply, &at, &number)) != NULL) {
		size_t end = at < reply->length ? (size_t)at : reply->length;
		end = end < from ? from : end;
		if (append_bytes(reply, from, end, due_ns) < 0)
			return -1;
		from = end;
		(void)take_once(connection, number);
		if (append_action(connection, cut, reply->message) < 0)
			return -1;
		if (progress->is_ending)
			return 0;
	}
	return append_bytes(reply, from, reply->length, due_ns);
}

/* Begins the faults of the connection that this message selects. 0, or -1 with ENOMEM.
 */
static int
begin_by_message(struct connection *connection, const struct fault_point *point)
{
	const struct listener_faults *faults = &connection->listener->faults;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (fault->scope != FAULT_SCOPE_CONNECTION ||
		    !fault_selects_messages(fault) ||
		    connection->faults->progress.is_ending ||
		    !fault_selects(fault, point))
			continue;
		if (fault->kind != FAULT_STALL && !take_once(connection, i))
			continue;
		if (append_action(connection, fault, point->message) < 0)
			return -1;
	}
	return 0;
}

static bool
needs_latest(const struct listener_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		if (faults->rows[i].kind == FAULT_SWAP)
			return true;
	}
	return false;
}

/* Changes the reply as its faults say and queues it. 0, or -1 with ENOMEM. */
static int
add_altered(struct altered *reply, const struct fault_point *point)
{
	struct connection *connection = reply->connection;
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_state *state = connection->faults;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (fault->scope != FAULT_SCOPE_REPLY || reply->is_dropped ||
		    !fault_selects(fault, point))
			continue;
		if (fault->kind == FAULT_REORDER)
			reply->is_held = find_held(state) == NULL;
		else if (apply(reply, fault) < 0)
			return -1;
	}
	return queue(reply);
}

/* Takes the reply to one message, which may be empty or none at all. 0, or -1 with
 * ENOMEM. */
static int
add_reply(struct connection *connection, const uint8_t *data, size_t length)
{
	struct fault_state *state = connection->faults;
	struct worker *worker = connection->listener->worker;
	struct fault_point point = point_of(connection, ++state->progress.messages);
	struct altered reply = {
		.connection = connection,
		.length = length,
		.original = length,
		.message = point.message,
		.data = scratch(worker, length + 1),
	};
	if (reply.data == NULL || begin_by_message(connection, &point) < 0)
		return -1;
	if (length > 0)
		memcpy(reply.data, data, length);
	if (!state->progress.is_ending && length > 0 && add_altered(&reply, &point) < 0)
		return -1;
	if (needs_latest(&connection->listener->faults))
		keep_latest(connection, data, length);
	state->progress.offset += length;
	return 0;
}

/* Takes the reply to one message out of the batch. */
static int
take_batch(struct connection *connection)
{
	struct batch *batch = &connection->listener->worker->batch;
	int rc = add_reply(connection, batch->data, batch->length);
	batch->length = 0;
	batch->replies = 0;
	responder_trim(batch);
	return rc;
}

static bool
is_over_limit(const struct connection *connection)
{
	uint64_t limit = connection->listener->worker->config->limits.max_pending;
	return connection_queued_bytes(connection) +
	    buffer_length(connection->faults->segments) >
	    limit;
}

/* Answers the whole messages in data[length], one by one, until too much is queued. */
static enum responder_status
answer(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
{
	const struct listener_config *config = connection->listener->config;
	enum responder_status status = RESPONDER_DONE;
	*ret_used = 0;
	while (status == RESPONDER_DONE && !is_over_limit(connection)) {
		struct frame frame;
		size_t left = length - *ret_used, used;
		bool is_whole = framings[config->framing].next(data + *ret_used, left,
				    connection->searched, config->max_message,
				    &frame) == FRAME_WHOLE;
		size_t one = is_whole ? frame_length(&frame) : left;
		status =
		    responder_answer_messages(connection, data + *ret_used, one, &used);
		*ret_used += used;
		if (!is_whole)
			return status;
		if (status == RESPONDER_BATCH_FULL)
			status = RESPONDER_NO_MEMORY; /* the batch was empty */
		if (status == RESPONDER_DONE && take_batch(connection) < 0)
			return RESPONDER_NO_MEMORY;
	}
	if (status == RESPONDER_DONE)
		connection->reading_paused = true;
	return status;
}

/* False when the connection is closed. */
static bool
check_status(struct connection *connection, enum responder_status status)
{
	switch (status) {
	case RESPONDER_DONE:
	case RESPONDER_BATCH_FULL:
		return true;
	case RESPONDER_TOO_LONG:
		return connection_finish(connection, CLOSE_MESSAGE_TOO_LONG);
	case RESPONDER_TRUNCATED:
		return connection_finish(connection, CLOSE_TRUNCATED_MESSAGE);
	case RESPONDER_NO_MEMORY:
	case RESPONDER_HALF_CLOSE: /* these two of a conversation, without faults */
	case RESPONDER_ENDED:
		break;
	}
	connection_close(connection, CLOSE_NO_MEMORY);
	return false;
}

/* Answers what was kept in the input. */
static bool
answer_kept(struct connection *connection)
{
	struct buffer *input = connection->input;
	size_t used;
	if (input == NULL)
		return true;
	if (!check_status(connection,
		answer(connection, input->data + input->start, buffer_length(input),
		    &used)))
		return false;
	if (connection->phase == CONNECTION_SERVING)
		buffer_consume(&connection->input, used);
	connection->deaths = 0;
	return true;
}

/* Answers new bytes and keeps what is left of them. */
static bool
answer_new(struct connection *connection, uint8_t *data, size_t length)
{
	const struct worker_listener *listener = connection->listener;
	size_t used = 0;
	if (listener->is_bytewise) {
		(void)responder_answer_bytewise(listener, data, length);
		if (add_reply(connection, data, length) < 0)
			return check_status(connection, RESPONDER_NO_MEMORY);
		if (is_over_limit(connection))
			connection->reading_paused = true;
		connection->deaths = 0;
		return true;
	}
	bool has_input = connection->input != NULL;
	if (!has_input &&
	    !check_status(connection, answer(connection, data, length, &used)))
		return false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (buffer_append(&connection->input, data + used, length - used) < 0)
		return check_status(connection, RESPONDER_NO_MEMORY);
	return !has_input || answer_kept(connection);
}

static bool
on_peer_closed(struct connection *connection)
{
	const struct fault_progress *progress = &connection->faults->progress;
	struct buffer *input = connection->input;
	size_t length = buffer_length(input);
	if (length > 0) {
		enum responder_status status = responder_answer_last(
		    connection, input->data + input->start, length);
		if (status == RESPONDER_DONE && take_batch(connection) < 0)
			status = RESPONDER_NO_MEMORY;
		if (!check_status(connection, status))
			return false;
	}
	if (connection->phase != CONNECTION_SERVING)
		return true;
	bool is_ended = progress->is_half_closed || progress->is_ending;
	return connection_finish(
	    connection, is_ended ? CLOSE_FAULT : CLOSE_PEER_CLOSED);
}

static bool
may_read(const struct connection *connection)
{
	return connection->phase == CONNECTION_SERVING && !connection->reading_paused &&
	    !connection->reading_held;
}

/* One read. False when the connection is closed; *ret_more: there may be more. */
static bool
read_once(struct connection *connection, bool *ret_more)
{
	struct worker *worker = connection->listener->worker;
	ssize_t n =
	    transport_receive(&connection->stream, worker->input, WORKER_INPUT_BYTES);
	*ret_more = n == WORKER_INPUT_BYTES || (n < 0 && errno == EINTR);
	if (n == 0)
		return on_peer_closed(connection);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return true;
		connection_close(connection, connection_io_reason(errno));
		return false;
	}
	/* Another read tells whether the end of file follows. */
	*ret_more = true;
	connection->received += (uint64_t)n;
	connection->active_ms = worker->timeouts.now_ms;
	ledger_count(connection->listener->block, LEDGER_BYTES_RECEIVED, (uint64_t)n);
	return answer_new(connection, worker->input, (size_t)n);
}

static bool
on_readable(struct connection *connection)
{
	bool has_more = true;
	for (int i = 0; i < READS_PER_WAKEUP && has_more && may_read(connection); i++) {
		begin(connection);
		bool is_open = read_once(connection, &has_more);
		if (!is_open) {
			crash_record_commit(connection->listener->worker->record);
			return false;
		}
		commit(connection);
		if (!fault_injection_flush(connection))
			return false;
	}
	/* No new edge reports what is left. */
	if (has_more && may_read(connection)) {
		event_del(&connection->event);
		if (event_add(&connection->event, NULL) < 0) {
			connection_close(connection, CLOSE_SYSTEM_ERROR);
			return false;
		}
	}
	return true;
}

static void
note_action(const struct connection *connection, const struct fault_segment *segment)
{
	fault_state_note(connection->listener, connection->faults,
	    &(struct fault_note){
		.kind = (enum fault_kind)segment->action,
		.peer = &connection->peer,
		.message = segment->message,
		.offset = segment->offset,
		.value = segment->value,
	    });
}

static void
reset(struct connection *connection)
{
	const struct linger at_once = { .l_onoff = 1 };
	setsockopt(connection_fd(connection), SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once));
	/* Its close does not wait: not with this option of our own. */
	connection->was_received = false;
	connection_close(connection, CLOSE_FAULT);
}

static void
drop_output(struct connection *connection)
{
	buffer_release(&connection->faults->segments);
	connection->faults->progress.front_sent = 0;
	ledger_count(connection->listener->block, LEDGER_BYTES_DROPPED,
	    connection_queued_bytes(connection));
	connection_destroy_output(connection);
}

/* Does what the first segment says. False when the connection is closed. */
static bool
act(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	const struct fault_segment *front = fault_state_front(state);
	if (front == NULL)
		return true;
	struct fault_segment segment = *front;
	uint64_t now_ns = clock_now_ns();
	buffer_consume(&state->segments, sizeof(segment));
	note_action(connection, &segment);
	switch ((enum fault_kind)segment.action) {
	case FAULT_STALL:
		progress->stalled_until_ns = segment.value == FAULT_FOR_EVER
		    ? FAULT_FOR_EVER
		    : now_ns + segment.value;
		break;
	case FAULT_TRICKLE:
		progress->trickle_rate = segment.value;
		progress->trickle_next_ns = now_ns;
		break;
	case FAULT_NEVER_READ:
		progress->reads_no_more = 1;
		break;
	case FAULT_HALF_CLOSE:
		drop_output(connection);
		progress->is_half_closed = 1;
		if (transport_finish(&connection->stream) == 0)
			break;
		connection_close(connection, CLOSE_FAULT);
		return false;
	case FAULT_CLOSE:
		drop_output(connection);
		return connection_finish(connection, CLOSE_FAULT);
	case FAULT_RESET:
		reset(connection);
		return false;
	default:
		break;
	}
	return true;
}

/* Removes the segments whose bytes have been sent. */
static void
consume_sent(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	const struct fault_segment *front;
	uint64_t replies = 0;
	while ((front = fault_state_front(state)) != NULL &&
	    front->action == FAULT_NO_ACTION && progress->front_sent >= front->length) {
		progress->front_sent -= front->length;
		replies += front->replies;
		buffer_consume(&state->segments, sizeof(*front));
	}
	ledger_count(connection->listener->block, LEDGER_REPLIES_SENT, replies);
}

/* Bytes at the front of the output that are due, up to the next action. */
static size_t
due_bytes(const struct fault_state *state, uint64_t now_ns)
{
	const struct fault_segment *segment = fault_state_front(state);
	size_t count = fault_state_segment_count(state), bytes = 0;
	for (size_t i = 0; i < count && segment[i].action == FAULT_NO_ACTION &&
	     segment[i].due_ns <= now_ns;
	     i++)
		bytes += segment[i].length;
	return bytes < state->progress.front_sent ? 0
						  : bytes - state->progress.front_sent;
}

/* At most what a slow connection may send now. */
static size_t
limit_by_rate(struct fault_progress *progress, size_t bytes, uint64_t now_ns)
{
	uint64_t rate = progress->trickle_rate;
	if (rate == 0)
		return bytes;
	if (progress->trickle_next_ns > now_ns)
		return 0;
	size_t most = rate < TRICKLES_PER_S ? 1 : (size_t)(rate / TRICKLES_PER_S);
	bytes = bytes < most ? bytes : most;
	progress->trickle_next_ns = now_ns + bytes * NS_PER_S / rate;
	return bytes;
}

enum flush_status {
	FLUSH_CLOSED,
	FLUSH_AGAIN,   /* more may be due */
	FLUSH_WAITS,   /* for a time */
	FLUSH_BLOCKED, /* for room in the socket */
	FLUSH_EMPTY,
};

/* One step: an action, or one send. */
static enum flush_status
flush_step(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	uint64_t now_ns = clock_now_ns();
	consume_sent(connection);
	const struct fault_segment *front = fault_state_front(state);
	if (progress->stalled_until_ns > now_ns)
		return FLUSH_WAITS;
	progress->stalled_until_ns = 0;
	if (front == NULL)
		return FLUSH_EMPTY;
	if (front->due_ns > now_ns)
		return FLUSH_WAITS;
	if (front->action != FAULT_NO_ACTION)
		return act(connection) ? FLUSH_AGAIN : FLUSH_CLOSED;
	size_t bytes = limit_by_rate(progress, due_bytes(state, now_ns), now_ns);
	if (bytes == 0)
		return FLUSH_WAITS;
	struct output *output = connection->output;
	ssize_t n = transport_send(
	    &connection->stream, output->bytes->data + output->bytes->start, bytes);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return FLUSH_BLOCKED;
		connection_close(connection, connection_io_reason(errno));
		return FLUSH_CLOSED;
	}
	ledger_count(connection->listener->block, LEDGER_BYTES_SENT, (uint64_t)n);
	connection->sent += (uint64_t)n;
	output->progress_ms = worker->timeouts.now_ms;
	buffer_consume(&output->bytes, (size_t)n);
	progress->front_sent += (uint32_t)n;
	consume_sent(connection);
	return (size_t)n < bytes ? FLUSH_BLOCKED : FLUSH_AGAIN;
}

/* Everything queued is sent. */
static bool
on_empty(struct connection *connection)
{
	if (connection->output != NULL) {
		connection->active_ms = connection->listener->worker->timeouts.now_ms;
		connection_destroy_output(connection);
	}
	if (connection->phase == CONNECTION_FINISHING)
		return connection_finish_now(connection);
	return true;
}

/* When the connection has something to do without an event of its socket. */
static uint64_t
next_due_ns(const struct connection *connection, enum flush_status status)
{
	const struct fault_state *state = connection->faults;
	const struct fault_progress *progress = &state->progress;
	const struct fault_segment *front = fault_state_front(state);
	uint64_t due_ns = next_age_ns(connection), own_ns = FAULT_FOR_EVER;
	if (progress->stalled_until_ns != 0) {
		own_ns = progress->stalled_until_ns;
	} else if (status == FLUSH_WAITS && front != NULL) {
		own_ns = front->due_ns;
		if (front->action == FAULT_NO_ACTION && progress->trickle_rate != 0 &&
		    progress->trickle_next_ns > own_ns)
			own_ns = progress->trickle_next_ns;
	}
	return own_ns < due_ns ? own_ns : due_ns;
}

/* Goes on with input that had to wait for the output. *ret_went_on: there was some. */
static bool
resume_reading(struct connection *connection, bool *ret_went_on)
{
	uint64_t limit = connection->listener->worker->config->limits.max_pending;
	uint64_t queued = connection_queued_bytes(connection) +
	    buffer_length(connection->faults->segments);
	*ret_went_on = false;
	if (!connection->reading_paused || connection->phase != CONNECTION_SERVING ||
	    queued > limit / 2)
		return true;
	connection->reading_paused = false;
	*ret_went_on = connection->input != NULL;
	return answer_kept(connection);
}

/* Sends what is due, in steps of the crash record. */
static enum flush_status
flush(struct connection *connection)
{
	struct crash_record *record = connection->listener->worker->record;
	enum flush_status status;
	bool went_on = false;
	do {
		begin(connection);
		status = flush_step(connection);
		if (status == FLUSH_EMPTY && !on_empty(connection))
			status = FLUSH_CLOSED;
		if (status != FLUSH_CLOSED && !resume_reading(connection, &went_on))
			status = FLUSH_CLOSED;
		crash_record_commit(record);
	} while (status == FLUSH_AGAIN || (status != FLUSH_CLOSED && went_on));
	return status;
}

bool
fault_injection_flush(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct worker *worker = connection->listener->worker;
	if (connection->phase == CONNECTION_LINGERING)
		return true;
	enum flush_status status = flush(connection);
	if (status == FLUSH_CLOSED)
		return false;
	bool is_stalled = state->progress.stalled_until_ns != 0;
	connection->writing_held = status == FLUSH_WAITS;
	connection->reading_held = is_stalled || state->progress.reads_no_more ||
	    (state->progress.is_ending && !state->progress.is_half_closed);
	if (connection->phase == CONNECTION_LINGERING) {
		connection->reading_held = false;
		fault_timer_set(worker, &state->timer, FAULT_FOR_EVER);
		return true;
	}
	fault_timer_set(worker, &state->timer, next_due_ns(connection, status));
	return connection_watch(connection);
}

static bool
step(struct connection *connection)
{
	begin(connection);
	bool is_open = connection->phase != CONNECTION_SERVING ||
	    check_status(connection,
		begin_by_age(connection) < 0 ? RESPONDER_NO_MEMORY : RESPONDER_DONE);
	crash_record_commit(connection->listener->worker->record);
	return is_open;
}

static void
on_due(void *argument)
{
	struct connection *connection = argument;
	if (connection->frozen)
		return;
	if (!step(connection) || !fault_injection_flush(connection))
		return;
	/* What arrived during a stall is reported by no new edge. */
	if (may_read(connection))
		on_readable(connection);
}

/* The peer will send no more, and this side reads no more: for ever. */
static bool
is_abandoned(const struct connection *connection, short what)
{
	const struct fault_progress *progress = &connection->faults->progress;
	return (what & EV_CLOSED) != 0 &&
	    (progress->reads_no_more || progress->stalled_until_ns == FAULT_FOR_EVER);
}

static void
on_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	struct connection *connection = argument;
	if (connection->phase == CONNECTION_LINGERING) {
		connection_io_linger(connection);
		return;
	}
	if (is_abandoned(connection, what)) {
		connection_close(connection, CLOSE_FAULT);
		return;
	}
	if ((what & EV_WRITE) && !fault_injection_flush(connection))
		return;
	if ((what & (EV_READ | EV_CLOSED)) && may_read(connection))
		on_readable(connection);
}

void
fault_injection_prepare(struct worker_listener *listener)
{
	listener->on_event = listener->faults.count > 0
	    ? on_event
	    : connection_io_callback(listener->transport);
}

bool
fault_injection_refuses(
    const struct worker_listener *listener, const struct address *peer)
{
	struct address_compact compact;
	address_compact(peer, &compact);
	uint64_t seed = fault_connection_seed(listener->faults.seed, &compact);
	for (size_t i = 0; i < listener->faults.count; i++) {
		const struct fault *fault = &listener->faults.rows[i];
		if (fault->kind != FAULT_REFUSE ||
		    !fault_selects_connection(fault, seed, &compact))
			continue;
		fault_state_note(listener, NULL,
		    &(struct fault_note){ .kind = FAULT_REFUSE, .peer = &compact });
		return true;
	}
	return false;
}

void
fault_injection_adopt(struct connection *connection)
{
	struct event *event = &connection->event;
	connection->faults->timer.on_due = on_due;
	connection->faults->timer.argument = connection;
	event_assign(event, connection->listener->worker->base, event_get_fd(event),
	    event_get_events(event), on_event, connection);
}

bool
fault_injection_open(struct connection *connection)
{
	bool is_watched = !connection->frozen;
	if (fault_state_create(connection) == NULL) {
		connection_close(connection, CLOSE_NO_MEMORY);
		return false;
	}
	if (is_watched)
		event_del(&connection->event);
	fault_injection_adopt(connection);
	if (!is_watched)
		return true;
	if (event_add(&connection->event, NULL) < 0) {
		connection_close(connection, CLOSE_SYSTEM_ERROR);
		return false;
	}
	return step(connection) && fault_injection_flush(connection);
}

bool
fault_injection_restart(struct connection *connection)
{
	struct fault_state *state = connection->faults;
	struct fault_progress *progress = &state->progress;
	state->seed =
	    fault_connection_seed(connection->listener->faults.seed, &connection->peer);
	progress->list_id = fault_state_list_id(connection->listener);
	progress->fired = 0;
	/* What has begun ends, but for an end of the connection. */
	progress->stalled_until_ns = 0;
	progress->trickle_rate = 0;
	progress->reads_no_more = 0;
	if (connection->frozen)
		return true;
	if (!step(connection) || !fault_injection_flush(connection))
		return false;
	return !may_read(connection) || on_readable(connection);
}

void
fault_injection_stall(struct connection *connection, uint64_t time_ns)
{
	struct fault_progress *progress = &connection->faults->progress;
	uint64_t end_ns =
	    time_ns == FAULT_FOR_EVER ? time_ns : clock_now_ns() + time_ns;
	if (end_ns > progress->stalled_until_ns)
		progress->stalled_until_ns = end_ns;
	if (!connection->frozen)
		(void)fault_injection_flush(connection);
}

bool
fault_injection_replay(struct connection *connection)
{
	struct crash_record *record = connection->listener->worker->record;
	if (connection->faults->progress.list_id !=
	    fault_state_list_id(connection->listener)) {
		return fault_injection_restart(connection);
	}
	begin(connection);
	bool is_open = true;
	if (connection->phase == CONNECTION_SERVING && !connection->reading_paused &&
	    connection->input != NULL) {
		if (!connection->listener->is_bytewise) {
			is_open = answer_kept(connection);
		} else {
			struct buffer *input = connection->input;
			connection->input = NULL;
			is_open = answer_new(connection, input->data + input->start,
			    buffer_length(input));
			buffer_release(&input);
		}
	}
	crash_record_commit(record);
	return is_open && fault_injection_flush(connection);
}
