#include "proto/ledger.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

_Static_assert(
    (int)LEDGER_COUNTER_COUNT <= LEDGER_COUNTERS_MAX, "no room for a counter");
_Static_assert((int)CLOSE_REASON_COUNT <= LEDGER_REASONS_MAX, "no room for a reason");
_Static_assert(sizeof(struct ledger_block) == 512, "the layout of a block is fixed");

static const struct {
	const char *name;
	const char *unit;
	const char *help;
} rows[LEDGER_COUNTER_COUNT] = {
#define X(id, name, unit, help) { name, unit, help },
	LEDGER_COUNTERS(X)
#undef X
};

const char *
ledger_counter_name(enum ledger_counter counter)
{
	return rows[counter].name;
}

const char *
ledger_counter_unit(enum ledger_counter counter)
{
	return rows[counter].unit;
}

const char *
ledger_counter_help(enum ledger_counter counter)
{
	return rows[counter].help;
}

static struct ledger *
map(int fd)
{
	void *memory = mmap(
	    NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

struct ledger *
ledger_create(int *ret_fd)
{
	int fd = memfd_create("yodeld-ledger", MFD_CLOEXEC);
	if (fd < 0)
		return NULL;
	struct ledger *ledger = NULL;
	if (ftruncate(fd, sizeof(struct ledger)) == 0)
		ledger = map(fd);
	if (ledger == NULL) {
		close(fd);
		return NULL;
	}
	ledger->magic = LEDGER_MAGIC;
	ledger->layout = LEDGER_LAYOUT;
	*ret_fd = fd;
	return ledger;
}

struct ledger *
ledger_attach(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	struct ledger *ledger = NULL;
	if ((uint64_t)st.st_size == sizeof(struct ledger)) {
		ledger = map(fd);
		if (ledger == NULL)
			return NULL;
		if (ledger->magic == LEDGER_MAGIC && ledger->layout == LEDGER_LAYOUT)
			return ledger;
		munmap(ledger, sizeof(*ledger));
	}
	errno = EPROTO;
	return NULL;
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_acquire);
}

static void
add_ends(struct ledger_totals *totals, const struct ledger_block *block)
{
	for (int i = CLOSE_REASON_COUNT - 1; i >= 0; i--)
		totals->closed[i] += load(&block->closed[i]);
}

static void
add_counters(struct ledger_totals *totals, const struct ledger_block *block)
{
	for (int i = LEDGER_COUNTER_COUNT - 1; i >= 0; i--)
		totals->counters[i] += load(&block->counters[i]);
}

/* Ends first: a reader that meets a connection's end has met its beginning. */
void
ledger_add_block(struct ledger_totals *totals, const struct ledger_block *block)
{
	add_ends(totals, block);
	add_counters(totals, block);
}

void
ledger_sum(const struct ledger *ledger, struct ledger_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	/* All ends before all beginnings: a connection may have begun in one block and
	 * ended in another one. */
	for (int i = 0; i < LEDGER_SLOTS; i++)
		add_ends(ret, &ledger->retired[i]);
	for (int i = 0; i < LEDGER_BLOCKS; i++)
		add_ends(ret, &ledger->live[i]);
	for (int i = 0; i < LEDGER_SLOTS; i++)
		add_counters(ret, &ledger->retired[i]);
	for (int i = 0; i < LEDGER_BLOCKS; i++)
		add_counters(ret, &ledger->live[i]);
}

void
ledger_sum_slot(const struct ledger *ledger, uint32_t slot, struct ledger_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	ledger_add_block(ret, &ledger->retired[slot]);
	for (int i = 0; i < LEDGER_BLOCKS; i++) {
		if (load(&ledger->live[i].owner) == slot + 1)
			ledger_add_block(ret, &ledger->live[i]);
	}
}

uint64_t
ledger_closed(const struct ledger_totals *totals)
{
	uint64_t sum = 0;
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		sum += totals->closed[i];
	return sum;
}

uint64_t
ledger_open(const struct ledger_totals *totals)
{
	return totals->counters[LEDGER_CONNECTIONS_ACCEPTED] +
	    totals->counters[LEDGER_CONNECTIONS_MOVED_IN] -
	    totals->counters[LEDGER_CONNECTIONS_MOVED_OUT] - ledger_closed(totals);
}

uint64_t
ledger_open_in_all(const struct ledger_totals *totals)
{
	return totals->counters[LEDGER_CONNECTIONS_ACCEPTED] - ledger_closed(totals);
}

void
ledger_retire(struct ledger *ledger, struct ledger_block *block, uint64_t moved_in,
    uint64_t moved_out)
{
	struct ledger_totals totals = { 0 };
	ledger_add_block(&totals, block);
	totals.counters[LEDGER_CONNECTIONS_MOVED_IN] = moved_in;
	totals.counters[LEDGER_CONNECTIONS_MOVED_OUT] = moved_out;
	int64_t open = (int64_t)ledger_open(&totals);
	if (open > 0)
		totals.closed[CLOSE_WORKER_LOST] += (uint64_t)open;

	totals.counters[LEDGER_ACCEPTS_CUT_SHORT] += load(&block->accepting);

	struct ledger_block *retired = &ledger->retired[load(&block->owner) - 1];
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++)
		atomic_fetch_add(&retired->counters[i], totals.counters[i]);
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		atomic_fetch_add(&retired->closed[i], totals.closed[i]);
	memset(block, 0, sizeof(*block));
}

uint64_t
ledger_open_now(const struct ledger *ledger)
{
	uint64_t sum = 0;
	uint32_t end = atomic_load_explicit(&ledger->live_end, memory_order_relaxed);
	for (uint32_t i = 0; i < end; i++)
		sum += load(&ledger->live[i].open);
	return sum;
}

struct ledger_block *
ledger_claim(struct ledger *ledger, uint32_t slot)
{
	for (uint32_t i = 0; i < LEDGER_BLOCKS; i++) {
		struct ledger_block *block = &ledger->live[i];
		if (load(&block->owner) != 0)
			continue;
		atomic_store(&block->owner, slot + 1);
		if (i >= atomic_load(&ledger->live_end))
			atomic_store(&ledger->live_end, i + 1);
		return block;
	}
	return NULL;
}
