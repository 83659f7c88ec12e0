#include <string.h>

#include "proto/conversation/player/player_hearing.h"

#define DECIMAL_DIGITS_MAX 20 /* of a number with a name or a length */
#define HEX_DIGITS_MAX 16
#define VARINT_BYTES_MAX 4
#define LENGTH_MAX (UINT32_C(1) << 30) /* of a counted part */

/* The length on the wire is that of the counted part and `add`. */
static enum player_heard
set_length(struct hearing *hearing)
{
	struct player *player = hearing->player;
	int64_t length = (int64_t)player->state - hearing->part->add;
	if (length < 0)
		return hearing_wrong_length(hearing, length);
	if (length > LENGTH_MAX)
		return hearing_wrong(hearing, PLAYER_TOO_LONG);
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
	return hearing_complete(hearing);
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
match_binary(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint32_t size = player_value_size(hearing->part);
	while (player->hear.offset < size) {
		if (hearing->length == 0)
			return hearing_more(hearing);
		if (hearing->part->term == CONVERSATION_TERM_LENGTH &&
		    !add_length_byte(player, hearing->part->form, size, *hearing->data))
			return hearing_wrong(hearing, PLAYER_TOO_LONG);
		enum player_heard heard = hearing_take(hearing, 1);
		if (heard != PLAYER_HEARD)
			return heard;
	}
	return complete_number(hearing);
}

static enum player_heard
match_varint(struct hearing *hearing)
{
	struct player *player = hearing->player;
	for (;;) {
		if (hearing->length == 0)
			return hearing_more(hearing);
		uint8_t byte = *hearing->data;
		if (player->hear.offset == VARINT_BYTES_MAX - 1 && byte > 0x7f)
			return hearing_wrong(hearing, PLAYER_TOO_LONG);
		player->state |= (uint32_t)(byte & 0x7f) << 7 * player->hear.offset;
		enum player_heard heard = hearing_take(hearing, 1);
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
match_digits(struct hearing *hearing)
{
	size_t n;
	bool fits = count_digits(hearing, &n);
	enum player_heard heard = hearing_take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	if (!fits)
		return hearing_wrong(hearing, PLAYER_TOO_LONG);
	if (hearing->player->hear.offset == 0)
		return hearing->length > 0 ? hearing_wrong(hearing, PLAYER_WRONG_BYTES)
					   : hearing_more(hearing);
	return hearing->length > 0 || hearing->ends ? complete_number(hearing)
						    : PLAYER_HEARD_PART;
}

enum player_heard
player_match_number(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	if (part->form == CONVERSATION_VARINT)
		return match_varint(hearing);
	return player_value_size(part) > 0 ? match_binary(hearing)
					   : match_digits(hearing);
}

/* Number of bytes at the front of data[length] that a payload can have. */
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

enum player_heard
player_match_payload(struct hearing *hearing)
{
	const struct conversation_part *part = hearing->part;
	uint32_t offset = hearing->player->hear.offset;
	size_t n = part->length - offset;
	if (n > hearing->length)
		n = hearing->length;
	n = payload_bytes(part, hearing->data, n);
	enum player_heard heard = hearing_take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	offset += (uint32_t)n;
	if (offset == part->length)
		return hearing_complete(hearing);
	if (hearing->length > 0)
		return offset >= part->at ? hearing_complete(hearing)
					  : hearing_wrong(hearing, PLAYER_WRONG_BYTES);
	return hearing->ends && offset >= part->at ? hearing_complete(hearing)
						   : hearing_more(hearing);
}

static bool
is_random_byte(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '2' && byte <= '7');
}

enum player_heard
player_match_random(struct hearing *hearing)
{
	uint32_t left = hearing->part->length - hearing->player->hear.offset;
	size_t n = 0;
	while (n < hearing->length && n < left && is_random_byte(hearing->data[n]))
		n++;
	enum player_heard heard = hearing_take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	if (n == left)
		return hearing_complete(hearing);
	return hearing->length > 0 ? hearing_wrong(hearing, PLAYER_WRONG_BYTES)
				   : hearing_more(hearing);
}

enum player_heard
player_match_bytes(struct hearing *hearing)
{
	struct player *player = hearing->player;
	uint64_t total =
	    player_value_number(hearing->side, player, player->pass, player->hear.part);
	if ((int64_t)total < 0)
		return hearing_wrong_length(hearing, (int64_t)total);
	if (total > UINT32_MAX)
		return hearing_wrong(hearing, PLAYER_TOO_LONG);
	uint64_t n = total - player->hear.offset;
	if (n > hearing->length)
		n = hearing->length;
	enum player_heard heard = hearing_take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	return player->hear.offset == total ? hearing_complete(hearing)
					    : hearing_more(hearing);
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

enum player_heard
player_match_alternatives(struct hearing *hearing)
{
	struct player *player = hearing->player;
	for (;;) {
		uint32_t alive = player->hear.offset == 0 ? UINT32_MAX : player->state;
		bool can_be_empty =
		    player->hear.offset == 0 && is_whole(hearing, alive);
		if (hearing->length == 0)
			return can_be_empty && hearing->ends ? hearing_complete(hearing)
							     : hearing_more(hearing);
		uint32_t left = narrow(hearing, alive);
		if (left == 0)
			return can_be_empty
			    ? hearing_complete(hearing)
			    : hearing_wrong(hearing, PLAYER_WRONG_BYTES);
		player->state = left;
		enum player_heard heard = hearing_take(hearing, 1);
		if (heard != PLAYER_HEARD)
			return heard;
		if (is_whole(hearing, left))
			return hearing_complete(hearing);
	}
}

/* Everything up to the end of the counted part. */
static enum player_heard
match_rest(struct hearing *hearing)
{
	enum player_heard heard = hearing_take(hearing, hearing->length);
	if (heard != PLAYER_HEARD)
		return heard;
	return hearing->ends ? hearing_complete(hearing) : PLAYER_HEARD_PART;
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
	enum player_heard heard = hearing_take(hearing, n);
	if (heard != PLAYER_HEARD)
		return heard;
	return line_end == NULL ? PLAYER_HEARD
				: hearing_wrong(hearing, PLAYER_WRONG_BYTES);
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
	hearing_use(hearing, n);
	hearing->player->state = held;
}

/* `state` bytes of the literal have been heard (Knuth, Morris, Pratt). */
enum player_heard
player_match_any(struct hearing *hearing)
{
	const struct conversation *conversation = hearing->side->conversation;
	const struct conversation_part *next = hearing->part + 1;
	struct player *player = hearing->player;
	enum player_heard heard;
	if (next->kind != CONVERSATION_LITERAL)
		return match_rest(hearing);
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
			heard = hearing_complete(hearing);
			if (heard != PLAYER_HEARD)
				return heard;
			player->hear.part++;
			return PLAYER_HEARD;
		}
		uint32_t shorter = failures[held - 1];
		uint32_t freed = held - shorter;
		if (has_line_end(hearing, needle, freed))
			return hearing_wrong(hearing, PLAYER_WRONG_BYTES);
		if (hearing_room(hearing, freed) < freed)
			return hearing_wrong(hearing, PLAYER_TOO_LONG);
		heard = hearing_keep(hearing, needle, freed);
		if (heard != PLAYER_HEARD)
			return heard;
		player->state = shorter;
	}
	return hearing_more(hearing);
}
