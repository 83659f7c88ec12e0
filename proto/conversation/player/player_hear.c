#include <string.h>

#include "proto/conversation/player/player_hearing.h"

#define CHUNK 512 /* bytes that are made to be compared */

/* Bytes left in the open counted part; UINT32_MAX: none is open. */
static uint32_t
group_left(const struct player *player)
{
	return player->depth == 0
	    ? UINT32_MAX
	    : player->ends[player->depth - 1] - (uint32_t)player->received;
}

/* Takes the bytes that are used, and those that may be used now. */
static void
look(struct hearing *hearing)
{
	struct player_input *input = hearing->input;
	uint32_t left = group_left(hearing->player);
	hearing->data =
	    input->data == NULL ? (const uint8_t *)"" : input->data + input->used;
	hearing->length = input->length - input->used;
	hearing->ends = hearing->player->depth > 0 && left <= hearing->length;
	if (hearing->ends)
		hearing->length = left;
}

/* Compares with known bytes, at least one; uses those that are equal. False: not all
 * are. */
static inline bool
take_equal(struct hearing *hearing, const uint8_t *expected, size_t length)
{
	const uint8_t *data = hearing->data;
	size_t same = 0;
	if (data[0] == expected[0] && memcmp(data, expected, length) == 0)
		same = length;
	else
		while (data[same] == expected[same])
			same++;
	hearing_use(hearing, same);
	hearing_advance(hearing, same);
	return same == length;
}

/* A part that has exactly these bytes, and no capture. */
static enum player_heard
hear_equal(struct hearing *hearing, const uint8_t *expected, uint64_t total)
{
	uint32_t offset = hearing->player->hear.offset;
	uint64_t n = total > offset ? total - offset : 0;
	if (n > hearing->length)
		n = hearing->length;
	if (n > 0 && !take_equal(hearing, expected + offset, n))
		return hearing_wrong(hearing, PLAYER_WRONG_BYTES);
	return offset + n == total ? hearing_complete(hearing) : hearing_more(hearing);
}

static enum player_heard
hear_literal(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	return hear_equal(
	    hearing, hearing->side->conversation->bytes + part->at, part->length);
}

/* Hears bytes that this side can make itself: made in pieces. */
static enum player_heard
hear_made(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint16_t part = player->hear.part;
	uint64_t total = player_value_length(hearing->side, player, player->pass, part);
	uint8_t expected[CHUNK];
	while (hearing->length > 0 && player->hear.offset < total) {
		uint64_t n = total - player->hear.offset;
		if (n > hearing->length)
			n = hearing->length;
		if (n > CHUNK)
			n = CHUNK;
		player_value_bytes(hearing->side, player, player->pass, part,
		    player->hear.offset, expected, n);
		if (hearing_room(hearing, n) < n)
			return hearing_wrong(hearing, PLAYER_TOO_LONG);
		if (!player_capture_append(
			hearing->side, player, hearing->part, expected, n))
			return PLAYER_HEARD_NO_MEMORY;
		if (!take_equal(hearing, expected, n))
			return hearing_wrong(hearing, PLAYER_WRONG_BYTES);
	}
	return player->hear.offset == total ? hearing_complete(hearing)
					    : hearing_more(hearing);
}

static enum player_heard
hear_known(struct hearing *hearing)
{
	const struct player *player = hearing->player;
	uint8_t number[PLAYER_NUMBER_MAX];
	uint64_t total;
	if (hearing->part->slot != CONVERSATION_NONE)
		return hear_made(hearing);
	const uint8_t *whole = player_value_whole(
	    hearing->side, player, player->pass, player->hear.part, number, &total);
	return whole == NULL ? hear_made(hearing) : hear_equal(hearing, whole, total);
}

static enum player_heard
begin_group(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint32_t length = player->ends[player->depth];
	if (length > group_left(player))
		return hearing_wrong_length(
		    hearing, (int64_t)length - (int64_t)group_left(player));
	player->ends[player->depth++] = (uint32_t)player->received + length;
	look(hearing);
	return hearing_complete(hearing);
}

static enum player_heard
end_group(struct hearing *hearing)
{
	uint32_t left = group_left(hearing->player);
	if (left > 0)
		return hearing_wrong_length(hearing, left);
	hearing->player->depth--;
	look(hearing);
	return hearing_complete(hearing);
}

/* As player_hear_decision. */
static enum player_heard
hear_decision(struct hearing *hearing, const struct conversation_part *part)
{
	uint32_t offset = hearing->player->hear.offset;
	uint32_t total = part->length < CONVERSATION_DECIDE_MAX
	    ? part->length
	    : CONVERSATION_DECIDE_MAX;
	size_t n = total - offset;
	if (n > hearing->length)
		n = hearing->length;
	if (n > 0 &&
	    !take_equal(
		hearing, hearing->side->conversation->bytes + part->at + offset, n))
		return PLAYER_HEARD_WRONG;
	return offset + n == total ? PLAYER_HEARD : PLAYER_HEARD_PART;
}

enum player_heard
player_hear_decision(const struct player_side *side, struct player *player,
    struct player_input *input, uint16_t part)
{
	struct hearing hearing = { .side = side, .player = player, .input = input };
	look(&hearing);
	return hear_decision(&hearing, player_part(side, part));
}

enum player_heard
player_hear_again(const struct player_side *side, struct player *player,
    struct player_input *input, uint16_t part, uint32_t length,
    struct player_detail *detail)
{
	const struct conversation *conversation = side->conversation;
	struct player_input known = {
		.data = conversation->bytes + player_part(side, part)->at,
		.length = length,
		.next = input->data == NULL ? NULL : input->data + input->used,
		.next_length = input->length - input->used,
	};
	player->received -= length;
	while (known.used < known.length) {
		if (player->hear.part == conversation->sections[player->section].end ||
		    player_part(side, player->hear.part)->speaker == side->role ||
		    player_is_control(player_part(side, player->hear.part)))
			return player_hear_wrong(
			    side, player, &known, PLAYER_WRONG_BYTES, detail);
		enum player_heard heard = player_hear(side, player, &known, detail);
		if (heard != PLAYER_HEARD && heard != PLAYER_HEARD_PART)
			return heard;
	}
	return PLAYER_HEARD;
}

/* Tries the line behind the repetition first. If it is another one, what is known of it
 * belongs to the repetition. */
static enum player_heard
hear_star(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint16_t star = player->hear.part, following = hearing->part->reference;
	enum player_heard heard =
	    hear_decision(hearing, player_part(hearing->side, following));
	if (heard == PLAYER_HEARD_PART)
		return heard;
	uint32_t offset = player->hear.offset;
	player->state = 0;
	if (heard == PLAYER_HEARD) {
		player->hear.part = following;
		return PLAYER_HEARD;
	}
	player->hear = (struct player_cursor){ .part = star + 1 };
	if (offset > hearing->input->used) {
		heard = player_hear_again(hearing->side, player, hearing->input,
		    following, offset, hearing->detail);
	} else { /* all that is known came with this input */
		hearing->input->used -= offset;
		player->received -= offset;
		heard = PLAYER_HEARD;
	}
	if (offset > 0)
		look(hearing);
	return heard;
}

/* The captures of a repeated line are those of the last one; none is needed again. */
static enum player_heard
end_star(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint16_t begin = hearing->part->reference;
	for (uint16_t i = begin; i < player->hear.part; i++) {
		uint16_t slot = player_part(hearing->side, i)->slot;
		if (slot == CONVERSATION_NONE)
			continue;
		if (!player_capture_reset(hearing->side, player, slot))
			return PLAYER_HEARD_NO_MEMORY;
		break;
	}
	player->hear = (struct player_cursor){ .part = begin };
	player->state = 0;
	return PLAYER_HEARD;
}

static enum player_heard
hear_part(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_LITERAL:
		return hear_literal(hearing);
	case CONVERSATION_NUMBER:
		return part->term == CONVERSATION_TERM_CONSTANT ||
			part->term == CONVERSATION_TERM_REFERENCE
		    ? hear_known(hearing)
		    : player_match_number(hearing);
	case CONVERSATION_REFERENCE:
		return hear_known(hearing);
	case CONVERSATION_RANDOM:
		return player_match_random(hearing);
	case CONVERSATION_PAYLOAD:
		return player_match_payload(hearing);
	case CONVERSATION_BYTES:
		return player_match_bytes(hearing);
	case CONVERSATION_ALTERNATIVES:
		return player_match_alternatives(hearing);
	case CONVERSATION_ANY:
		return player_match_any(hearing);
	case CONVERSATION_GROUP_BEGIN:
		return begin_group(hearing);
	case CONVERSATION_GROUP_END:
		return end_group(hearing);
	case CONVERSATION_STAR_BEGIN:
		return hear_star(hearing);
	case CONVERSATION_STAR_END:
		return end_star(hearing);
	default:
		return hearing_complete(hearing);
	}
}

enum player_heard
player_hear(const struct player_side *side, struct player *player,
    struct player_input *input, struct player_detail *detail)
{
	struct hearing hearing = {
		.side = side,
		.player = player,
		.part = player_part(side, player->hear.part),
		.input = input,
		.detail = detail,
	};
	uint16_t end = hearing.part->run_end;
	enum player_heard heard;
	look(&hearing);
	do
		heard = hear_part(&hearing);
	while (heard == PLAYER_HEARD && player->hear.part != end &&
	    (hearing.part = player_part(side, player->hear.part),
		!player_is_control(hearing.part)));
	return heard;
}
