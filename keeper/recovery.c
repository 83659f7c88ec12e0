#include "keeper/recovery.h"

#include <stdalign.h>

#include "lib/buffer.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_pool.h"
#include "worker/connection/tls_state.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/whoami_state.h"
#include "worker/connection/worker_state.h"

const struct connection *
recovery_next(const struct recovery *recovery, struct recovery_cursor *cursor)
{
	const struct crash_region *region = recovery->region;
	uint32_t end = region->record->slab_end;
	if (end > region->slab_max)
		end = region->slab_max;
	for (; cursor->slab < end; cursor->slab++, cursor->index = 0) {
		uint8_t *at =
		    region->slabs + cursor->slab * connection_pool_slab_bytes();
		struct slab *slab = (struct slab *)(void *)at;
		uint64_t left =
		    cursor->index < SLAB_CONNECTIONS ? slab->used >> cursor->index : 0;
		if (left == 0)
			continue;
		cursor->index += (uint32_t)__builtin_ctzll(left);
		return connection_pool_at(slab, cursor->index++);
	}
	return NULL;
}

/* True if `bytes` at the pointer lie in the region's blocks. */
static bool
is_in_blocks(const struct crash_region *region, const void *pointer, size_t bytes)
{
	uintptr_t first = (uintptr_t)region->blocks, at = (uintptr_t)pointer;
	return at >= first && at % alignof(uint64_t) == 0 &&
	    at - first <= region->block_bytes &&
	    bytes <= region->block_bytes - (at - first);
}

/* The bytes from start to end of a buffer (NULL: none); false if they are not within
 * it. */
static bool
read_piece(const struct crash_region *region, const struct buffer *buffer,
    const struct crash_undo_buffer *range, struct recovery_piece *ret)
{
	*ret = (struct recovery_piece){ .data = NULL };
	if (buffer == NULL)
		return true;
	if (!is_in_blocks(region, buffer, sizeof(*buffer)))
		return false;
	struct crash_undo_buffer own = { buffer->start, buffer->end };
	if (range != NULL)
		own = *range;
	if (own.start > own.end || own.end > region->block_bytes ||
	    !is_in_blocks(region, buffer, sizeof(*buffer) + own.end))
		return false;
	*ret = (struct recovery_piece){ buffer->data + own.start, own.end - own.start };
	return true;
}

/* The state of its faults, before its worker began to process it. */
static bool
read_faults(const struct recovery *recovery, const struct connection *connection,
    bool is_current, struct recovered_connection *ret)
{
	const struct crash_region *region = recovery->region;
	const struct crash_record *record = region->record;
	const struct fault_state *state = connection->faults;
	if (state == NULL)
		return true;
	if (!is_in_blocks(region, state, sizeof(*state)))
		return false;
	ret->has_faults = true;
	ret->fault_progress =
	    is_current ? record->undo_faults.progress : state->progress;
	bool is_read = is_current
	    ? read_piece(region, record->undo_faults.segments,
		  &record->undo_faults.range, &ret->fault_segments)
	    : read_piece(region, state->segments, NULL, &ret->fault_segments);
	if (!is_read ||
	    ret->fault_segments.length >
		recovery->output_max * 2 * sizeof(struct fault_segment))
		return false;
	ret->record.fault_bytes =
	    (uint32_t)(sizeof(ret->fault_progress) + ret->fault_segments.length);
	return true;
}

/* The state of TLS, before its worker began to process it. False for a handshake, which
 * only its worker could complete. */
static bool
read_tls(const struct recovery *recovery, const struct connection *connection,
    bool is_current, struct recovered_connection *ret)
{
	const struct crash_region *region = recovery->region;
	const struct crash_undo_tls *undo = &region->record->undo_tls;
	const struct tls_state *tls = connection->tls;
	bool is_undone = is_current && undo->owner == connection;
	/* Nothing of TLS was there when it began. */
	ret->begins_tls = tls != NULL && is_current && !is_undone;
	if (tls == NULL || ret->begins_tls)
		return true;
	if (!is_in_blocks(region, tls, sizeof(*tls)))
		return false;
	if (is_undone)
		tls = &undo->state;
	if (*(const uint8_t *)&tls->is_handshaking != 0 ||
	    ret->record.phase == CONNECTION_TLS_HANDSHAKE ||
	    !tls_session_is_valid(&tls->session))
		return false;
	ret->has_tls = true;
	ret->tls = (struct tls_moved){ .session = tls->session,
		.end = tls->end,
		.alert = tls->alert,
		.holds_byte = *(const uint8_t *)&tls->holds_byte != 0 };
	return read_piece(region, tls->partial, is_undone ? &undo->partial : NULL,
		   &ret->partial[0]) &&
	    read_piece(
		region, tls->unsent, is_undone ? &undo->unsent : NULL, &ret->unsent) &&
	    ret->partial[0].length <= TLS_TRANSPORT_RECEIVED_BYTES &&
	    ret->unsent.length <= TLS_TRANSPORT_SEALED_BYTES;
}

static bool
read_output(const struct crash_region *region, const struct connection_state *state,
    struct recovered_connection *ret)
{
	const struct output *output = state->output;
	if (output == NULL)
		return true;
	if (!is_in_blocks(region, output, sizeof(*output)))
		return false;
	ret->record.replies = output->replies;
	return read_piece(region, output->bytes, NULL, &ret->output);
}

/* State of the connection before its worker began to process it. */
static bool
read_undone(const struct crash_record *record, const struct crash_region *region,
    struct recovered_connection *ret)
{
	if (!read_piece(
		region, record->undo.input, &record->undo_input, &ret->input[0]))
		return false;
	if (record->undo.output == NULL)
		return true;
	ret->record.replies = record->undo_replies;
	return read_piece(
	    region, record->undo_output_bytes, &record->undo_output, &ret->output);
}

/* Bytes sent since then are taken from the output first, then from the replies to the
 * input, which will be made again. */
static bool
take_sent(struct recovered_connection *ret)
{
	uint64_t left = ret->sent;
	struct recovery_piece *output = &ret->output;
	size_t taken = left < output->length ? (size_t)left : output->length;
	bool had_output = output->length > 0;
	if (taken > 0) { /* data may be NULL */
		output->data += taken;
		output->length -= taken;
	}
	left -= taken;
	if (ret->has_faults) {
		ret->fault_progress.front_sent += (uint32_t)taken;
		return left == 0;
	}
	if (had_output && output->length == 0) {
		ret->replies_sent = ret->record.replies;
		ret->record.replies = 0;
	}
	if (left > UINT32_MAX - ret->record.skip)
		return false;
	ret->record.skip += (uint32_t)left;
	return true;
}

/* With TLS, records that were sealed and are not sent are sent first; the rest of the
 * replies is sealed with the keys behind them. `sent` bytes of records were sent since.
 */
static bool
take_sealed(
    const struct recovery *recovery, uint64_t sent, struct recovered_connection *ret)
{
	const struct crash_region *region = recovery->region;
	const struct crash_undo_tls *undo = &region->record->undo_tls;
	const struct crash_sealed *sealed = &undo->sealed[undo->sealed_now & 1];
	struct recovery_piece *unsent = &ret->unsent;
	size_t taken = sent < unsent->length ? (size_t)sent : unsent->length;
	if (taken > 0) {
		unsent->data += taken;
		unsent->length -= taken;
	}
	sent -= taken;
	if (sealed->length > TLS_TRANSPORT_SEALED_BYTES)
		return false;
	if (sealed->length > 0) {
		/* It was sealed when all before it had been sent. */
		if (unsent->length > 0 || sent < sealed->before ||
		    sent - sealed->before > sealed->length)
			return false;
		sent -= sealed->before;
		*unsent = (struct recovery_piece){ region->sealed + sent,
			sealed->length - (size_t)sent };
	} else if (sent > 0)
		return false;
	ret->sent = sealed->data + ret->tls.holds_byte;
	ret->tls.holds_byte = unsent->length > 0 && ret->sent > 0;
	ret->sent -= ret->tls.holds_byte;
	ret->tls.session.send = sealed->send;
	ret->tls.session.send_closed = sealed->send_closed;
	return true;
}

/* The bytes of the socket are those of records, which its worker had opened. */
static bool
complete_tls(const struct recovery *recovery, const struct connection_state *state,
    const struct stream_position *now, struct recovered_connection *ret)
{
	ret->tls_received = now->received - state->received;
	ret->tls_sent = now->sent - state->sent;
	if (!connection_phase_takes_input(state->phase))
		return take_sealed(recovery, ret->tls_sent, ret);
	if (ret->partial[0].length + ret->tls_received > TLS_TRANSPORT_RECEIVED_BYTES)
		return false;
	ret->partial[1] = (struct recovery_piece){ recovery->region->received +
		    ret->partial[0].length,
		(size_t)ret->tls_received };
	return take_sealed(recovery, ret->tls_sent, ret);
}

/* Adds what the kernel knows of the connection that was being processed. */
static bool
complete(const struct recovery *recovery, const struct connection_state *state,
    struct recovered_connection *ret)
{
	struct stream_position now;
	if (recovery->read_position(ret->fd, &now) < 0)
		return false;
	ret->was_processed = true;
	if (now.is_closed)
		return true;
	if (now.received < state->received || now.sent < state->sent ||
	    now.received - state->received > WORKER_INPUT_BYTES)
		return false;
	ret->record.received = now.received;
	ret->record.sent = now.sent;
	bool takes_input = connection_phase_takes_input(state->phase);
	uint64_t received = now.received - state->received;
	if (ret->has_tls) {
		if (!complete_tls(recovery, state, &now, ret))
			return false;
	} else {
		ret->received = received;
		ret->sent = now.sent - state->sent;
		/* A part of a handshake has been sent. */
		if (ret->begins_tls && ret->sent > 0)
			return false;
	}
	if (takes_input && !ret->has_tls)
		ret->input[1] = (struct recovery_piece){ recovery->region->input,
			(size_t)ret->received };
	/* It has processed input, new or postponed. */
	bool has_input = received > 0 || state->input != NULL || state->deaths > 0;
	if (takes_input && has_input && ret->record.deaths < UINT8_MAX)
		ret->record.deaths++;
	return take_sent(ret);
}

static void
fill_record(const struct crash_record *record, const struct connection *connection,
    const struct connection_state *state, struct transfer_record *ret)
{
	uint32_t idle_ms = record->now_ms - state->active_ms;
	*ret = (struct transfer_record){
		.searched = state->searched,
		.idle_ms = idle_ms > INT32_MAX ? 0 : idle_ms,
		.phase = state->phase,
		.reason = state->reason,
		.peer_family = connection->peer.family,
		.peer_port = connection->peer.port,
		.deaths = state->deaths,
		.skip = state->skip,
		.received = state->received,
		.sent = state->sent,
	};
	memcpy(ret->peer, connection->peer.bytes, sizeof(ret->peer));
}

/* True for a record that a correct worker can have written. */
static bool
is_consistent(const struct recovery *recovery, const struct recovered_connection *c)
{
	uint64_t input_bytes = (uint64_t)c->input[0].length + c->input[1].length;
	bool has_output = c->output.length > 0;
	return input_bytes <= recovery->input_max &&
	    c->output.length <= recovery->output_max &&
	    c->about.length <= WHOAMI_ABOUT_MAX && c->record.searched <= input_bytes &&
	    (c->record.skip == 0 || !has_output) &&
	    c->record.reason < CLOSE_REASON_COUNT &&
	    (c->record.phase == CONNECTION_SERVING ||
		(connection_phase_is_handshake(c->record.phase) && !has_output) ||
		c->record.phase == CONNECTION_FINISHING ||
		(c->record.phase == CONNECTION_LINGERING && !has_output &&
		    input_bytes == 0));
}

enum recovery_status
recovery_read(const struct recovery *recovery, const struct connection *connection,
    struct recovered_connection *ret)
{
	const struct crash_region *region = recovery->region;
	const struct crash_record *record = region->record;
	bool is_current = connection == record->current;
	const struct connection_state *state =
	    is_current ? &record->undo : &connection->state;
	*ret = (struct recovered_connection){ .fd = connection->stream.fd,
		.socket = connection->socket };
	if (ret->socket >= recovery->socket_count)
		return RECOVERY_INVALID;
	fill_record(record, connection, state, &ret->record);
	bool is_read = is_current
	    ? read_undone(record, region, ret)
	    : read_piece(region, state->input, NULL, &ret->input[0]) &&
		read_output(region, state, ret);
	if (!read_piece(region, connection->about, NULL, &ret->about))
		return RECOVERY_INVALID;
	is_read = is_read && read_faults(recovery, connection, is_current, ret) &&
	    read_tls(recovery, connection, is_current, ret);
	if (!is_read || (is_current && !complete(recovery, state, ret)))
		return RECOVERY_INVALID;
	if (!is_consistent(recovery, ret))
		return RECOVERY_INVALID;
	if (ret->record.deaths > 1)
		return RECOVERY_CRASHED_TWICE;
	ret->record.input_bytes =
	    (uint32_t)(ret->input[0].length + ret->input[1].length);
	ret->record.output_bytes = (uint32_t)ret->output.length;
	ret->record.about_bytes = (uint32_t)ret->about.length;
	if (ret->has_tls) {
		ret->tls.partial_bytes =
		    (uint32_t)(ret->partial[0].length + ret->partial[1].length);
		ret->tls.unsent_bytes = (uint32_t)ret->unsent.length;
		ret->record.tls_bytes = (uint32_t)sizeof(ret->tls) +
		    ret->tls.partial_bytes + ret->tls.unsent_bytes;
	}
	ret->record.reading_paused = *(const uint8_t *)&state->reading_paused != 0 &&
	    (ret->output.length > 0 || ret->has_faults);
	return RECOVERY_OK;
}
