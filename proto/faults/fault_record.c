#include "proto/faults/fault_record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/shared_memory.h"
#include "proto/faults/fault.h"

#define MAGIC 0x796f6661
#define LAYOUT 1
#define CAPACITY_MAX (1U << 24)

struct fault_records_head {
	uint32_t magic;
	uint32_t layout;
	uint32_t capacity;
	uint64_t retired; /* of workers that have exited, also what is not kept */
	struct fault_ring past;
};

static size_t
ring_bytes(uint32_t capacity)
{
	return shared_memory_round(
	    sizeof(struct fault_ring) + capacity * sizeof(struct fault_record));
}

static size_t
head_bytes(uint32_t capacity)
{
	return shared_memory_round(
	    sizeof(struct fault_records_head) + capacity * sizeof(struct fault_record));
}

static struct shared_memory_range
ring_range(uint32_t capacity, uint32_t entry)
{
	return (struct shared_memory_range){
		.offset = head_bytes(capacity) + entry * ring_bytes(capacity),
		.bytes = ring_bytes(capacity),
	};
}

/* NULL with errno; the caller keeps fd. */
static struct fault_records *
open_view(int fd, uint32_t capacity)
{
	const struct shared_memory_range range = { .bytes = head_bytes(capacity) };
	struct fault_records *records = calloc(1, sizeof(*records));
	if (records == NULL)
		return NULL;
	records->fd = fd;
	records->capacity = capacity;
	records->head = shared_memory_map(fd, &range, SHARED_MEMORY_WRITE);
	if (records->head != NULL)
		return records;
	int saved = errno;
	free(records);
	errno = saved;
	return NULL;
}

struct fault_records *
fault_records_create(uint32_t capacity)
{
	int fd = shared_memory_create("yodeld-faults", head_bytes(capacity));
	struct fault_records *records = fd < 0 ? NULL : open_view(fd, capacity);
	if (records != NULL) {
		records->head->magic = MAGIC;
		records->head->layout = LAYOUT;
		records->head->capacity = capacity;
		records->head->past.capacity = capacity;
		return records;
	}
	int saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return NULL;
}

/* The capacity in the head of the file; 0: it is not such a file. */
static uint32_t
read_capacity(int fd)
{
	const struct shared_memory_range range = { .bytes = shared_memory_round(1) };
	uint32_t capacity = 0;
	if (shared_memory_size(fd) < range.bytes)
		return 0;
	const struct fault_records_head *head =
	    shared_memory_map(fd, &range, SHARED_MEMORY_READ);
	if (head != NULL && head->magic == MAGIC && head->layout == LAYOUT &&
	    head->capacity <= CAPACITY_MAX)
		capacity = head->capacity;
	shared_memory_unmap(head, range.bytes);
	return capacity;
}

struct fault_records *
fault_records_attach(int fd)
{
	uint32_t capacity = read_capacity(fd);
	errno = EPROTO;
	if (capacity == 0 || shared_memory_size(fd) < head_bytes(capacity))
		return NULL;
	return open_view(fd, capacity);
}

void
fault_records_destroy(struct fault_records *records)
{
	if (records == NULL)
		return;
	if (records->fd >= 0)
		close(records->fd);
	shared_memory_unmap(records->head, head_bytes(records->capacity));
	free(records);
}

int
fault_records_clear(struct fault_records *records, uint32_t entry)
{
	struct shared_memory_range range = ring_range(records->capacity, entry);
	if (shared_memory_grow(records->fd, range.offset + range.bytes) < 0)
		return -1;
	return shared_memory_clear(records->fd, &range);
}

struct fault_ring *
fault_records_enter_worker(struct fault_records *records, uint32_t entry)
{
	const struct shared_memory_range head = { .bytes =
						      head_bytes(records->capacity) };
	struct shared_memory_range range = ring_range(records->capacity, entry);
	struct fault_ring *ring =
	    shared_memory_map(records->fd, &range, SHARED_MEMORY_WRITE);
	if (ring == NULL ||
	    shared_memory_make_read_only(records->fd, &head, records->head) < 0)
		return NULL;
	ring->capacity = records->capacity;
	records->fd = -1;
	return ring;
}

static uint64_t
written(const struct fault_ring *ring)
{
	return atomic_load_explicit(&ring->written, memory_order_acquire);
}

/* True for a record that a correct worker can have written. */
static bool
is_valid(const struct fault_record *record)
{
	return record->kind < FAULT_KIND_COUNT;
}

/* Appends the kept records of a ring to list[*count], which has room for them. What is
 * overwritten meanwhile is left out. Returns how many there have ever been. */
static uint64_t
copy_ring(const struct fault_ring *ring, uint32_t capacity, struct fault_record *list,
    size_t *count)
{
	uint64_t end = written(ring);
	uint64_t first = end > capacity ? end - capacity : 0;
	for (uint64_t i = first; i < end; i++) {
		struct fault_record record = ring->records[i % capacity];
		atomic_thread_fence(memory_order_acquire);
		if (written(ring) - i <= capacity && is_valid(&record))
			list[(*count)++] = record;
	}
	return end;
}

/* A worker's ring, to read; NULL if it has none. */
static const struct fault_ring *
map_ring(const struct fault_records *records, uint32_t entry)
{
	struct shared_memory_range range = ring_range(records->capacity, entry);
	if (shared_memory_size(records->fd) < range.offset + range.bytes)
		return NULL;
	return shared_memory_map(records->fd, &range, SHARED_MEMORY_READ);
}

void
fault_records_retire(struct fault_records *records, uint32_t entry)
{
	struct fault_records_head *head = records->head;
	const struct fault_ring *ring = map_ring(records, entry);
	if (ring == NULL)
		return;
	uint64_t end = written(ring);
	uint64_t first = end > records->capacity ? end - records->capacity : 0;
	for (uint64_t i = first; i < end; i++)
		fault_ring_add(&head->past, &ring->records[i % records->capacity]);
	head->retired += end;
	shared_memory_unmap(ring, ring_bytes(records->capacity));
	/* If it fails: it is cleared before it is used again, too. */
	if (fault_records_clear(records, entry) < 0)
		return;
}

static int
compare(const void *a, const void *b)
{
	const struct fault_record *one = a, *other = b;
	return (one->time_ns > other->time_ns) - (one->time_ns < other->time_ns);
}

struct fault_record *
fault_records_read(const struct fault_records *records, const uint32_t *entries,
    size_t entry_count, size_t *ret_count, uint64_t *ret_total)
{
	uint32_t capacity = records->capacity;
	struct fault_record *list =
	    reallocarray(NULL, (entry_count + 1) * (size_t)capacity, sizeof(*list));
	if (list == NULL)
		return NULL;
	size_t count = 0;
	(void)copy_ring(&records->head->past, capacity, list, &count);
	uint64_t total = records->head->retired;
	for (size_t i = 0; i < entry_count; i++) {
		const struct fault_ring *ring = map_ring(records, entries[i]);
		if (ring == NULL)
			continue;
		total += copy_ring(ring, capacity, list, &count);
		shared_memory_unmap(ring, ring_bytes(capacity));
	}
	if (count > 0)
		qsort(list, count, sizeof(*list), compare);
	size_t surplus = count > capacity ? count - capacity : 0;
	if (surplus > 0)
		memmove(list, list + surplus, (count - surplus) * sizeof(*list));
	*ret_count = count - surplus;
	*ret_total = total;
	return list;
}
