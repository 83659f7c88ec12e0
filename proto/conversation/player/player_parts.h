/*
 * player_parts.h - what the files of a player share.
 *
 *   player          events: where the two cursors stand, sections, passes
 *   player_hear     hears a part: matches bytes at any segmentation (player_hearing.h)
 *   player_output   says parts
 *   player_value    the bytes of a part that this side can make
 *   player_capture  the bytes that this side has heard and needs again
 */
#ifndef PROTO_CONVERSATION_PLAYER_PLAYER_PARTS_H
#define PROTO_CONVERSATION_PLAYER_PLAYER_PARTS_H

#include "proto/conversation/player/player.h"

enum player_flag {
	PLAYER_OVER = 1,         /* FINISHED */
	PLAYER_ENDING = 2,       /* client: player_start_end */
	PLAYER_CHOSEN = 4,       /* server: the pass has begun, the end has not */
	PLAYER_STEP_PENDING = 8, /* STEP_DONE is to be reported */
	PLAYER_HALF_CLOSED = 16, /* the peer has ended its stream */
};

#define PLAYER_NUMBER_MAX 24 /* bytes of a number in any form */

struct player_slot {
	uint32_t start, length; /* in the block of captures */
};

/* player_value: parts that this side says, and what is known to both. `pass` is the
 * number of the pass; it is ignored for parts of the opening. `at`: the part. */
uint64_t player_value_length(const struct player_side *side,
    const struct player *player, uint64_t pass, uint16_t at);
/* Bytes from .. from + length - 1 of them. */
void player_value_bytes(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t at, uint64_t from, uint8_t *out, size_t length);
/* All bytes of a number, or of what the peer has said, and how many they are: in
 * out[PLAYER_NUMBER_MAX], or in memory that stays until the next capture. NULL: another
 * part, whose bytes are made in pieces. */
const uint8_t *player_value_whole(const struct player_side *side,
    const struct player *player, uint64_t pass, uint16_t at, uint8_t *out,
    uint64_t *ret_length);
/* Value of a number, BYTES or a captured number, modulo 2^64. */
uint64_t player_value_number(const struct player_side *side,
    const struct player *player, uint64_t pass, uint16_t at);
/* Bytes of a number that the peer says in a fixed number of bytes; 0: of any length. */
uint32_t player_value_size(const struct conversation_part *number);

/* player_capture: these return false if there is no memory. Appends bytes of the part
 * that is heard, before player->hear.offset counts them; at most
 * player_capture_room(). Nothing to do for a part without a slot. */
bool player_capture_append(const struct player_side *side, struct player *player,
    const struct conversation_part *part, const uint8_t *data, size_t length);
size_t player_capture_room(const struct player_side *side, const struct player *player);
/* The part is complete: the last player->hear.offset bytes are its capture. */
bool player_capture_end(const struct player_side *side, struct player *player,
    const struct conversation_part *part);
/* Forgets the slots from `first` on. */
bool player_capture_reset(
    const struct player_side *side, struct player *player, uint16_t first);
/* The bytes in a slot; NULL and 0 if there are none. */
const uint8_t *player_capture_get(
    const struct player *player, uint16_t slot, uint32_t *ret_length);

/* player_hear: the bytes that are heard. */
struct player_input {
	const uint8_t *data;
	size_t length, used;
	/* Bytes that follow data: the input, while known bytes are heard again. */
	const uint8_t *next;
	size_t next_length;
};
enum player_heard {
	PLAYER_HEARD,       /* the part is complete; the cursor is behind it */
	PLAYER_HEARD_PART,  /* more bytes are needed */
	PLAYER_HEARD_WRONG, /* detail->mismatch */
	PLAYER_HEARD_NO_MEMORY,
};
/* Hears the part at the cursor, which is a text of the peer, and those behind it, up to
 * the end of the run or to a control. PLAYER_HEARD: the cursor is there. */
enum player_heard player_hear(const struct player_side *side, struct player *player,
    struct player_input *input, struct player_detail *detail);
/* Hears `length` bytes of the literal at `part` once more, as the text at the cursor:
 * they turned out to belong there. */
enum player_heard player_hear_again(const struct player_side *side,
    struct player *player, struct player_input *input, uint16_t part, uint32_t length,
    struct player_detail *detail);
/* The bytes of `input` that continue a literal of which player->hear.offset bytes were
 * heard; at most CONVERSATION_DECIDE_MAX are compared. PLAYER_HEARD: all of them came;
 * PLAYER_HEARD_WRONG: another byte is next (nothing is written). */
enum player_heard player_hear_decision(const struct player_side *side,
    struct player *player, struct player_input *input, uint16_t part);
/* player_hearing: writes detail->mismatch. Returns PLAYER_HEARD_WRONG. */
enum player_heard player_hear_wrong(const struct player_side *side,
    const struct player *player, const struct player_input *input,
    enum player_fault fault, struct player_detail *detail);

/* player: moves the cursor of what is said to the next part that is said now. True if
 * there is one, which has bytes or is a control. */
bool player_can_say(const struct player_side *side, struct player *player);

/* player: the literal of the end section by which a server sees that no further pass
 * follows; NONE: there is no end section, or it does not start with text. */
uint16_t player_decider(const struct player_side *side);

static inline const struct conversation_part *
player_part(const struct player_side *side, uint16_t part)
{
	return &side->conversation->parts[part];
}

static inline bool
player_is_control(const struct conversation_part *part)
{
	return part->kind >= CONVERSATION_PAUSE;
}

#endif
