#include <string.h>

#include "proto/conversation/player/player_parts.h"

/* Output that is written, and the step that begins in it. */
struct saying {
	const struct player_side *side;
	struct player *player;
	uint8_t *out;
	size_t room, length;
	uint16_t step;
};

/* Number of the pass that is said. */
static uint64_t
pass_said(const struct player *player)
{
	return player->pass + player->ahead;
}

/* The first part of a pass that this side says. */
static uint16_t
first_said(const struct player_side *side)
{
	uint16_t first = side->conversation->sections[CONVERSATION_REPEAT].first;
	const struct conversation_part *part = player_part(side, first);
	return part->speaker == side->role ? first : part->run_end;
}

static bool
starts_pass(const struct player_side *side, const struct player *player)
{
	return player->section == CONVERSATION_REPEAT &&
	    player->say.part == first_said(side) && player->say.offset == 0;
}

uint64_t
player_pass_said(const struct player_side *side, const struct player *player)
{
	uint16_t first = first_said(side);
	bool is_in_pass = player->section == CONVERSATION_REPEAT &&
	    (player->flags & PLAYER_OVER) == 0 &&
	    (player->say.part > first ||
		(player->say.part == first && player->say.offset > 0));
	return pass_said(player) + (is_in_pass ? 1 : 0);
}

/* A step that has a name, or the next pass, starts here. */
static bool
is_boundary(struct saying *saying, const struct conversation_part *part)
{
	const struct player *player = saying->player;
	const struct conversation_step *step =
	    &saying->side->conversation->steps[part->step];
	bool has_name = step->name != CONVERSATION_NONE &&
	    step->first == player->say.part && player->say.offset == 0;
	if (saying->length > 0)
		return has_name || starts_pass(saying->side, player);
	if (has_name)
		saying->step = step->name;
	return false;
}

/* The bytes of the part at the cursor that are in memory, or in number[]; NULL: they
 * are made in pieces. */
static const uint8_t *
whole_part(const struct saying *saying, const struct conversation_part *part,
    uint8_t *number, uint64_t *ret_length)
{
	const struct player *player = saying->player;
	if (part->kind == CONVERSATION_LITERAL) {
		*ret_length = part->length;
		return saying->side->conversation->bytes + part->at;
	}
	return player_value_whole(saying->side, player, pass_said(player),
	    player->say.part, number, ret_length);
}

/* Up to the room that is left of the part at the cursor; goes over a complete one. */
static void
say_part(struct saying *saying, const struct conversation_part *part)
{
	struct player *player = saying->player;
	struct player_cursor at = player->say;
	uint8_t number[PLAYER_NUMBER_MAX], *out = saying->out + saying->length;
	uint64_t total, n = saying->room - saying->length;
	const uint8_t *whole = whole_part(saying, part, number, &total);
	if (whole == NULL)
		total = player_value_length(
		    saying->side, player, pass_said(player), at.part);
	if (n > total - at.offset)
		n = total - at.offset;
	if (whole != NULL)
		memcpy(out, whole + at.offset, n);
	else
		player_value_bytes(saying->side, player, pass_said(player), at.part,
		    at.offset, out, n);
	saying->length += n;
	player->say.offset += (uint32_t)n;
	if (at.offset + n == total)
		player->say = (struct player_cursor){ .part = at.part + 1 };
}

/* The part at the cursor, if it is text of the run that ends at `end`: it is said next
 * for certain, and starts no named step, which is the first text of its run or follows
 * a pause. Else NULL. */
static const struct conversation_part *
next_text(const struct saying *saying, uint16_t end)
{
	const struct player_cursor *at = &saying->player->say;
	if (saying->length == saying->room || at->part == end || at->offset > 0)
		return NULL;
	const struct conversation_part *part = player_part(saying->side, at->part);
	bool is_text =
	    part->kind == CONVERSATION_LITERAL || part->kind == CONVERSATION_NUMBER;
	return is_text ? part : NULL;
}

static void
say_parts(struct saying *saying, const struct conversation_part *part)
{
	uint16_t end = part->run_end;
	do {
		say_part(saying, part);
		part = next_text(saying, end);
	} while (part != NULL);
}

/* Constant text that ends a run needs no copy. */
static const uint8_t *
say_constant(struct saying *saying)
{
	struct player *player = saying->player;
	const struct conversation_part *part =
	    player_part(saying->side, player->say.part);
	size_t n = part->length - player->say.offset;
	const uint8_t *bytes =
	    saying->side->conversation->bytes + part->at + player->say.offset;
	if (n > saying->room)
		n = saying->room;
	saying->length = n;
	player->say.offset += (uint32_t)n;
	return bytes;
}

const uint8_t *
player_output(const struct player_side *side, struct player *player, uint8_t *out,
    size_t *length, uint16_t *ret_step, bool *ret_starts_pass)
{
	struct saying saying = { .side = side,
		.player = player,
		.out = out,
		.room = *length,
		.step = CONVERSATION_NONE };
	const uint8_t *bytes = out;
	bool is_first_of_pass = false;
	while (saying.length < saying.room && player_can_say(side, player)) {
		const struct conversation_part *part =
		    player_part(side, player->say.part);
		if (player_is_control(part) || is_boundary(&saying, part))
			break;
		if (saying.length == 0)
			is_first_of_pass = starts_pass(side, player);
		if (saying.length == 0 && part->kind == CONVERSATION_LITERAL &&
		    player->say.part + 1 == part->run_end) {
			bytes = say_constant(&saying);
			break;
		}
		say_parts(&saying, part);
	}
	*length = saying.length;
	if (ret_step != NULL)
		*ret_step = saying.step;
	if (ret_starts_pass != NULL)
		*ret_starts_pass = is_first_of_pass;
	return bytes;
}

bool
player_has_output(const struct player_side *side, const struct player *player)
{
	struct player copy = *player;
	return player_can_say(side, &copy) &&
	    !player_is_control(player_part(side, copy.say.part));
}
