#include "proto/witness/witness_records.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/shared_memory.h"

/* The version is odd while the record is being written. */
struct witness_place {
	_Atomic uint64_t version;
	struct witness_record record;
};

struct witness_table {
	_Atomic uint32_t used; /* places from here on have never been written */
	struct witness_place places[WITNESS_TABLE_MAX];
};

/* The head; the tables follow. */
struct witness_shared {
	_Atomic uint32_t entry_end; /* tables from here on do not exist yet */
};

static size_t
head_bytes(void)
{
	return shared_memory_round(sizeof(struct witness_shared));
}

static size_t
table_bytes(void)
{
	return shared_memory_round(sizeof(struct witness_table));
}

static struct shared_memory_range
table_range(uint32_t entry)
{
	return (struct shared_memory_range){
		.offset = head_bytes() + entry * table_bytes(), .bytes = table_bytes()
	};
}

/* Head and all tables that there can be. */
static struct shared_memory_range
whole_range(void)
{
	return (struct shared_memory_range){ .bytes = head_bytes() +
		    WITNESS_WORKERS_MAX * table_bytes() };
}

static const struct witness_table *
table_at(const struct witness_shared *shared, uint32_t entry)
{
	const uint8_t *base = (const uint8_t *)shared;
	return (const void *)(base + table_range(entry).offset);
}

struct witness_records *
witness_records_create(void)
{
	const struct shared_memory_range head = { .bytes = head_bytes() };
	struct witness_records *records = calloc(1, sizeof(*records));
	if (records == NULL)
		return NULL;
	records->fd = shared_memory_create("yodeld-witness", head.bytes);
	if (records->fd >= 0)
		records->shared =
		    shared_memory_map(records->fd, &head, SHARED_MEMORY_WRITE);
	if (records->shared != NULL)
		return records;
	int saved = errno;
	witness_records_destroy(records);
	errno = saved;
	return NULL;
}

void
witness_records_destroy(struct witness_records *records)
{
	if (records == NULL)
		return;
	if (records->fd >= 0)
		close(records->fd);
	shared_memory_unmap(records->shared, head_bytes());
	free(records);
}

int
witness_records_clear(struct witness_records *records, uint32_t entry)
{
	struct shared_memory_range range = table_range(entry);
	if (entry >= WITNESS_WORKERS_MAX)
		return 0;
	if (shared_memory_size(records->fd) < range.offset + range.bytes &&
	    shared_memory_grow(records->fd, range.offset + range.bytes) < 0)
		return -1;
	if (shared_memory_clear(records->fd, &range) < 0)
		return -1;
	if (entry >= atomic_load(&records->shared->entry_end))
		atomic_store(&records->shared->entry_end, entry + 1);
	return 0;
}

struct witness_book *
witness_records_enter_worker(struct witness_records *records, uint32_t entry)
{
	const struct shared_memory_range head = { .bytes = head_bytes() };
	const struct shared_memory_range whole = whole_range();
	struct shared_memory_range own = table_range(entry);
	errno = ERANGE;
	struct witness_book *book =
	    entry < WITNESS_WORKERS_MAX ? calloc(1, sizeof(*book)) : NULL;
	if (book == NULL)
		return NULL;
	book->own = shared_memory_map(records->fd, &own, SHARED_MEMORY_WRITE);
	book->shared = shared_memory_map(records->fd, &whole, SHARED_MEMORY_READ);
	if (book->own == NULL || book->shared == NULL ||
	    shared_memory_make_read_only(records->fd, &head, records->shared) < 0) {
		int saved = errno;
		witness_book_destroy(book);
		errno = saved;
		return NULL;
	}
	for (uint32_t i = 0; i < WITNESS_TABLE_MAX; i++)
		book->free[i] = (uint16_t)i;
	book->free_count = WITNESS_TABLE_MAX;
	return book;
}

void
witness_book_destroy(struct witness_book *book)
{
	if (book == NULL)
		return;
	shared_memory_unmap(book->own, table_bytes());
	shared_memory_unmap(book->shared, whole_range().bytes);
	free(book);
}

uint32_t
witness_book_take(struct witness_book *book)
{
	if (book == NULL || book->free_count == 0)
		return 0;
	uint32_t place = book->free[book->first_free];
	book->first_free = (book->first_free + 1) % WITNESS_TABLE_MAX;
	book->free_count--;
	return place + 1;
}

static void
give_back(struct witness_book *book, uint32_t place)
{
	uint32_t last = (book->first_free + book->free_count) % WITNESS_TABLE_MAX;
	book->free[last] = (uint16_t)(place - 1);
	book->free_count++;
}

void
witness_book_write(
    struct witness_book *book, uint32_t place, const struct witness_record *record)
{
	if (place == 0)
		return;
	struct witness_place *to = &book->own->places[place - 1];
	uint64_t version = atomic_load_explicit(&to->version, memory_order_relaxed);
	atomic_store_explicit(&to->version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	to->record = *record;
	atomic_store_explicit(&to->version, version + 2, memory_order_release);
	if (place > atomic_load(&book->own->used))
		atomic_store(&book->own->used, place);
}

void
witness_book_close(struct witness_book *book, uint32_t place)
{
	if (place != 0)
		give_back(book, place);
}

void
witness_book_remove(struct witness_book *book, uint32_t place)
{
	const struct witness_record none = { .is_open = false };
	witness_book_write(book, place, &none);
	witness_book_close(book, place);
}

/* A copy of the record at a place; false if it changes meanwhile. */
static bool
copy(const struct witness_place *place, struct witness_record *ret)
{
	uint64_t before = atomic_load_explicit(&place->version, memory_order_acquire);
	*ret = place->record;
	atomic_thread_fence(memory_order_acquire);
	return before % 2 == 0 && before != 0 &&
	    before == atomic_load_explicit(&place->version, memory_order_relaxed);
}

/* True for a record that a correct worker can have written. */
static bool
is_valid(const struct witness_record *record)
{
	if (record->event_count > WITNESS_EVENTS_MAX ||
	    *(const uint8_t *)&record->is_open > 1 ||
	    *(const uint8_t *)&record->has_tcp > 1 ||
	    (!record->is_open && record->reason >= CLOSE_REASON_COUNT))
		return false;
	for (uint32_t i = 0; i < record->event_count; i++) {
		if (record->events[i].kind >= WITNESS_EVENT_KIND_COUNT)
			return false;
	}
	return true;
}

static bool
is_same(const struct witness_id *a, const struct witness_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Reads a record that its worker may be writing; that takes less than a microsecond. */
static bool
read_place(const struct witness_place *place, const struct witness_id *id,
    struct witness_record *ret)
{
	enum { ATTEMPTS = 1000 };
	for (int i = 0; i < ATTEMPTS && is_same(&place->record.id, id); i++) {
		if (copy(place, ret))
			return is_same(&ret->id, id) && is_valid(ret);
	}
	return false;
}

bool
witness_book_find(const struct witness_book *book, const struct witness_id *id,
    struct witness_record *ret)
{
	static const struct witness_id none;
	bool is_found = false;
	if (book == NULL || is_same(id, &none))
		return false;
	uint32_t end = atomic_load(&book->shared->entry_end);
	for (uint32_t entry = 0; entry < end && entry < WITNESS_WORKERS_MAX; entry++) {
		const struct witness_table *table = table_at(book->shared, entry);
		uint32_t used = atomic_load(&table->used);
		struct witness_record record;
		for (uint32_t i = 0; i < used && i < WITNESS_TABLE_MAX; i++) {
			/* One that has moved may be in two tables for a moment. */
			if (read_place(&table->places[i], id, &record) &&
			    (!is_found || record.age_us > ret->age_us)) {
				*ret = record;
				is_found = true;
			}
		}
	}
	return is_found;
}
