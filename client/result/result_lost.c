#include "client/result/result_lost.h"

#include <stdlib.h>
#include <string.h>

#include "lib/units.h"

#include "client/measure/timestamps.h"
#include "client/result/result_fields.h"

#define NOT_YET_NS                                                                     \
	UINT64_C(200000000) /* an acknowledgement may wait, or be sent again */

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

const char *
result_lost_which(const struct result_lost_connection *lost, char *out)
{
	snprintf(out, RESULT_LOST_TEXT_MAX,
	    "connection %llu, %.64s to %.64s: %.16s at %.32s",
	    (unsigned long long)lost->connection, lost->local, lost->remote, lost->why,
	    lost->at);
	return out;
}

/* "messages 16 to 23, the first waited 1 s, 0 of 64 bytes of its answer came" */
static void
describe_messages(const struct result_lost_connection *lost, char *out, size_t size)
{
	char last[64] = "", first[UNITS_TEXT_MAX], number[UNITS_TEXT_MAX],
	     came[UNITS_TEXT_MAX], length[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];

	if (lost->messages > 1)
		snprintf(last, sizeof(last), " to %s, the first",
		    units_show_count(lost->message + lost->messages - 1, number));
	snprintf(out, size,
	    "message%s %s%s waited %s, %s of %s bytes of its answer came",
	    lost->messages > 1 ? "s" : "", units_show_count(lost->message, first), last,
	    units_show_duration(lost->waited_ns, time),
	    units_show_count(lost->answer_bytes, came),
	    units_show_count(lost->answer_length, length));
}

const char *
result_lost_what(const struct result_lost_connection *lost, char *out)
{
	char number[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX], messages[256] = "no message";

	if (lost->messages > 0)
		describe_messages(lost, messages, sizeof(messages));
	snprintf(number, sizeof(number), "all");
	if (lost->unacknowledged > 0)
		units_show_count(lost->unacknowledged, number);
	snprintf(out, RESULT_LOST_TEXT_MAX, "lost: %s; nothing heard for %s; %s%s",
	    messages, units_show_duration(lost->silent_ns, time), number,
	    lost->unacknowledged == 0          ? " that was sent is acknowledged"
		: lost->waited_ns < NOT_YET_NS ? " bytes sent, not yet acknowledged"
					       : " bytes sent, never acknowledged");
	return out;
}
