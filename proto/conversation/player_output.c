#include <string.h>

#include "proto/conversation/player_parts.h"

/* What is written, and what it starts. */
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
is_boundary(struct saying *saying)
{
	const struct player *player = saying->player;
	const struct conversation *conversation = saying->side->conversation;
	const struct conversation_step *step =
	    &conversation->steps[player_part(saying->side, player->say.part)->step];
	bool has_name = step->name != CONVERSATION_NONE &&
	    step->first == player->say.part && player->say.offset == 0;
	if (saying->length > 0)
		return has_name || starts_pass(saying->side, player);
	if (has_name)
		saying->step = step->name;
	return false;
}

/* Up to the room that is left of the part at the cursor; goes over a complete one. */
static void
say_part(struct saying *saying)
{
	struct player *player = saying->player;
	const struct player_side *side = saying->side;
	uint64_t pass = pass_said(player), total;
	uint16_t part = player->say.part;
	uint32_t offset = player->say.offset;
	uint8_t number[PLAYER_NUMBER_MAX], *out = saying->out + saying->length;
	const uint8_t *whole =
	    player_value_whole(side, player, pass, part, number, &total);
	if (whole == NULL)
		total = player_value_length(side, player, pass, part);
	uint64_t n = total - offset;
	if (n > saying->room - saying->length)
		n = saying->room - saying->length;
	if (whole != NULL)
		memcpy(out, whole + offset, n);
	else
		player_value_bytes(side, player, pass, part, offset, out, n);
	saying->length += n;
	player->say.offset += (uint32_t)n;
	if (offset + n == total)
		player->say = (struct player_cursor){ .part = part + 1 };
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
		if (player_is_control(part) || is_boundary(&saying))
			break;
		if (saying.length == 0)
			is_first_of_pass = starts_pass(side, player);
		if (saying.length == 0 && part->kind == CONVERSATION_LITERAL &&
		    player->say.part + 1 == part->run_end) {
			bytes = say_constant(&saying);
			break;
		}
		say_part(&saying);
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
