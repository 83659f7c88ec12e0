#include <stdlib.h>

#include "proto/conversation/conversation_compiler.h"

/* The array with room for one more element; NULL after source_fail(), and the array is
 * unchanged. */
static void *
grow(
    struct compiler *compiler, void *array, size_t *capacity, size_t count, size_t size)
{
	if (count < *capacity)
		return array;
	size_t larger = *capacity < 16 ? 16 : *capacity * 2;
	void *moved = reallocarray(array, larger, size);
	if (moved == NULL)
		source_fail_memory(&compiler->source);
	else
		*capacity = larger;
	return moved;
}

struct conversation_part *
builder_add_part(
    struct compiler *compiler, enum conversation_kind kind, const char *where)
{
	struct conversation *out = compiler->out;
	size_t place_capacity = compiler->part_capacity;
	if (out->part_count == CONVERSATION_PARTS_MAX) {
		source_fail(&compiler->source, where,
		    "found more parts than the %d that a file can have, expected fewer",
		    CONVERSATION_PARTS_MAX);
		return NULL;
	}
	void *places = grow(compiler, compiler->places, &place_capacity,
	    out->part_count, sizeof(*compiler->places));
	if (places == NULL)
		return NULL;
	compiler->places = places;
	void *parts = grow(compiler, out->parts, &compiler->part_capacity,
	    out->part_count, sizeof(*out->parts));
	if (parts == NULL)
		return NULL;
	out->parts = parts;
	compiler->places[out->part_count] = where;
	struct conversation_part *part = &out->parts[out->part_count++];
	*part = (struct conversation_part){
		.kind = (uint8_t)kind,
		.section = (uint8_t)compiler->section,
		.speaker = out->steps[out->step_count - 1].speaker,
		.step = (uint16_t)(out->step_count - 1),
		.slot = CONVERSATION_NONE,
		.reference = CONVERSATION_NONE,
		.exchange = CONVERSATION_NONE,
	};
	return part;
}

bool
builder_add_raw_byte(struct compiler *compiler, char byte)
{
	struct conversation *out = compiler->out;
	if (out->byte_count == CONVERSATION_TEXT_MAX)
		return source_fail(&compiler->source, compiler->source.at,
		    "found more text than the %d bytes that a file can have, expected less",
		    CONVERSATION_TEXT_MAX);
	void *bytes =
	    grow(compiler, out->bytes, &compiler->byte_capacity, out->byte_count, 1);
	if (bytes == NULL)
		return false;
	out->bytes = bytes;
	out->bytes[out->byte_count++] = (uint8_t)byte;
	return true;
}

bool
builder_add_byte(struct compiler *compiler, char byte)
{
	struct conversation *out = compiler->out;
	struct conversation_part *last =
	    out->part_count > 0 ? &out->parts[out->part_count - 1] : NULL;
	if (last == NULL || last->kind != CONVERSATION_LITERAL ||
	    last->step != out->step_count - 1) {
		last = builder_add_part(
		    compiler, CONVERSATION_LITERAL, compiler->source.at);
		if (last == NULL)
			return false;
		last->at = out->byte_count;
	}
	last->length++;
	return builder_add_raw_byte(compiler, byte);
}

bool
builder_add_choice(struct compiler *compiler, uint32_t at)
{
	struct conversation *out = compiler->out;
	void *choices = grow(compiler, out->choices, &compiler->choice_capacity,
	    out->choice_count, sizeof(*out->choices));
	if (choices == NULL)
		return false;
	out->choices = choices;
	out->choices[out->choice_count++] =
	    (struct conversation_choice){ .at = at, .length = out->byte_count - at };
	return true;
}

bool
builder_add_step(struct compiler *compiler, enum conversation_role speaker)
{
	struct conversation *out = compiler->out;
	if (out->step_count == CONVERSATION_STEPS_MAX)
		return source_fail(&compiler->source, compiler->source.at,
		    "found more steps than the %d that a file can have, expected fewer",
		    CONVERSATION_STEPS_MAX);
	void *steps = grow(compiler, out->steps, &compiler->step_capacity,
	    out->step_count, sizeof(*out->steps));
	if (steps == NULL)
		return false;
	out->steps = steps;
	out->steps[out->step_count++] = (struct conversation_step){
		.line = compiler->source.line,
		.first = out->part_count,
		.end = out->part_count,
		.speaker = (uint8_t)speaker,
		.name = CONVERSATION_NONE,
	};
	return true;
}
