#include "client/result/result_target.h"

#include <stdlib.h>
#include <string.h>

#include "client/result/result_fields.h"

/* One more, named, with nothing counted. NULL when out of memory. */
static struct result_target *
append(struct result *result, const char *name)
{
	struct result_target *targets =
	    reallocarray(result->targets, result->target_count + 1, sizeof(*targets));

	if (targets == NULL)
		return NULL;
	result->targets = targets;
	struct result_target *target = &targets[result->target_count];
	*target = (struct result_target){
		.name = strdup(name),
		.last_error = strdup(""),
	};
	result->target_count++;
	return target->name != NULL && target->last_error != NULL ? target : NULL;
}

static int
set_error(struct result_target *target, const char *error)
{
	char *copy = strdup(error);

	if (copy == NULL)
		return -1;
	free(target->last_error);
	target->last_error = copy;
	return 0;
}

static int
collect_one(
    const struct counters_map *counters_map, uint32_t index, struct result_target *ret)
{
	int error = 0;

	for (uint32_t i = 0; i < counters_map->count; i++) {
		const struct counters_target *from =
		    &counters_map_at(counters_map, i)->targets[index];
		int last =
		    atomic_load_explicit(&from->last_errno, memory_order_relaxed);

		ret->established += counters_get(&from->established);
		for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
			ret->failed[f] += counters_get(&from->failed[f]);
		if (last != 0)
			error = last;
	}
	return error != 0 ? set_error(ret, strerror(error)) : 0;
}

int
result_target_collect(const struct plan *plan, const struct counters_map *counters_map,
    struct result *ret)
{
	for (uint32_t i = 0; i < plan->target_count; i++) {
		struct result_target *target = append(ret, plan->targets[i].text);

		if (target == NULL || collect_one(counters_map, i, target) != 0)
			return -1;
	}
	return 0;
}

static struct result_target *
find(struct result *result, const char *name)
{
	for (size_t i = 0; i < result->target_count; i++)
		if (strcmp(result->targets[i].name, name) == 0)
			return &result->targets[i];
	return append(result, name);
}

int
result_target_merge(struct result *into, const struct result *from)
{
	for (size_t i = 0; i < from->target_count; i++) {
		const struct result_target *other = &from->targets[i];
		struct result_target *target = find(into, other->name);

		if (target == NULL)
			return -1;
		json_record_add(result_target_fields, target, other);
		if (other->last_error[0] != '\0' &&
		    set_error(target, other->last_error) < 0)
			return -1;
	}
	return 0;
}
