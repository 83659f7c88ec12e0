/*
 * handover.h - how open connections move from one worker (the giver) to another (the
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
#ifndef PROTO_HANDOVER_H
#define PROTO_HANDOVER_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define HANDOVER_VERSION 1
#define HANDOVER_BATCH_MAX 128 /* below the kernel's SCM_MAX_FD, 253 */
#define HANDOVER_LISTENERS_MAX 64
#define HANDOVER_NAME_MAX 72

enum handover_verb {
	HANDOVER_HELLO = 1,
	HANDOVER_ROOM,
	HANDOVER_BATCH,
	HANDOVER_TAKEN,
	HANDOVER_REFUSED,
	HANDOVER_DONE,
	HANDOVER_END,
};

struct handover_hello {
	uint32_t verb;
	uint32_t version;
	uint32_t count;
	struct {
		uint32_t framing;             /* enum framing */
		char name[HANDOVER_NAME_MAX]; /* the address that it is bound to */
	} listeners[HANDOVER_LISTENERS_MAX];
};

/* ROOM, TAKEN, REFUSED, DONE, END */
struct handover_note {
	uint32_t verb;
	uint32_t count;
	uint64_t mask; /* ROOM: bit i: listener i can move */
};

/* One connection. Its bytes, if it has any, stand in the batch's memory file, in the
 * order of the records: first the unfinished input, then the unsent output. */
struct handover_record {
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

struct handover_batch {
	uint32_t verb;
	uint32_t count;
	uint64_t
	    state_bytes; /* > 0: the last descriptor is a memory file of this size */
	struct handover_record records[HANDOVER_BATCH_MAX];
};

union handover_packet {
	uint32_t verb;
	struct handover_hello hello;
	struct handover_note note;
	struct handover_batch batch;
};

/* Sends one packet with `count` descriptors, which stay open here. 0, or -1 with errno.
 */
int handover_send(int fd, const void *packet, size_t length, const int *fds,
    size_t count) __attribute__((warn_unused_result));

/* Receives one packet; at most HANDOVER_BATCH_MAX + 1 descriptors into ret_fds, their
 * number into *ret_count (they are the caller's). The packet's length, 0 at end of
 * file, -1 with errno (EAGAIN; EPROTO: too short to be one). Descriptors that did not
 * fit this process are gone: the number tells. */
ssize_t handover_receive(int fd, union handover_packet *ret, int *ret_fds,
    size_t *ret_count) __attribute__((warn_unused_result));

/* Bytes of a batch packet with `count` records. */
size_t handover_batch_bytes(uint32_t count);

#endif
