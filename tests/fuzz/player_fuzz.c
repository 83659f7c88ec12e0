/*
 * One side of a conversation against any bytes. The first two bytes choose an example,
 * the side and the cuts. What the other side would say is altered by the groups of
 * three bytes that follow, one for each turn. The bytes of a turn are fed whole, and
 * again in pieces, with each call undone and repeated, and the player saved and loaded
 * in between: what is heard is the same each time.
 */
#include <stdlib.h>

#include "tests/fuzz/input.h"
#include "tests/lib/conversation_examples.h"
#include "tests/lib/conversation_pair.h"

#define TURNS_MAX 40
#define LOG_MAX 4096
#define BLOCKS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was heard and said. */
struct record {
	struct buffer *heard, *said;
	bool is_over;
	bool has_acted; /* a close or pause came before all bytes of a turn */
};

struct turns {
	struct buffer *bytes[TURNS_MAX];
	int count;
	bool ends, resets; /* after the last one */
};

/* Freed blocks keep their contents until settle(). undo() frees what was allocated
 * since then instead. */
static void *freed[BLOCKS_MAX], *allocated[BLOCKS_MAX];
static int freed_count, allocated_count;

static void *
alloc_block(size_t *bytes, void *argument)
{
	(void)argument;
	must(allocated_count < BLOCKS_MAX);
	return allocated[allocated_count++] = malloc(*bytes);
}

static void
free_block(void *block, size_t bytes, void *argument)
{
	(void)bytes;
	(void)argument;
	must(freed_count < BLOCKS_MAX);
	freed[freed_count++] = block;
}

static void
settle(void)
{
	while (freed_count > 0)
		free(freed[--freed_count]);
	allocated_count = 0;
}

static void
undo(void)
{
	while (allocated_count > 0)
		free(allocated[--allocated_count]);
	freed_count = 0;
}

static void
note(struct buffer **to, const void *data, size_t length)
{
	must(buffer_append(to, data, length) == 0);
	settle();
}

static void
note_event(struct record *record, const struct player_side *side,
    const struct player *player, enum player_event event,
    const struct player_detail *detail)
{
	char line[256];
	uint8_t byte = (uint8_t)event;
	const struct player_mismatch *m = &detail->mismatch;
	if (event == PLAYER_OPENED || event == PLAYER_PASS_DONE ||
	    event == PLAYER_STEP_DONE || event == PLAYER_FINISHED ||
	    event == PLAYER_MISMATCH)
		note(&record->heard, &byte, 1);
	if (event == PLAYER_STEP_DONE)
		note(&record->heard, &detail->step, sizeof(detail->step));
	if (event == PLAYER_MISMATCH) {
		note(&record->heard, &m->fault, sizeof(m->fault));
		note(&record->heard, &m->part, sizeof(m->part));
		note(&record->heard, &m->at, sizeof(m->at));
		note(&record->heard, &m->pass, sizeof(m->pass));
		note(&record->heard, &m->offset, sizeof(m->offset));
		note(&record->heard, &m->counted, sizeof(m->counted));
		player_describe_mismatch(side, player, m, line, sizeof(line));
		must(strlen(line) < sizeof(line) && strchr(line, '\n') == NULL);
	}
	record->is_over = event == PLAYER_FINISHED || event == PLAYER_MISMATCH ||
	    event == PLAYER_NO_MEMORY;
}

/* Feeds twice, from the same state. */
static enum player_event
feed(const struct player_side *side, struct player *player, const uint8_t *data,
    size_t length, size_t *used, struct player_detail *detail)
{
	struct player before = *player;
	struct player_detail again;
	size_t used_again = 0;
	settle();
	memset(detail, 0, sizeof(*detail));
	memset(&again, 0, sizeof(again));
	enum player_event event = player_feed(side, player, data, length, used, detail);
	must(*used <= length);
	*player = before;
	undo();
	must(player_feed(side, player, data, length, &used_again, &again) == event);
	must(used_again == *used && again.step == detail->step);
	if (event == PLAYER_MISMATCH)
		must(memcmp(&again.mismatch, &detail->mismatch,
			 sizeof(again.mismatch)) == 0);
	settle();
	return event;
}

static void
save_and_load(const struct player_side *side, struct player *player)
{
	size_t length = player_saved_bytes(side, player);
	uint8_t *flat = malloc(length);
	struct player loaded, restored;
	must(flat != NULL);
	player_save(side, player, flat);
	must(player_load(side, flat, length, &loaded) == PLAYER_LOADED);
	player_finish(player);
	*player = loaded;
	player_save(side, player, flat);
	must(player_restore(flat, &restored) == 0);
	player_finish(player);
	*player = restored;
	free(flat);
	settle();
}

static void
say(const struct player_side *side, struct player *player, struct record *record,
    size_t most)
{
	uint8_t out[512];
	size_t length = most < sizeof(out) ? most : sizeof(out);
	const uint8_t *bytes = player_output(side, player, out, &length, NULL, NULL);
	must(length > 0);
	note(&record->said, bytes, length);
}

/* Says and starts all that is possible without input. */
static void
drain(const struct player_side *side, struct player *player, struct record *record,
    uint32_t *passes, size_t most)
{
	struct player_detail detail;
	size_t used;
	while (!record->is_over && buffer_length(record->said) < 65536) {
		enum player_event event = feed(side, player, NULL, 0, &used, &detail);
		note_event(record, side, player, event, &detail);
		if (event == PLAYER_HAS_OUTPUT)
			say(side, player, record, most);
		else if (event == PLAYER_IDLE && *passes > 0) {
			--*passes;
			player_start_pass(player);
		} else if (event == PLAYER_IDLE)
			player_start_end(player);
		else if (event == PLAYER_NEEDS_INPUT || event == PLAYER_EXPECTS_CLOSE ||
		    event == PLAYER_EXPECTS_RESET)
			return;
	}
}

/* Hears one piece of a turn. */
static void
hear(const struct player_side *side, struct player *player, struct record *record,
    const uint8_t *data, size_t length, bool is_last)
{
	struct player_detail detail;
	while (!record->is_over) {
		size_t used;
		enum player_event event =
		    feed(side, player, data, length, &used, &detail);
		data += used;
		length -= used;
		note_event(record, side, player, event, &detail);
		if (event >= PLAYER_PAUSE && event <= PLAYER_RESET && !is_last) {
			record->has_acted = true;
			return;
		}
		if (event == PLAYER_HAS_OUTPUT && length > 0 &&
		    buffer_length(record->said) < 65536)
			say(side, player, record, 512);
		else if (length == 0 || event == PLAYER_HAS_OUTPUT)
			return;
		else
			must(event != PLAYER_NEEDS_INPUT && event != PLAYER_IDLE);
	}
}

static void
end_input(const struct player_side *side, struct player *player, struct record *record,
    const struct turns *turns)
{
	struct player_detail detail = { .step = 0 };
	if (record->is_over || (!turns->ends && !turns->resets))
		return;
	enum player_event event = turns->resets
	    ? player_reset_by_peer(side, player, &detail)
	    : player_end_of_input(side, player, &detail);
	note_event(record, side, player, event, &detail);
	must(event == PLAYER_NEEDS_INPUT || record->is_over);
}

static struct record
play_again(const struct player_side *side, const struct turns *turns, uint8_t cuts)
{
	struct record record = { .heard = NULL };
	struct player player;
	uint32_t passes = 3, state = cuts;
	player_init(side, 7, 0, &player);
	for (int i = 0; i < turns->count && !record.has_acted; i++) {
		const struct buffer *turn = turns->bytes[i];
		size_t left = buffer_length(turn), at = 0;
		drain(side, &player, &record, &passes, cuts % 7 + 1);
		while (left > 0 && !record.is_over && !record.has_acted) {
			state = state * 1664525 + 1013904223;
			size_t n = (state >> 8) % (cuts % 16 + 1) + 1;
			if (n > left)
				n = left;
			hear(side, &player, &record, turn->data + turn->start + at, n,
			    n == left);
			at += n;
			left -= n;
			save_and_load(side, &player);
		}
	}
	if (!record.has_acted) {
		drain(side, &player, &record, &passes, 3);
		end_input(side, &player, &record, turns);
		drain(side, &player, &record, &passes, 3);
	}
	player_finish(&player);
	settle();
	return record;
}

/* Changes what the other side has said. */
static void
alter(struct buffer **bytes, struct input *input)
{
	uint8_t operation = next_byte(input), where = next_byte(input);
	uint8_t byte = next_byte(input);
	size_t length = buffer_length(*bytes);
	uint8_t *at =
	    length == 0 ? NULL : (*bytes)->data + (*bytes)->start + where % length;
	switch (operation % 8) {
	case 1:
		if (at != NULL)
			*at = byte;
		break;
	case 2:
		note(bytes, &byte, 1);
		break;
	case 3:
		if (at != NULL)
			(*bytes)->end--;
		break;
	case 4:
		if (at != NULL)
			memmove(at, at + 1,
			    (size_t)((*bytes)->data + (*bytes)->end - at - 1));
		break;
	case 5:
		if (length > 0) {
			uint8_t *copy = malloc(length);
			must(copy != NULL);
			memcpy(copy, (*bytes)->data + (*bytes)->start, length);
			note(bytes, copy, length);
			free(copy);
		}
		break;
	default:
		break;
	}
}

/* The other side hears what was said and answers; keeps what it was told so far. */
static struct buffer *
answer(struct pair_end *other, uint32_t *passes)
{
	struct record record = { .heard = NULL };
	struct player_detail detail;
	for (;;) {
		size_t used, length = buffer_length(other->input);
		enum player_event event = player_feed(&other->side, &other->player,
		    length == 0 ? NULL : other->input->data + other->input->start,
		    length, &used, &detail);
		if (used > 0)
			buffer_consume(&other->input, used);
		if (event == PLAYER_HAS_OUTPUT)
			say(&other->side, &other->player, &record, 512);
		else if (event == PLAYER_IDLE && *passes > 0) {
			--*passes;
			player_start_pass(&other->player);
		} else if (event == PLAYER_IDLE)
			player_start_end(&other->player);
		else if (event == PLAYER_CLOSE || event == PLAYER_HALF_CLOSE)
			other->peer_ended = true;
		else if (event == PLAYER_RESET)
			other->peer_reset = true;
		else if (event == PLAYER_NEEDS_INPUT || event >= PLAYER_EXPECTS_CLOSE)
			return record.said;
		if (buffer_length(record.said) > 65536)
			return record.said;
	}
}

static struct record
play_whole(const struct player_side *side, struct pair_end *other, struct input *input,
    struct turns *turns)
{
	struct record record = { .heard = NULL };
	struct player player;
	uint32_t passes = 3, other_passes = 3;
	size_t told = 0;
	player_init(side, 7, 0, &player);
	while (turns->count < TURNS_MAX && !record.is_over) {
		drain(side, &player, &record, &passes, 512);
		size_t said = buffer_length(record.said);
		if (said > told)
			note(&other->input, record.said->data + told, said - told);
		told = said;
		struct buffer *turn = answer(other, &other_passes);
		alter(&turn, input);
		if (turn == NULL || buffer_length(turn) == 0) {
			buffer_release(&turn);
			break;
		}
		turns->bytes[turns->count++] = turn;
		hear(side, &player, &record, turn->data + turn->start,
		    buffer_length(turn), true);
	}
	turns->ends = other->peer_ended;
	turns->resets = other->peer_reset;
	drain(side, &player, &record, &passes, 512);
	end_input(side, &player, &record, turns);
	drain(side, &player, &record, &passes, 512);
	player_finish(&player);
	settle();
	return record;
}

static bool
are_equal(const struct buffer *a, const struct buffer *b)
{
	size_t length = buffer_length(a);
	return length == buffer_length(b) &&
	    (length == 0 ||
		memcmp(a->data + a->start, b->data + b->start, length) == 0);
}

static void
finish(struct record *record)
{
	buffer_release(&record->heard);
	buffer_release(&record->said);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct buffer_memory memory = { alloc_block, free_block, NULL };
	struct conversation conversation;
	struct turns turns = { .count = 0 };
	char error[CONVERSATION_ERROR_MAX];
	struct pair pair;
	if (size < 2)
		return 0;
	buffer_set_memory(&memory);
	const char *text =
	    conversation_examples[data[0] / 2 % CONVERSATION_EXAMPLE_COUNT];
	must(conversation_compile("x.talk", text, strlen(text), &conversation, error) ==
	    0);
	struct input input = { data + 2, size - 2 };
	pair_start(&pair, &conversation);
	struct pair_end *subject = &pair.ends[data[0] % 2];
	subject->side.is_undoable = true;
	struct record whole =
	    play_whole(&subject->side, &pair.ends[1 - data[0] % 2], &input, &turns);
	struct record again = play_again(&subject->side, &turns, data[1]);
	if (!again.has_acted && !whole.has_acted) {
		must(are_equal(whole.heard, again.heard));
		must(are_equal(whole.said, again.said));
	}
	finish(&whole);
	finish(&again);
	for (int i = 0; i < turns.count; i++)
		buffer_release(&turns.bytes[i]);
	pair_finish(&pair);
	conversation_finish(&conversation);
	settle();
	buffer_set_memory(NULL);
	return 0;
}
