#include <string.h>

#include "proto/conversation/player/player_parts.h"
#include "proto/payload.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define END_PAYLOAD (UINT64_C(1) << 62) /* offset of the end section's payload */

static const uint8_t sizes[CONVERSATION_FORM_COUNT] = {
	[CONVERSATION_U8] = 1,
	[CONVERSATION_U16BE] = 2,
	[CONVERSATION_U16LE] = 2,
	[CONVERSATION_U24BE] = 3,
	[CONVERSATION_U24LE] = 3,
	[CONVERSATION_U32BE] = 4,
	[CONVERSATION_U32LE] = 4,
	[CONVERSATION_U64BE] = 8,
	[CONVERSATION_U64LE] = 8,
};

uint32_t
player_value_size(const struct conversation_part *number)
{
	return sizes[number->form];
}

static bool
is_little(uint8_t form)
{
	return form == CONVERSATION_U16LE || form == CONVERSATION_U24LE ||
	    form == CONVERSATION_U32LE || form == CONVERSATION_U64LE;
}

static uint32_t
encode_decimal(uint64_t value, uint8_t *out)
{
	uint32_t n = 1;
	for (uint64_t rest = value; rest > 9; rest /= 10)
		n++;
	for (uint32_t i = n; i-- > 0; value /= 10)
		out[i] = (uint8_t)('0' + value % 10);
	return n;
}

static uint32_t
encode_hex(uint64_t value, uint8_t *out)
{
	uint32_t n = 1;
	for (uint64_t rest = value; rest > 15; rest >>= 4)
		n++;
	for (uint32_t i = n; i-- > 0; value >>= 4)
		out[i] = (uint8_t) "0123456789abcdef"[value & 15];
	return n;
}

static uint32_t
encode_varint(uint64_t value, uint8_t *out)
{
	uint32_t n = 0;
	do {
		out[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (++n < 4 && value > 0);
	out[n - 1] &= 0x7f;
	return n;
}

/* Returns the number of bytes in out[PLAYER_NUMBER_MAX]. */
static uint32_t
encode(uint8_t form, uint64_t value, uint8_t *out)
{
	uint32_t size = sizes[form];
	if (form == CONVERSATION_VARINT)
		return encode_varint(value, out);
	if (size == 0)
		return form == CONVERSATION_HEX ? encode_hex(value, out)
						: encode_decimal(value, out);
	for (uint32_t i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> 8 * (is_little(form) ? i : size - 1 - i));
	return size;
}

static uint64_t
decode_digit(uint8_t c)
{
	return c <= '9' ? (uint64_t)(c - '0') : (uint64_t)((c | 0x20) - 'a') + 10;
}

static uint64_t
decode(uint8_t form, const uint8_t *bytes, uint32_t length)
{
	uint64_t value = 0;
	for (uint32_t i = 0; i < length; i++) {
		if (form == CONVERSATION_VARINT)
			value |= (uint64_t)(bytes[i] & 0x7f) << 7 * i;
		else if (sizes[form] == 0)
			value = value * (form == CONVERSATION_HEX ? 16 : 10) +
			    decode_digit(bytes[i]);
		else
			value =
			    value << 8 | bytes[is_little(form) ? length - 1 - i : i];
	}
	return value;
}

/* Length of a counted part. */
static uint64_t
group_length(const struct player_side *side, const struct player *player, uint64_t pass,
    uint16_t begin)
{
	uint64_t sum = 0;
	uint16_t end = player_part(side, begin)->reference;
	for (uint16_t i = begin + 1; i < end; i++)
		sum += player_value_length(side, player, pass, i);
	return sum;
}

uint64_t
player_value_number(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t at)
{
	const struct conversation_part *part = player_part(side, at);
	uint64_t value = part->number;
	if (part->section == CONVERSATION_OPENING)
		pass = 0;
	bool is_known = part->term == CONVERSATION_TERM_CONSTANT ||
	    part->term == CONVERSATION_TERM_REFERENCE;
	if (!is_known && part->speaker != side->role &&
	    part->slot != CONVERSATION_NONE) {
		uint32_t length;
		const uint8_t *bytes = player_capture_get(player, part->slot, &length);
		return decode(part->form, bytes, length);
	}
	if (part->term == CONVERSATION_TERM_CONNECTION)
		value = player->connection;
	else if (part->term == CONVERSATION_TERM_MESSAGE)
		value = pass;
	else if (part->term == CONVERSATION_TERM_PID)
		value = side->pid;
	else if (part->term == CONVERSATION_TERM_REFERENCE)
		value = player_value_number(side, player, pass, part->reference);
	else if (part->term == CONVERSATION_TERM_LENGTH)
		value = group_length(side, player, pass, part->reference);
	return value + (uint64_t)part->add;
}

/* Length of BYTES: 0 if it would be negative. */
static uint64_t
bytes_length(const struct player_side *side, const struct player *player, uint64_t pass,
    uint16_t part)
{
	uint64_t length = player_value_number(side, player, pass, part);
	return length > UINT32_MAX ? 0 : length;
}

static uint64_t
payload_length(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t at, const struct conversation_part *part)
{
	return payload_size(side->seed, player->connection,
	    pass * CONVERSATION_PARTS_MAX + at, part->at, part->length);
}

uint64_t
player_value_length(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t at)
{
	const struct conversation_part *part = player_part(side, at);
	uint8_t number[PLAYER_NUMBER_MAX];
	uint32_t length;
	if (part->section == CONVERSATION_OPENING)
		pass = 0;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_LITERAL:
	case CONVERSATION_RANDOM:
	case CONVERSATION_ANY:
		return part->length;
	case CONVERSATION_NUMBER:
		if (sizes[part->form] > 0)
			return sizes[part->form];
		return encode(
		    part->form, player_value_number(side, player, pass, at), number);
	case CONVERSATION_PAYLOAD:
		return payload_length(side, player, pass, at, part);
	case CONVERSATION_REFERENCE:
		part = player_part(side, part->reference);
		if (part->speaker == side->role)
			return player_value_length(
			    side, player, pass, player_part(side, at)->reference);
		player_capture_get(player, part->slot, &length);
		return length;
	case CONVERSATION_BYTES:
		return bytes_length(side, player, pass, at);
	case CONVERSATION_ALTERNATIVES:
		return side->conversation->choices[part->at].length;
	default:
		return 0;
	}
}

/* 13 characters hold all of a word, and no two passes of a connection, and no two
 * connections, have the same word in a part. */
static void
random_bytes(const struct player_side *side, const struct player *player, uint64_t pass,
    uint16_t part, uint64_t from, uint8_t *out, size_t length)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint64_t word = ((uint64_t)player->connection << 40 | pass) ^
	    payload_mix(side->seed + part * GOLDEN);
	uint64_t at = 0;
	for (size_t i = 0; i < length; at += 13) {
		word = payload_mix(word);
		uint64_t bits = word;
		for (uint64_t k = at; k < at + 13 && i < length; k++, bits >>= 5)
			if (k >= from)
				out[i++] = (uint8_t)alphabet[bits & 31];
		word += GOLDEN;
	}
}

static void
payload_bytes(const struct player_side *side, const struct player *player,
    uint64_t pass, const struct conversation_part *part, uint64_t from, uint8_t *out,
    size_t length)
{
	const struct conversation_range *sections = side->conversation->sections;
	uint64_t offset = part->number + from;
	if (part->section == CONVERSATION_END)
		offset += END_PAYLOAD;
	if (part->section == CONVERSATION_REPEAT)
		offset += sections[CONVERSATION_OPENING].payload_bytes +
		    pass * sections[CONVERSATION_REPEAT].payload_bytes;
	payload_fill(
	    side->seed, player->connection, offset, !part->is_binary, out, length);
}

static void
reference_bytes(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t reference, uint64_t from, uint8_t *out, size_t length)
{
	const struct conversation_part *part = player_part(side, reference);
	uint32_t available;
	if (part->speaker == side->role)
		player_value_bytes(side, player, pass, reference, from, out, length);
	else
		memcpy(out, player_capture_get(player, part->slot, &available) + from,
		    length);
}

void
player_value_bytes(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t at, uint64_t from, uint8_t *out, size_t length)
{
	const struct conversation_part *part = player_part(side, at);
	const uint8_t *bytes = side->conversation->bytes;
	uint8_t number[PLAYER_NUMBER_MAX];
	if (length == 0)
		return;
	if (part->section == CONVERSATION_OPENING)
		pass = 0;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_LITERAL:
		memcpy(out, bytes + part->at + from, length);
		break;
	case CONVERSATION_ALTERNATIVES:
		memcpy(out, bytes + side->conversation->choices[part->at].at + from,
		    length);
		break;
	case CONVERSATION_NUMBER:
		encode(part->form, player_value_number(side, player, pass, at), number);
		memcpy(out, number + from, length);
		break;
	case CONVERSATION_PAYLOAD:
		payload_bytes(side, player, pass, part, from, out, length);
		break;
	case CONVERSATION_REFERENCE:
		reference_bytes(side, player, pass, part->reference, from, out, length);
		break;
	case CONVERSATION_RANDOM:
		random_bytes(side, player, pass, at, from, out, length);
		break;
	case CONVERSATION_ANY:
		if (part->is_captured)
			random_bytes(side, player, pass, at, from, out, length);
		else
			memcpy(out, &"ok"[from], length);
		break;
	case CONVERSATION_BYTES:
		memset(out, 'x', length);
		break;
	default:
		break;
	}
}

const uint8_t *
player_value_whole(const struct player_side *side, const struct player *player,
    uint64_t pass, uint16_t at, uint8_t *out, uint64_t *ret_length)
{
	const struct conversation_part *part = player_part(side, at);
	if (part->kind == CONVERSATION_REFERENCE) {
		at = part->reference;
		part = player_part(side, at);
		if (part->speaker != side->role) {
			uint32_t length;
			const uint8_t *bytes =
			    player_capture_get(player, part->slot, &length);
			*ret_length = length;
			return bytes;
		}
	}
	if (part->kind != CONVERSATION_NUMBER)
		return NULL;
	*ret_length =
	    encode(part->form, player_value_number(side, player, pass, at), out);
	return out;
}
