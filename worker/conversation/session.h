/*
 * session.h - the server's side of a conversation on one connection: bytes of the
 * client in, bytes of the server out. It touches no socket and no timer.
 *
 * Between two calls a session is bytes, at the front of the connection's input:
 *
 *   | header | flat form of the player (player.h) | end of a pause | unplayed input |
 *
 * So a transfer moves it as it moves any input, and the death of a worker does not
 * change it: each time it has played, a session is saved into a new block, and the old
 * one stays until the commit (worker/connection/crash_record.h). The player is
 * deterministic: from the same position it makes the same bytes of the same input.
 */
#ifndef WORKER_CONVERSATION_SESSION_H
#define WORKER_CONVERSATION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "proto/close_reason.h"
#include "proto/conversation/player/player.h"

enum session_status {
	SESSION_WAITS,   /* for input */
	SESSION_FULL,    /* there is no room for output: call again */
	SESSION_PAUSES,  /* until pause_end_ns */
	SESSION_STOPPED, /* between two passes, as asked */
	/* End our stream when all output is sent, then clear half_closes. */
	SESSION_HALF_CLOSES,
	SESSION_ENDED, /* close with `reason` */
};

struct session {
	const struct player_side *side;
	struct player player;
	uint64_t pause_end_ns; /* CLOCK_MONOTONIC; 0: none */
	bool has_end;          /* the client has ended its stream */
	bool took_end;         /* and the player knows it */
	bool half_closes;      /* the server is about to end its stream */
	uint8_t ending;        /* enum close_reason once the server has said its end */
	enum close_reason reason; /* SESSION_ENDED */
	bool has_mismatch;        /* that is why it has ended */
	struct player_mismatch mismatch;
};

/* Where a session writes what the server says. */
struct session_output {
	uint8_t *data;
	size_t room;     /* bytes */
	size_t length;   /* bytes written, by this and earlier calls */
	uint64_t passes; /* that have ended, in this and earlier calls */
	bool stops;      /* asks it to stop between two passes */
};

/* Begins one; `connection` is the number of the connection. The caller calls
 * session_close. */
void session_init(
    const struct player_side *side, uint32_t connection, struct session *ret);
/* Reads the session at the front of the input, which is not NULL: one of this process
 * with the same side, so nothing is checked. 0, or -1 with ENOMEM. On 0 the caller
 * calls session_close. */
int session_open(const struct player_side *side, const struct buffer *input,
    struct session *ret) __attribute__((warn_unused_result));
/* Puts a session that begins in front of the input. 0, or -1 with ENOMEM and nothing
 * changed. */
int session_begin(const struct player_side *side, uint32_t connection,
    struct buffer **input) __attribute__((warn_unused_result));
/* Frees the memory. */
void session_close(struct session *session);

/* The client has ended or reset its stream, after all input so far. */
void session_set_end(struct session *session);
/* True if the conversation expects a reset now; what ends with it is counted. */
bool session_take_reset(struct session *session, uint64_t *passes);

/* Plays with data[length], of which *ret_used bytes are used: all of them if it
 * waits. */
enum session_status session_play(struct session *session, const uint8_t *data,
    size_t length, size_t *ret_used, struct session_output *out)
    __attribute__((warn_unused_result));

/* Replaces *input by the session and data[length], which may lie in *input. 0, or -1
 * with ENOMEM and nothing changed. */
int session_save(const struct session *session, struct buffer **input,
    const uint8_t *data, size_t length) __attribute__((warn_unused_result));

/* Bytes behind the session at the front of the input, which is one of this process. */
size_t session_waiting_bytes(const struct buffer *input);
/* True if data[length], the input of a connection, is a session between two passes, or
 * has not begun; input may follow it. The bytes may be untrusted. */
bool session_is_between_passes(const uint8_t *data, size_t length);

/* Fingerprint of the names that the opening captures. Equal for conversations of which
 * one can continue with the next pass of the other; 0 without a conversation, and only
 * then. */
uint64_t session_opening_fingerprint(const struct conversation *conversation);

/* Checks untrusted input that was received with a connection, and makes it that of this
 * conversation. False if that is not possible, or for lack of memory. */
bool session_adopt(const struct player_side *side, struct buffer **input);

#endif
