#include "proto/conversation/player/player_hearing.h"

#include <string.h>

enum player_heard
player_hear_wrong(const struct player_side *side, const struct player *player,
    const struct player_input *input, enum player_fault fault,
    struct player_detail *detail)
{
	struct player_mismatch *mismatch = &detail->mismatch;
	uint16_t end = side->conversation->sections[player->section].end;
	size_t length = input->length - input->used;
	*mismatch = (struct player_mismatch){
		.fault = fault,
		.part = player->hear.part < end || end == 0 ? player->hear.part
							    : (uint16_t)(end - 1),
		.at = player->hear.offset,
		.pass = player->pass,
		.section = player->section,
		.offset = player->received,
	};
	if (length > PLAYER_FOUND_MAX)
		length = PLAYER_FOUND_MAX;
	if (length > 0)
		memcpy(mismatch->found, input->data + input->used, length);
	size_t more = PLAYER_FOUND_MAX - length;
	if (more > input->next_length)
		more = input->next_length;
	if (more > 0)
		memcpy(mismatch->found + length, input->next, more);
	mismatch->found_length = (uint8_t)(length + more);
	return PLAYER_HEARD_WRONG;
}

enum player_heard
hearing_wrong(struct hearing *hearing, enum player_fault fault)
{
	return player_hear_wrong(
	    hearing->side, hearing->player, hearing->input, fault, hearing->detail);
}

enum player_heard
hearing_wrong_length(struct hearing *hearing, int64_t counted)
{
	enum player_heard heard = hearing_wrong(hearing, PLAYER_WRONG_LENGTH);
	hearing->detail->mismatch.counted = counted;
	return heard;
}

enum player_heard
hearing_more(struct hearing *hearing)
{
	return hearing->ends ? hearing_wrong_length(hearing, 0) : PLAYER_HEARD_PART;
}

size_t
hearing_room(const struct hearing *hearing, size_t length)
{
	const struct player *player = hearing->player;
	uint32_t max = hearing->part->kind == CONVERSATION_PAYLOAD
	    ? CONVERSATION_PAYLOAD_MAX
	    : CONVERSATION_CAPTURE_MAX;
	if (hearing->part->slot == CONVERSATION_NONE)
		return length;
	size_t room = player_capture_room(hearing->side, player);
	if (room > max - player->hear.offset)
		room = max - player->hear.offset;
	return length < room ? length : room;
}

enum player_heard
hearing_keep(struct hearing *hearing, const uint8_t *data, size_t length)
{
	if (!player_capture_append(
		hearing->side, hearing->player, hearing->part, data, length))
		return PLAYER_HEARD_NO_MEMORY;
	hearing_advance(hearing, length);
	return PLAYER_HEARD;
}

enum player_heard
hearing_take(struct hearing *hearing, size_t length)
{
	if (hearing->part->slot == CONVERSATION_NONE) {
		hearing_advance(hearing, length);
		hearing_use(hearing, length);
		return PLAYER_HEARD;
	}
	size_t room = hearing_room(hearing, length);
	enum player_heard heard = hearing_keep(hearing, hearing->data, room);
	if (heard != PLAYER_HEARD)
		return heard;
	hearing_use(hearing, room);
	return room == length ? PLAYER_HEARD : hearing_wrong(hearing, PLAYER_TOO_LONG);
}
