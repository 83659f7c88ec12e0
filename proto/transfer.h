/*
 * transfer.h - how open connections move from one worker (the giver) to another (the
 * taker), over a SOCK_SEQPACKET pair that the master made: each packet is one of the
 * structs below, a batch carries its sockets as SCM_RIGHTS (unix(7)).
 *
 *   giver                         taker
 *     | HELLO listeners             |
 *     |---------------------------->|  which of them do I serve, with the same framing?
 *     |             ROOM mask, room |
 *     |<----------------------------|
 *     | BATCH records + sockets     |  (events off: nobody reads these sockets now)
 *     |---------------------------->|  installs them
 *     |       TAKEN or REFUSED count|
 *     |<----------------------------|  serves them
 *     | books moved_out, closes its |
 *     | copies;  DONE count         |
 *     |---------------------------->|  books moved_in
 *     | ... END                     |
 *
 * Until TAKEN has come, the connections are the giver's: when the taker dies it serves
 * them on. Once the taker has sent TAKEN they are the taker's, whatever happens to the
 * giver: end of file without DONE counts as DONE. A giver that must end with a batch on
 * its way (a deadline, a stop) says END and then hears no more (shutdown(2)): TAKEN was
 * sent before that, or it cannot be sent, and END tells the taker that this is not the
 * giver's death. So no connection is ever without an owner, and none has two.
 */
#ifndef PROTO_TRANSFER_H
#define PROTO_TRANSFER_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define TRANSFER_VERSION 1
#define TRANSFER_BATCH_MAX 128 /* below the kernel's SCM_MAX_FD, 253 */
#define TRANSFER_LISTENERS_MAX 64
#define TRANSFER_NAME_MAX 72

enum transfer_verb {
	TRANSFER_HELLO = 1,
	TRANSFER_CAPACITY,
	TRANSFER_BATCH,
	TRANSFER_ACCEPTED,
	TRANSFER_REJECTED,
	TRANSFER_COMMITTED,
	TRANSFER_END,
};

struct transfer_hello {
	uint32_t verb;
	uint32_t version;
	uint32_t count;
	struct {
		uint32_t framing;             /* enum framing */
		char name[TRANSFER_NAME_MAX]; /* the address that it is bound to */
	} listeners[TRANSFER_LISTENERS_MAX];
};

/* ROOM, TAKEN, REFUSED, DONE, END */
struct transfer_note {
	uint32_t verb;
	uint32_t count;
	uint64_t mask; /* ROOM: bit i: listener i can move */
};

/* One connection. Its bytes, if it has any, stand in the batch's memory file, in the
 * order of the records: first the unfinished input, then the unsent output. */
struct transfer_record {
	uint32_t listener; /* the giver's number, as in HELLO */
	uint32_t input_bytes;
	uint32_t output_bytes;
	uint32_t searched; /* bytes of the input known to hold no whole line */
	uint64_t replies;  /* in the output */
	uint32_t idle_ms;  /* since something last came, or had gone */
	uint8_t phase;     /* enum connection_phase */
	uint8_t reason;    /* enum close_reason */
	uint8_t peer_family;
	uint8_t reading_paused;
	uint16_t peer_port;
	uint8_t peer[16];
	uint8_t unused[6];
};

struct transfer_batch {
	uint32_t verb;
	uint32_t count;
	uint64_t
	    state_bytes; /* > 0: the last descriptor is a memory file of this size */
	struct transfer_record records[TRANSFER_BATCH_MAX];
};

union transfer_packet {
	uint32_t verb;
	struct transfer_hello hello;
	struct transfer_note note;
	struct transfer_batch batch;
};

/* Sends one packet with `count` descriptors, which stay open here. 0, or -1 with errno.
 */
int transfer_packet_send(int fd, const void *packet, size_t length, const int *fds,
    size_t count) __attribute__((warn_unused_result));

/* Receives one packet; at most TRANSFER_BATCH_MAX + 1 descriptors into ret_fds, their
 * number into *ret_count (they are the caller's). The packet's length, 0 at end of
 * file, -1 with errno (EAGAIN; EPROTO: too short to be one). Descriptors that did not
 * fit this process are gone: the number tells. */
ssize_t transfer_packet_receive(int fd, union transfer_packet *ret, int *ret_fds,
    size_t *ret_count) __attribute__((warn_unused_result));

/* Bytes of a batch packet with `count` records. */
size_t transfer_batch_bytes(uint32_t count);

#endif
