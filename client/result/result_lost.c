#include "client/result/result_lost.h"

#include <stdlib.h>
#include <string.h>

#include "client/measure/timestamps.h"
#include "client/result/result_fields.h"

/* Room for `more` of them. */
static int
make_room(struct result *result, size_t more)
{
	struct result_lost_connection *rows = reallocarray(result->lost_connections,
	    result->lost_connection_count + more + 1, sizeof(*rows));

	if (rows == NULL)
		return -1;
	result->lost_connections = rows;
	return 0;
}

static int
collect_one(
    const struct counters_lost_connection *from, struct result_lost_connection *ret)
{
	char time[TIMESTAMPS_TEXT_MAX];

	*ret = (struct result_lost_connection){
		.connection = from->connection,
		.at = strdup(timestamps_format(from->at_ns, time)),
		.why = strdup(counters_loss_names[from->why]),
		.local = strdup(from->local),
		.remote = strdup(from->remote),
		.messages = from->messages,
		.message = from->message,
		.answer_bytes = from->answer_bytes,
		.answer_length = from->answer_length,
		.unacknowledged = from->unacknowledged,
		.waited_ns = from->waited_ns,
		.silent_ns = from->silent_ns,
	};
	return ret->at != NULL && ret->why != NULL && ret->local != NULL &&
		ret->remote != NULL
	    ? 0
	    : -1;
}

static int
by_time(const void *a, const void *b)
{
	const struct result_lost_connection *x = a, *y = b;

	return strcmp(x->at, y->at);
}

static void
sort(struct result *result)
{
	if (result->lost_connection_count > 1)
		qsort(result->lost_connections, result->lost_connection_count,
		    sizeof(result->lost_connections[0]), by_time);
}

static int
collect_counters(const struct counters *counters, struct result *ret)
{
	uint32_t count =
	    atomic_load_explicit(&counters->lost_connections, memory_order_acquire);

	if (count > COUNTERS_LOST_MAX)
		count = COUNTERS_LOST_MAX;
	if (count > RESULT_LOST_MAX - ret->lost_connection_count)
		count = (uint32_t)(RESULT_LOST_MAX - ret->lost_connection_count);
	if (make_room(ret, count) < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (collect_one(&counters->lost_connection[i],
			&ret->lost_connections[ret->lost_connection_count++]) != 0)
			return -1;
	return 0;
}

int
result_lost_collect(const struct counters_map *counters_map, struct result *ret)
{
	for (uint32_t i = 0; i < counters_map->count; i++)
		if (collect_counters(counters_map_at(counters_map, i), ret) < 0)
			return -1;
	sort(ret);
	return 0;
}

int
result_lost_merge(struct result *into, const struct result *from)
{
	if (make_room(into, from->lost_connection_count) < 0)
		return -1;
	for (size_t i = 0; i < from->lost_connection_count; i++) {
		struct result_lost_connection *row =
		    &into->lost_connections[into->lost_connection_count++];

		*row = from->lost_connections[i];
		if (json_record_copy_texts(result_lost_connection_fields, row) != 0)
			return -1;
	}
	sort(into);
	return 0;
}
