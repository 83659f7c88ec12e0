/* ledger_fixture.h - a ledger and the blocks of workers in it, for cmocka programs. */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/shared_memory.h"
#include "proto/close_reason.h"
#include "proto/ledger_usage.h"

struct fixture {
	struct ledger *ledger;
	struct worker_ledger *entries[LEDGER_WORKERS_MAX]; /* writable; NULL: unused */
};

static inline void
open_ledger(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->ledger = ledger_create(10000);
	assert_non_null(f->ledger);
	assert_int_equal(ledger_register_listener(f->ledger, "a listener"), 0);
}

static inline void
close_ledger(struct fixture *f)
{
	ledger_destroy(f->ledger);
	for (int i = 0; i < LEDGER_WORKERS_MAX; i++)
		shared_memory_unmap(f->entries[i], sizeof(*f->entries[i]));
}

static inline struct worker_ledger *
claim_blocks(struct fixture *f, uint32_t slot)
{
	int entry = ledger_claim(f->ledger, slot);

	assert_true(entry >= 0);
	if (f->entries[entry] == NULL)
		f->entries[entry] = ledger_open_entry(f->ledger, (uint32_t)entry);
	assert_non_null(f->entries[entry]);
	return f->entries[entry];
}

/* The sum for one slot: its retired block and the live entries of its workers. */
static inline void
sum_slot(struct ledger *ledger, uint32_t slot, struct ledger_totals *ret)
{
	*ret = (struct ledger_totals){ 0 };
	ledger_add_block(ret, &ledger->shared->retired[slot]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		if (ledger_slot_of(ledger, i) == slot)
			ledger_add_worker(ret, ledger, i);
	}
}

/* Retires the blocks; the slot is the owner's. */
static inline void
release_blocks(struct fixture *f, struct worker_ledger *worker_ledger,
    uint64_t moved_in, uint64_t moved_out)
{
	uint32_t entry = 0;

	while (f->entries[entry] != worker_ledger)
		entry++;
	ledger_retire(
	    f->ledger, entry, ledger_slot_of(f->ledger, entry), moved_in, moved_out);
}

static inline void
assert_sum(struct fixture *f, uint64_t accepted, uint64_t open, uint64_t lost)
{
	struct ledger_totals totals;

	ledger_sum(f->ledger, &totals);
	assert_int_equal(totals.counters[LEDGER_CONNECTIONS_ACCEPTED], accepted);
	assert_int_equal(ledger_open(&totals), open);
	assert_int_equal(totals.closed[CLOSE_WORKER_LOST], lost);
	/* Read from the rows themselves, not from the function under test. */
	uint64_t closed = 0;
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		closed += totals.closed[i];
	assert_int_equal(accepted, open + closed);
}

#endif
