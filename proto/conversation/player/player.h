/*
 * player.h - one connection in a conversation: what this side says, and whether it
 * hears what it must.
 *
 * A player knows no socket, clock or event loop. It takes the bytes that arrive and
 * makes the bytes to send. The verdict does not depend on how either are cut.
 *
 *     player_init                      when the connection is established
 *     loop:
 *       player_feed(data, length)      with the bytes read that are not used yet;
 *                                      NULL, 0 first and after each output
 *         HAS_OUTPUT                   player_output, send
 *         NEEDS_INPUT                  read
 *         OPENED                       (once; also if the opening is empty)
 *         IDLE                         client: player_start_pass when a message is due,
 *                                      player_start_end when no more are to come
 *         STEP_DONE, PASS_DONE         count
 *         PAUSE, HALF_CLOSE, CLOSE, RESET      do it
 *         EXPECTS_CLOSE, EXPECTS_RESET         read; player_end_of_input, ...
 *         FINISHED, MISMATCH, NO_MEMORY        close
 *     player_finish
 *
 * After every other event player_feed is called again, until it returns NEEDS_INPUT,
 * HAS_OUTPUT, IDLE, EXPECTS_... or one of the last three. Input has precedence: output
 * is announced when all bytes are used, or when the next ones cannot be heard before
 * (then *ret_used < length, and they are fed again after the output).
 *
 * Invariants
 * - The position is plain data: two cursors in conversation->parts. The one that says
 *   waits where the peer speaks, the one that hears waits where this side speaks. Both
 *   are always in the same section.
 * - What this side says is a function of (conversation, role, seed, connection, pass,
 *   captures). It is made again at any time and never stored.
 * - Captures lie in one block, to which a pass only appends; the next pass takes a new
 *   block if side->is_undoable. A copy of struct player from before player_feed or
 *   player_output then undoes the call, as long as freed blocks keep their contents
 *   (buffer_set_memory). The same calls after that have the same results.
 */
#ifndef PROTO_CONVERSATION_PLAYER_PLAYER_H
#define PROTO_CONVERSATION_PLAYER_PLAYER_H

#include "lib/buffer.h"
#include "proto/conversation/conversation.h"

/* State that all connections of a listener or a run share. */
struct player_side {
	const struct conversation *conversation;
	enum conversation_role role;
	uint64_t seed; /* of \{random} and \{payload} */
	uint32_t pid;  /* \{pid} */
	/* Client, if conversation->pipeline_refusal is empty: what the server says in
	 * the repeat section is not waited for; as many passes are sent as started. */
	bool runs_ahead;
	bool is_undoable;     /* see above */
	uint32_t capture_max; /* bytes that the captures of a connection may have */
};

struct player_cursor {
	uint32_t offset; /* in the part */
	uint16_t part;
};

struct player {                  /* private; may be copied and moved as bytes */
	struct buffer *captures; /* slots, then bytes; NULL: none */
	uint64_t received;       /* bytes heard */
	uint64_t pass;           /* number of the one that is heard */
	uint32_t ahead;          /* the one that is said: pass + ahead */
	uint32_t started;        /* client: passes from `pass` on that may be said */
	uint32_t connection;
	uint32_t captured; /* bytes of `captures` in use */
	uint32_t state;    /* of the part that is heard */
	struct player_cursor say, hear;
	/* Ends of the open counted parts, as low 32 bits of `received`; the next one
	 * is a length. */
	uint32_t ends[CONVERSATION_NESTING_MAX];
	uint8_t depth;   /* open counted parts */
	uint8_t section; /* enum conversation_section */
	uint8_t flags;
};

enum player_event {
	PLAYER_NEEDS_INPUT, /* all bytes are used */
	PLAYER_HAS_OUTPUT,
	PLAYER_IDLE, /* client, between passes */
	PLAYER_OPENED,
	PLAYER_STEP_DONE,  /* the answer to the named step detail->step is verified */
	PLAYER_PASS_DONE,  /* a pass is verified; player_pass() is its number + 1 */
	PLAYER_PAUSE,      /* wait detail->pause_ns; only then call again */
	PLAYER_HALF_CLOSE, /* these three: when all output has been sent; */
	PLAYER_CLOSE,      /* then call again, for the events behind it: */
	PLAYER_RESET,      /* PASS_DONE, FINISHED */
	PLAYER_EXPECTS_CLOSE, /* the peer must end its stream now */
	PLAYER_EXPECTS_RESET, /* the peer must reset the connection now */
	PLAYER_FINISHED,      /* nothing is left to say or hear */
	PLAYER_MISMATCH,      /* detail->mismatch */
	PLAYER_NO_MEMORY,     /* for a capture */
};

enum player_fault {
	PLAYER_WRONG_BYTES,
	PLAYER_EARLY,         /* bytes where this side had to speak first */
	PLAYER_BYTES_FOR_END, /* bytes instead of a close or reset */
	PLAYER_CLOSED_EARLY,  /* the peer ended its stream */
	PLAYER_RESET_EARLY,   /* the peer reset the connection */
	PLAYER_TOO_LONG,      /* a number or capture over its limit */
	PLAYER_WRONG_LENGTH,  /* a counted part is not as long as its length says */
	PLAYER_WAITING,       /* player_waiting(): nothing came */
	PLAYER_FAULT_COUNT
};

#define PLAYER_FOUND_MAX 48

struct player_mismatch {
	enum player_fault fault;
	uint16_t part;   /* what was expected: index in conversation->parts */
	uint32_t at;     /* bytes of that part which had come */
	uint64_t pass;   /* number of the pass, if `section` is the repeat section */
	uint8_t section; /* enum conversation_section */
	uint8_t found_length;
	uint64_t offset; /* of the first wrong byte in all that was heard, from 0 */
	int64_t counted; /* WRONG_LENGTH: bytes that the length promises beyond */
	uint8_t found[PLAYER_FOUND_MAX]; /* the wrong byte and what came with it */
};

/* Written only for the events that name a member. */
struct player_detail {
	uint16_t step; /* index in conversation->step_names */
	uint64_t pause_ns;
	struct player_mismatch mismatch;
};

/* first_pass: number of the first pass, for \{message}, \{random} and \{payload}: a
 * connection that is opened again goes on counting. Takes no memory. */
void player_init(const struct player_side *side, uint32_t connection,
    uint64_t first_pass, struct player *ret);
/* Frees the captures. */
void player_finish(struct player *player);

/* Hears bytes up to the next event; *ret_used of them are used. A mismatch is final:
 * the player is not used any more. */
enum player_event player_feed(const struct player_side *side, struct player *player,
    const uint8_t *data, size_t length, size_t *ret_used, struct player_detail *detail)
    __attribute__((warn_unused_result));

/* The peer has ended its stream, or has reset the connection, after all bytes that
 * came before were fed. PLAYER_NEEDS_INPUT: as expected; call player_feed(NULL, 0).
 * PLAYER_FINISHED: the server's side accepts that a client leaves between two passes.
 * PLAYER_MISMATCH: too early. */
enum player_event player_end_of_input(
    const struct player_side *side, struct player *player, struct player_detail *detail)
    __attribute__((warn_unused_result));
enum player_event player_reset_by_peer(
    const struct player_side *side, struct player *player, struct player_detail *detail)
    __attribute__((warn_unused_result));

/* Says the next bytes. *length: the room in `out` (not 0), set to the number of bytes;
 * 0: there is nothing to say now. Returns where they are: in `out`, or constant text in
 * the conversation. A call ends before the next named step and the next pass, so that
 * what it returns belongs to one; *ret_step is the index in step_names of the step
 * whose first byte it has, or CONVERSATION_NONE. *ret_starts_pass: it has the first
 * byte of a pass, number player_pass_said() - 1 afterwards. Both may be NULL.
 *
 * To advance by the bytes that a socket took and no more: copy the player before, and
 * if fewer were taken restore it and call again with that number as the room. */
const uint8_t *player_output(const struct player_side *side, struct player *player,
    uint8_t *out, size_t *length, uint16_t *ret_step, bool *ret_starts_pass);
/* True if player_output has bytes. */
bool player_has_output(const struct player_side *side, const struct player *player);

/* Client: one pass more may be said. More than one at a time: they run one after the
 * other, or with side->runs_ahead are in flight together. */
void player_start_pass(struct player *player);
/* Client: the passes that were started are the last; the end section follows, then
 * PLAYER_FINISHED. */
void player_start_end(struct player *player);

/* first_pass and the passes that are done. */
static inline uint64_t
player_pass(const struct player *player)
{
	return player->pass;
}
/* first_pass and the passes of which something has been said. Passes in flight: the
 * difference. */
uint64_t player_pass_said(const struct player_side *side, const struct player *player);

/* True if no pass, opening or end is in progress: the next pass can be one of another
 * conversation (player_load). */
bool player_is_between_passes(
    const struct player_side *side, const struct player *player);

/* Describes the awaited part as a mismatch in which nothing was found: for a timeout.
 */
void player_waiting(const struct player_side *side, const struct player *player,
    struct player_mismatch *ret);

/* "FILE:LINE: [STEP], pass N, offset M: expected ..., found ...": one printable line,
 * with captures filled in and bytes as text and hex. `player` is the one with the
 * mismatch, for its captures. Returns out; size is at least 64. */
char *player_describe_mismatch(const struct player_side *side,
    const struct player *player, const struct player_mismatch *mismatch, char *out,
    size_t size);

/* Writes a flat form, which another process can load, to out[player_saved_bytes()]. */
void player_save(
    const struct player_side *side, const struct player *player, uint8_t *out);
size_t player_saved_bytes(const struct player_side *side, const struct player *player);
/* Reads what player_save wrote in this process, or player_load accepted, with the same
 * side: nothing is checked. 0, or -1 with ENOMEM. On 0 the caller finishes the player.
 */
int player_restore(const uint8_t *data, struct player *ret)
    __attribute__((warn_unused_result));

enum player_load {
	PLAYER_LOADED,
	/* It was saved with another conversation, and in the middle of a pass, or this
	 * conversation needs a capture of the opening that it does not have. */
	PLAYER_OTHER_CONVERSATION,
	PLAYER_INVALID,
	PLAYER_LOAD_NO_MEMORY,
};
/* Reads what player_save wrote; the bytes are not trusted. Saved with another
 * conversation (its digest differs) a player between passes continues with the next
 * pass of this one. Only on PLAYER_LOADED *ret is a player, which the caller finishes.
 */
enum player_load player_load(const struct player_side *side, const uint8_t *data,
    size_t length, struct player *ret) __attribute__((warn_unused_result));

#endif
