/*
 * The flat form of a player. The first byte chooses an example and the side, the second
 * the digest that is put into the form; the third says where input begins. What is
 * loaded is played on with that input: it stays within its memory and comes to an end.
 */
#include <stdlib.h>

#include "tests/lib/conversation_examples.h"
#include "tests/lib/conversation_pair.h"

#define CALLS_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
play(const struct player_side *side, struct player *player, const uint8_t *data,
    size_t length)
{
	struct player_detail detail;
	char line[256];
	uint8_t out[256];
	for (int i = 0; i < CALLS_MAX; i++) {
		size_t used, room = sizeof(out);
		enum player_event event =
		    player_feed(side, player, data, length, &used, &detail);
		must(used <= length);
		data += used;
		length -= used;
		if (event == PLAYER_IDLE)
			player_start_pass(player);
		else if (event == PLAYER_HAS_OUTPUT)
			player_output(side, player, out, &room, NULL, NULL);
		else if (event == PLAYER_NEEDS_INPUT || event >= PLAYER_EXPECTS_CLOSE)
			break;
	}
	player_waiting(side, player, &detail.mismatch);
	player_describe_mismatch(side, player, &detail.mismatch, line, sizeof(line));
	uint8_t *flat = malloc(player_saved_bytes(side, player));
	must(flat != NULL);
	player_save(side, player, flat);
	free(flat);
	enum player_event end = player_end_of_input(side, player, &detail);
	must(end == PLAYER_NEEDS_INPUT || end == PLAYER_FINISHED ||
	    end == PLAYER_MISMATCH);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conversation conversation;
	struct player player;
	char error[CONVERSATION_ERROR_MAX];
	if (size < 3)
		return 0;
	const char *text =
	    conversation_examples[data[0] / 2 % CONVERSATION_EXAMPLE_COUNT];
	must(conversation_compile("x.talk", text, strlen(text), &conversation, error) ==
	    0);
	struct player_side side = { .conversation = &conversation,
		.role = (enum conversation_role)(data[0] % 2),
		.seed = 1,
		.capture_max = 65536 };
	size_t length = size - 3;
	size_t flat_length = data[2] < length ? length - data[2] : length;
	uint8_t *flat = malloc(flat_length + 1);
	must(flat != NULL);
	memcpy(flat, data + 3, flat_length);
	/* The digest is the first member. */
	if (data[1] % 2 == 0 && flat_length >= sizeof(conversation.digest))
		memcpy(flat, &conversation.digest, sizeof(conversation.digest));
	if (player_load(&side, flat, flat_length, &player) == PLAYER_LOADED) {
		play(&side, &player, data + 3 + flat_length, length - flat_length);
		player_finish(&player);
	}
	free(flat);
	conversation_finish(&conversation);
	return 0;
}
