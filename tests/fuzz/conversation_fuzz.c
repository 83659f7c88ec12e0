/*
 * Conversation files. The first byte chooses how bytes are cut, the rest is the file. A
 * rejected file has one line with file, line and column; of an accepted one both sides
 * agree: whatever one says, the other accepts, at any segmentation.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/conversation_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_error(const char *error)
{
	char *end;
	must(strncmp(error, "x.talk:", 7) == 0 && isdigit((unsigned char)error[7]));
	must(strtoul(error + 7, &end, 10) > 0 && *end == ':');
	must(strtoul(end + 1, &end, 10) > 0);
	must(strncmp(end, ": found ", 8) == 0 && strstr(end, ", expected ") != NULL);
	must(strchr(error, '\n') == NULL);
	must(strlen(error) < CONVERSATION_ERROR_MAX - 1);
}

static size_t
cut(size_t length, void *argument)
{
	uint32_t *state = argument;
	*state = *state * 1664525 + 1013904223;
	size_t most = (*state >> 8) % 17 + 1;
	return length < most ? length : most;
}

static void
play(const struct conversation *conversation, uint8_t choice)
{
	struct pair pair;
	uint32_t state = choice;
	char line[512];
	pair_start(&pair, conversation);
	pair.bytes_max = 32768;
	if ((choice & 1) != 0) {
		pair.cut = cut;
		pair.argument = &state;
	}
	if ((choice & 2) != 0 && conversation->pipeline_refusal[0] == '\0') {
		pair.ends[CONVERSATION_CLIENT].side.runs_ahead = true;
		pair.together = 3;
	}
	bool is_whole =
	    pair_play(&pair) || pair.ends[0].sent + pair.ends[1].sent >= pair.bytes_max;
	for (int i = 0; i < 2 && !is_whole; i++) {
		struct pair_end *end = &pair.ends[i];
		if (!end->is_wrong)
			player_waiting(&end->side, &end->player, &end->detail.mismatch);
		player_describe_mismatch(&end->side, &end->player,
		    &end->detail.mismatch, line, sizeof(line));
		fprintf(stderr, "%s: %s\n", i == 0 ? "client" : "server", line);
	}
	must(is_whole && !pair.ends[0].is_wrong && !pair.ends[1].is_wrong);
	pair_finish(&pair);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX] = "";
	if (size == 0)
		return 0;
	if (conversation_compile("x.talk", (const char *)data + 1, size - 1,
		&conversation, error) != 0) {
		check_error(error);
		return 0;
	}
	if (conversation.server_refusal[0] == '\0')
		play(&conversation, data[0]);
	conversation_finish(&conversation);
	return 0;
}
