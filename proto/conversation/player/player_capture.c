/*
 * player_capture.c - the block of captures: a table of slots, then bytes. Within a pass
 * bytes are only appended, and each slot is written once: what is heard again after an
 * undo finds what was there the first time.
 */
#include <string.h>

#include "proto/conversation/player/player_parts.h"

#define LARGE 4096 /* bytes of a block that is not kept for the next pass */

static uint32_t
table_bytes(const struct player_side *side)
{
	return side->conversation->slot_count * (uint32_t)sizeof(struct player_slot);
}

static struct player_slot
get_slot(const struct player *player, uint16_t slot)
{
	struct player_slot copy;
	memcpy(&copy, player->captures->data + slot * sizeof(copy), sizeof(copy));
	return copy;
}

/* Makes room behind what is in use, and the table first. */
static bool
reserve(const struct player_side *side, struct player *player, size_t length)
{
	uint32_t table = player->captures == NULL ? table_bytes(side) : 0;
	if (player->captures != NULL)
		player->captures->end = player->captured;
	if (buffer_reserve(&player->captures, table + length) < 0)
		return false;
	if (table > 0) {
		memset(player->captures->data, 0, table);
		player->captures->end = player->captured = table;
	}
	return true;
}

size_t
player_capture_room(const struct player_side *side, const struct player *player)
{
	uint32_t used = player->captures == NULL ? table_bytes(side) : player->captured;
	return used < side->capture_max ? side->capture_max - used : 0;
}

bool
player_capture_append(const struct player_side *side, struct player *player,
    const struct conversation_part *part, const uint8_t *data, size_t length)
{
	if (part->slot == CONVERSATION_NONE || length == 0)
		return true;
	if (!reserve(side, player, length))
		return false;
	memcpy(player->captures->data + player->captured, data, length);
	player->captured += (uint32_t)length;
	player->captures->end = player->captured;
	return true;
}

bool
player_capture_end(const struct player_side *side, struct player *player,
    const struct conversation_part *part)
{
	uint32_t length = player->hear.offset;
	if (part->slot == CONVERSATION_NONE)
		return true;
	if (!reserve(side, player, 0))
		return false;
	struct player_slot slot = { .start = player->captured - length,
		.length = length };
	memcpy(player->captures->data + part->slot * sizeof(slot), &slot, sizeof(slot));
	return true;
}

/* Bytes of the table and the captures before slot `first`. */
static uint32_t
bytes_before(
    const struct player_side *side, const struct player *player, uint16_t first)
{
	uint32_t end = table_bytes(side);
	for (uint16_t i = 0; i < first; i++) {
		struct player_slot slot = get_slot(player, i);
		if (slot.start + slot.length > end)
			end = slot.start + slot.length;
	}
	return end;
}

bool
player_capture_reset(
    const struct player_side *side, struct player *player, uint16_t first)
{
	struct buffer *old = player->captures, *copy = NULL;
	size_t before = first * sizeof(struct player_slot);
	if (old == NULL)
		return true;
	uint32_t keep = bytes_before(side, player, first);
	bool is_large = first == 0 && old->capacity > LARGE;
	if (side->is_undoable || is_large) {
		if (first > 0 && buffer_append(&copy, old->data, keep) < 0)
			return false;
		buffer_release(&old);
		player->captures = copy;
	}
	player->captured = player->captures == NULL ? 0 : keep;
	if (player->captures != NULL)
		memset(player->captures->data + before, 0, table_bytes(side) - before);
	return true;
}

const uint8_t *
player_capture_get(const struct player *player, uint16_t slot, uint32_t *ret_length)
{
	*ret_length = 0;
	if (player->captures == NULL)
		return NULL;
	struct player_slot copy = get_slot(player, slot);
	*ret_length = copy.length;
	return player->captures->data + copy.start;
}
