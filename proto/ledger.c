#include "proto/ledger.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)LEDGER_COUNTER_COUNT <= LEDGER_COUNTERS_MAX,
    "LEDGER_COUNTERS_MAX is too small");
_Static_assert(
    (int)CLOSE_REASON_COUNT <= LEDGER_REASONS_MAX, "LEDGER_REASONS_MAX is too small");
_Static_assert(sizeof(struct ledger_block) == 512, "the layout of a block is fixed");

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
	    counter != LEDGER_ACCEPT_PAUSES && counter != LEDGER_ACCEPTS_CUT_SHORT;
}

static struct ledger *
map(int fd)
{
	void *memory = mmap(
	    NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return NULL;
	/* Mostly holes, which a core file of a worker would fill. */
	(void)madvise(memory, sizeof(struct ledger), MADV_DONTDUMP);
	return memory;
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
	struct address_usage_key *key = &ledger->address_usage_key;
	if (getrandom(key, sizeof(*key), 0) != (ssize_t)sizeof(*key)) {
		munmap(ledger, sizeof(*ledger));
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
	    atomic_load_explicit(&ledger->listener_count, memory_order_acquire);
	return count < LEDGER_LISTENERS ? count : LEDGER_LISTENERS;
}

const char *
ledger_listener_name(
    const struct ledger *ledger, uint32_t listener, char name[LEDGER_NAME_MAX])
{
	memcpy(name, ledger->listeners[listener], LEDGER_NAME_MAX);
	name[LEDGER_NAME_MAX - 1] = '\0';
	for (char *c = name; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '?';
	}
	return name;
}

static void
add_worker(struct ledger_totals *totals, const struct ledger *ledger,
    const struct worker_ledger *worker_ledger, add_block_fn add)
{
	add(totals, &worker_ledger->own);
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++)
		add(totals, &worker_ledger->by_listener[i]);
}

void
ledger_add_worker(struct ledger_totals *totals, const struct ledger *ledger,
    const struct worker_ledger *worker_ledger)
{
	add_worker(totals, ledger, worker_ledger, add_closed);
	add_worker(totals, ledger, worker_ledger, add_counters);
}

uint32_t
ledger_live_end(const struct ledger *ledger)
{
	uint32_t end = atomic_load_explicit(&ledger->live_end, memory_order_relaxed);
	return end < LEDGER_WORKERS_MAX ? end : LEDGER_WORKERS_MAX;
}

static void
add_everything(
    struct ledger_totals *totals, const struct ledger *ledger, add_block_fn add)
{
	for (int i = 0; i < LEDGER_SLOTS; i++)
		add(totals, &ledger->retired[i]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++)
		add_worker(totals, ledger, &ledger->live[i], add);
}

/* Reads all closes before all accepts, because a connection can be accepted in one
 * block and closed in another. */
void
ledger_sum(const struct ledger *ledger, struct ledger_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	add_everything(ret, ledger, add_closed);
	add_everything(ret, ledger, add_counters);
}

void
ledger_sum_listener(
    const struct ledger *ledger, uint32_t listener, struct ledger_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	add_closed(ret, &ledger->retired_by_listener[listener]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++)
		add_closed(ret, &ledger->live[i].by_listener[listener]);
	add_counters(ret, &ledger->retired_by_listener[listener]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++)
		add_counters(ret, &ledger->live[i].by_listener[listener]);
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
	return totals->counters[LEDGER_CONNECTIONS_ACCEPTED] - ledger_closed(totals);
}

uint32_t
ledger_register_listener(struct ledger *ledger, const char *address)
{
	uint32_t i = 0, last = LEDGER_LISTENERS - 1;
	uint32_t count = ledger_listener_count(ledger);
	while (
	    i < count && strncmp(ledger->listeners[i], address, LEDGER_NAME_MAX) != 0)
		i++;
	if (i < count)
		return i;
	if (i > last)
		return last;
	snprintf(
	    ledger->listeners[i], LEDGER_NAME_MAX, "%s", i < last ? address : others);
	atomic_store(&ledger->listener_count, i + 1);
	return i;
}

static void
add_to_retired(struct ledger_block *retired, const struct ledger_totals *totals)
{
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++)
		atomic_fetch_add(&retired->counters[i], totals->counters[i]);
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		atomic_fetch_add(&retired->closed[i], totals->closed[i]);
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

/* The same by its gauge, which includes connections received but not yet counted. */
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

void
ledger_retire(struct ledger *ledger, struct worker_ledger *worker_ledger, uint32_t slot,
    uint64_t moved_in, uint64_t moved_out)
{
	struct ledger_totals totals = { 0 };
	uint64_t lost[LEDGER_LISTENERS] = { 0 };
	ledger_add_worker(&totals, ledger, worker_ledger);
	totals.counters[LEDGER_CONNECTIONS_MOVED_IN] = moved_in;
	totals.counters[LEDGER_CONNECTIONS_MOVED_OUT] = moved_out;
	totals.counters[LEDGER_ACCEPTS_CUT_SHORT] +=
	    load(&worker_ledger->own.accepting);
	int64_t difference = (int64_t)ledger_open(&totals);
	uint64_t open = difference > 0 ? (uint64_t)difference : 0;
	totals.closed[CLOSE_WORKER_LOST] += open;
	add_to_retired(&ledger->retired[slot], &totals);

	distribute_lost(open, ledger, worker_ledger, lost);
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++) {
		totals = (struct ledger_totals){ 0 };
		ledger_add_block(&totals, &worker_ledger->by_listener[i]);
		totals.closed[CLOSE_WORKER_LOST] += lost[i];
		add_to_retired(&ledger->retired_by_listener[i], &totals);
		memset(&worker_ledger->by_listener[i], 0,
		    sizeof(worker_ledger->by_listener[i]));
	}
	address_usage_clear(&worker_ledger->address_usage);
	memset(&worker_ledger->own, 0, sizeof(worker_ledger->own));
}

uint64_t
ledger_open_now(const struct ledger *ledger)
{
	uint64_t sum = 0;
	uint32_t end = ledger_live_end(ledger);
	for (uint32_t i = 0; i < end; i++)
		sum += load(&ledger->live[i].own.open);
	return sum;
}

uint64_t
ledger_open_by_listener(const struct ledger *ledger, uint32_t listener)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++)
		sum += load(&ledger->live[i].by_listener[listener].open);
	return sum;
}

struct address_usage_count
ledger_address_usage_elsewhere(const struct ledger *ledger,
    const struct worker_ledger *own, uint64_t address_id, uint32_t second)
{
	struct address_usage_count count = { 0 };
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		const struct worker_ledger *worker_ledger = &ledger->live[i];
		if (worker_ledger != own && load(&worker_ledger->own.owner) != 0)
			address_usage_add(
			    &count, &worker_ledger->address_usage, address_id, second);
	}
	return count;
}

struct worker_ledger *
ledger_claim(struct ledger *ledger, uint32_t slot)
{
	for (uint32_t i = 0; i < LEDGER_WORKERS_MAX; i++) {
		struct worker_ledger *worker_ledger = &ledger->live[i];
		if (load(&worker_ledger->own.owner) != 0)
			continue;
		atomic_store(&worker_ledger->own.owner, slot + 1);
		if (i >= ledger_live_end(ledger))
			atomic_store(&ledger->live_end, i + 1);
		return worker_ledger;
	}
	return NULL;
}
