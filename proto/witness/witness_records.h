/*
 * witness_records.h - the records of the connections of all witnesses, in memory that
 * the workers share, so that any worker can answer "ask". Each page has one writer
 * (lib/shared_memory.h):
 *
 *   +------+---------+---------+-----
 *   | head | table 0 | table 1 | ...     one memory file
 *   +------+---------+---------+-----
 *    master  one worker process each, by its entry in the ledger
 *
 * A table has WITNESS_TABLE_MAX records: of open connections, and of the latest that
 * were closed, of which the oldest is overwritten first. Readers believe nothing that
 * stands in a table. A master that replaces its program begins with empty ones.
 */
#ifndef PROTO_WITNESS_WITNESS_RECORDS_H
#define PROTO_WITNESS_WITNESS_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/witness/witness.h"

#define WITNESS_TABLE_MAX 1024
#define WITNESS_WORKERS_MAX 256 /* entries of the ledger that have a table */

struct witness_shared;

/* All tables, in the master. */
struct witness_records {
	struct witness_shared *shared;
	int fd;
};

/* The table of a worker, in that worker. */
struct witness_book {
	const struct witness_shared *shared;
	struct witness_table *own;
	/* Places of the own table that are not in use, the next one first: a ring. */
	uint16_t free[WITNESS_TABLE_MAX];
	uint32_t first_free, free_count;
};

/* NULL with errno. */
struct witness_records *witness_records_create(void)
    __attribute__((warn_unused_result));
/* NULL is accepted. */
void witness_records_destroy(struct witness_records *records);
/* Empties the table of a worker that is about to be started. 0, or -1 with errno. */
int witness_records_clear(struct witness_records *records, uint32_t entry)
    __attribute__((warn_unused_result));
/* In the new worker process, before its sandbox; all tables but its own become
 * read-only. NULL with errno (ERANGE: this entry has no table). */
struct witness_book *witness_records_enter_worker(struct witness_records *records,
    uint32_t entry) __attribute__((warn_unused_result));
/* NULL is accepted. */
void witness_book_destroy(struct witness_book *book);

/* A place for a new record, from 1; 0: all are of open connections, or book is NULL. */
uint32_t witness_book_take(struct witness_book *book);
/* 0 is accepted, as place. */
void witness_book_write(
    struct witness_book *book, uint32_t place, const struct witness_record *record);
/* The record is final: it stays until its place is needed. */
void witness_book_close(struct witness_book *book, uint32_t place);
/* The connection is another worker's now: removes the record. */
void witness_book_remove(struct witness_book *book, uint32_t place);

/* Finds the record of a connection in all tables; false if there is none, or book is
 * NULL. */
bool witness_book_find(const struct witness_book *book, const struct witness_id *id,
    struct witness_record *ret);

#endif
