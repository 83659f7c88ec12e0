/*
 * channel.h - what the master and a worker say to each other, over a pair of
 * SOCK_SEQPACKET Unix sockets: one packet is one message, with at most one descriptor.
 *
 * End of file is a message too: the master reads it as the worker's death, a worker as
 * the master's.
 *
 *   worker -> master   READY, RETIRED, GAVE, TOOK
 *   master -> worker   EMPTY, LEAVE, GIVE, TAKE, STOP, CEDE, LOG_LEVEL,
 *                      LOG_REOPEN
 */
#ifndef PROTO_CHANNEL_H
#define PROTO_CHANNEL_H

#include <stdint.h>

enum channel_verb {
	CHANNEL_READY = 1,        /* the worker serves */
	CHANNEL_LISTENERS_CLOSED, /* leaving, and its listeners are closed (emptied
				   * where asked)
				   */
	CHANNEL_SENT, /* hand-over `argument` is over; value: connections that moved out
		       */
	CHANNEL_RECEIVED, /* the same at the other end; value: connections that moved in
			   */
	CHANNEL_DRAIN_QUEUE, /* argument: listener or CHANNEL_ALL; accept until quiet,
			      * then close; value 1 (one listener): until nobody waits
			      * now */
	CHANNEL_DRAIN, /* stop accepting, drain, exit; argument 1: a GIVE follows, what
			* can move waits for it; value: ns for all that, 0: no limit */
	CHANNEL_SEND_CONNECTIONS, /* give the open connections to the descriptor's other
				   * end; value: at most so many, and
				   * CHANNEL_SEND_MOVABLE_ONLY, 0: all */
	CHANNEL_RECEIVE_CONNECTIONS, /* take over what comes from the descriptor;
				      * argument of both: the number of the hand-over */
	CHANNEL_EXIT,                /* exit now */
	CHANNEL_LOG_LEVEL,           /* argument: enum log_level */
	CHANNEL_LOG_REOPEN, /* the log is the descriptor from now on; none: stderr stays
			     */
	CHANNEL_QUEUE_TAKEN_OVER, /* somebody else serves our sockets: what is being
				   * emptied closes now, but the listeners whose bits
				   * are in value */
};

#define CHANNEL_ALL UINT32_MAX
/* Only of listeners whose balance is to move. */
#define CHANNEL_SEND_MOVABLE_ONLY (UINT64_C(1) << 32)

struct channel_message {
	uint32_t verb; /* enum channel_verb */
	uint32_t argument;
	uint64_t value;
};

/* Both ends, non-blocking and close-on-exec. 0, or -1 with errno. */
int channel_open(int ret_fds[2]) __attribute__((warn_unused_result));
/* Sends one message, with `fd` along unless it is -1 (it stays open here). 0, or -1
 * with errno (EAGAIN: the other side does not read). */
int channel_send(int channel_fd, const struct channel_message *message, int fd)
    __attribute__((warn_unused_result));
/* 1 and one message (*ret_fd is -1 or a descriptor that the caller owns), 0 at end of
 * file, or -1 with errno (EAGAIN: nothing waits; EPROTO: not a message). */
int channel_receive(int channel_fd, struct channel_message *ret, int *ret_fd)
    __attribute__((warn_unused_result));

#endif
