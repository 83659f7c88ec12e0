#include "proto/ledger.h"

#include <sys/random.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/shared_memory.h"

_Static_assert((int)LEDGER_COUNTER_COUNT <= LEDGER_COUNTERS_MAX,
    "LEDGER_COUNTERS_MAX is too small");
_Static_assert(
    (int)CLOSE_REASON_COUNT <= LEDGER_REASONS_MAX, "LEDGER_REASONS_MAX is too small");
_Static_assert(sizeof(struct ledger_block) == 1024, "the layout of a block is fixed");
_Static_assert(
    LEDGER_WORKERS_MAX <= 1 << OPEN_COUNT_ENTRY_BITS, "an entry fits a batch");
_Static_assert(
    (int)FAULT_KIND_COUNT <= LEDGER_FAULTS_MAX, "LEDGER_FAULTS_MAX is too small");

static const char others[] = "others";

const struct ledger_counter_row ledger_counters[] = {
#define X(id, name, help) { name, help },
	LEDGER_COUNTERS(X)
#undef X
};

bool
ledger_counter_is_per_listener(enum ledger_counter counter)
{
	return counter != LEDGER_CONNECTIONS_MOVED_IN &&
	    counter != LEDGER_CONNECTIONS_MOVED_OUT &&
	    counter != LEDGER_ACCEPT_PAUSES && counter != LEDGER_ACCEPTS_CUT_SHORT &&
	    counter != LEDGER_RECOVERIES && counter != LEDGER_RECOVERY_US;
}

static size_t
shared_bytes(void)
{
	return shared_memory_round(sizeof(struct ledger_shared));
}

static size_t
entry_bytes(void)
{
	return shared_memory_round(sizeof(struct worker_ledger));
}

static struct shared_memory_range
entries_range(uint32_t first, uint32_t count)
{
	return (struct shared_memory_range){
		.offset = shared_bytes() + first * entry_bytes(),
		.bytes = count * entry_bytes(),
	};
}

size_t
ledger_size(uint32_t workers)
{
	return entries_range(workers, 0).offset;
}

/* Maps entries up to `end`. 0, or -1 with errno. */
static int
map_entries(struct ledger *ledger, uint32_t end)
{
	struct shared_memory_range range = entries_range(0, end);
	if (end <= ledger->mapped)
		return 0;
	void *entries = ledger->mapped == 0
	    ? shared_memory_map(ledger->fd, &range, SHARED_MEMORY_READ)
	    : shared_memory_extend(
		  (void *)ledger->entries, ledger->mapped * entry_bytes(), range.bytes);
	if (entries == NULL)
		return -1;
	ledger->entries = entries;
	ledger->mapped = end;
	return 0;
}

/* NULL with errno; the caller keeps fd. */
static struct ledger *
open_view(int fd)
{
	const struct shared_memory_range range = { .bytes = shared_bytes() };
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	if (ledger == NULL)
		return NULL;
	ledger->fd = fd;
	ledger->shared = shared_memory_map(fd, &range, SHARED_MEMORY_WRITE);
	if (ledger->shared != NULL)
		return ledger;
	int saved = errno;
	free(ledger);
	errno = saved;
	return NULL;
}

static void
close_view(struct ledger *ledger)
{
	shared_memory_unmap(ledger->shared, shared_bytes());
	shared_memory_unmap(ledger->entries, ledger->mapped * entry_bytes());
	free(ledger);
}

struct ledger *
ledger_create(uint64_t connections_max)
{
	int fd = shared_memory_create("yodeld-ledger", shared_bytes());
	struct ledger *ledger = fd < 0 ? NULL : open_view(fd);
	if (ledger != NULL) {
		struct address_usage_key *key = &ledger->shared->address_usage_key;
		ledger->shared->magic = LEDGER_MAGIC;
		ledger->shared->layout = LEDGER_LAYOUT;
		ledger->shared->connections_max = connections_max;
		if (getrandom(key, sizeof(*key), 0) == (ssize_t)sizeof(*key))
			return ledger;
		close_view(ledger);
	}
	if (fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return NULL;
}

static bool
is_valid(const struct ledger *ledger)
{
	const struct ledger_shared *shared = ledger->shared;
	uint32_t end = atomic_load(&shared->live_end);
	struct shared_memory_range last = entries_range(end, 0);
	return shared->magic == LEDGER_MAGIC && shared->layout == LEDGER_LAYOUT &&
	    end <= LEDGER_WORKERS_MAX && shared_memory_size(ledger->fd) >= last.offset;
}

struct ledger *
ledger_attach(int fd)
{
	if (shared_memory_size(fd) < shared_bytes()) {
		errno = EPROTO;
		return NULL;
	}
	struct ledger *ledger = open_view(fd);
	if (ledger == NULL)
		return NULL;
	errno = EPROTO;
	if (is_valid(ledger) &&
	    map_entries(ledger, atomic_load(&ledger->shared->live_end)) == 0)
		return ledger;
	int saved = errno;
	close_view(ledger);
	errno = saved;
	return NULL;
}

void
ledger_destroy(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	if (ledger->fd >= 0)
		close(ledger->fd);
	close_view(ledger);
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_acquire);
}

static void
add_closed(struct ledger_totals *totals, const struct ledger_block *block)
{
	for (int i = CLOSE_REASON_COUNT - 1; i >= 0; i--)
		totals->closed[i] += load(&block->closed[i]);
}

static void
add_counters(struct ledger_totals *totals, const struct ledger_block *block)
{
	for (int i = LEDGER_COUNTER_COUNT - 1; i >= 0; i--)
		totals->counters[i] += load(&block->counters[i]);
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		totals->faults[i] += load(&block->faults[i]);
}

/* Reads closes before accepts: a connection that is counted as closed is then counted
 * as accepted, too. */
void
ledger_add_block(struct ledger_totals *totals, const struct ledger_block *block)
{
	add_closed(totals, block);
	add_counters(totals, block);
}

typedef void (*add_block_fn)(
    struct ledger_totals *totals, const struct ledger_block *block);

uint32_t
ledger_listener_count(const struct ledger *ledger)
{
	uint32_t count =
	    atomic_load_explicit(&ledger->shared->listener_count, memory_order_acquire);
	return count < LEDGER_LISTENERS ? count : LEDGER_LISTENERS;
}

const char *
ledger_listener_name(
    const struct ledger *ledger, uint32_t listener, char name[LEDGER_NAME_MAX])
{
	memcpy(name, ledger->shared->listeners[listener], LEDGER_NAME_MAX);
	name[LEDGER_NAME_MAX - 1] = '\0';
	for (char *c = name; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
	}
	return name;
}

uint32_t
ledger_live_end(struct ledger *ledger)
{
	uint32_t end =
	    atomic_load_explicit(&ledger->shared->live_end, memory_order_acquire);
	return map_entries(ledger, end) == 0 ? end : ledger->mapped;
}

const struct worker_ledger *
ledger_entry(const struct ledger *ledger, uint32_t entry)
{
	return (const void *)(ledger->entries + entry * entry_bytes());
}

uint32_t
ledger_slot_of(const struct ledger *ledger, uint32_t entry)
{
	uint32_t owner =
	    atomic_load_explicit(&ledger->shared->owners[entry], memory_order_acquire);
	return owner == 0 ? LEDGER_SLOTS : owner - 1;
}

bool
ledger_is_free(const struct ledger *ledger, uint32_t entry)
{
	return ledger_slot_of(ledger, entry) == LEDGER_SLOTS;
}

static void
add_worker(struct ledger_totals *totals, const struct ledger *ledger, uint32_t entry,
    add_block_fn add)
{
	const struct worker_ledger *worker_ledger = ledger_entry(ledger, entry);
	add(totals, &worker_ledger->own);
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++)
		add(totals, &worker_ledger->by_listener[i]);
}

void
ledger_add_worker(
    struct ledger_totals *totals, const struct ledger *ledger, uint32_t entry)
{
	add_worker(totals, ledger, entry, add_closed);
	add_worker(totals, ledger, entry, add_counters);
}

static void
add_everything(struct ledger_totals *totals, struct ledger *ledger, add_block_fn add)
{
	for (int i = 0; i < LEDGER_SLOTS; i++)
		add(totals, &ledger->shared->retired[i]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		if (!ledger_is_free(ledger, i))
			add_worker(totals, ledger, i, add);
	}
}

/* Reads all closes before all accepts, because a connection can be accepted in one
 * block and closed in another. */
void
ledger_sum(struct ledger *ledger, struct ledger_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	add_everything(ret, ledger, add_closed);
	add_everything(ret, ledger, add_counters);
}

static void
add_listener(struct ledger_totals *totals, struct ledger *ledger, uint32_t listener,
    add_block_fn add)
{
	add(totals, &ledger->shared->retired_by_listener[listener]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		if (!ledger_is_free(ledger, i))
			add(totals, &ledger_entry(ledger, i)->by_listener[listener]);
	}
}

void
ledger_sum_listener(struct ledger *ledger, uint32_t listener, struct ledger_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	add_listener(ret, ledger, listener, add_closed);
	add_listener(ret, ledger, listener, add_counters);
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
ledger_open_total(const struct ledger_totals *totals)
{
	uint64_t closed = ledger_closed(totals);
	uint64_t accepted = totals->counters[LEDGER_CONNECTIONS_ACCEPTED];
	return accepted > closed ? accepted - closed : 0;
}

/* The number with this name; the count if no listener has it. */
static uint32_t
find_listener(const struct ledger *ledger, const char *name)
{
	uint32_t i = 0, count = ledger_listener_count(ledger);
	while (i < count &&
	    strncmp(ledger->shared->listeners[i], name, LEDGER_NAME_MAX) != 0)
		i++;
	return i;
}

uint32_t
ledger_register_listener(struct ledger *ledger, const char *address)
{
	struct ledger_shared *shared = ledger->shared;
	uint32_t last = LEDGER_LISTENERS - 1, count = ledger_listener_count(ledger);
	uint32_t i = find_listener(ledger, address);
	if (i < count)
		return i;
	i = find_listener(ledger, "");
	if (i > last)
		return last;
	snprintf(
	    shared->listeners[i], LEDGER_NAME_MAX, "%s", i < last ? address : others);
	if (i == count)
		atomic_store(&shared->listener_count, i + 1);
	return i;
}

void
ledger_release_listener(struct ledger *ledger, uint32_t listener)
{
	struct ledger_shared *shared = ledger->shared;
	memset(&shared->retired_by_listener[listener], 0,
	    sizeof(shared->retired_by_listener[listener]));
	memset(shared->listeners[listener], 0, LEDGER_NAME_MAX);
}

/* More closed than opened connections are falsified: without the surplus the sums of
 * the server still balance. */
static void
drop_surplus_closed(struct ledger_totals *totals, uint64_t opened)
{
	uint64_t room = opened;
	for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
		if (totals->closed[i] > room)
			totals->closed[i] = room;
		room -= totals->closed[i];
	}
}

/* Fewer accepted connections than it has given away are falsified: those that it gave
 * away were open. */
static void
raise_accepted(struct ledger_totals *totals)
{
	uint64_t *counters = totals->counters;
	uint64_t moved_out = counters[LEDGER_CONNECTIONS_MOVED_OUT];
	uint64_t had = counters[LEDGER_CONNECTIONS_MOVED_IN] +
	    counters[LEDGER_CONNECTIONS_ACCEPTED];
	if (had < moved_out)
		counters[LEDGER_CONNECTIONS_ACCEPTED] += moved_out - had;
}

static void
add_to_retired(struct ledger_block *retired, const struct ledger_totals *totals)
{
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++)
		atomic_fetch_add(&retired->counters[i], totals->counters[i]);
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		atomic_fetch_add(&retired->closed[i], totals->closed[i]);
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		atomic_fetch_add(&retired->faults[i], totals->faults[i]);
}

static uint32_t
now_s(void)
{
	return (uint32_t)(clock_now_ns() / NS_PER_S) + 1;
}

/* Zeroes a free entry. 0, or -1 with errno. */
static int
clear(struct ledger *ledger, uint32_t entry)
{
	struct shared_memory_range range = entries_range(entry, 1);
	if (shared_memory_clear(ledger->fd, &range) < 0)
		return -1;
	ledger->shared->freed_s[entry] = 0;
	return 0;
}

/* Open connections of a listener at a dead worker, by its counters. */
static uint64_t
held_by_count(const struct ledger_block *block)
{
	struct ledger_totals totals = { 0 };
	ledger_add_block(&totals, block);
	int64_t held = (int64_t)ledger_open(&totals);
	return held < 0 ? 0 : (uint64_t)held;
}

/* As above, by its gauge, which includes connections received but not yet counted. */
static uint64_t
held_by_gauge(const struct ledger_block *block)
{
	return load(&block->open);
}

/* Assigns lost connections to listeners: first by counters, then by gauges. */
static void
distribute_lost(uint64_t lost, const struct ledger *ledger,
    const struct worker_ledger *worker_ledger, uint64_t *ret)
{
	uint64_t (*const held[])(
	    const struct ledger_block *) = { held_by_count, held_by_gauge };
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < ledger_listener_count(ledger); i++) {
			uint64_t n = held[pass](&worker_ledger->by_listener[i]);
			n = n > ret[i] ? n - ret[i] : 0;
			n = n < lost ? n : lost;
			ret[i] += n;
			lost -= n;
		}
	}
}

/* Makes an entry used (slot + 1) or free (0). */
static void
set_owner(struct ledger_shared *shared, uint32_t entry, uint32_t owner)
{
	atomic_fetch_or(&shared->version, 1);
	atomic_store(&shared->owners[entry], owner);
	atomic_fetch_add(&shared->version, 1);
}

void
ledger_retire(struct ledger *ledger, uint32_t entry, uint32_t slot, uint64_t moved_in,
    uint64_t moved_out)
{
	struct ledger_shared *shared = ledger->shared;
	const struct worker_ledger *worker_ledger = ledger_entry(ledger, entry);
	struct ledger_totals totals = { 0 };
	uint64_t lost[LEDGER_LISTENERS] = { 0 };
	ledger_add_worker(&totals, ledger, entry);
	totals.counters[LEDGER_CONNECTIONS_MOVED_IN] = moved_in;
	totals.counters[LEDGER_CONNECTIONS_MOVED_OUT] = moved_out;
	totals.counters[LEDGER_ACCEPTS_CUT_SHORT] +=
	    load(&worker_ledger->own.accepting) != 0;
	raise_accepted(&totals);
	uint64_t opened =
	    totals.counters[LEDGER_CONNECTIONS_ACCEPTED] + moved_in - moved_out;
	drop_surplus_closed(&totals, opened);
	uint64_t open = opened - ledger_closed(&totals);
	totals.closed[CLOSE_WORKER_LOST] += open;
	add_to_retired(&shared->retired[slot], &totals);

	distribute_lost(open, ledger, worker_ledger, lost);
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++) {
		totals = (struct ledger_totals){ 0 };
		ledger_add_block(&totals, &worker_ledger->by_listener[i]);
		totals.closed[CLOSE_WORKER_LOST] += lost[i];
		add_to_retired(&shared->retired_by_listener[i], &totals);
	}
	shared->freed_s[entry] = now_s();
	set_owner(shared, entry, 0);
	if (load(&worker_ledger->address_usage.is_used) == 0)
		(void)clear(ledger, entry);
}

/* True if no accept of its worker counts any more. */
static bool
is_rested(const struct ledger *ledger, uint32_t entry)
{
	const uint32_t window_s = 2;
	return ledger->shared->freed_s[entry] == 0 ||
	    now_s() - ledger->shared->freed_s[entry] >= window_s;
}

void
ledger_trim(struct ledger *ledger)
{
	uint32_t end = ledger_live_end(ledger);
	for (uint32_t i = 0; i < end; i++) {
		if (ledger_is_free(ledger, i) && ledger->shared->freed_s[i] != 0 &&
		    is_rested(ledger, i))
			(void)clear(ledger, i);
	}
}

int
ledger_claim(struct ledger *ledger, uint32_t slot)
{
	struct ledger_shared *shared = ledger->shared;
	uint32_t end = ledger_live_end(ledger), entry = 0;
	while (
	    entry < end && !(ledger_is_free(ledger, entry) && is_rested(ledger, entry)))
		entry++;
	for (uint32_t i = 0; entry == LEDGER_WORKERS_MAX && i < end; i++) {
		if (ledger_is_free(ledger, i))
			entry = i;
	}
	if (entry == LEDGER_WORKERS_MAX) {
		errno = EAGAIN;
		return -1;
	}
	struct shared_memory_range range = entries_range(entry, 1);
	if (shared_memory_grow(ledger->fd, range.offset + range.bytes) < 0 ||
	    map_entries(ledger, entry + 1) < 0 || clear(ledger, entry) < 0)
		return -1;
	set_owner(shared, entry, slot + 1);
	if (entry == end)
		atomic_store(&shared->live_end, entry + 1);
	return (int)entry;
}

struct worker_ledger *
ledger_open_entry(const struct ledger *ledger, uint32_t entry)
{
	struct shared_memory_range range = entries_range(entry, 1);
	return shared_memory_map(ledger->fd, &range, SHARED_MEMORY_WRITE);
}

int
ledger_enter_worker(struct ledger *ledger)
{
	const struct shared_memory_range range = { .bytes = shared_bytes() };
	if (shared_memory_make_read_only(ledger->fd, &range, ledger->shared) < 0)
		return -1;
	ledger->fd = -1;
	return 0;
}
