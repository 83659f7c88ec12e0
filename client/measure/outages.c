#include "client/measure/outages.h"

#define PAGE_BYTES 4096

const char *const outages_end_names[] = { "answered", "reconnected", "other_server",
	"lost", "open", NULL };

size_t
outages_bytes(uint32_t room)
{
	size_t bytes = sizeof(struct outages) + room * sizeof(struct outage);
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

void
outages_add(struct outages *outages, const struct outage *outage)
{
	uint32_t n = atomic_load_explicit(&outages->count, memory_order_relaxed);
	if (n >= outages->room) {
		atomic_fetch_add_explicit(&outages->missed, 1, memory_order_relaxed);
		return;
	}
	outages->list[n] = *outage;
	atomic_store_explicit(&outages->count, n + 1, memory_order_release);
}

void
outages_add_own(struct outages *outages, uint64_t own_ns, bool may_be_none)
{
	if (own_ns > atomic_load_explicit(&outages->own_max_ns, memory_order_relaxed))
		atomic_store_explicit(
		    &outages->own_max_ns, own_ns, memory_order_relaxed);
	if (own_ns <= OUTAGE_EXACT_NS)
		return;
	atomic_fetch_add_explicit(&outages->inexact, 1, memory_order_relaxed);
	if (may_be_none)
		atomic_fetch_add_explicit(&outages->doubtful, 1, memory_order_relaxed);
}
