#include "worker/faults/fault_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/faults/fault_decision.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"
#include "worker/faults/fault_queue.h"
#include "worker/faults/fault_selection.h"

/* Longer replies are not given to other connections. */
#define SWAP_BYTES_MAX ((size_t)64 * 1024)
#define SCRATCH_KEPT_BYTES ((size_t)256 * 1024) /* between replies */

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

/* Gives back what only a large reply has needed. */
static void
trim(struct worker *worker)
{
	struct worker_faults *faults = &worker->faults;
	if (faults->scratch_bytes <= SCRATCH_KEPT_BYTES)
		return;
	free(faults->scratch);
	faults->scratch = NULL;
	faults->scratch_bytes = 0;
}

static void
note_reply(const struct fault_altered *reply, const struct fault *fault, uint64_t value)
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
corrupt(
    struct fault_altered *reply, const struct fault *fault, struct fault_random *random)
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
grow(struct fault_altered *reply, size_t more)
{
	if (reply->length + more > 2 * reply->original + FAULT_GROWTH_MAX) {
		errno = ENOMEM;
		return -1;
	}
	struct worker *worker = reply->connection->listener->worker;
	uint8_t *data = scratch(worker, reply->length + more);
	if (data == NULL)
		return -1;
	reply->data = data;
	return 0;
}

static int
insert(
    struct fault_altered *reply, const struct fault *fault, struct fault_random *random)
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
duplicate(struct fault_altered *reply)
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
swap(struct fault_altered *reply)
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
apply(struct fault_altered *reply, const struct fault *fault)
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
add_altered(struct fault_altered *reply, const struct fault_point *point)
{
	const struct connection *connection = reply->connection;
	const struct listener_faults *faults = &connection->listener->faults;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (fault->scope != FAULT_SCOPE_REPLY || reply->is_dropped ||
		    !fault_selects(fault, point))
			continue;
		if (fault->kind == FAULT_REORDER)
			reply->is_held = !fault_queue_holds_reply(connection);
		else if (apply(reply, fault) < 0)
			return -1;
	}
	return fault_queue_reply(reply);
}

int
fault_reply_add(struct connection *connection, const uint8_t *data, size_t length)
{
	struct fault_state *state = connection->faults;
	struct worker *worker = connection->listener->worker;
	struct fault_point point =
	    fault_selection_point(connection, ++state->progress.messages);
	struct fault_altered reply = {
		.connection = connection,
		.length = length,
		.original = length,
		.message = point.message,
		.data = scratch(worker, length + 1),
	};
	if (reply.data == NULL || fault_queue_by_message(connection, &point) < 0)
		return -1;
	if (length > 0)
		memcpy(reply.data, data, length);
	if (!state->progress.is_ending && length > 0 && add_altered(&reply, &point) < 0)
		return -1;
	trim(worker);
	if (needs_latest(&connection->listener->faults))
		keep_latest(connection, data, length);
	state->progress.offset += length;
	return 0;
}
