#include "worker/conversation/session.h"

#include <string.h>

#include "lib/clock.h"

enum session_flag {
	SESSION_HAS_END = 1,
	SESSION_TOOK_END = 2,
	SESSION_IS_BETWEEN = 4,
	SESSION_HALF_CLOSING = 8,
	SESSION_IS_PAUSING = 16,
	SESSION_FLAGS = 31,
};

/* Small, because an idle connection has one. */
struct session_header {
	uint32_t player_bytes;
	uint8_t flags; /* enum session_flag */
	uint8_t ending;
	uint8_t reserved[2];
};

/* Bytes of header, player, and end of the pause if it is pausing. */
static size_t
saved_bytes(const struct session_header *header)
{
	bool is_pausing = (header->flags & SESSION_IS_PAUSING) != 0;
	return sizeof(*header) + header->player_bytes +
	    (is_pausing ? sizeof(uint64_t) : 0);
}

/* Reads the header of a session; false if there is no valid one. */
static bool
read_header(const uint8_t *data, size_t length, struct session_header *ret)
{
	if (length < sizeof(*ret))
		return false;
	memcpy(ret, data, sizeof(*ret));
	return saved_bytes(ret) <= length && (ret->flags & ~SESSION_FLAGS) == 0 &&
	    ret->ending <= CLOSE_NONE;
}

/* Sets all members but the player and the mismatch; data: where the header lies. */
static void
set(const struct player_side *side, const struct session_header *header,
    const uint8_t *data, struct session *ret)
{
	ret->side = side;
	ret->pause_end_ns = 0;
	if ((header->flags & SESSION_IS_PAUSING) != 0)
		memcpy(&ret->pause_end_ns,
		    data + sizeof(*header) + header->player_bytes,
		    sizeof(ret->pause_end_ns));
	ret->has_end = (header->flags & SESSION_HAS_END) != 0;
	ret->took_end = (header->flags & SESSION_TOOK_END) != 0;
	ret->half_closes = (header->flags & SESSION_HALF_CLOSING) != 0;
	ret->ending = header->ending;
	ret->reason = CLOSE_NONE;
	ret->has_mismatch = false;
}

void
session_init(const struct player_side *side, uint32_t connection, struct session *ret)
{
	set(side, &(struct session_header){ .ending = CLOSE_NONE }, NULL, ret);
	player_init(side, connection, 0, &ret->player);
}

int
session_open(
    const struct player_side *side, const struct buffer *input, struct session *ret)
{
	const uint8_t *data = input->data + input->start;
	struct session_header header;
	memcpy(&header, data, sizeof(header));
	set(side, &header, data, ret);
	return player_restore(data + sizeof(header), &ret->player);
}

void
session_close(struct session *session)
{
	player_finish(&session->player);
}

void
session_set_end(struct session *session)
{
	session->has_end = true;
}

static enum session_status
end(struct session *session, enum close_reason reason)
{
	session->reason = reason;
	return SESSION_ENDED;
}

static enum session_status
end_unexpected(struct session *session, const struct player_mismatch *mismatch)
{
	static const enum close_reason reasons[PLAYER_FAULT_COUNT] = {
		[PLAYER_WRONG_BYTES] = CLOSE_UNEXPECTED_MESSAGE,
		[PLAYER_EARLY] = CLOSE_UNEXPECTED_MESSAGE,
		[PLAYER_BYTES_FOR_END] = CLOSE_UNEXPECTED_MESSAGE,
		[PLAYER_CLOSED_EARLY] = CLOSE_TRUNCATED_MESSAGE,
		[PLAYER_RESET_EARLY] = CLOSE_RESET,
		[PLAYER_TOO_LONG] = CLOSE_MESSAGE_TOO_LONG,
		[PLAYER_WRONG_LENGTH] = CLOSE_UNEXPECTED_MESSAGE,
		[PLAYER_WAITING] = CLOSE_UNEXPECTED_MESSAGE,
	};
	session->has_mismatch = true;
	session->mismatch = *mismatch;
	return end(session, reasons[mismatch->fault]);
}

/* The conversation is over. */
static enum session_status
end_finished(struct session *session)
{
	if (session->ending != CLOSE_NONE)
		return end(session, session->ending);
	return end(
	    session, session->took_end ? CLOSE_PEER_CLOSED : CLOSE_CONVERSATION_CLOSED);
}

/* Writes what the server says now, or some of it; false if there is no room. */
static bool
write_output(struct session *session, struct session_output *out)
{
	size_t n = out->room - out->length;
	uint8_t *to = out->data + out->length;
	if (n == 0)
		return false;
	const uint8_t *bytes =
	    player_output(session->side, &session->player, to, &n, NULL, NULL);
	if (bytes != to)
		memcpy(to, bytes, n);
	out->length += n;
	return true;
}

/* The next event: of the bytes behind *used, then of the end of the client's stream. */
static enum player_event
next_event(struct session *session, const uint8_t *data, size_t length, size_t *used,
    struct player_detail *detail)
{
	size_t n = 0;
	enum player_event event = player_feed(session->side, &session->player,
	    data == NULL ? NULL : data + *used, length - *used, &n, detail);
	*used += n;
	bool waits = event == PLAYER_NEEDS_INPUT || event == PLAYER_EXPECTS_CLOSE ||
	    event == PLAYER_EXPECTS_RESET;
	if (!waits || !session->has_end || session->took_end)
		return event;
	session->took_end = true;
	event = player_end_of_input(session->side, &session->player, detail);
	return event == PLAYER_NEEDS_INPUT
	    ? next_event(session, NULL, 0, &(size_t){ 0 }, detail)
	    : event;
}

/* Acts on an event. False: return *ret_status; true: ask for the next one. */
static bool
on_event(struct session *session, enum player_event event,
    const struct player_detail *detail, struct session_output *out,
    enum session_status *ret_status)
{
	switch (event) {
	case PLAYER_HAS_OUTPUT:
		*ret_status = SESSION_FULL;
		return write_output(session, out);
	case PLAYER_OPENED:
	case PLAYER_STEP_DONE:
		return true;
	case PLAYER_PASS_DONE:
		out->passes++;
		*ret_status = SESSION_STOPPED;
		return !out->stops ||
		    !player_is_between_passes(session->side, &session->player);
	case PLAYER_PAUSE:
		session->pause_end_ns = clock_now_ns() + detail->pause_ns;
		*ret_status = SESSION_PAUSES;
		return false;
	case PLAYER_HALF_CLOSE:
		session->half_closes = true;
		*ret_status = SESSION_HALF_CLOSES;
		return false;
	case PLAYER_CLOSE:
		session->ending = CLOSE_CONVERSATION_CLOSED;
		return true;
	case PLAYER_RESET:
		session->ending = CLOSE_CONVERSATION_RESET;
		return true;
	case PLAYER_FINISHED:
		*ret_status = end_finished(session);
		return false;
	case PLAYER_MISMATCH:
		*ret_status = end_unexpected(session, &detail->mismatch);
		return false;
	case PLAYER_NO_MEMORY:
		*ret_status = end(session, CLOSE_NO_MEMORY);
		return false;
	case PLAYER_NEEDS_INPUT:
	case PLAYER_EXPECTS_CLOSE:
	case PLAYER_EXPECTS_RESET:
	case PLAYER_IDLE:
		break;
	}
	/* After the end of the client's stream it would wait for ever. */
	*ret_status =
	    session->took_end ? end(session, CLOSE_TRUNCATED_MESSAGE) : SESSION_WAITS;
	return false;
}

enum session_status
session_play(struct session *session, const uint8_t *data, size_t length,
    size_t *ret_used, struct session_output *out)
{
	struct player_detail detail;
	enum player_event event;
	enum session_status status;
	*ret_used = 0;
	if (session->half_closes)
		return SESSION_HALF_CLOSES;
	if (session->pause_end_ns != 0 && session->pause_end_ns > clock_now_ns())
		return SESSION_PAUSES;
	session->pause_end_ns = 0;
	do {
		event = next_event(session, data, length, ret_used, &detail);
	} while (on_event(session, event, &detail, out, &status));
	return status;
}

bool
session_take_reset(struct session *session, uint64_t *passes)
{
	struct player_detail detail;
	size_t used;
	enum player_event event =
	    player_reset_by_peer(session->side, &session->player, &detail);
	bool is_expected = event == PLAYER_NEEDS_INPUT;
	while (event != PLAYER_FINISHED && event != PLAYER_MISMATCH && is_expected) {
		event = player_feed(
		    session->side, &session->player, NULL, 0, &used, &detail);
		if (event == PLAYER_PASS_DONE)
			++*passes;
		else if (event != PLAYER_STEP_DONE)
			break;
	}
	return is_expected;
}

static uint8_t
flags_of(const struct session *session)
{
	bool is_between = player_is_between_passes(session->side, &session->player);
	int flags = (session->has_end ? SESSION_HAS_END : 0) |
	    (session->took_end ? SESSION_TOOK_END : 0) |
	    (session->half_closes ? SESSION_HALF_CLOSING : 0) |
	    (session->pause_end_ns != 0 ? SESSION_IS_PAUSING : 0) |
	    (is_between ? SESSION_IS_BETWEEN : 0);
	return (uint8_t)flags;
}

int
session_save(const struct session *session, struct buffer **input, const uint8_t *data,
    size_t length)
{
	struct session_header header = { .flags = flags_of(session),
		.ending = session->ending };
	header.player_bytes =
	    (uint32_t)player_saved_bytes(session->side, &session->player);
	size_t bytes = saved_bytes(&header) + length;
	struct buffer *saved = buffer_create(bytes);
	if (saved == NULL)
		return -1;
	uint8_t *out = saved->data;
	memcpy(out, &header, sizeof(header));
	out += sizeof(header);
	player_save(session->side, &session->player, out);
	out += header.player_bytes;
	if (session->pause_end_ns != 0) {
		memcpy(out, &session->pause_end_ns, sizeof(session->pause_end_ns));
		out += sizeof(session->pause_end_ns);
	}
	if (length > 0)
		memcpy(out, data, length);
	saved->end = bytes;
	buffer_release(input);
	*input = saved;
	return 0;
}

int
session_begin(
    const struct player_side *side, uint32_t connection, struct buffer **input)
{
	struct session session;
	const struct buffer *rest = *input;
	session_init(side, connection, &session);
	int rc = session_save(&session, input,
	    rest == NULL ? NULL : rest->data + rest->start, buffer_length(rest));
	session_close(&session);
	return rc;
}

size_t
session_waiting_bytes(const struct buffer *input)
{
	struct session_header header;
	if (input == NULL)
		return 0;
	memcpy(&header, input->data + input->start, sizeof(header));
	return buffer_length(input) - saved_bytes(&header);
}

bool
session_is_between_passes(const uint8_t *data, size_t length)
{
	struct session_header header;
	return length == 0 ||
	    (read_header(data, length, &header) &&
		(header.flags & SESSION_IS_BETWEEN) != 0);
}

uint64_t
session_opening_fingerprint(const struct conversation *conversation)
{
	const uint64_t prime = UINT64_C(0x100000001b3);
	if (conversation == NULL)
		return 0;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (uint16_t i = 0; i < conversation->opening_slots; i++)
		for (const char *c = conversation->slot_names[i];; c++) {
			hash = (hash ^ (uint8_t)*c) * prime;
			if (*c == '\0')
				break;
		}
	return hash == 0 ? 1 : hash;
}

bool
session_adopt(const struct player_side *side, struct buffer **input)
{
	struct session_header header;
	struct session session;
	if (*input == NULL)
		return true;
	const uint8_t *bytes = (*input)->data + (*input)->start;
	if (!read_header(bytes, buffer_length(*input), &header))
		return false;
	set(side, &header, bytes, &session);
	if (player_load(side, bytes + sizeof(header), header.player_bytes,
		&session.player) != PLAYER_LOADED)
		return false;
	size_t waiting = session_waiting_bytes(*input);
	int rc = session_save(
	    &session, input, (*input)->data + (*input)->end - waiting, waiting);
	session_close(&session);
	return rc == 0;
}
