/*
 * visits.h - how much each address takes of the listeners that limit it, as one worker
 * tells the others: a table in the shared memory of its books (ledger.h), written by
 * that worker alone and read by all. So a limit holds for all workers together, without
 * a lock; what a killed worker held is gone with its books.
 *
 *   who -> bucket   VISITS_WAYS places; one that is not held is anybody's
 *
 * Who finds no place in its bucket is counted by each worker for itself. A reader may
 * meet a place that changes hands, or a table of which nothing is true: it reads
 * numbers and follows no links.
 */
#ifndef PROTO_VISITS_H
#define PROTO_VISITS_H

#include <stdatomic.h>
#include <stdint.h>

#define VISITS_PAGE 4096
#define VISITS_WAYS 5
#define VISITS_BUCKET_BITS 12

struct visits_place {
	_Atomic uint64_t address_id; /* 0: nobody */
	_Atomic uint64_t accepts;    /* second << 32 | connections accepted in it */
	_Atomic uint64_t connections;
};

struct visits_bucket {
	_Alignas(128) struct visits_place ways[VISITS_WAYS];
};

struct visits {
	_Alignas(VISITS_PAGE) _Atomic uint64_t is_used;
	struct visits_bucket buckets[1 << VISITS_BUCKET_BITS];
};

/* Nobody outside knows it, so that nobody can choose addresses that meet. */
struct visits_key {
	uint64_t words[4];
};

struct visits_count {
	uint64_t connections;
	uint64_t accepts; /* in the second that was asked for */
};

/* Never 0; two networks of one scope are never the same. */
uint64_t visits_who(const struct visits_key *key, uint64_t network, uint32_t scope);

/* The one writer: has so many connections now; has had one more accepted. */
void visits_set(struct visits *own, uint64_t address_id, uint32_t connections);
void visits_accept(struct visits *own, uint64_t address_id, uint32_t second);

/* Adds what a table says. */
void visits_add(struct visits_count *count, const struct visits *visits,
    uint64_t address_id, uint32_t second);

/* Its writer is gone. Gives the memory back. */
void visits_clear(struct visits *visits);

#endif
