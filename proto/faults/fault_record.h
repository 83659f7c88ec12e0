/*
 * fault_record.h - the record of the latest faults that were injected, in memory that
 * the master shares with its workers and passes on in an upgrade. Each page has one
 * writer (lib/shared_memory.h):
 *
 *   +------------------+--------+--------+-----
 *   | head, past ring  | ring 0 | ring 1 | ...   one memory file
 *   +------------------+--------+--------+-----
 *    the master         one worker process each, by its entry in the ledger
 *
 * A ring holds the latest faults of one writer. When a worker has exited, the master
 * copies its ring to that of the past. Readers believe nothing that stands in a ring.
 */
#ifndef PROTO_FAULTS_FAULT_RECORD_H
#define PROTO_FAULTS_FAULT_RECORD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct fault_record {
	uint64_t time_ns;      /* CLOCK_REALTIME */
	uint64_t connected_ns; /* the same, of the accept: tells apart connections of
				  one address; 0: no connection */
	uint64_t message;      /* of the connection, from 1; 0: none */
	uint64_t offset;  /* bytes of replies, without faults, before the one hit */
	uint64_t length;  /* bytes of that reply, without faults */
	uint64_t value;   /* a delay or stall in ns; bytes, bits, bytes per second */
	uint8_t peer[16]; /* address_compact */
	uint16_t peer_port;
	uint16_t listener; /* number in the ledger */
	uint8_t peer_family;
	uint8_t kind; /* enum fault_kind */
};

struct fault_ring {
	_Atomic uint64_t written; /* ever; the latest ones are kept */
	uint64_t capacity;
	struct fault_record records[];
};

/* The view of the master. */
struct fault_records {
	struct fault_records_head *head;
	uint32_t capacity; /* of each ring */
	int fd;
};

/* NULL with errno; capacity is at least 1. */
struct fault_records *fault_records_create(uint32_t capacity)
    __attribute__((warn_unused_result));
/* Maps an existing one for a master, which owns the descriptor from then on. NULL with
 * errno (EPROTO: not such a record). */
struct fault_records *fault_records_attach(int fd) __attribute__((warn_unused_result));
/* NULL is accepted. */
void fault_records_destroy(struct fault_records *records);

/* Empties the ring of a worker that is about to be started. 0, or -1 with errno. */
int fault_records_clear(struct fault_records *records, uint32_t entry)
    __attribute__((warn_unused_result));
/* In the new worker process: its ring, for writing; the past ring becomes read-only.
 * NULL with errno. */
struct fault_ring *fault_records_enter_worker(
    struct fault_records *records, uint32_t entry) __attribute__((warn_unused_result));
/* Copies the ring of a worker that has exited to the past. */
void fault_records_retire(struct fault_records *records, uint32_t entry);

/* For the owner of the ring. */
static inline void
fault_ring_add(struct fault_ring *ring, const struct fault_record *record)
{
	uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	ring->records[written % ring->capacity] = *record;
	atomic_store_explicit(&ring->written, written + 1, memory_order_release);
}

/* The latest records of the past and of these workers' rings, by time: at most
 * `capacity` of them. *ret_total: how many there have ever been. Heap; NULL when out of
 * memory. */
struct fault_record *fault_records_read(const struct fault_records *records,
    const uint32_t *entries, size_t entry_count, size_t *ret_count, uint64_t *ret_total)
    __attribute__((warn_unused_result));

#endif
