#include "proto/open_count.h"

uint64_t
open_count_batch(uint32_t transfer, uint32_t batch, uint32_t place)
{
	if (place == OPEN_COUNT_NOWHERE)
		return 0;
	return (uint64_t)transfer << 32 | (uint64_t)(batch & UINT16_MAX) << 16 |
	    (place & UINT16_MAX);
}

uint32_t
open_count_batch_entry(uint64_t batch)
{
	return (uint32_t)batch >> OPEN_COUNT_PLACE_BITS &
	    ((1U << OPEN_COUNT_ENTRY_BITS) - 1);
}

uint32_t
open_count_batch_place(uint64_t batch)
{
	return (uint32_t)batch & (OPEN_COUNT_PLACES - 1);
}

static int64_t
sum(int64_t value, int change)
{
	return value + change < 0 ? 0 : value + change;
}

void
open_count_add(struct open_count *count, const struct open_change *change)
{
	count->connections = (uint32_t)sum(count->connections, change->connections);
	count->leaving = (uint16_t)sum(count->leaving, change->leaving);
	count->arriving = (uint16_t)sum(count->arriving, change->arriving);
}

void
open_count_change(struct open_shared *own, const struct open_change *change)
{
	struct open_count count = open_count_decode(open_count_load(&own->total));
	open_count_add(&count, change);
	open_count_store(&own->total, open_count_encode(&count));
}

/* Stores that follow must not become visible before this one. */
void
open_count_begin(struct open_shared *own)
{
	open_count_store(&own->version, open_count_load(&own->version) | 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void
open_count_end(struct open_shared *own)
{
	open_count_store(&own->version, (open_count_load(&own->version) | 1) + 1);
}

/* The order hides no connection. */
void
open_count_reset(struct open_shared *own, uint32_t connections)
{
	const struct open_count count = { .connections = connections };
	open_count_begin(own);
	for (int i = 0; i < OPEN_COUNT_PLACES; i++)
		open_count_store(&own->installed[i], 0);
	open_count_store(&own->sent, 0);
	open_count_store(&own->total, open_count_encode(&count));
	open_count_end(own);
}

uint64_t
open_count_share(const struct open_count *count, bool is_installed)
{
	uint64_t elsewhere =
	    (uint64_t)count->arriving + (is_installed ? count->leaving : 0U);
	return count->connections > elsewhere ? count->connections - elsewhere : 0;
}
