#include "proto/conversation/player/player.h"

#include "proto/conversation/player/player_parts.h"

void
player_init(const struct player_side *side, uint32_t connection, uint64_t first_pass,
    struct player *ret)
{
	*ret = (struct player){ .connection = connection, .pass = first_pass };
	ret->say.part = ret->hear.part =
	    side->conversation->sections[CONVERSATION_OPENING].first;
}

void
player_finish(struct player *player)
{
	buffer_release(&player->captures);
}

void
player_start_pass(struct player *player)
{
	player->started++;
}

void
player_start_end(struct player *player)
{
	player->flags |= PLAYER_ENDING;
}

static const struct conversation_range *
section_of(const struct player_side *side, const struct player *player)
{
	return &side->conversation->sections[player->section];
}

static void
enter_section(const struct player_side *side, struct player *player,
    enum conversation_section section)
{
	player->section = (uint8_t)section;
	player->say = player->hear =
	    (struct player_cursor){ .part = section_of(side, player)->first };
	player->state = 0;
}

/* This side may say something of the pass at the cursor. */
static bool
may_say_pass(const struct player_side *side, const struct player *player)
{
	if (player->section != CONVERSATION_REPEAT)
		return true;
	if (side->role == CONVERSATION_SERVER)
		return player->ahead == 0;
	return player->ahead < player->started &&
	    (player->ahead == 0 || side->runs_ahead);
}

/* The peer has said the run at the cursor, or it is not waited for. */
static bool
may_pass_run(const struct player_side *side, const struct player *player,
    const struct conversation_part *part)
{
	bool is_heard = player->ahead == 0 && player->hear.part >= part->run_end;
	return is_heard || (side->runs_ahead && player->section == CONVERSATION_REPEAT);
}

/* Nothing is left of the part; a repetition is said zero times. */
static bool
skip_part(const struct player_side *side, struct player *player,
    const struct conversation_part *part)
{
	uint16_t next = (uint16_t)(player->say.part + 1);
	if (part->kind == CONVERSATION_LITERAL) {
		if (player->say.offset < part->length)
			return false;
	} else if (part->kind == CONVERSATION_STAR_BEGIN)
		next = part->reference;
	else if (player_is_control(part) ||
	    (part->kind == CONVERSATION_NUMBER && player->say.offset == 0) ||
	    player->say.offset < player_value_length(side, player,
				     player->pass + player->ahead, player->say.part))
		return false;
	player->say = (struct player_cursor){ .part = next };
	return true;
}

bool
player_can_say(const struct player_side *side, struct player *player)
{
	const struct conversation_range *section = section_of(side, player);
	for (;;) {
		if (player->say.part == section->end) {
			if (player->section != CONVERSATION_REPEAT ||
			    side->conversation->closes)
				return false;
			player->ahead++;
			player->say = (struct player_cursor){ .part = section->first };
		}
		const struct conversation_part *part =
		    player_part(side, player->say.part);
		if (!may_say_pass(side, player))
			return false;
		if (part->speaker == side->role) {
			if (!skip_part(side, player, part))
				return true;
		} else {
			if (!may_pass_run(side, player, part))
				return false;
			player->say = (struct player_cursor){ .part = part->run_end };
		}
	}
}

/* The event for what this side says next; NEEDS_INPUT: nothing. Goes over a control. */
static enum player_event
say_event(
    const struct player_side *side, struct player *player, struct player_detail *detail)
{
	if (!player_can_say(side, player))
		return PLAYER_NEEDS_INPUT;
	const struct conversation_part *part = player_part(side, player->say.part);
	if (!player_is_control(part))
		return PLAYER_HAS_OUTPUT;
	player->say.part++;
	switch (part->kind) {
	case CONVERSATION_PAUSE:
		detail->pause_ns = part->number;
		return PLAYER_PAUSE;
	case CONVERSATION_HALF_CLOSE:
		return PLAYER_HALF_CLOSE;
	case CONVERSATION_CLOSE:
		return PLAYER_CLOSE;
	default:
		return PLAYER_RESET;
	}
}

/* The cursor of what is said has come to where the run at `part` counts as begun. */
static bool
is_begun_at(
    const struct player *player, const struct conversation_part *part, uint16_t begun)
{
	return player->ahead > 0 || player->say.part > begun ||
	    (player->say.part == begun &&
		(player->say.offset > 0 || begun == part->run_end));
}

/* True if what this side says at the cursor of what is heard has begun (client: an
 * answer may come while a long text is being sent) or is complete (server). */
static bool
has_begun(const struct player_side *side, struct player *player,
    const struct conversation_part *part)
{
	uint16_t begun =
	    side->role == CONVERSATION_CLIENT ? part->run_begun : part->run_end;
	if (is_begun_at(player, part, begun))
		return true;
	(void)player_can_say(side, player); /* goes over what is complete */
	return is_begun_at(player, part, begun);
}

/* The peer has not said anything of the pass. */
static bool
is_at_start_of_pass(const struct player_side *side, const struct player *player)
{
	uint16_t at = section_of(side, player)->first;
	while (
	    at < player->hear.part && player_part(side, at)->kind == CONVERSATION_PAUSE)
		at++;
	return player->section == CONVERSATION_REPEAT && player->hear.part == at;
}

/* Client: nothing may be said before a pass or the end is started. */
static bool
is_idle(const struct player_side *side, const struct player *player)
{
	return side->role == CONVERSATION_CLIENT &&
	    player->section == CONVERSATION_REPEAT && player->started == 0;
}

/* Bytes have come, or none, where this side must speak or decide first. */
static enum player_event
wait_for_own(const struct player_side *side, struct player *player,
    const struct player_input *input, struct player_detail *detail)
{
	if (input->length > input->used && side->role == CONVERSATION_CLIENT) {
		player_hear_wrong(side, player, input, PLAYER_EARLY, detail);
		return PLAYER_MISMATCH;
	}
	if (is_idle(side, player))
		return PLAYER_IDLE;
	return say_event(side, player, detail);
}

/* The cursor of what is heard is at the end of the section, and all of it is said. */
static enum player_event
end_section(const struct player_side *side, struct player *player)
{
	if (player->section == CONVERSATION_OPENING) {
		enter_section(side, player, CONVERSATION_REPEAT);
		return PLAYER_OPENED;
	}
	if (player->section == CONVERSATION_END) {
		player->flags |= PLAYER_OVER;
		return PLAYER_FINISHED;
	}
	if (!player_capture_reset(side, player, side->conversation->opening_slots))
		return PLAYER_NO_MEMORY;
	player->pass++;
	if (player->started > 0)
		player->started--;
	player->flags &= (uint8_t)~PLAYER_CHOSEN;
	if (side->conversation->closes) {
		player->flags |= PLAYER_OVER;
		return PLAYER_PASS_DONE;
	}
	player->ahead--;
	player->hear =
	    (struct player_cursor){ .part = section_of(side, player)->first };
	return PLAYER_PASS_DONE;
}

static bool
is_all_said(const struct player_side *side, struct player *player)
{
	if (player->ahead == 0)
		(void)player_can_say(side, player); /* goes over the end */
	return player->ahead > 0 || player->say.part == section_of(side, player)->end;
}

uint16_t
player_decider(const struct player_side *side)
{
	const struct conversation_range *end =
	    &side->conversation->sections[CONVERSATION_END];
	uint16_t at = end->first;
	while (at < end->end && player_part(side, at)->kind == CONVERSATION_PAUSE)
		at++;
	bool is_none = at == end->end || player_is_control(player_part(side, at)) ||
	    side->conversation->server_refusal[0] != '\0';
	return is_none ? CONVERSATION_NONE : at;
}

/* Server, between two passes: whether the next one or the end begins. HEARD: decided.
 */
static enum player_heard
choose_section(const struct player_side *side, struct player *player,
    struct player_input *input, struct player_detail *detail)
{
	uint16_t first = player_decider(side);
	if (first == CONVERSATION_NONE) {
		player->flags |= PLAYER_CHOSEN;
		return PLAYER_HEARD;
	}
	enum player_heard heard = player_hear_decision(side, player, input, first);
	uint32_t offset = player->hear.offset;
	if (heard == PLAYER_HEARD_PART)
		return heard;
	if (heard == PLAYER_HEARD) {
		enter_section(side, player, CONVERSATION_END);
		player->hear =
		    (struct player_cursor){ .part = first, .offset = offset };
		return PLAYER_HEARD;
	}
	player->flags |= PLAYER_CHOSEN;
	player->hear.offset = 0;
	return player_hear_again(side, player, input, first, offset, detail);
}

static enum player_event
event_of(enum player_heard heard, const struct player_side *side, struct player *player,
    struct player_detail *detail)
{
	switch (heard) {
	case PLAYER_HEARD_PART:
		return is_idle(side, player) ? PLAYER_IDLE
					     : say_event(side, player, detail);
	case PLAYER_HEARD_WRONG:
		return PLAYER_MISMATCH;
	default:
		return PLAYER_NO_MEMORY;
	}
}

/* The peer must close or reset now. */
static enum player_event
expect_end(const struct player_side *side, struct player *player,
    const struct conversation_part *part, const struct player_input *input,
    struct player_detail *detail)
{
	if (input->length > input->used) {
		player_hear_wrong(side, player, input, PLAYER_BYTES_FOR_END, detail);
		return PLAYER_MISMATCH;
	}
	enum player_event event = say_event(side, player, detail);
	if (event != PLAYER_NEEDS_INPUT)
		return event;
	return part->kind == CONVERSATION_RESET ? PLAYER_EXPECTS_RESET
						: PLAYER_EXPECTS_CLOSE;
}

/* The text of the peer at the cursor: goes on with it, as far as it has come. *ret is
 * the event, unless true is returned: then nothing is to be reported. */
static bool
hear_text(const struct player_side *side, struct player *player,
    struct player_input *input, struct player_detail *detail, enum player_event *ret)
{
	const struct conversation_part *part = player_part(side, player->hear.part);
	enum player_heard heard;
	if (side->role == CONVERSATION_SERVER && is_at_start_of_pass(side, player) &&
	    (player->flags & PLAYER_CHOSEN) == 0)
		heard = choose_section(side, player, input, detail);
	else
		heard = player_hear(side, player, input, detail);
	if (heard != PLAYER_HEARD) {
		*ret = event_of(heard, side, player, detail);
		return false;
	}
	if (player->hear.part == part->run_end && part->exchange != CONVERSATION_NONE) {
		detail->step = part->exchange;
		*ret = PLAYER_STEP_DONE;
		return false;
	}
	return true;
}

/* One step forward. True if nothing is to be reported. */
static bool
advance(const struct player_side *side, struct player *player,
    struct player_input *input, struct player_detail *detail, enum player_event *ret)
{
	if (is_idle(side, player) && (player->flags & PLAYER_ENDING) != 0) {
		enter_section(side, player, CONVERSATION_END);
		return true;
	}
	if (player->hear.part == section_of(side, player)->end) {
		*ret = is_all_said(side, player)
		    ? end_section(side, player)
		    : wait_for_own(side, player, input, detail);
		return false;
	}
	const struct conversation_part *part = player_part(side, player->hear.part);
	if (part->speaker == side->role) {
		if (!has_begun(side, player, part)) {
			*ret = wait_for_own(side, player, input, detail);
			return false;
		}
		player->hear = (struct player_cursor){ .part = part->run_end };
		return true;
	}
	if (part->kind == CONVERSATION_PAUSE) {
		player->hear.part++;
		return true;
	}
	if (part->kind == CONVERSATION_CLOSE &&
	    (player->flags & PLAYER_HALF_CLOSED) != 0) {
		player->hear.part++; /* its stream has ended before */
		return true;
	}
	if (player_is_control(part)) {
		*ret = expect_end(side, player, part, input, detail);
		return false;
	}
	return hear_text(side, player, input, detail, ret);
}

enum player_event
player_feed(const struct player_side *side, struct player *player, const uint8_t *data,
    size_t length, size_t *ret_used, struct player_detail *detail)
{
	struct player_input input = { .data = data, .length = length };
	enum player_event event = PLAYER_FINISHED;
	if ((player->flags & PLAYER_STEP_PENDING) != 0) {
		player->flags &= (uint8_t)~PLAYER_STEP_PENDING;
		detail->step =
		    player_part(side, (uint16_t)(player->hear.part - 1))->exchange;
		*ret_used = 0;
		return PLAYER_STEP_DONE;
	}
	while ((player->flags & PLAYER_OVER) == 0 &&
	    advance(side, player, &input, detail, &event))
		;
	*ret_used = input.used;
	return event;
}

/* Goes over what the peer has waited for, and its pauses, within the section. Returns
 * the part that is expected; NULL at the end of the section. */
static const struct conversation_part *
find_expected(const struct player_side *side, struct player *player)
{
	for (;;) {
		if (player->hear.part == section_of(side, player)->end)
			return NULL;
		const struct conversation_part *part =
		    player_part(side, player->hear.part);
		if (part->speaker == side->role && has_begun(side, player, part))
			player->hear = (struct player_cursor){ .part = part->run_end };
		else if (part->speaker != side->role &&
		    part->kind == CONVERSATION_PAUSE)
			player->hear.part++;
		else
			return part;
	}
}

static bool
ends_so(const struct conversation_part *part, bool is_reset)
{
	return is_reset
	    ? part->kind == CONVERSATION_RESET
	    : part->kind == CONVERSATION_CLOSE || part->kind == CONVERSATION_HALF_CLOSE;
}

/* Server: the client has not said anything of a pass yet. */
static bool
may_leave(const struct player_side *side, const struct player *player)
{
	uint16_t first = section_of(side, player)->first, at = first;
	if (side->role != CONVERSATION_SERVER ||
	    player->section != CONVERSATION_REPEAT || player->hear.offset > 0 ||
	    player->state > 0 || player->depth > 0)
		return false;
	if (player_part(side, first)->speaker == side->role)
		at = player_part(side, first)->run_end;
	while (
	    at < player->hear.part && player_part(side, at)->kind == CONVERSATION_PAUSE)
		at++;
	return player->hear.part == first || player->hear.part == at;
}

/* The peer has ended its stream or reset the connection. */
static enum player_event
on_end(const struct player_side *side, struct player *player, bool is_reset,
    struct player_detail *detail)
{
	const struct player_input none = { .length = 0 };
	const struct conversation_range *end =
	    &side->conversation->sections[CONVERSATION_END];
	if ((player->flags & PLAYER_OVER) != 0)
		return PLAYER_FINISHED;
	bool is_between = may_leave(side, player);
	if (is_between && end->first < end->end &&
	    player_decider(side) == CONVERSATION_NONE)
		enter_section(side, player, CONVERSATION_END);
	const struct conversation_part *part = find_expected(side, player);
	if (part != NULL && part->speaker != side->role && ends_so(part, is_reset)) {
		player->hear.part++;
		player->flags |= PLAYER_HALF_CLOSED;
		if (player->hear.part == part->run_end &&
		    part->exchange != CONVERSATION_NONE)
			player->flags |= PLAYER_STEP_PENDING;
		return PLAYER_NEEDS_INPUT;
	}
	bool is_last =
	    player->section == CONVERSATION_END || side->conversation->closes;
	if (part == NULL && is_last && is_all_said(side, player))
		return PLAYER_NEEDS_INPUT; /* nothing was left to hear */
	if (is_between) {
		player->flags |= PLAYER_OVER;
		return PLAYER_FINISHED;
	}
	player_hear_wrong(side, player, &none,
	    is_reset ? PLAYER_RESET_EARLY : PLAYER_CLOSED_EARLY, detail);
	return PLAYER_MISMATCH;
}

enum player_event
player_end_of_input(
    const struct player_side *side, struct player *player, struct player_detail *detail)
{
	return on_end(side, player, false, detail);
}

enum player_event
player_reset_by_peer(
    const struct player_side *side, struct player *player, struct player_detail *detail)
{
	return on_end(side, player, true, detail);
}

bool
player_is_between_passes(const struct player_side *side, const struct player *player)
{
	uint16_t first = section_of(side, player)->first;
	return player->section == CONVERSATION_REPEAT && player->ahead == 0 &&
	    player->started == 0 && is_at_start_of_pass(side, player) &&
	    player->hear.offset == 0 && player->state == 0 && player->depth == 0 &&
	    player->say.part == first && player->say.offset == 0 &&
	    (player->flags & (PLAYER_OVER | PLAYER_STEP_PENDING)) == 0;
}

void
player_waiting(const struct player_side *side, const struct player *player,
    struct player_mismatch *ret)
{
	struct player_detail detail;
	struct player copy = *player;
	const struct player_input input = { .length = 0 };
	if (copy.hear.part < section_of(side, player)->end &&
	    player_part(side, copy.hear.part)->speaker == side->role &&
	    player_part(side, copy.hear.part)->run_end < section_of(side, player)->end)
		copy.hear.part = player_part(side, copy.hear.part)->run_end;
	player_hear_wrong(side, &copy, &input, PLAYER_WAITING, &detail);
	*ret = detail.mismatch;
}
