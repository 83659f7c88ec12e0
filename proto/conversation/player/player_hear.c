#include <string.h>

#include "proto/conversation/player/player_parts.h"

#define CHUNK 512             /* bytes that are made to be compared */
#define DECIMAL_DIGITS_MAX 20 /* of a number with a name or a length */
#define HEX_DIGITS_MAX 16
#define VARINT_BYTES_MAX 4
#define LENGTH_MAX (UINT32_C(1) << 30) /* of a counted part */

/* A part that is being heard. */
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

static void
use(struct hearing *hearing, size_t length)
{
	hearing->input->used += length;
	hearing->player->received += length;
	hearing->data += length;
	hearing->length -= length;
}

/* Bytes of the part that were heard; stays at the most that fits. */
static void
advance(struct hearing *hearing, size_t length)
{
	uint32_t *offset = &hearing->player->hear.offset;
	*offset =
	    length > UINT32_MAX - *offset ? UINT32_MAX : *offset + (uint32_t)length;
}

static enum player_heard
wrong(struct hearing *hearing, enum player_fault fault)
{
	return player_hear_wrong(
	    hearing->side, hearing->player, hearing->input, fault, hearing->detail);
}

/* A counted part ends `counted` bytes too early or, if negative, too late. */
static enum player_heard
wrong_length(struct hearing *hearing, int64_t counted)
{
	enum player_heard heard = wrong(hearing, PLAYER_WRONG_LENGTH);
	hearing->detail->mismatch.counted = counted;
	return heard;
}

/* All bytes are used, and the part is not complete. */
static enum player_heard
more(struct hearing *hearing)
{
	return hearing->ends ? wrong_length(hearing, 0) : PLAYER_HEARD_PART;
}

static enum player_heard
complete(struct hearing *hearing)
{
	struct player *player = hearing->player;
	if (hearing->part->slot != CONVERSATION_NONE &&
	    !player_capture_end(hearing->side, player, hearing->part))
		return PLAYER_HEARD_NO_MEMORY;
	player->hear = (struct player_cursor){ .part = player->hear.part + 1 };
	player->state = 0;
	return PLAYER_HEARD;
}

/* Of `length` more bytes of the part, those for which its capture has room. */
static size_t
room_for(const struct hearing *hearing, size_t length)
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

/* Appends bytes to the capture of the part, for which it has room, and counts them. */
static enum player_heard
keep(struct hearing *hearing, const uint8_t *data, size_t length)
{
	if (!player_capture_append(
		hearing->side, hearing->player, hearing->part, data, length))
		return PLAYER_HEARD_NO_MEMORY;
	advance(hearing, length);
	return PLAYER_HEARD;
}

/* Keeps and uses bytes that belong to the part. */
static enum player_heard
take(struct hearing *hearing, size_t length)
{
	if (hearing->part->slot == CONVERSATION_NONE) {
		advance(hearing, length);
		use(hearing, length);
		return PLAYER_HEARD;
	}
	size_t room = room_for(hearing, length);
	enum player_heard heard = keep(hearing, hearing->data, room);
	if (heard != PLAYER_HEARD)
		return heard;
	use(hearing, room);
	return room == length ? PLAYER_HEARD : wrong(hearing, PLAYER_TOO_LONG);
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
	use(hearing, same);
	advance(hearing, same);
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
		return wrong(hearing, PLAYER_WRONG_BYTES);
	return offset + n == total ? complete(hearing) : more(hearing);
}

static enum player_heard
hear_literal(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	return hear_equal(
	    hearing, hearing->side->conversation->bytes + part->at, part->length);
}

/* What this side knows as well as the one that says it: made in pieces. */
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
		if (room_for(hearing, n) < n)
			return wrong(hearing, PLAYER_TOO_LONG);
		if (!player_capture_append(
			hearing->side, player, hearing->part, expected, n))
			return PLAYER_HEARD_NO_MEMORY;
		if (!take_equal(hearing, expected, n))
			return wrong(hearing, PLAYER_WRONG_BYTES);
	}
	return player->hear.offset == total ? complete(hearing) : more(hearing);
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

/* The length on the wire is that of the counted part and `add`. */
static enum player_heard
set_length(struct hearing *hearing)
{
	struct player *player = hearing->player;
	int64_t length = (int64_t)player->state - hearing->part->add;
	if (length < 0)
		return wrong_length(hearing, length);
	if (length > LENGTH_MAX)
		return wrong(hearing, PLAYER_TOO_LONG);
	player->ends[player->depth] = (uint32_t)length;
	return PLAYER_HEARD;
}

static enum player_heard
complete_number(struct hearing *hearing)
{
	if (hearing->part->term == CONVERSATION_TERM_LENGTH) {
		enum player_heard heard = set_length(hearing);
		if (heard != PLAYER_HEARD)
			return heard;
	}
	return complete(hearing);
}

/* Adds a byte of a length in a binary form to the state: false if it is too large. */
static bool
add_length_byte(struct player *player, uint8_t form, uint32_t size, uint8_t byte)
{
	uint32_t offset = player->hear.offset;
	bool is_little = form == CONVERSATION_U16LE || form == CONVERSATION_U24LE ||
	    form == CONVERSATION_U32LE || form == CONVERSATION_U64LE;
	uint32_t weight = is_little ? offset : size - 1 - offset;
	if (weight >= 4)
		return byte == 0;
	player->state |= (uint32_t)byte << 8 * weight;
	return true;
}

/* A number of a fixed size that only the other side knows, or a length. */
static enum player_heard
hear_binary(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint32_t size = player_value_size(hearing->part);
	while (player->hear.offset < size) {
		if (hearing->length == 0)
			return more(hearing);
		if (hearing->part->term == CONVERSATION_TERM_LENGTH &&
		    !add_length_byte(player, hearing->part->form, size, *hearing->data))
			return wrong(hearing, PLAYER_TOO_LONG);
		enum player_heard heard = take(hearing, 1);
		if (heard != PLAYER_HEARD)
			return heard;
	}
	return complete_number(hearing);
}

static enum player_heard
hear_varint(struct hearing *hearing)
{
	struct player *player = hearing->player;
	for (;;) {
		if (hearing->length == 0)
			return more(hearing);
		uint8_t byte = *hearing->data;
		if (player->hear.offset == VARINT_BYTES_MAX - 1 && byte > 0x7f)
			return wrong(hearing, PLAYER_TOO_LONG);
		player->state |= (uint32_t)(byte & 0x7f) << 7 * player->hear.offset;
		enum player_heard heard = take(hearing, 1);
		if (heard != PLAYER_HEARD)
			return heard;
		if (byte <= 0x7f)
			return complete_number(hearing);
	}
}

static bool
is_digit(uint8_t form, uint8_t byte)
{
	return (byte >= '0' && byte <= '9') ||
	    (form == CONVERSATION_HEX &&
		((byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F')));
}

/* Counts the digits of a number that come next, and adds those of a length to the
 * state. False if there are more than it may have. */
static bool
count_digits(struct hearing *hearing, size_t *ret_count)
{
	const struct conversation_part *part = hearing->part;
	bool is_length = part->term == CONVERSATION_TERM_LENGTH;
	uint32_t max =
	    part->form == CONVERSATION_HEX ? HEX_DIGITS_MAX : DECIMAL_DIGITS_MAX;
	size_t left = is_length || part->slot != CONVERSATION_NONE
	    ? max - hearing->player->hear.offset
	    : SIZE_MAX;
	uint32_t *length = &hearing->player->state;
	size_t n = 0;
	for (; n < hearing->length && is_digit(part->form, hearing->data[n]); n++) {
		if (n == left || (is_length && *length > LENGTH_MAX / 5))
			break;
		if (is_length)
			*length = *length * 10 + (uint32_t)(hearing->data[n] - '0');
	}
	*ret_count = n;
	return n == hearing->length || !is_digit(part->form, hearing->data[n]);
}

/* Digits, up to the first other byte. */
static enum player_heard
hear_digits(struct hearing *hearing)
{
	size_t n;
	bool fits = count_digits(hearing, &n);
	enum player_heard heard = take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	if (!fits)
		return wrong(hearing, PLAYER_TOO_LONG);
	if (hearing->player->hear.offset == 0)
		return hearing->length > 0 ? wrong(hearing, PLAYER_WRONG_BYTES)
					   : more(hearing);
	return hearing->length > 0 || hearing->ends ? complete_number(hearing)
						    : PLAYER_HEARD_PART;
}

static enum player_heard
hear_number(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	if (part->term == CONVERSATION_TERM_CONSTANT ||
	    part->term == CONVERSATION_TERM_REFERENCE)
		return hear_known(hearing);
	if (part->form == CONVERSATION_VARINT)
		return hear_varint(hearing);
	return player_value_size(part) > 0 ? hear_binary(hearing)
					   : hear_digits(hearing);
}

/* Of data[length], the bytes at the front that a payload can have. */
static size_t
payload_bytes(const struct conversation_part *part, const uint8_t *data, size_t length)
{
	const uint64_t mask = UINT64_C(0xc0c0c0c0c0c0c0c0);
	const uint64_t printable = UINT64_C(0x4040404040404040); /* 0x40-0x7f */
	size_t n = 0;
	if (part->is_binary)
		return length;
	for (uint64_t word; length - n >= sizeof(word); n += sizeof(word)) {
		memcpy(&word, data + n, sizeof(word));
		if ((word & mask) != printable)
			break;
	}
	while (n < length && (data[n] & 0xc0) == 0x40)
		n++;
	return n;
}

/* The payload of the other side: its size and its range of bytes are known. */
static enum player_heard
hear_payload(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	uint32_t offset = hearing->player->hear.offset;
	size_t n = part->length - offset;
	if (n > hearing->length)
		n = hearing->length;
	n = payload_bytes(part, hearing->data, n);
	enum player_heard heard = take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	offset += (uint32_t)n;
	if (offset == part->length)
		return complete(hearing);
	if (hearing->length > 0)
		return offset >= part->at ? complete(hearing)
					  : wrong(hearing, PLAYER_WRONG_BYTES);
	return hearing->ends && offset >= part->at ? complete(hearing) : more(hearing);
}

static bool
is_random_byte(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '2' && byte <= '7');
}

static enum player_heard
hear_random(struct hearing *hearing)
{
	uint32_t left = hearing->part->length - hearing->player->hear.offset;
	size_t n = 0;
	while (n < hearing->length && n < left && is_random_byte(hearing->data[n]))
		n++;
	enum player_heard heard = take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	if (n == left)
		return complete(hearing);
	return hearing->length > 0 ? wrong(hearing, PLAYER_WRONG_BYTES) : more(hearing);
}

static enum player_heard
hear_bytes(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint64_t total =
	    player_value_number(hearing->side, player, player->pass, player->hear.part);
	if ((int64_t)total < 0)
		return wrong_length(hearing, (int64_t)total);
	if (total > UINT32_MAX)
		return wrong(hearing, PLAYER_TOO_LONG);
	uint64_t n = total - player->hear.offset;
	if (n > hearing->length)
		n = hearing->length;
	enum player_heard heard = take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	return player->hear.offset == total ? complete(hearing) : more(hearing);
}

/* The state has a bit for each alternative that can still be meant. */
static uint32_t
narrow(const struct hearing *hearing, uint32_t alive)
{
	const struct conversation *conversation = hearing->side->conversation;
	const struct conversation_choice *choices =
	    &conversation->choices[hearing->part->at];
	uint32_t offset = hearing->player->hear.offset, left = 0;
	for (uint32_t i = 0; i < hearing->part->length; i++)
		if ((alive & 1u << i) != 0 && choices[i].length > offset &&
		    conversation->bytes[choices[i].at + offset] == *hearing->data)
			left |= 1u << i;
	return left;
}

static bool
is_whole(const struct hearing *hearing, uint32_t alive)
{
	const struct conversation_choice *choices =
	    &hearing->side->conversation->choices[hearing->part->at];
	for (uint32_t i = 0; i < hearing->part->length; i++)
		if ((alive & 1u << i) != 0 &&
		    choices[i].length == hearing->player->hear.offset)
			return true;
	return false;
}

static enum player_heard
hear_alternatives(struct hearing *hearing)
{
	struct player *player = hearing->player;
	for (;;) {
		uint32_t alive = player->hear.offset == 0 ? UINT32_MAX : player->state;
		bool can_be_empty =
		    player->hear.offset == 0 && is_whole(hearing, alive);
		if (hearing->length == 0)
			return can_be_empty && hearing->ends ? complete(hearing)
							     : more(hearing);
		uint32_t left = narrow(hearing, alive);
		if (left == 0)
			return can_be_empty ? complete(hearing)
					    : wrong(hearing, PLAYER_WRONG_BYTES);
		player->state = left;
		enum player_heard heard = take(hearing, 1);
		if (heard != PLAYER_HEARD)
			return heard;
		if (is_whole(hearing, left))
			return complete(hearing);
	}
}

/* Everything up to the end of the counted part. */
static enum player_heard
hear_rest(struct hearing *hearing)
{
	enum player_heard heard = take(hearing, hearing->length);
	if (heard != PLAYER_HEARD)
		return heard;
	return hearing->ends ? complete(hearing) : PLAYER_HEARD_PART;
}

static bool
has_line_end(const struct hearing *hearing, const uint8_t *data, size_t length)
{
	return !hearing->part->crosses_lines && memchr(data, '\n', length) != NULL;
}

/* Goes on to the first byte of the literal, or a line end that must not be there. */
static enum player_heard
skip_any(struct hearing *hearing, uint8_t first)
{
	const uint8_t *found = memchr(hearing->data, first, hearing->length);
	size_t n = found == NULL ? hearing->length : (size_t)(found - hearing->data);
	const uint8_t *line_end = hearing->part->crosses_lines || n == 0
	    ? NULL
	    : memchr(hearing->data, '\n', n);
	if (line_end != NULL)
		n = (size_t)(line_end - hearing->data);
	enum player_heard heard = take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	return line_end == NULL ? PLAYER_HEARD : wrong(hearing, PLAYER_WRONG_BYTES);
}

/* Uses the bytes that continue the literal behind `state` bytes of it. */
static void
use_needle(struct hearing *hearing, const uint8_t *needle, uint32_t length)
{
	uint32_t held = hearing->player->state;
	size_t n = 0;
	while (
	    held < length && n < hearing->length && hearing->data[n] == needle[held]) {
		held++;
		n++;
	}
	use(hearing, n);
	hearing->player->state = held;
}

/* Bytes up to the first occurrence of the literal that follows, of which `state` bytes
 * have been heard (Knuth, Morris, Pratt). The literal is heard with it. */
static enum player_heard
hear_any(struct hearing *hearing)
{
	const struct conversation *conversation = hearing->side->conversation;
	const struct conversation_part *next = hearing->part + 1;
	struct player *player = hearing->player;
	enum player_heard heard;
	if (next->kind != CONVERSATION_LITERAL)
		return hear_rest(hearing);
	const uint8_t *needle = conversation->bytes + next->at;
	const uint32_t *failures = conversation->failures + next->at;
	while (hearing->length > 0) {
		uint32_t held = player->state;
		if (held == 0) {
			heard = skip_any(hearing, needle[0]);
			if (heard != PLAYER_HEARD)
				return heard;
			if (hearing->length == 0)
				break;
		}
		if (*hearing->data == needle[held]) {
			use_needle(hearing, needle, next->length);
			if (player->state < next->length)
				continue;
			heard = complete(hearing);
			if (heard != PLAYER_HEARD)
				return heard;
			player->hear.part++;
			return PLAYER_HEARD;
		}
		uint32_t shorter = failures[held - 1];
		uint32_t freed = held - shorter;
		if (has_line_end(hearing, needle, freed))
			return wrong(hearing, PLAYER_WRONG_BYTES);
		if (room_for(hearing, freed) < freed)
			return wrong(hearing, PLAYER_TOO_LONG);
		heard = keep(hearing, needle, freed);
		if (heard != PLAYER_HEARD)
			return heard;
		player->state = shorter;
	}
	return more(hearing);
}

static enum player_heard
begin_group(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint32_t length = player->ends[player->depth];
	if (length > group_left(player))
		return wrong_length(
		    hearing, (int64_t)length - (int64_t)group_left(player));
	player->ends[player->depth++] = (uint32_t)player->received + length;
	look(hearing);
	return complete(hearing);
}

static enum player_heard
end_group(struct hearing *hearing)
{
	uint32_t left = group_left(hearing->player);
	if (left > 0)
		return wrong_length(hearing, left);
	hearing->player->depth--;
	look(hearing);
	return complete(hearing);
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
	switch ((enum conversation_kind)hearing->part->kind) {
	case CONVERSATION_LITERAL:
		return hear_literal(hearing);
	case CONVERSATION_NUMBER:
		return hear_number(hearing);
	case CONVERSATION_REFERENCE:
		return hear_known(hearing);
	case CONVERSATION_RANDOM:
		return hear_random(hearing);
	case CONVERSATION_PAYLOAD:
		return hear_payload(hearing);
	case CONVERSATION_BYTES:
		return hear_bytes(hearing);
	case CONVERSATION_ALTERNATIVES:
		return hear_alternatives(hearing);
	case CONVERSATION_ANY:
		return hear_any(hearing);
	case CONVERSATION_GROUP_BEGIN:
		return begin_group(hearing);
	case CONVERSATION_GROUP_END:
		return end_group(hearing);
	case CONVERSATION_STAR_BEGIN:
		return hear_star(hearing);
	case CONVERSATION_STAR_END:
		return end_star(hearing);
	default:
		return complete(hearing);
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
