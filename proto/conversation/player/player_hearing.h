/*
 * player_hearing.h - a part while it is being heard, shared by these files:
 *
 *   player_hear     known bytes, counted parts, repeated lines; which part is next
 *   player_match    parts of which this side knows the form only
 *   player_hearing  takes bytes, completes a part, reports a mismatch
 */
#ifndef PROTO_CONVERSATION_PLAYER_PLAYER_HEARING_H
#define PROTO_CONVERSATION_PLAYER_PLAYER_HEARING_H

#include "proto/conversation/player/player_parts.h"

struct hearing {
	const struct player_side *side;
	struct player *player;
	const struct conversation_part *part;
	struct player_input *input;
	struct player_detail *detail;
	const uint8_t *data; /* the next bytes, which are not used yet */
	size_t length;       /* of them, up to the end of the counted part */
	bool ends;           /* the counted part ends behind them */
};

static inline void
hearing_use(struct hearing *hearing, size_t length)
{
	hearing->input->used += length;
	hearing->player->received += length;
	hearing->data += length;
	hearing->length -= length;
}

/* Bytes of the part that were heard; stays at the most that fits. */
static inline void
hearing_advance(struct hearing *hearing, size_t length)
{
	uint32_t *offset = &hearing->player->hear.offset;
	*offset =
	    length > UINT32_MAX - *offset ? UINT32_MAX : *offset + (uint32_t)length;
}

/* Ends the capture of the part, and moves the cursor behind it. */
static inline enum player_heard
hearing_complete(struct hearing *hearing)
{
	struct player *player = hearing->player;
	if (hearing->part->slot != CONVERSATION_NONE &&
	    !player_capture_end(hearing->side, player, hearing->part))
		return PLAYER_HEARD_NO_MEMORY;
	player->hear = (struct player_cursor){ .part = player->hear.part + 1 };
	player->state = 0;
	return PLAYER_HEARD;
}

/* Returns PLAYER_HEARD_WRONG. */
enum player_heard hearing_wrong(struct hearing *hearing, enum player_fault fault);
/* A counted part ends `counted` bytes too early or, if negative, too late. */
enum player_heard hearing_wrong_length(struct hearing *hearing, int64_t counted);
/* All bytes are used, and the part is not complete. */
enum player_heard hearing_more(struct hearing *hearing);

/* How many of `length` more bytes of the part its capture has room for. */
size_t hearing_room(const struct hearing *hearing, size_t length);
/* Appends bytes to the capture of the part, for which it has room, and counts them. */
enum player_heard hearing_keep(
    struct hearing *hearing, const uint8_t *data, size_t length);
/* Keeps and uses bytes that belong to the part. */
enum player_heard hearing_take(struct hearing *hearing, size_t length);

/* A number whose value only the other side knows, or a length. */
enum player_heard player_match_number(struct hearing *hearing);
/* The payload of the other side: its size and its range of bytes are known. */
enum player_heard player_match_payload(struct hearing *hearing);
enum player_heard player_match_random(struct hearing *hearing);
enum player_heard player_match_bytes(struct hearing *hearing);
enum player_heard player_match_alternatives(struct hearing *hearing);
/* Bytes up to the first occurrence of the literal that follows, which is heard with
 * them, or up to the end of the counted part. */
enum player_heard player_match_any(struct hearing *hearing);

#endif
