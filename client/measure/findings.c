#include "client/measure/findings.h"

#include <sys/socket.h>

#include "lib/clock.h"

void
findings_add(struct findings *findings, enum finding_kind kind, int fd,
    uint64_t message, uint64_t offset)
{
	struct address local = { .length = sizeof(local.storage) };
	if (findings == NULL)
		return;
	uint32_t n = atomic_load_explicit(&findings->count, memory_order_relaxed);
	if (n >= FINDINGS_MAX) {
		atomic_fetch_add_explicit(&findings->missed, 1, memory_order_relaxed);
		return;
	}
	struct finding *finding = &findings->list[n];
	*finding = (struct finding){ .at_ns = clock_realtime_ns(),
		.message = message,
		.offset = offset,
		.kind = (uint8_t)kind };
	if (getsockname(fd, (struct sockaddr *)&local.storage, &local.length) == 0 &&
	    (local.storage.ss_family == AF_INET || local.storage.ss_family == AF_INET6))
		address_compact(&local, &finding->local);
	atomic_store_explicit(&findings->count, n + 1, memory_order_release);
}
