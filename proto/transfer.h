/*
 * transfer.h - how open connections move from one worker (the sender) to another (the
 * receiver), over a SOCK_SEQPACKET pair that the master created: each packet is one of
 * the structs below; a batch carries its sockets as SCM_RIGHTS (unix(7)).
 *
 *   sender                            receiver
 *     | HELLO listeners                 |
 *     |-------------------------------->|  which of them do I serve, same framing?
 *     |          CAPACITY mask, count   |
 *     |<--------------------------------|
 *     | BATCH records + sockets         |  (the sender does not read these sockets)
 *     |-------------------------------->|  installs them
 *     |      ACCEPTED or REJECTED count |
 *     |<--------------------------------|  serves them
 *     | counts moved_out, closes its    |
 *     | copies;  COMMITTED count        |
 *     |-------------------------------->|  counts moved_in
 *     | ... END                         |
 *
 * Each connection has exactly one owner at any time:
 *
 * 1. Until ACCEPTED has been sent, the sender owns the batch: if the receiver dies, the
 *    sender serves it.
 * 2. Once ACCEPTED has been sent, the receiver owns the batch, even if the sender dies.
 * 3. After ACCEPTED, end of file without COMMITTED counts as COMMITTED.
 * ACCEPTED carries the number of its batch, counted by both sides, because a keeper
 * that does not know whether its dead worker has sent it sends it again; the sender
 * ignores one of another batch. A sender that finds ACCEPTED after END sends COMMITTED
 * too; so does a keeper whose dead worker had received ACCEPTED, perhaps once more.
 *
 * 4. A sender that must stop with a batch in flight (a deadline, an exit) sends END and
 *    then shuts its receiving side down: either ACCEPTED was sent before that, or it
 *    can no longer be sent. END tells the receiver that the sender has not died.
 */
#ifndef PROTO_TRANSFER_H
#define PROTO_TRANSFER_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

/* To be raised with any change of the packets or of a value in them: an upgrade is
 * refused between programs that differ (state_save.h). */
#ifndef TRANSFER_VERSION
#define TRANSFER_VERSION 12
#endif
#define TRANSFER_BATCH_MAX 128 /* below the kernel's SCM_MAX_FD, 253 */
#define TRANSFER_LISTENERS_MAX 64
#define TRANSFER_NAME_MAX 128

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
		uint64_t reply;               /* reply_fingerprint() */
		uint64_t opening; /* session_opening_fingerprint() of a conversation:
				     equal if one can continue with the next pass of the
				     other; another one for all witnesses; 0: neither */
	} listeners[TRANSFER_LISTENERS_MAX];
};

/* CAPACITY, ACCEPTED, REJECTED, COMMITTED, END */
struct transfer_note {
	uint32_t verb;
	uint32_t count;
	uint64_t mask; /* CAPACITY: bit i: listener i can move; ACCEPTED: the number of
			  the batch (0: the one in flight) */
	uint64_t same_replies; /* CAPACITY: bit i: it has the same reply here; if not, a
				  conversation can move between two passes */
	uint64_t place;        /* CAPACITY: open_count_place(), or OPEN_COUNT_NOWHERE */
};

/* One connection. If its worker has died, the input may hold messages that are not
 * answered yet, and a connection that finishes may have no output: the receiver
 * continues with each connection at once. The batch's memory file holds the bytes of
 * the connections in the order of the records: first the unread input, then the unsent
 * output, then what the reply "whoami" or "witness" keeps, then the state of its faults
 * (worker/connection/fault_state.h): struct fault_progress and the segments, then that
 * of TLS (worker/connection/tls_state.h): struct tls_moved, the records that are not
 * opened (with those that a dead worker had opened) and the sealed ones that are not
 * sent. These secrets are wiped from the memory file when they are read. */
struct transfer_record {
	uint32_t listener; /* the sender's number, as in HELLO */
	uint32_t input_bytes;
	uint32_t output_bytes;
	uint32_t searched; /* bytes of the input that hold no complete message */
	uint64_t replies;  /* in the output */
	uint32_t idle_ms;  /* since bytes last arrived or were sent */
	uint8_t phase;     /* enum connection_phase */
	uint8_t reason;    /* enum close_reason */
	uint8_t peer_family;
	uint8_t reading_paused;
	uint16_t peer_port;
	uint8_t peer[16];
	uint8_t deaths; /* workers in a row that died while they processed it */
	uint8_t unused;
	uint32_t skip; /* bytes of the replies to the input that have been sent; then
			  the receiver has the same reply */
	uint64_t received, sent; /* bytes of the streams, since they began */
	uint32_t about_bytes;    /* of what the reply "whoami" or "witness" keeps:
				    worker/connection/whoami_state.h, witness_state.h */
	uint32_t fault_bytes;    /* of the state of its faults; 0: it has none */
	uint32_t tls_bytes;      /* of the state of TLS; 0: it has none */
	uint32_t unused_word;
};

struct transfer_batch {
	uint32_t verb;
	uint32_t count;
	uint64_t state_bytes; /* > 0: size of the memory file, the last descriptor */
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

/* Receives one packet. At most TRANSFER_BATCH_MAX + 1 descriptors go into ret_fds,
 * their number into *ret_count; the caller owns them, also on EPROTO. Fewer than were
 * sent if this process has no room for them. The packet's length, 0 at end of file, or
 * -1 with errno (EAGAIN; EPROTO: malformed). */
ssize_t transfer_packet_receive(int fd, union transfer_packet *ret, int *ret_fds,
    size_t *ret_count) __attribute__((warn_unused_result));

/* Bytes of a batch packet with `count` records. */
size_t transfer_batch_bytes(uint32_t count);

#endif
