/*
 * player_save.c - the flat form of a player:
 *
 *   struct saved | captures: slots and bytes | name of each slot of the opening
 *
 * Whatever the bytes are, a player that is loaded stays within its arrays.
 */
#include <string.h>

#include "proto/conversation/player/player_parts.h"

#define FORMAT 1                      /* of struct saved; native byte order */
#define AHEAD_MAX (UINT32_C(1) << 24) /* passes in flight */
#define NUMBER_DIGITS_MAX 20          /* bytes of a captured number in any form */

struct saved {
	uint64_t digest, received, pass;
	uint32_t format, ahead, started, connection, captured, state;
	struct player_cursor say, hear;
	uint32_t ends[CONVERSATION_NESTING_MAX];
	uint16_t slots, opening_slots; /* of its conversation */
	uint8_t depth, section, flags, role;
	uint8_t is_between; /* player_is_between_passes */
	uint8_t unused[7];
};

/* Where the parts of a flat form lie. */
struct flat {
	struct saved saved;
	const uint8_t *captures;
	const char (*names)[CONVERSATION_NAME_MAX];
};

/* A table without captures is not saved. */
static uint32_t
captured_bytes(const struct player_side *side, const struct player *player)
{
	size_t table = side->conversation->slot_count * sizeof(struct player_slot);
	return player->captures == NULL || player->captured <= table ? 0
								     : player->captured;
}

static size_t
names_bytes(const struct conversation *conversation)
{
	return conversation->opening_slots * sizeof(*conversation->slot_names);
}

size_t
player_saved_bytes(const struct player_side *side, const struct player *player)
{
	return sizeof(struct saved) + captured_bytes(side, player) +
	    names_bytes(side->conversation);
}

void
player_save(const struct player_side *side, const struct player *player, uint8_t *out)
{
	const struct conversation *conversation = side->conversation;
	struct saved saved = {
		.digest = conversation->digest,
		.received = player->received,
		.pass = player->pass,
		.format = FORMAT,
		.ahead = player->ahead,
		.started = player->started,
		.connection = player->connection,
		.captured = captured_bytes(side, player),
		.state = player->state,
		.say = player->say,
		.hear = player->hear,
		.slots = conversation->slot_count,
		.opening_slots = conversation->opening_slots,
		.depth = player->depth,
		.section = player->section,
		.flags = player->flags,
		.role = (uint8_t)side->role,
		.is_between = player_is_between_passes(side, player),
	};
	memcpy(saved.ends, player->ends, sizeof(saved.ends));
	memcpy(out, &saved, sizeof(saved));
	out += sizeof(saved);
	if (saved.captured > 0)
		memcpy(out, player->captures->data, saved.captured);
	if (conversation->opening_slots > 0)
		memcpy(out + saved.captured, conversation->slot_names,
		    names_bytes(conversation));
}

/* Without the captures. */
static void
set(const struct saved *saved, struct player *ret)
{
	*ret = (struct player){
		.received = saved->received,
		.pass = saved->pass,
		.ahead = saved->ahead,
		.started = saved->started,
		.connection = saved->connection,
		.captured = saved->captured,
		.state = saved->state,
		.say = saved->say,
		.hear = saved->hear,
		.depth = saved->depth,
		.section = saved->section,
		.flags = saved->flags,
	};
	memcpy(ret->ends, saved->ends, sizeof(ret->ends));
}

int
player_restore(const uint8_t *data, struct player *ret)
{
	struct saved saved;
	memcpy(&saved, data, sizeof(saved));
	set(&saved, ret);
	return buffer_append(&ret->captures, data + sizeof(saved), saved.captured);
}

static bool
split(const uint8_t *data, size_t length, struct flat *ret)
{
	struct saved *saved = &ret->saved;
	if (length < sizeof(*saved))
		return false;
	memcpy(saved, data, sizeof(*saved));
	size_t table = saved->slots * sizeof(struct player_slot);
	size_t names = saved->opening_slots * (size_t)CONVERSATION_NAME_MAX;
	if (saved->format != FORMAT || saved->opening_slots > saved->slots ||
	    (saved->captured > 0 && saved->captured < table) ||
	    length - sizeof(*saved) != (size_t)saved->captured + names)
		return false;
	ret->captures = data + sizeof(*saved);
	ret->names =
	    (const char(*)[CONVERSATION_NAME_MAX])(ret->captures + saved->captured);
	return true;
}

static struct player_slot
slot_at(const struct flat *flat, uint16_t slot)
{
	struct player_slot copy = { .length = 0 };
	if (flat->saved.captured > 0)
		memcpy(&copy, flat->captures + slot * sizeof(copy), sizeof(copy));
	return copy;
}

/* All slots lie in the captured bytes. */
static bool
are_slots_valid(const struct flat *flat)
{
	const struct saved *saved = &flat->saved;
	uint32_t table = saved->slots * (uint32_t)sizeof(struct player_slot);
	for (uint16_t i = 0; i < saved->slots; i++) {
		struct player_slot slot = slot_at(flat, i);
		if (slot.length == 0 && slot.start == 0)
			continue;
		if (slot.start < table || slot.start > saved->captured ||
		    slot.length > saved->captured - slot.start)
			return false;
	}
	return true;
}

/* A capture has no more bytes than its part can have. */
static bool
fits_part(const struct conversation_part *part, uint32_t length)
{
	if (part->kind != CONVERSATION_NUMBER)
		return length <= CONVERSATION_PAYLOAD_MAX;
	if (part->form == CONVERSATION_VARINT)
		return length <= 4;
	return length <=
	    (player_value_size(part) > 0 ? player_value_size(part) : NUMBER_DIGITS_MAX);
}

static bool
do_captures_fit(const struct player_side *side, const struct flat *flat)
{
	const struct conversation *conversation = side->conversation;
	for (uint16_t i = 0; i < conversation->part_count; i++) {
		const struct conversation_part *part = &conversation->parts[i];
		if (part->slot != CONVERSATION_NONE &&
		    !fits_part(part, slot_at(flat, part->slot).length))
			return false;
	}
	return true;
}

/* Counted parts that are open before a part. */
static uint8_t
depth_at(const struct conversation *conversation,
    const struct conversation_range *section, uint16_t part)
{
	int depth = 0;
	for (uint16_t i = section->first; i < part; i++)
		depth += conversation->parts[i].kind == CONVERSATION_GROUP_BEGIN ? 1
		    : conversation->parts[i].kind == CONVERSATION_GROUP_END      ? -1
										 : 0;
	return (uint8_t)depth;
}

static uint32_t
decision_length(const struct conversation_part *literal)
{
	return literal->length < CONVERSATION_DECIDE_MAX ? literal->length
							 : CONVERSATION_DECIDE_MAX;
}

/* The offset in the part that is heard is one that it can have. */
static bool
is_hearing_valid(const struct player_side *side, const struct saved *saved)
{
	const struct conversation *conversation = side->conversation;
	const struct conversation_part *part = &conversation->parts[saved->hear.part];
	uint32_t offset = saved->hear.offset;
	uint32_t table =
	    conversation->slot_count * (uint32_t)sizeof(struct player_slot);
	uint32_t kept = saved->captured == 0 ? 0 : saved->captured - table;
	if (part->slot != CONVERSATION_NONE && offset > kept)
		return false;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_LITERAL:
	case CONVERSATION_RANDOM:
	case CONVERSATION_PAYLOAD:
		return offset <= part->length;
	case CONVERSATION_NUMBER:
		return player_value_size(part) == 0
		    ? part->form != CONVERSATION_VARINT || offset < 4
		    : offset <= player_value_size(part);
	case CONVERSATION_ANY:
		return part[1].kind != CONVERSATION_LITERAL ||
		    saved->state < part[1].length;
	case CONVERSATION_STAR_BEGIN:
		return offset <= decision_length(&conversation->parts[part->reference]);
	case CONVERSATION_ALTERNATIVES:
	case CONVERSATION_REFERENCE:
	case CONVERSATION_BYTES:
		return true;
	default:
		return offset == 0;
	}
}

static uint16_t
first_heard(
    const struct conversation *conversation, const struct conversation_range *section)
{
	uint16_t at = section->first;
	while (
	    at + 1 < section->end && conversation->parts[at].kind == CONVERSATION_PAUSE)
		at++;
	return at;
}

/* True for a part inside a text of this side. Hearing waits only at the first part of
 * such a text. */
static bool
is_inside_own(const struct player_side *side, const struct conversation_range *section,
    uint16_t part)
{
	return player_part(side, part)->speaker == side->role &&
	    part > section->first &&
	    player_part(side, (uint16_t)(part - 1))->speaker == side->role;
}

/* The position is one of this conversation. */
static bool
is_position_valid(const struct player_side *side, const struct saved *saved)
{
	const struct conversation *conversation = side->conversation;
	if (saved->section >= CONVERSATION_SECTION_COUNT || saved->role != side->role)
		return false;
	const struct conversation_range *section =
	    &conversation->sections[saved->section];
	bool is_repeat = saved->section == CONVERSATION_REPEAT;
	if (saved->say.part < section->first || saved->say.part > section->end ||
	    saved->hear.part < section->first || saved->hear.part > section->end ||
	    saved->depth != depth_at(conversation, section, saved->hear.part) ||
	    saved->ahead > (is_repeat ? AHEAD_MAX : 0) || saved->started > AHEAD_MAX)
		return false;
	if ((saved->flags & PLAYER_STEP_PENDING) != 0 &&
	    (saved->hear.part == section->first ||
		conversation->parts[saved->hear.part - 1].exchange ==
		    CONVERSATION_NONE))
		return false;
	if (saved->hear.part == section->end)
		return true;
	if (is_inside_own(side, section, saved->hear.part))
		return false;
	if (is_repeat && side->role == CONVERSATION_SERVER &&
	    saved->hear.part == first_heard(conversation, section) &&
	    (saved->flags & PLAYER_CHOSEN) == 0) {
		uint16_t decider = player_decider(side);
		return saved->hear.offset <=
		    (decider == CONVERSATION_NONE
			    ? 0
			    : decision_length(player_part(side, decider)));
	}
	return is_hearing_valid(side, saved);
}

/* BYTES has not had more than its length. */
static bool
is_count_valid(const struct player_side *side, const struct player *player)
{
	const struct conversation_range *section =
	    &side->conversation->sections[player->section];
	return player->hear.part == section->end ||
	    player_part(side, player->hear.part)->kind != CONVERSATION_BYTES ||
	    player->hear.offset <=
	    player_value_number(side, player, player->pass, player->hear.part);
}

static enum player_load
load_same(const struct player_side *side, const struct flat *flat, struct player *ret)
{
	const struct saved *saved = &flat->saved;
	struct player player;
	set(saved, &player);
	if (saved->slots != side->conversation->slot_count ||
	    saved->captured > side->capture_max || !is_position_valid(side, saved) ||
	    !do_captures_fit(side, flat))
		return PLAYER_INVALID;
	if (saved->captured > 0 &&
	    buffer_append(&player.captures, flat->captures, saved->captured) < 0)
		return PLAYER_LOAD_NO_MEMORY;
	if (!is_count_valid(side, &player)) {
		player_finish(&player);
		return PLAYER_INVALID;
	}
	*ret = player;
	return PLAYER_LOADED;
}

/* The slot of the opening that was saved with this name, or NONE. */
static uint16_t
find_slot(const struct flat *flat, const char *name)
{
	for (uint16_t i = flat->saved.opening_slots; i-- > 0;)
		if (memcmp(flat->names[i], name, strlen(name) + 1) == 0)
			return i;
	return CONVERSATION_NONE;
}

/* Copies what the new conversation captures in its opening. */
static enum player_load
load_captures(
    const struct player_side *side, const struct flat *flat, struct player *player)
{
	const struct conversation *conversation = side->conversation;
	for (uint16_t i = 0; i < conversation->sections[CONVERSATION_OPENING].end;
	     i++) {
		const struct conversation_part *part = &conversation->parts[i];
		if (part->slot == CONVERSATION_NONE || part->speaker == side->role)
			continue;
		uint16_t from = find_slot(flat, conversation->slot_names[part->slot]);
		if (from == CONVERSATION_NONE)
			return PLAYER_OTHER_CONVERSATION;
		struct player_slot slot = slot_at(flat, from);
		if (!fits_part(part, slot.length) ||
		    slot.length > player_capture_room(side, player))
			return PLAYER_OTHER_CONVERSATION;
		player->hear.offset = slot.length;
		if (!player_capture_append(
			side, player, part, flat->captures + slot.start, slot.length) ||
		    !player_capture_end(side, player, part))
			return PLAYER_LOAD_NO_MEMORY;
	}
	return PLAYER_LOADED;
}

static enum player_load
load_other(const struct player_side *side, const struct flat *flat, struct player *ret)
{
	const struct saved *saved = &flat->saved;
	uint16_t first = side->conversation->sections[CONVERSATION_REPEAT].first;
	struct player player = {
		.received = saved->received,
		.pass = saved->pass,
		.connection = saved->connection,
		.section = CONVERSATION_REPEAT,
	};
	if (saved->role != side->role)
		return PLAYER_INVALID;
	if (!saved->is_between)
		return PLAYER_OTHER_CONVERSATION;
	enum player_load status = load_captures(side, flat, &player);
	player.say = player.hear = (struct player_cursor){ .part = first };
	if (status == PLAYER_LOADED)
		*ret = player;
	else
		player_finish(&player);
	return status;
}

enum player_load
player_load(const struct player_side *side, const uint8_t *data, size_t length,
    struct player *ret)
{
	struct flat flat;
	if (!split(data, length, &flat) || !are_slots_valid(&flat))
		return PLAYER_INVALID;
	return flat.saved.digest == side->conversation->digest
	    ? load_same(side, &flat, ret)
	    : load_other(side, &flat, ret);
}
