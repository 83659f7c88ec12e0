#include "client/tls/tls_pool.h"

#include <stdlib.h>

#include "lib/xmalloc.h"
#include "client/tls/tls_stream.h"

#define ARMED_FIRST 64

/* Creates a buffer of application data, with room for the rest of one record. */
static uint8_t *
create_buffer(void)
{
	uint8_t *start = xmalloc(TLS_POOL_BYTES + TLS_RECORD_OVERHEAD);
	return start + TLS_RECORD_PREFIX_MAX;
}

static void
destroy_buffer(uint8_t *buffer)
{
	free(buffer - TLS_RECORD_PREFIX_MAX);
}

void
tls_pool_init(struct tls_pool *pool, struct counters_tls *counts, uint32_t group_count,
    uint32_t tickets_max)
{
	*pool = (struct tls_pool){
		.counts = counts,
		.incoming = create_buffer(),
		.outgoing = create_buffer(),
		.sealed = xmalloc(TLS_SEALED_MAX(TLS_POOL_BYTES)),
		.common = xmalloc_check(tls_ciphers_create()),
		.tickets = xcalloc(group_count, sizeof(pool->tickets[0])),
		.group_count = group_count,
		.tickets_max = tickets_max,
	};
}

void
tls_pool_finish(struct tls_pool *pool)
{
	for (uint32_t i = 0; i < pool->group_count; i++)
		while (pool->tickets[i].count > 0)
			tls_ticket_release(
			    pool->tickets[i].list[--pool->tickets[i].count]);
	for (size_t i = 0; i < pool->block_count; i++)
		free(pool->blocks[i]);
	free(pool->blocks);
	tls_ciphers_destroy(pool->common);
	destroy_buffer(pool->incoming);
	destroy_buffer(pool->outgoing);
	free(pool->sealed);
	free(pool->armed);
	free(pool->tickets);
	*pool = (struct tls_pool){ .counts = NULL };
}

static struct tls_stream *
take_new(struct tls_pool *pool)
{
	if (pool->block_count == 0 || pool->block_used == TLS_POOL_BLOCK) {
		pool->blocks = xreallocarray(
		    pool->blocks, pool->block_count + 1, sizeof(struct tls_stream *));
		pool->blocks[pool->block_count++] =
		    xcalloc(TLS_POOL_BLOCK, sizeof(struct tls_stream));
		pool->block_used = 0;
	}
	return &pool->blocks[pool->block_count - 1][pool->block_used++];
}

struct tls_stream *
tls_pool_take(struct tls_pool *pool)
{
	struct tls_stream *stream = pool->unused;
	if (stream != NULL)
		pool->unused = stream->next_unused;
	else
		stream = take_new(pool);
	*stream = (struct tls_stream){ .pool = pool };
	return stream;
}

void
tls_pool_give_back(struct tls_pool *pool, struct tls_stream *stream)
{
	stream->next_unused = pool->unused;
	pool->unused = stream;
}

static void
arm(struct tls_pool *pool, struct tls_stream *stream)
{
	if (pool->armed_count == pool->armed_room) {
		pool->armed_room =
		    pool->armed_room == 0 ? ARMED_FIRST : 2 * pool->armed_room;
		pool->armed = xreallocarray(
		    pool->armed, pool->armed_room, sizeof(struct tls_stream *));
	}
	stream->ciphers = xmalloc_check(tls_ciphers_create());
	stream->armed_index = (uint32_t)pool->armed_count;
	pool->armed[pool->armed_count++] = stream;
}

struct tls_ciphers *
tls_pool_ciphers(struct tls_pool *pool, struct tls_stream *stream)
{
	if (stream->ciphers == NULL && stream->is_used &&
	    pool->armed_count < TLS_POOL_CIPHERS_MAX)
		arm(pool, stream);
	stream->is_used = true;
	return stream->ciphers != NULL ? stream->ciphers : pool->common;
}

void
tls_pool_disarm(struct tls_pool *pool, struct tls_stream *stream)
{
	if (stream->ciphers == NULL)
		return;
	struct tls_stream *last = pool->armed[--pool->armed_count];
	pool->armed[stream->armed_index] = last;
	last->armed_index = stream->armed_index;
	tls_ciphers_destroy(stream->ciphers);
	stream->ciphers = NULL;
}

void
tls_pool_sweep(struct tls_pool *pool)
{
	/* From the end: a removal moves the last one into the gap. */
	for (size_t i = pool->armed_count; i-- > 0;) {
		struct tls_stream *stream = pool->armed[i];
		stream->session.key_updates = 0;
		if (stream->is_used)
			stream->is_used = false;
		else
			tls_pool_disarm(pool, stream);
	}
}

struct tls_ticket *
tls_pool_take_ticket(struct tls_pool *pool, uint32_t group)
{
	struct tls_pool_tickets *tickets = &pool->tickets[group];
	if (tickets->count == 0)
		return NULL;
	if (tickets->count == 1)
		return tls_ticket_ref(tickets->list[0]);
	return tickets->list[--tickets->count];
}

void
tls_pool_add_ticket(struct tls_pool *pool, uint32_t group, struct tls_ticket *ticket)
{
	struct tls_pool_tickets *tickets = &pool->tickets[group];
	if (ticket == NULL)
		return;
	counters_add(&pool->counts->tickets, 1);
	if (tickets->count == pool->tickets_max)
		tls_ticket_release(tickets->list[--tickets->count]);
	tickets->list[tickets->count++] = ticket;
}

bool
tls_pool_wants_ticket(const struct tls_pool *pool, uint32_t group)
{
	const struct tls_pool_tickets *tickets = &pool->tickets[group];
	return tickets->count + tickets->awaited < pool->tickets_max;
}
