#include "proto/ledger_usage.h"

static uint64_t
bounded(const struct ledger *ledger, uint64_t connections)
{
	uint64_t max = ledger->shared->connections_max;
	return connections < max ? connections : max;
}

uint64_t
ledger_usage_open_at(const struct ledger *ledger, uint32_t entry)
{
	uint64_t total = open_count_load(&ledger_entry(ledger, entry)->open.total);
	return bounded(ledger, open_count_decode(total).connections);
}

/* True if the receiver of the batch that this worker sends has published it. */
static bool
has_installed(const struct ledger *ledger, uint64_t batch, uint32_t end)
{
	uint32_t receiver = open_count_batch_entry(batch);
	uint32_t place = open_count_batch_place(batch);
	return batch != 0 && receiver < end && !ledger_is_free(ledger, receiver) &&
	    open_count_load(&ledger_entry(ledger, receiver)->open.installed[place]) ==
	    batch;
}

/* The sum of one reading; `address` is NULL for all connections. */
static uint64_t
sum_open(const struct ledger *ledger, uint32_t end,
    const struct ledger_usage_address *address)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < end; i++) {
		if (ledger_is_free(ledger, i))
			continue;
		const struct worker_ledger *worker_ledger = ledger_entry(ledger, i);
		struct open_count count;
		if (address == NULL)
			count = open_count_decode(
			    open_count_load(&worker_ledger->open.total));
		else if (i == address->own_entry)
			count = address->own_open;
		else
			count = address_usage_open(
			    &worker_ledger->address_usage, address->id);
		bool is_installed = count.leaving != 0 &&
		    has_installed(
			ledger, open_count_load(&worker_ledger->open.sent), end);
		sum += bounded(ledger, open_count_share(&count, is_installed));
	}
	return sum;
}

/* The sum of the versions of all pages. No version decreases while its page is in use,
 * so two equal sums mean that none has changed. *ret_is_stable: none is odd. */
static uint64_t
sum_versions(const struct ledger *ledger, uint32_t end, bool *ret_is_stable)
{
	uint64_t sum = open_count_load(&ledger->shared->version), odd = sum;
	for (uint32_t i = 0; i < end; i++) {
		if (ledger_is_free(ledger, i))
			continue;
		uint64_t version =
		    open_count_load(&ledger_entry(ledger, i)->open.version);
		sum += version;
		odd |= version;
	}
	*ret_is_stable = (odd & 1) == 0;
	return sum;
}

/* Reads until no connection has moved meanwhile, but not for ever: a worker may be
 * dead, compromised, or not run for a while. */
static uint64_t
read_open(struct ledger *ledger, const struct ledger_usage_address *address)
{
	const int readings_max = 8;
	uint64_t largest = 0;
	for (int i = 0; i < readings_max; i++) {
		bool was_stable, is_stable;
		uint32_t end = ledger_live_end(ledger);
		uint64_t before = sum_versions(ledger, end, &was_stable);
		uint64_t sum = sum_open(ledger, end, address);
		atomic_thread_fence(memory_order_seq_cst);
		uint64_t after = sum_versions(ledger, end, &is_stable);
		if (was_stable && is_stable && before == after)
			return sum;
		largest = sum > largest ? sum : largest;
	}
	return largest;
}

uint64_t
ledger_usage_open(struct ledger *ledger)
{
	return read_open(ledger, NULL);
}

uint64_t
ledger_usage_open_from(
    struct ledger *ledger, const struct ledger_usage_address *address)
{
	return read_open(ledger, address);
}

uint64_t
ledger_usage_accepts_from(
    struct ledger *ledger, const struct ledger_usage_address *address, uint64_t now_ms)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		if (i != address->own_entry)
			sum += address_usage_accepts(
			    &ledger_entry(ledger, i)->address_usage, address->id,
			    now_ms);
	}
	return sum;
}
