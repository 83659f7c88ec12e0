/*
 * history.h - the last ten minutes of the server (master/history_ring.h) and the CPU
 * time of each process: for the page of the admin endpoints.
 */
#ifndef MASTER_ADMIN_HISTORY_H
#define MASTER_ADMIN_HISTORY_H

#include <stdint.h>

struct master;
struct history;

/* NULL when out of memory. */
struct history *history_create(void) __attribute__((warn_unused_result));
/* NULL is accepted. */
void history_destroy(struct history *history);

/* Takes a sample if a second has passed since the last one. */
void history_sample(struct master *master, struct history *history);

/* As JSON on the heap: the samples after second `since` (of the epoch), the CPU time,
 * the latest log lines, limits in use. All samples if `since` is later than the last
 * one: then the clock has been set back. NULL when out of memory. */
char *history_format(
    const struct master *master, const struct history *history, uint64_t since);

#endif
