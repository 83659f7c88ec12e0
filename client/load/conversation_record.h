/* conversation_record.h - what a conversation that went wrong leaves in the counters:
 * the line and the step of the file, what was expected and what came. */
#ifndef CLIENT_LOAD_CONVERSATION_RECORD_H
#define CLIENT_LOAD_CONVERSATION_RECORD_H

#include "proto/conversation/player/player.h"
#include "client/load/conn_state.h"

/* Records a mismatch, with all that is known of it if it is one of the first. */
void conversation_record_mismatch(const struct load_context *ctx,
    const struct conn *conn, const struct player_side *side,
    const struct player *player, const struct player_mismatch *mismatch);

/* Fills in what the player of a lost connection was waiting for. */
void conversation_record_waiting(const struct player_side *side,
    const struct player *player, struct counters_lost_connection *ret);

#endif
