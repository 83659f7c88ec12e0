/*
 * channel.h - control messages between the master and a worker, over a pair of
 * SOCK_SEQPACKET Unix sockets: one packet is one message, with at most one descriptor.
 *
 * End of file reports that the other process has exited.
 *
 *   worker -> master   KEEPER, READY, LISTENERS_CLOSED, SENT, RECEIVED
 *   keeper -> master   SENT, RECEIVED after the death of the worker
 *   master -> worker   DRAIN_QUEUE, DRAIN, SEND_CONNECTIONS, RECEIVE_CONNECTIONS, EXIT,
 *                      LOG_LEVEL, LOG_REOPEN, QUEUE_TAKEN_OVER, FAULTS
 *   master -> keeper   SEND_CONNECTIONS, NO_RECEIVER, EXIT, LOG_LEVEL, LOG_REOPEN
 */
#ifndef PROTO_CHANNEL_H
#define PROTO_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

/* To be raised with any change of the messages, as TRANSFER_VERSION. */
#define CHANNEL_VERSION 4

/* With the meaning of `argument` and `value`. */
enum channel_verb {
	CHANNEL_READY = 1, /* the worker serves */
	/* The worker drains and has closed its listening sockets, after it has emptied
	 * the accept queues assigned to it. */
	CHANNEL_LISTENERS_CLOSED,
	/* A transfer has ended at the sender, at the receiver. argument: its number;
	 * value: connections that moved, and of the sender CHANNEL_SENT_FULL or
	 * CHANNEL_SENT_UNSERVED. */
	CHANNEL_SENT,
	CHANNEL_RECEIVED,
	/* Accept until no connection arrives, then close. argument: a listener, or
	 * CHANNEL_ALL; value 1 (one listener only): until the queue is empty once. */
	CHANNEL_DRAIN_QUEUE,
	/* Stop accepting, drain, exit. argument 1: SEND_CONNECTIONS follows, and
	 * connections that can move wait for it; value: the time limit in ns, 0: none.
	 */
	CHANNEL_DRAIN,
	/* Send open connections to the worker at the other end of the descriptor.
	 * argument: the number of the transfer; value: the maximum number (0: all), and
	 * CHANNEL_SEND_MOVABLE_ONLY or CHANNEL_SEND_KEPT. */
	CHANNEL_SEND_CONNECTIONS,
	/* Receive connections from the descriptor. argument: the number of the
	   transfer. */
	CHANNEL_RECEIVE_CONNECTIONS,
	CHANNEL_EXIT,       /* exit immediately */
	CHANNEL_LOG_LEVEL,  /* argument: enum log_level */
	CHANNEL_LOG_REOPEN, /* log to the descriptor, if one is passed */
	/* Another worker serves our listening sockets. Stop emptying their queues and
	 * close them, except for the listeners whose bits are set in value. */
	CHANNEL_QUEUE_TAKEN_OVER,
	/* The process id of the worker's keeper is value; before READY. */
	CHANNEL_KEEPER,
	CHANNEL_NO_RECEIVER, /* no worker takes what a keeper has: close it */
	/* Replace the faults of listeners by the text in the descriptor, a memory file
	 * (worker/faults/fault_listener.h). value: its bytes. */
	CHANNEL_FAULTS,
};

#define CHANNEL_ALL UINT32_MAX
/* Only connections of listeners with balance "move". */
#define CHANNEL_SEND_MOVABLE_ONLY (UINT64_C(1) << 32)
/* To a keeper, which ignores an order that its worker has not read. */
#define CHANNEL_SEND_KEPT (UINT64_C(1) << 33)

/* The receiver is full: the remaining connections wait for another transfer, or for
 * DRAIN with argument 0. */
#define CHANNEL_SENT_FULL (UINT64_C(1) << 63)
/* From a keeper: the receiver serves none of the remaining connections. */
#define CHANNEL_SENT_UNSERVED (UINT64_C(1) << 62)

struct channel_message {
	uint32_t verb; /* enum channel_verb */
	uint32_t argument;
	uint64_t value;
};

/* Both ends, non-blocking and close-on-exec. 0, or -1 with errno. */
int channel_open(int ret_fds[2]) __attribute__((warn_unused_result));
/* Sends one message, with `fd` unless it is -1 (it stays open here). 0, or -1 with
 * errno (EAGAIN: the channel is full). */
int channel_send(int channel_fd, const struct channel_message *message, int fd)
    __attribute__((warn_unused_result));
/* 1 and one message (*ret_fd is -1 or a descriptor that the caller owns), 0 at end of
 * file, or -1 with errno (EAGAIN: none is waiting; EPROTO: malformed). */
int channel_receive(int channel_fd, struct channel_message *ret, int *ret_fd)
    __attribute__((warn_unused_result));

/* Makes sends of descriptors to this end fail, where the kernel can do that (Linux
 * 6.16): the master wants none. */
void channel_refuse_fds(int channel_fd);
/* Closes received descriptors that are not wanted. A compromised worker may send a
 * socket whose close(2) waits for unsent data (SO_LINGER): that is switched off first.
 */
void channel_discard_fds(const int *fds, size_t count);

/* The packet below a message, also of other protocols over such a pair (transfer.h). */
#define CHANNEL_PACKET_FDS_MAX 129 /* below the kernel's SCM_MAX_FD, 253 */
struct channel_packet {
	void *data;
	size_t length;
	int *fds;
	size_t fd_count;
};
/* 0, or -1 with errno. The descriptors stay open here. */
int channel_packet_send(int channel_fd, const struct channel_packet *packet)
    __attribute__((warn_unused_result));
/* length and fd_count are the room, then what was received: a length beyond the room
 * means that the packet was truncated. 1, 0 at end of file, or -1 with errno. The
 * caller owns the descriptors. */
int channel_packet_receive(int channel_fd, struct channel_packet *packet)
    __attribute__((warn_unused_result));

#endif
