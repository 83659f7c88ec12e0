#include "worker/connection/crash_record.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/shared_memory.h"
#include "worker/connection/connection_pool.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"

/* Bytes of address space, not memory. */
#define BLOCK_BYTES_MAX ((uint64_t)1 << (sizeof(void *) > 4 ? 42 : 27))
#define BLOCK_BYTES_MIN ((uint64_t)1 << 24)

static void *
map(size_t size, int *ret_fd)
{
	int fd = shared_memory_create("yodeld-connections", size);
	if (fd < 0)
		return NULL;
	const struct shared_memory_range all = { 0, size };
	void *base = shared_memory_map(fd, &all, SHARED_MEMORY_WRITE);
	if (base != NULL) {
		*ret_fd = fd;
		return base;
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

/* Bytes before the slabs. */
static size_t
fixed_bytes(void)
{
	return shared_memory_round(sizeof(struct crash_record)) + WORKER_INPUT_BYTES +
	    TLS_TRANSPORT_RECEIVED_BYTES +
	    shared_memory_round(TLS_TRANSPORT_SEALED_BYTES);
}

static void
set_places(struct crash_region *region, uint8_t *base)
{
	region->base = base;
	region->record = (void *)base;
	region->input = base + shared_memory_round(sizeof(struct crash_record));
	region->received = region->input + WORKER_INPUT_BYTES;
	region->sealed = region->received + TLS_TRANSPORT_RECEIVED_BYTES;
}

int
crash_region_create(
    struct crash_region *region, uint64_t connections, uint64_t connection_bytes)
{
	uint64_t slabs = connections / SLAB_CONNECTIONS + 2;
	size_t slab_end = fixed_bytes() + (size_t)slabs * connection_pool_slab_bytes();
	uint64_t block_bytes = connections > BLOCK_BYTES_MAX / connection_bytes
	    ? BLOCK_BYTES_MAX
	    : connections * connection_bytes;
	block_bytes = shared_memory_round(block_bytes + BLOCK_BYTES_MIN);
	int fd = -1;
	void *base = map(slab_end + block_bytes, &fd);
	/* The address space may be limited (setrlimit(2), RLIMIT_AS). */
	while (base == NULL && block_bytes > BLOCK_BYTES_MIN) {
		block_bytes = shared_memory_round(block_bytes / 2);
		base = map(slab_end + block_bytes, &fd);
	}
	if (base == NULL)
		return -1;
	*region = (struct crash_region){ .size = slab_end + block_bytes, .fd = fd };
	set_places(region, base);
	region->slabs = region->base + fixed_bytes();
	region->slab_max = (uint32_t)slabs;
	region->blocks = region->base + slab_end;
	region->block_bytes = block_bytes;
	return 0;
}

int
crash_region_create_private(struct crash_region *region)
{
	size_t record_bytes = shared_memory_round(sizeof(struct crash_record));
	uint8_t *base = aligned_alloc(4096, fixed_bytes());
	if (base == NULL)
		return -1;
	memset(base, 0, record_bytes);
	*region = (struct crash_region){ .size = fixed_bytes(), .fd = -1 };
	set_places(region, base);
	return 0;
}

void
crash_region_destroy(struct crash_region *region)
{
	if (region->slabs != NULL)
		shared_memory_unmap(region->base, region->size);
	else
		free(region->base);
	if (region->fd >= 0)
		close(region->fd);
	*region = (struct crash_region){ .fd = -1 };
}

int
crash_region_protect(const struct crash_region *region)
{
	return mprotect(region->base, region->size, PROT_READ);
}

static void
save(struct crash_undo_buffer *undo, const struct buffer *buffer)
{
	if (buffer != NULL)
		*undo = (struct crash_undo_buffer){ buffer->start, buffer->end };
}

void
crash_record_save_buffers(
    struct crash_record *record, const struct connection *connection)
{
	region_heap_settle(&connection->listener->worker->blocks);
	save(&record->undo_input, connection->input);
	if (connection->output == NULL)
		return;
	record->undo_output_bytes = connection->output->bytes;
	save(&record->undo_output, connection->output->bytes);
	record->undo_replies = connection->output->replies;
}

void
crash_record_save_faults(
    struct crash_record *record, const struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	const struct fault_state *state = connection->faults;
	record->undo_faults.progress = state->progress;
	record->undo_faults.segments = state->segments;
	save(&record->undo_faults.range, state->segments);
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		record->undo_faults.counts[i] = atomic_load_explicit(
		    &listener->block->faults[i], memory_order_relaxed);
	if (listener->worker->fault_ring != NULL)
		record->undo_faults.ring_written =
		    atomic_load(&listener->worker->fault_ring->written);
}

void
crash_record_save_tls(struct crash_record *record, const struct connection *connection)
{
	const struct worker_listener *listener = connection->listener;
	const struct tls_state *tls = connection->tls;
	struct crash_undo_tls *undo = &record->undo_tls;
	/* A block that is freed from here on stays until the next call. */
	region_heap_settle(&listener->worker->blocks);
	undo->owner = connection;
	undo->state = *tls;
	save(&undo->partial, tls->partial);
	save(&undo->unsent, tls->unsent);
	undo->received = ledger_read(listener->block, LEDGER_TLS_BYTES_RECEIVED);
	undo->sent = ledger_read(listener->block, LEDGER_TLS_BYTES_SENT);
	undo->sealed_now = 0;
	undo->sealed[0] = (struct crash_sealed){ .send = tls->session.send,
		.send_closed = tls->session.send_closed };
}

void
crash_record_publish_sealed(struct crash_record *record, const struct tls_state *tls,
    size_t length, size_t data)
{
	struct crash_undo_tls *undo = &record->undo_tls;
	const struct crash_sealed *old = &undo->sealed[undo->sealed_now];
	undo->sealed[1 - undo->sealed_now] =
	    (struct crash_sealed){ .before = old->before + old->length,
		    .length = length,
		    .data = old->data + data,
		    .send = tls->session.send,
		    .send_closed = tls->session.send_closed };
	CRASH_RECORD_BARRIER();
	undo->sealed_now = 1 - undo->sealed_now;
	CRASH_RECORD_BARRIER();
}

void
crash_record_begin_any(struct connection *connection)
{
	struct worker_listener *listener = connection->listener;
	struct crash_record *record = listener->worker->record;
	record->undo_tls.owner = NULL;
	if (connection->tls != NULL)
		crash_record_save_tls(record, connection);
	crash_record_begin(record, connection, listener->block);
}

static uint32_t
socket_of(const struct worker_listener *listener)
{
	return (uint32_t)(listener - listener->worker->accept.listeners);
}

void
crash_record_open_begin(const struct worker_listener *listener)
{
	struct crash_record *record = listener->worker->record;
	record->opening.accepted =
	    ledger_read(listener->block, LEDGER_CONNECTIONS_ACCEPTED);
	CRASH_RECORD_BARRIER();
	record->opening.socket_plus_one = socket_of(listener) + 1;
	CRASH_RECORD_BARRIER();
}

void
crash_record_open_end(struct crash_record *record)
{
	CRASH_RECORD_BARRIER();
	record->opening.socket_plus_one = 0;
	CRASH_RECORD_BARRIER();
}

void
crash_record_close_begin(const struct worker_listener *listener, int fd,
    enum close_reason reason, struct connection *connection)
{
	struct crash_record *record = listener->worker->record;
	record->closing.socket = socket_of(listener);
	record->closing.reason = reason;
	record->closing.closed = atomic_load_explicit(
	    &listener->block->closed[reason], memory_order_relaxed);
	record->closing.connection = connection;
	CRASH_RECORD_BARRIER();
	record->closing.fd_plus_one = fd + 1;
	CRASH_RECORD_BARRIER();
	record->current = NULL;
	CRASH_RECORD_BARRIER();
}

void
crash_record_close_end(struct crash_record *record)
{
	CRASH_RECORD_BARRIER();
	record->closing.fd_plus_one = 0;
	CRASH_RECORD_BARRIER();
}
