#include "worker/witness/witness_commands.h"

#include <sys/socket.h>

#include <string.h>

#include "lib/clock.h"
#include "net/socket_info.h"
#include "proto/witness/witness_records.h"
#include "worker/connection/connection.h"
#include "worker/connection/witness_state.h"
#include "worker/connection/worker_state.h"
#include "worker/witness/witness_output.h"

bool
witness_commands_must_wait(const struct connection *connection)
{
	return witness_state_holds(witness_state_of(connection)) ||
	    witness_output_is_full(connection);
}

static bool
answer_own(struct connection *connection, enum witness_command_kind kind)
{
	witness_state_update(connection, 0);
	return witness_output_answer(
	    connection, kind, &witness_state_of(connection)->record);
}

static bool
answer_ask(struct connection *connection, const struct witness_id *id)
{
	const struct worker *worker = connection->listener->worker;
	struct witness_record record;
	bool is_found = witness_book_find(worker->witness_book, id, &record);
	return witness_output_answer(
	    connection, WITNESS_ASK, is_found ? &record : NULL);
}

static void
begin_pattern(struct witness_state *state, uint32_t bytes)
{
	state->pattern_bytes = bytes;
	state->pattern_queued = 0;
	state->says = 1;
}

static void
set_due(struct witness_state *state, const struct witness_command *command)
{
	state->due = *command;
	state->due_ns = clock_now_ns() + command->wait_ms * NS_PER_MS;
}

static bool
act(struct connection *connection, const struct witness_command *command)
{
	struct witness_state *state = witness_state_of(connection);
	ledger_count(connection->listener->block, LEDGER_MESSAGES_RECEIVED, 1);
	switch (command->kind) {
	case WITNESS_INFO:
		return answer_own(connection, command->kind);
	case WITNESS_ASK:
		return answer_ask(connection, &command->id);
	case WITNESS_SAY:
	case WITNESS_FIN:
	case WITNESS_RST:
	case WITNESS_HOLD:
		set_due(state, command);
		return true;
	case WITNESS_SINK:
		state->mode = WITNESS_DISCARDS;
		return true;
	case WITNESS_ECHO:
		state->mode = WITNESS_ECHOES;
		return true;
	case WITNESS_SOURCE:
		begin_pattern(state, command->bytes);
		return true;
	case WITNESS_KEEPALIVE:
		socket_info_set_keepalive(
		    connection_fd(connection), (command->wait_ms + 999) / 1000);
		return answer_own(connection, command->kind);
	case WITNESS_COMMAND_COUNT:
		break;
	}
	return true;
}

/* Bytes before the first command. */
static void
note_before(struct witness_state *state, uint8_t byte)
{
	struct witness_record *record = &state->record;
	if (record->before_bytes < WITNESS_BEFORE_MAX)
		record->before[record->before_bytes] = byte;
	record->before_bytes++;
}

/* A line is complete, its end included; `whole`: no byte of it is missing. */
static bool
on_line(struct connection *connection, size_t length, bool whole)
{
	struct witness_state *state = witness_state_of(connection);
	struct witness_command command;
	const char *line = state->line;
	size_t text = length - 1;
	if (text > 0 && line[text - 1] == '\r')
		text--;
	if (whole && witness_command_parse(line, text, &command)) {
		if (state->has_command == 0)
			state->record.before_bytes -= (uint32_t)length;
		state->has_command = 1;
		return act(connection, &command);
	}
	if (state->has_command == 0 || (whole && text == 0))
		return true;
	return connection_finish(connection, CLOSE_WITNESS_BAD_COMMAND);
}

/* True if the bytes so far cannot become a command. */
static bool
is_too_long(const struct witness_state *state)
{
	return state->has_command != 0
	    ? state->line_is_long != 0
	    : state->record.before_bytes > WITNESS_PREFACE_MAX;
}

/* Adds a byte to the line. False when the connection was closed. */
static bool
take_byte(struct connection *connection, uint8_t byte)
{
	struct witness_state *state = witness_state_of(connection);
	if (state->has_command == 0)
		note_before(state, byte);
	state->line[state->line_bytes++] = (char)byte;
	if (byte == '\n') {
		size_t length = state->line_bytes;
		bool whole = state->line_is_long == 0;
		state->line_bytes = state->line_is_long = 0;
		return on_line(connection, length, whole);
	}
	if (state->line_bytes == WITNESS_LINE_MAX) {
		state->line_bytes = 0;
		state->line_is_long = 1;
	}
	return !is_too_long(state) ||
	    connection_finish(connection, CLOSE_WITNESS_BAD_COMMAND);
}

/* Takes bytes up to the end, or to a command that others have to wait for. */
static bool
take(
    struct connection *connection, const uint8_t *data, size_t length, size_t *ret_used)
{
	const struct witness_state *state = witness_state_of(connection);
	size_t used = 0;
	while (used < length && !witness_commands_must_wait(connection) &&
	    state->mode == WITNESS_TAKES_COMMANDS) {
		if (!take_byte(connection, data[used++]))
			return false;
		if (connection->phase != CONNECTION_SERVING)
			return true;
	}
	*ret_used = used;
	if (used == length || witness_commands_must_wait(connection))
		return true;
	*ret_used = length;
	return state->mode != WITNESS_ECHOES ||
	    witness_output_add(connection, data + used, length - used, 0);
}

bool
witness_commands_take(struct connection *connection, const uint8_t *data, size_t length)
{
	struct witness_record *record = &witness_state_of(connection)->record;
	size_t used = 0;
	record->received += length;
	record->crc32 = witness_crc32(record->crc32, data, length);
	if (connection->input == NULL && !take(connection, data, length, &used))
		return false;
	if (connection->phase != CONNECTION_SERVING)
		return true;
	if (buffer_append(&connection->input, data + used, length - used) == 0)
		return true;
	connection_close(connection, CLOSE_NO_MEMORY);
	return false;
}

bool
witness_commands_take_kept(struct connection *connection)
{
	struct buffer *input = connection->input;
	size_t used;
	if (input == NULL || witness_commands_must_wait(connection))
		return true;
	if (!take(connection, input->data + input->start, buffer_length(input), &used))
		return false;
	if (connection->phase == CONNECTION_SERVING)
		buffer_consume(&connection->input, used);
	return true;
}

static bool
reset(struct connection *connection)
{
	const struct linger at_once = { .l_onoff = 1 };
	witness_state_add_event(connection, WITNESS_EVENT_RST_SENT);
	setsockopt(connection_fd(connection), SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once));
	/* Its close does not wait: not with this option of our own. */
	connection->was_received = false;
	connection_close(connection, CLOSE_WITNESS_RESET);
	return false;
}

bool
witness_commands_act_due(struct connection *connection)
{
	struct witness_state *state = witness_state_of(connection);
	enum witness_command_kind kind = state->due.kind;
	if (state->due_ns == 0 || state->due_ns > clock_now_ns())
		return true;
	state->due_ns = 0;
	switch (kind) {
	case WITNESS_SAY:
		begin_pattern(state, state->due.bytes);
		return true;
	case WITNESS_FIN:
		state->ends = 1;
		state->mode = WITNESS_DISCARDS;
		return true;
	case WITNESS_RST:
		return reset(connection);
	case WITNESS_HOLD:
		state->mode = WITNESS_DISCARDS;
		witness_state_add_event(connection, WITNESS_EVENT_HELD);
		return answer_own(connection, kind);
	default:
		return true;
	}
}
