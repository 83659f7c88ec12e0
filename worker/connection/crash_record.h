/*
 * crash_record.h - what another process must know to continue the connections of a
 * worker that has died, in memory that it shares with its keeper (keeper/keeper.h).
 *
 *   | struct crash_record | input of one read | the same of TLS, sealed replies |
 *   | slabs of connections | blocks |
 *
 * Invariant: at each instruction of the worker, either the connections in the slabs are
 * true, or `current` names the one that is being processed, and `undo` is what it was
 * before. What has happened to it since is known to the kernel: the bytes that were
 * read lie in `input`, and the bytes that were sent can be counted (net/socket_info.h).
 *
 *   crash_record_begin()    before bytes of a connection are read or sent
 *   crash_record_commit()   after they have been counted and queued: one store
 *
 * In between, bytes that were queued before are not overwritten: their blocks are freed
 * at the next begin (region_heap_settle). A reply is a function of its message: it is
 * made again, and the bytes of it that have been sent are skipped (connection->skip).
 *
 * A connection with TLS has more state (tls_state.h), saved by crash_record_save_tls().
 * Its input is opened again from the bytes as they were read. Its replies are not
 * sealed again: other bytes under the same sequence number would reveal both. So each
 * sealed piece is published before it is sent, with the keys behind it and the number
 * of application bytes in it: what the kernel has not taken of it follows first, and
 * that many bytes of the replies are skipped.
 *
 * The opening and closing of a connection, and the hand-over of a batch of a transfer,
 * have a member each, set before the first and cleared after the last of their steps.
 *
 * With survive_crashes off the record is private memory, so that the code is the same.
 */
#ifndef WORKER_CRASH_RECORD_H
#define WORKER_CRASH_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/memory/region_heap.h"
#include "proto/ledger.h"
#include "worker/connection/connection.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/tls_state.h"

#define CRASH_RECORD_RECEIVERS 256
/* MESSAGES_RECEIVED to BYTES_SENT: what the path of a message counts. */
#define CRASH_RECORD_COUNTERS 4
_Static_assert(
    (int)LEDGER_BYTES_SENT == (int)LEDGER_MESSAGES_RECEIVED + CRASH_RECORD_COUNTERS - 1,
    "the counters of a message are neighbours");

struct crash_undo_buffer {
	size_t start, end;
};

/* Records sealed since the last commit, in order: `before` bytes that the kernel has
 * taken, then those in the region's `sealed`. */
struct crash_sealed {
	uint64_t before, length;   /* bytes of records */
	uint64_t data;             /* bytes of application data in all of them */
	struct tls_direction send; /* the keys behind them */
	bool send_closed;
};

/* State of `current` before it was processed, if it has TLS. */
struct crash_undo_tls {
	const struct connection *owner; /* it is that of this connection */
	struct tls_state state;
	struct crash_undo_buffer partial, unsent;
	uint64_t received, sent; /* counters of its listener's block */
	struct crash_sealed sealed[2];
	uint32_t sealed_now; /* the valid one of the two */
};

struct crash_record {
	struct connection *current; /* being processed, or NULL */
	/* State of `current` before it was processed: */
	struct connection_state undo;
	uint64_t counters[CRASH_RECORD_COUNTERS];         /* of its listener's block */
	struct crash_undo_buffer undo_input, undo_output; /* unless NULL in undo */
	struct buffer *undo_output_bytes;
	uint64_t undo_replies;
	struct { /* if it has faults */
		struct fault_progress progress;
		struct buffer *segments;
		struct crash_undo_buffer range;
		uint64_t counts[FAULT_KIND_COUNT]; /* of its listener's block */
		uint64_t ring_written;
	} undo_faults;
	struct crash_undo_tls undo_tls;

	struct {
		uint32_t socket_plus_one; /* 0: none is being accepted */
		uint64_t accepted;        /* counter of its block before */
	} opening;
	struct {
		int fd_plus_one; /* 0: none is being closed */
		uint32_t socket, reason;
		uint64_t closed;               /* counter of its block before */
		struct connection *connection; /* NULL: it was refused */
	} closing;
	struct {
		int fd_plus_one; /* 0: sends to no other worker */
		uint32_t batch;  /* number of the batch in flight: frozen connections */
		uint32_t accepted; /* number of the last batch that was accepted */
		uint32_t transfer; /* its number */
		/* Connections that the transfer has moved before a batch, and with it;
		 * by the number of the batch, modulo 2: those of the batch before stay
		 * until `batch` is stored. */
		struct {
			uint64_t before, with;
		} moved[2];
	} sending;
	int receiver_fds_plus_one[CRASH_RECORD_RECEIVERS];
	struct {
		int fd_plus_one; /* 0: no batch is being accepted */
		uint32_t batch;
	} answering; /* its connections are not is_recorded yet */

	uint32_t now_ms;   /* worker->timeouts.now_ms */
	uint32_t slab_end; /* slabs from here on have never been used */
};

/* The places in the region, the same in the worker and its keeper. */
struct crash_region {
	struct crash_record *record;
	uint8_t *input;    /* WORKER_INPUT_BYTES */
	uint8_t *received; /* TLS_TRANSPORT_RECEIVED_BYTES; as read from the socket */
	uint8_t *sealed;   /* TLS_TRANSPORT_SEALED_BYTES */
	uint8_t *slabs;    /* slab_max of them; NULL: survive_crashes is off */
	uint32_t slab_max;
	uint8_t *blocks;
	size_t block_bytes;
	uint8_t *base;
	size_t size;
	int fd; /* of the memory file; -1: private */
};

/* Shared with children, and with room for that many connections, each of which has that
 * many bytes of partial messages and unsent replies; as much of that as there is
 * address space. 0, or -1 with errno. */
int crash_region_create(struct crash_region *region, uint64_t connections,
    uint64_t connection_bytes) __attribute__((warn_unused_result));
/* Private memory, for the record and the input alone. 0, or -1 with errno. */
int crash_region_create_private(struct crash_region *region)
    __attribute__((warn_unused_result));
void crash_region_destroy(struct crash_region *region);
/* For the keeper. 0, or -1 with errno. */
int crash_region_protect(const struct crash_region *region)
    __attribute__((warn_unused_result));

/* Notes the queued bytes of a connection, and settles the blocks that the connections
 * before it have freed. */
void crash_record_save_buffers(
    struct crash_record *record, const struct connection *connection);

/* Before crash_record_begin(), for a connection with faults. */
void crash_record_save_faults(
    struct crash_record *record, const struct connection *connection);

/* Before crash_record_begin(), for a connection with TLS. */
void crash_record_save_tls(
    struct crash_record *record, const struct connection *connection);
/* `length` sealed bytes with `data` bytes of application data lie in the region's
 * `sealed`; the kernel has taken all that lay there before. */
void crash_record_publish_sealed(struct crash_record *record,
    const struct tls_state *tls, size_t length, size_t data);
/* Saves the state of TLS, if the connection has it, and calls crash_record_begin(). */
void crash_record_begin_any(struct connection *connection);

/* The order of stores before and after it is the order in memory: the process that
 * reads them runs after this one has died. */
#define CRASH_RECORD_BARRIER() atomic_signal_fence(memory_order_seq_cst)

static inline void
crash_record_begin(struct crash_record *record, struct connection *connection,
    const struct ledger_block *block)
{
	record->undo = connection->state;
	memcpy(record->counters,
	    (const void *)&block->counters[LEDGER_MESSAGES_RECEIVED],
	    sizeof(record->counters));
	if (connection->state.input != NULL || connection->state.output != NULL)
		crash_record_save_buffers(record, connection);
	CRASH_RECORD_BARRIER();
	record->current = connection;
	CRASH_RECORD_BARRIER();
}

static inline void
crash_record_commit(struct crash_record *record)
{
	CRASH_RECORD_BARRIER();
	record->current = NULL;
	CRASH_RECORD_BARRIER();
}

struct worker_listener;

/* Around the steps from accept(2) until the connection is recorded or refused. */
void crash_record_open_begin(const struct worker_listener *listener);
void crash_record_open_end(struct crash_record *record);
/* Around the steps by which a socket is closed and counted, which are the commit of
 * what was being processed. `connection`: its memory, or NULL if it was refused. */
void crash_record_close_begin(const struct worker_listener *listener, int fd,
    enum close_reason reason, struct connection *connection);
void crash_record_close_end(struct crash_record *record);

#endif
