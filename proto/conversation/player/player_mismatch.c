#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/escape.h"
#include "lib/printable.h"
#include "proto/conversation/player/player_parts.h"

#define SHOWN_MAX 48 /* bytes of an expected text */
#define HEX_MAX 24   /* bytes of what came that are shown in hex */

/* The line as it is written. What does not fit is left out. */
struct line {
	char *text;
	size_t size, length;
};

static void __attribute__((format(printf, 2, 3)))
add(struct line *line, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(
	    line->text + line->length, line->size - line->length, format, arguments);
	va_end(arguments);
	if (n > 0)
		line->length += (size_t)n;
	if (line->length >= line->size)
		line->length = line->size - 1;
}

static void
add_bytes(struct line *line, const uint8_t *bytes, size_t length)
{
	char text[SHOWN_MAX * 4 + 1];
	size_t shown = length < SHOWN_MAX ? length : SHOWN_MAX;
	add(line, "\"%s\"%s", escape_encode(bytes, shown, text, sizeof(text)),
	    shown < length ? "..." : "");
}

static void
add_section(struct line *line, const struct player_mismatch *mismatch)
{
	if (mismatch->section == CONVERSATION_OPENING)
		add(line, "opening");
	else if (mismatch->section == CONVERSATION_END)
		add(line, "end");
	else
		add(line, "pass %" PRIu64, mismatch->pass);
}

/* The name of the step, or of the one that it answers. */
static void
add_name(struct line *line, const struct conversation *conversation, uint16_t part)
{
	const struct conversation_part *row = &conversation->parts[part];
	uint16_t name = conversation->steps[row->step].name;
	if (name == CONVERSATION_NONE)
		name = row->exchange;
	if (name != CONVERSATION_NONE)
		add(line, "[%s], ", conversation->step_names[name]);
}

/* The player and the pass in which a part is expected. */
struct expected {
	const struct player_side *side;
	const struct player *player;
	uint64_t pass;
	uint16_t part;
};

static void
add_value(struct line *line, const struct expected *expected)
{
	uint8_t bytes[SHOWN_MAX];
	uint64_t length = player_value_length(
	    expected->side, expected->player, expected->pass, expected->part);
	size_t shown = length < SHOWN_MAX ? (size_t)length : SHOWN_MAX;
	player_value_bytes(expected->side, expected->player, expected->pass,
	    expected->part, 0, bytes, shown);
	add_bytes(line, bytes, shown);
	if (shown < length)
		add(line, "... (%" PRIu64 " bytes)", length);
}

static void
add_alternatives(struct line *line, const struct conversation *conversation,
    const struct conversation_part *part)
{
	for (uint32_t i = 0; i < part->length; i++) {
		const struct conversation_choice *choice =
		    &conversation->choices[part->at + i];
		if (i > 0)
			add(line, i + 1 == part->length ? " or " : ", ");
		if (choice->length == 0)
			add(line, "nothing");
		else
			add_bytes(
			    line, conversation->bytes + choice->at, choice->length);
	}
}

static void
add_number(struct line *line, const struct expected *expected,
    const struct conversation_part *part)
{
	uint32_t size = player_value_size(part);
	if (part->term == CONVERSATION_TERM_CONSTANT ||
	    part->term == CONVERSATION_TERM_REFERENCE)
		add_value(line, expected);
	else if (part->form == CONVERSATION_DECIMAL)
		add(line, "digits");
	else if (part->form == CONVERSATION_HEX)
		add(line, "hexadecimal digits");
	else if (size > 0)
		add(line, "a number of %" PRIu32 " byte%s", size, size > 1 ? "s" : "");
	else
		add(line, "a number of variable length");
	if (part->term == CONVERSATION_TERM_LENGTH)
		add(line, " (a length)");
}

static void
add_any(struct line *line, const struct conversation *conversation,
    const struct conversation_part *part)
{
	add(line, "any text");
	if (part[1].kind == CONVERSATION_LITERAL) {
		add(line, " up to ");
		add_bytes(line, conversation->bytes + part[1].at, part[1].length);
	}
}

static void
add_expected(struct line *line, const struct expected *expected)
{
	const struct conversation *conversation = expected->side->conversation;
	const struct conversation_part *part =
	    player_part(expected->side, expected->part);
	struct expected other = *expected;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_LITERAL:
	case CONVERSATION_REFERENCE:
		add_value(line, expected);
		break;
	case CONVERSATION_NUMBER:
		add_number(line, expected, part);
		break;
	case CONVERSATION_RANDOM:
		add(line, "%" PRIu32 " characters a-z or 2-7", part->length);
		break;
	case CONVERSATION_PAYLOAD:
		add(line, "a payload of %" PRIu32 " to %" PRIu32 " bytes%s", part->at,
		    part->length, part->is_binary ? "" : " from @ to \\x7f");
		break;
	case CONVERSATION_BYTES:
		add(line, "%" PRId64 " bytes",
		    (int64_t)player_value_number(expected->side, expected->player,
			expected->pass, expected->part));
		break;
	case CONVERSATION_ALTERNATIVES:
		add_alternatives(line, conversation, part);
		break;
	case CONVERSATION_ANY:
		add_any(line, conversation, part);
		break;
	case CONVERSATION_GROUP_BEGIN:
	case CONVERSATION_GROUP_END:
		add(line, "the end of the counted part");
		break;
	case CONVERSATION_STAR_BEGIN:
		other.part = part->reference;
		add_expected(line, &other);
		add(line, " (line %" PRIu32 ") or a repeated line",
		    conversation_line(conversation, other.part));
		break;
	case CONVERSATION_CLOSE:
	case CONVERSATION_HALF_CLOSE:
		add(line, "the end of the stream");
		break;
	case CONVERSATION_RESET:
		add(line, "a reset");
		break;
	default:
		add(line, "the next step");
		break;
	}
}

/* At the start of a repeated line: the line behind the repetition could come as well.
 */
static void
add_other_line(struct line *line, const struct expected *expected)
{
	const struct conversation *conversation = expected->side->conversation;
	struct expected other = *expected;
	if (expected->part == 0 ||
	    conversation->parts[expected->part - 1].kind != CONVERSATION_STAR_BEGIN)
		return;
	other.part = conversation->parts[expected->part - 1].reference;
	add(line, " or ");
	add_value(line, &other);
	add(line, " (line %" PRIu32 ")", conversation_line(conversation, other.part));
}

/* Bytes of the part that had come are the ones that were expected. */
static void
add_found(struct line *line, const struct player_mismatch *mismatch)
{
	if (mismatch->found_length == 0) {
		add(line, "nothing");
		return;
	}
	add_bytes(line, mismatch->found, mismatch->found_length);
	add(line, " (hex");
	for (int i = 0; i < mismatch->found_length && i < HEX_MAX; i++)
		add(line, " %02x", mismatch->found[i]);
	add(line, mismatch->found_length > HEX_MAX ? " ...)" : ")");
}

static void
add_length_fault(struct line *line, const struct player_mismatch *mismatch)
{
	if (mismatch->counted > 0)
		add(line, "found a length that is %" PRId64 " byte%s longer",
		    mismatch->counted, mismatch->counted > 1 ? "s" : "");
	else if (mismatch->counted < 0)
		add(line, "found a length that is negative (%" PRId64 ")",
		    mismatch->counted);
	else
		add(line, "found a length that ends before it");
	if (mismatch->found_length > 0) {
		add(line, ", then ");
		add_found(line, mismatch);
	}
}

static void
add_fault(struct line *line, const struct player_mismatch *mismatch)
{
	switch (mismatch->fault) {
	case PLAYER_CLOSED_EARLY:
		add(line, "found the end of the stream");
		break;
	case PLAYER_RESET_EARLY:
		add(line, "found a reset");
		break;
	case PLAYER_TOO_LONG:
		add(line, "found more than its limit allows, then ");
		add_found(line, mismatch);
		break;
	case PLAYER_WRONG_LENGTH:
		add_length_fault(line, mismatch);
		break;
	default:
		add(line, "found ");
		add_found(line, mismatch);
		break;
	}
}

char *
player_describe_mismatch(const struct player_side *side, const struct player *player,
    const struct player_mismatch *mismatch, char *out, size_t size)
{
	const struct conversation *conversation = side->conversation;
	struct line line = { .text = out, .size = size };
	const struct expected expected = {
		.side = side,
		.player = player,
		.pass = mismatch->pass,
		.part = mismatch->part,
	};
	char file[PRINTABLE_TAIL_MAX];
	out[0] = '\0';
	add(&line, "%s:%" PRIu32 ": ",
	    printable_tail(conversation->file, file, sizeof(file)),
	    conversation_line(conversation, mismatch->part));
	add_name(&line, conversation, mismatch->part);
	add_section(&line, mismatch);
	add(&line, ", offset %" PRIu64 ": expected ", mismatch->offset);
	if (player_part(side, mismatch->part)->speaker == side->role)
		add(&line, "nothing before this line is sent");
	else
		add_expected(&line, &expected);
	add_other_line(&line, &expected);
	if (mismatch->at > 0 && mismatch->fault == PLAYER_WRONG_BYTES)
		add(&line, ", of which %" PRIu32 " byte%s came", mismatch->at,
		    mismatch->at > 1 ? "s" : "");
	add(&line, ", ");
	add_fault(&line, mismatch);
	return printable_sanitize(out);
}
