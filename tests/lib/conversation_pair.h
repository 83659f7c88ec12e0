/*
 * conversation_pair.h - a client and a server that play the same conversation with each
 * other, through two buffers in memory.
 */
#ifndef TESTS_LIB_CONVERSATION_PAIR_H
#define TESTS_LIB_CONVERSATION_PAIR_H

#include <string.h>

#include "lib/buffer.h"
#include "proto/conversation/player/player.h"
#include "tests/lib/must.h"

struct pair_end {
	struct player_side side;
	struct player player;
	struct buffer *input; /* that it has not used */
	uint64_t sent;
	bool peer_ended; /* after the input */
	bool peer_reset;
	bool told; /* the player knows that */
	bool is_over;
	bool is_wrong;
	struct player_detail detail;
};

struct pair {
	struct pair_end ends[2]; /* by role */
	uint32_t passes;         /* that the client still starts */
	uint32_t together;       /* passes that it starts at a time */
	uint64_t done[2];
	uint64_t bytes_max; /* gives up beyond */
	/* How many bytes of at most `length` are fed or said; NULL: all. */
	size_t (*cut)(size_t length, void *argument);
	void *argument;
};

static inline void
pair_start(struct pair *pair, const struct conversation *conversation)
{
	*pair = (struct pair){ .passes = 3, .together = 1, .bytes_max = UINT64_MAX };
	for (int i = 0; i < 2; i++) {
		struct pair_end *end = &pair->ends[i];
		end->side = (struct player_side){
			.conversation = conversation,
			.role = (enum conversation_role)i,
			.seed = 5 + (uint64_t)i,
			.pid = 4711 + (uint32_t)i,
			.capture_max = 16 << 20,
			.is_undoable = i == CONVERSATION_SERVER,
		};
		player_init(&end->side, 7 + (uint32_t)i, 0, &end->player);
	}
}

static inline void
pair_finish(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		player_finish(&pair->ends[i].player);
		buffer_release(&pair->ends[i].input);
	}
}

static inline size_t
pair_cut(const struct pair *pair, size_t length)
{
	return pair->cut == NULL || length == 0 ? length
						: pair->cut(length, pair->argument);
}

static inline void
pair_say(struct pair *pair, struct pair_end *end, struct pair_end *peer)
{
	uint8_t out[4096];
	size_t length = pair_cut(pair, sizeof(out));
	const uint8_t *bytes =
	    player_output(&end->side, &end->player, out, &length, NULL, NULL);

	must(length > 0);
	must(buffer_append(&peer->input, bytes, length) == 0);
	end->sent += length;
}

/* PLAYER_PAUSE stands for progress without an event. */
static inline enum player_event
pair_hear(struct pair *pair, struct pair_end *end)
{
	size_t used = 0, length = pair_cut(pair, buffer_length(end->input));
	bool is_end = length == 0 && !end->told;
	enum player_event event;

	if (is_end && (end->peer_ended || end->peer_reset)) {
		end->told = true;
		event = end->peer_reset
		    ? player_reset_by_peer(&end->side, &end->player, &end->detail)
		    : player_end_of_input(&end->side, &end->player, &end->detail);
		return event == PLAYER_NEEDS_INPUT ? PLAYER_PAUSE : event;
	}
	event = player_feed(&end->side, &end->player,
	    length == 0 ? NULL : end->input->data + end->input->start, length, &used,
	    &end->detail);
	must(used <= length);
	if (used > 0)
		buffer_consume(&end->input, used);
	bool waits = event == PLAYER_NEEDS_INPUT || event == PLAYER_EXPECTS_CLOSE ||
	    event == PLAYER_EXPECTS_RESET;
	return waits && used > 0 ? PLAYER_PAUSE : event;
}

static inline void
pair_start_passes(struct pair *pair, struct pair_end *client)
{
	if (pair->passes == 0)
		player_start_end(&client->player);
	for (uint32_t i = 0; i < pair->together && pair->passes > 0;
	     i++, pair->passes--)
		player_start_pass(&client->player);
}

/* True if something happened. */
static inline bool
pair_step(struct pair *pair, int role)
{
	struct pair_end *end = &pair->ends[role], *peer = &pair->ends[1 - role];

	if (end->is_over)
		return false;
	switch (pair_hear(pair, end)) {
	case PLAYER_NEEDS_INPUT:
	case PLAYER_EXPECTS_CLOSE:
	case PLAYER_EXPECTS_RESET:
		return false;
	case PLAYER_HAS_OUTPUT:
		pair_say(pair, end, peer);
		break;
	case PLAYER_IDLE:
		pair_start_passes(pair, end);
		break;
	case PLAYER_PASS_DONE:
		pair->done[role]++;
		break;
	case PLAYER_FINISHED:
	case PLAYER_CLOSE:
	case PLAYER_HALF_CLOSE:
		peer->peer_ended = true;
		break;
	case PLAYER_RESET:
		peer->peer_reset = true;
		break;
	case PLAYER_MISMATCH:
	case PLAYER_NO_MEMORY:
		end->is_wrong = true;
		break;
	default:
		break;
	}
	end->is_over = end->is_wrong || (end->player.flags & 1) != 0;
	return true;
}

/* Plays to the end, or until a side is wrong or neither can go on. True if both are
 * finished. */
static inline bool
pair_play(struct pair *pair)
{
	bool goes_on = true;

	while (goes_on && !pair->ends[0].is_wrong && !pair->ends[1].is_wrong &&
	    pair->ends[0].sent + pair->ends[1].sent < pair->bytes_max) {
		goes_on = pair_step(pair, CONVERSATION_CLIENT);
		goes_on |= pair_step(pair, CONVERSATION_SERVER);
	}
	return pair->ends[0].is_over && pair->ends[1].is_over &&
	    !pair->ends[0].is_wrong && !pair->ends[1].is_wrong;
}

#endif
