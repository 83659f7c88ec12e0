#include "worker/faults/fault_selection.h"

#include "lib/clock.h"
#include "worker/connection/connection.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/worker_state.h"

struct fault_point
fault_selection_point(const struct connection *connection, uint64_t message)
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

/* One that needs no message: it happens at some age or after some bytes. */
static bool
is_of_connection(const struct connection *connection, const struct fault *fault)
{
	return fault->scope == FAULT_SCOPE_CONNECTION &&
	    !fault_selects_messages(fault) &&
	    fault_selects_connection(
		fault, connection->faults->seed, &connection->peer);
}

bool
fault_selection_at_age(const struct connection *connection, size_t number)
{
	const struct fault *fault = &connection->listener->faults.rows[number];
	const struct fault_state *state = connection->faults;
	bool is_at_start = fault->has_after_bytes && fault->after_bytes == 0;
	return is_of_connection(connection, fault) &&
	    (!fault->has_after_bytes || is_at_start) && is_in_time(fault, state);
}

uint64_t
fault_selection_next_age_ns(const struct connection *connection)
{
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_progress *progress = &connection->faults->progress;
	uint64_t next_ns = FAULT_FOR_EVER;
	uint64_t age_ns = clock_now_ns() - progress->accepted_ns;
	if (connection->phase != CONNECTION_SERVING || progress->is_ending)
		return FAULT_FOR_EVER;
	/* One whose time has just come, before its timer, is due at once. */
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		uint64_t at_ns = progress->accepted_ns + fault->from_ns;
		if (fault->from_ns != 0 && !fault->has_after_bytes &&
		    (progress->fired >> i & 1) == 0 && age_ns < fault->to_ns &&
		    at_ns < next_ns && is_of_connection(connection, fault))
			next_ns = at_ns;
	}
	return next_ns;
}

bool
fault_selection_at_message(const struct fault *fault, const struct fault_point *point)
{
	return fault->scope == FAULT_SCOPE_CONNECTION &&
	    fault_selects_messages(fault) && fault_selects(fault, point);
}

const struct fault *
fault_selection_cut(const struct connection *connection, uint64_t bytes,
    uint64_t *ret_at, size_t *ret_number)
{
	const struct listener_faults *faults = &connection->listener->faults;
	const struct fault_state *state = connection->faults;
	const struct fault *found = NULL;
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->rows[i];
		if (!fault->has_after_bytes || !is_of_connection(connection, fault) ||
		    (state->progress.fired >> i & 1) != 0 ||
		    fault->after_bytes <= state->progress.offset ||
		    fault->after_bytes - state->progress.offset > bytes ||
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
