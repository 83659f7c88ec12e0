#include "client/result/servers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/stats/chi_square.h"
#include "lib/xmalloc.h"
#include "net/address.h"
#include "client/result/result_fields.h"

static size_t
count_servers(const struct control_block *control_block)
{
	size_t n = 0;
	while (n < COUNTERS_SERVERS_MAX &&
	    atomic_load(&control_block->server_states[n]) == 2)
		n++;
	return n;
}

void
servers_add_steps(const struct counters_map *counters_map, struct result *ret)
{
	const struct control_block *control_block = counters_map->control_block;
	size_t n = count_servers(control_block);
	for (size_t i = 0; i < n; i++)
		result_step_add(ret, control_block->server_names[i]);
}

static void
collect_server(
    const struct counters_map *counters_map, size_t index, struct result_server *ret)
{
	ret->name = xstrdup(counters_map->control_block->server_names[index]);
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_server *server =
		    &counters_map_at(counters_map, i)->servers[index];
		ret->connections += counters_get(&server->connections);
		ret->messages += counters_get(&server->messages);
		ret->lost += counters_get(&server->lost);
	}
}

static void
collect_whoami(const struct counters_map *counters_map, struct result_whoami *ret)
{
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_whoami *whoami =
		    &counters_map_at(counters_map, i)->whoami;
		ret->connections += counters_get(&whoami->connections);
		ret->translated += counters_get(&whoami->translated);
		ret->ports_kept += counters_get(&whoami->ports_kept);
		ret->headers += counters_get(&whoami->headers);
		ret->reconnected += counters_get(&whoami->reconnected);
		ret->stayed += counters_get(&whoami->stayed);
	}
}

/* By address, then port, then time. */
static int
compare_seen(const void *x, const void *y)
{
	const struct counters_seen *a = x, *b = y;
	int order =
	    memcmp(a->outside.bytes, b->outside.bytes, sizeof(a->outside.bytes));
	if (order != 0)
		return order;
	if (a->outside.port != b->outside.port)
		return a->outside.port < b->outside.port ? -1 : 1;
	return a->opened_ns < b->opened_ns ? -1 : a->opened_ns > b->opened_ns;
}

static bool
is_same_address(const struct counters_seen *a, const struct counters_seen *b)
{
	return memcmp(a->outside.bytes, b->outside.bytes, sizeof(a->outside.bytes)) ==
	    0;
}

static uint64_t
end_of(const struct counters_seen *seen)
{
	return seen->closed_ns == 0 ? UINT64_MAX : seen->closed_ns;
}

/* Connections that had the outside address and port of another one that was open at the
 * same time. */
static uint64_t
count_shared(const struct counters_seen *seen, size_t count)
{
	uint64_t shared = 0;
	const struct counters_seen *last = NULL; /* of those before: it ends last */
	bool is_counted = false;                 /* it is */
	for (size_t i = 0; i < count; i++) {
		const struct counters_seen *one = &seen[i];
		bool is_same = last != NULL && is_same_address(last, one) &&
		    last->outside.port == one->outside.port;
		bool is_shared = is_same && end_of(last) > one->opened_ns;
		shared += is_shared ? 1 + !is_counted : 0;
		is_counted = is_counted || is_shared;
		if (is_same && end_of(last) >= end_of(one))
			continue;
		last = one;
		is_counted = is_shared;
	}
	return shared;
}

static void
count_outside(const struct counters_seen *seen, size_t count, struct result *ret)
{
	struct result_outside *last = NULL;
	char text[ADDRESS_TEXT_MAX];
	ret->whoami.shared_ports = count_shared(seen, count);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !is_same_address(&seen[i - 1], &seen[i])) {
			ret->whoami.outside_addresses++;
			last = NULL;
			if (ret->outside_count == RESULT_OUTSIDE_MAX)
				continue;
			struct address_compact alone = seen[i].outside;
			address_format_compact(&alone, text);
			if (alone.family != AF_UNIX) /* a process has no port */
				*strrchr(text, ':') = '\0';
			ret->outside = xreallocarray(ret->outside,
			    ret->outside_count + 1, sizeof(ret->outside[0]));
			last = &ret->outside[ret->outside_count++];
			*last = (struct result_outside){ .address = xstrdup(text) };
		}
		if (last != NULL)
			last->connections++;
	}
}

static void
collect_outside(const struct control_block *control_block, struct result *ret)
{
	size_t all = control_block->seen_bytes / sizeof(*control_block->seen),
	       count = 0;
	if (control_block->seen == NULL)
		return;
	struct counters_seen *seen = xcalloc(all, sizeof(*seen));
	for (size_t i = 0; i < all; i++)
		if (control_block->seen[i].outside.family != 0)
			seen[count++] = control_block->seen[i];
	qsort(seen, count, sizeof(*seen), compare_seen);
	count_outside(seen, count, ret);
	free(seen);
}

void
servers_collect(const struct counters_map *counters_map, struct result *ret)
{
	size_t n = count_servers(counters_map->control_block);
	ret->servers = xcalloc(n, sizeof(ret->servers[0]));
	for (size_t i = 0; i < n; i++)
		collect_server(counters_map, i, &ret->servers[ret->server_count++]);
	collect_whoami(counters_map, &ret->whoami);
	collect_outside(counters_map->control_block, ret);
}

static struct result_server *
find_server(struct result *result, const char *name)
{
	for (size_t i = 0; i < result->server_count; i++)
		if (strcmp(result->servers[i].name, name) == 0)
			return &result->servers[i];
	result->servers = xreallocarray(
	    result->servers, result->server_count + 1, sizeof(result->servers[0]));
	struct result_server *server = &result->servers[result->server_count++];
	*server = (struct result_server){ .name = xstrdup(name) };
	return server;
}

static struct result_outside *
find_outside(struct result *result, const char *address)
{
	for (size_t i = 0; i < result->outside_count; i++)
		if (strcmp(result->outside[i].address, address) == 0)
			return &result->outside[i];
	if (result->outside_count == RESULT_OUTSIDE_MAX)
		return NULL;
	result->outside = xreallocarray(
	    result->outside, result->outside_count + 1, sizeof(result->outside[0]));
	struct result_outside *outside = &result->outside[result->outside_count++];
	*outside = (struct result_outside){ .address = xstrdup(address) };
	return outside;
}

void
servers_merge(struct result *into, const struct result *from)
{
	size_t before = into->outside_count, known = 0;
	for (size_t i = 0; i < from->server_count; i++)
		json_record_add(result_server_fields,
		    find_server(into, from->servers[i].name), &from->servers[i]);
	for (size_t i = 0; i < from->outside_count; i++) {
		struct result_outside *outside =
		    find_outside(into, from->outside[i].address);
		known += outside != NULL && outside < into->outside + before;
		if (outside != NULL)
			outside->connections += from->outside[i].connections;
	}
	/* json_record_add() has added the numbers of addresses; some are the same. */
	into->whoami.outside_addresses -= known;
}

double
servers_fairness(const struct result *result)
{
	uint64_t counts[RESULT_SERVERS_MAX] = { 0 };
	size_t n = 0;
	for (; n < result->server_count && n < RESULT_SERVERS_MAX; n++)
		counts[n] = result->servers[n].connections;
	return chi_square_fair(counts, n);
}
