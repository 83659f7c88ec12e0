/*
 * recovery_fixture.h - a small region as a dead worker leaves it
 * (worker/connection/crash_record.h).
 */
#ifndef TESTS_RECOVERY_FIXTURE_H
#define TESTS_RECOVERY_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "keeper/recovery.h"
#include "tests/lib/must.h"
#include "worker/connection/connection_pool.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"

#define RECOVERY_SLABS 2
#define RECOVERY_BLOCK_BYTES ((size_t)16 * 1024)

static struct stream_position recovery_position; /* what the kernel says */

static inline int
recovery_read_position(int fd, struct stream_position *ret)
{
	(void)fd;
	*ret = recovery_position;
	return 0;
}

static inline void
recovery_fixture_start(struct crash_region *region, struct recovery *recovery)
{
	size_t record_bytes = (sizeof(struct crash_record) + 4095) / 4096 * 4096;
	size_t slab_bytes = RECOVERY_SLABS * connection_pool_slab_bytes();
	size_t input_bytes = WORKER_INPUT_BYTES + TLS_TRANSPORT_RECEIVED_BYTES +
	    TLS_TRANSPORT_SEALED_BYTES / 4096 * 4096 + 4096;
	size_t size = record_bytes + input_bytes + slab_bytes + RECOVERY_BLOCK_BYTES;
	uint8_t *base = aligned_alloc(4096, size);
	must(base != NULL);
	memset(base, 0, size);
	*region = (struct crash_region){ .base = base,
		.size = size,
		.record = (void *)base,
		.input = base + record_bytes,
		.received = base + record_bytes + WORKER_INPUT_BYTES,
		.sealed = base + record_bytes + WORKER_INPUT_BYTES +
		    TLS_TRANSPORT_RECEIVED_BYTES,
		.slabs = base + record_bytes + input_bytes,
		.slab_max = RECOVERY_SLABS,
		.blocks = base + record_bytes + input_bytes + slab_bytes,
		.block_bytes = RECOVERY_BLOCK_BYTES };
	*recovery = (struct recovery){ .region = region,
		.socket_count = 2,
		.input_max = 1000000,
		.output_max = 1000000,
		.read_position = recovery_read_position };
}

static inline void
recovery_fixture_finish(struct crash_region *region)
{
	free(region->base);
}

#endif
