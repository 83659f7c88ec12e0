#include "client/collect/collect_targets.h"

#include <stdlib.h>

#include "lib/stats/percentile_interval.h"
#include "lib/xmalloc.h"
#include "net/connect.h"

/* Text of a failed connect; "" for 0. */
static char *
error_text(const struct address *address, int error)
{
	if (error == COUNTERS_ERROR_TLS)
		return xstrdup("the TLS handshake failed");
	return xstrdup(error != 0 ? connect_error_text(address, error) : "");
}

/* Messages and latencies, if there are several targets. */
static void
collect_target_messages(
    const struct counters_map *counters_map, uint32_t index, struct result_target *ret)
{
	struct histogram *response =
	    xmalloc_check(histogram_create(&counters_latency_config));
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_target *from =
		    &counters_map_at(counters_map, i)->targets[index];
		ret->verified += counters_get(&from->verified);
		ret->wrong += counters_get(&from->wrong);
		ret->lost += counters_get(&from->lost);
		if (from->response != NULL &&
		    histogram_add(response, from->response) < 0)
			abort(); /* both have counters_latency_config */
	}
	ret->p50_ns = percentile_if_known(response, 50);
	ret->p99_ns = percentile_if_known(response, 99);
	if (counters_map_at(counters_map, 0)->targets[index].response != NULL)
		ret->response = response;
	else
		free(response);
}

static void
collect_names(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret)
{
	ret->targets = xcalloc(plan->target_count, sizeof(ret->targets[0]));
	for (uint32_t t = 0; t < plan->target_count; t++) {
		struct result_target *target = &ret->targets[ret->target_count++];
		int error = 0;
		for (uint32_t i = 0; i < counters_map->count; i++) {
			const struct counters_target *from =
			    &counters_map_at(counters_map, i)->targets[t];
			int last = atomic_load_explicit(
			    &from->last_errno, memory_order_relaxed);
			target->established += counters_get(&from->established);
			for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
				target->failed[f] += counters_get(&from->failed[f]);
			error = last != 0 ? last : error;
		}
		collect_target_messages(counters_map, t, target);
		target->name = xstrdup(plan->targets[t].text);
		target->last_error = error_text(&plan->targets[t].addresses[0], error);
	}
}

static void
collect_address(const struct plan_target *target, uint32_t index, uint32_t which,
    const struct counters_map *counters_map, struct result_address *ret)
{
	char text[ADDRESS_TEXT_MAX];
	int error = 0;
	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_address *from =
		    &counters_map_at(counters_map, i)->targets[index].addresses[which];
		int last =
		    atomic_load_explicit(&from->last_errno, memory_order_relaxed);
		ret->attempted += counters_get(&from->attempted);
		ret->established += counters_get(&from->established);
		for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
			ret->failed[f] += counters_get(&from->failed[f]);
		error = last != 0 ? last : error;
	}
	ret->target = xstrdup(target->text);
	ret->address = xstrdup(address_format(&target->addresses[which], text));
	ret->last_error = error_text(&target->addresses[which], error);
}

static void
collect_addresses(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret)
{
	size_t count = 0;
	for (uint32_t t = 0; t < plan->target_count; t++)
		count += plan->targets[t].address_count;
	ret->addresses = xcalloc(count, sizeof(ret->addresses[0]));
	for (uint32_t t = 0; t < plan->target_count; t++)
		for (uint32_t a = 0; a < plan->targets[t].address_count; a++)
			collect_address(&plan->targets[t], t, a, counters_map,
			    &ret->addresses[ret->address_count++]);
}

void
collect_targets(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret)
{
	collect_names(plan, counters_map, ret);
	collect_addresses(plan, counters_map, ret);
}
