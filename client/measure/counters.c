#include "client/measure/counters.h"

#include <sys/mman.h>

#include <errno.h>

const char *const counters_connect_failure_names[] = { "refused", "unreachable",
	"timeout", "reset", "other", NULL };
const char *const counters_loss_names[] = { "timeout", "reset", "closed", NULL };
const struct histogram_config counters_latency_config = {
	.lowest = 1,
	.highest = INT64_C(3600) * 1000 * 1000 * 1000,
	.significant_digits = 3,
};

/* `offset`: of a member of struct counters that is a counters_value. */
static counters_value *
value_at(struct counters *counters, size_t offset)
{
	return (counters_value *)(void *)((uint8_t *)counters + offset);
}

void
counters_sum(const struct counters_map *counters_map, struct counters *ret)
{
	for (size_t at = offsetof(struct counters, connections_attempted);
	     at < offsetof(struct counters, mismatches); at += sizeof(counters_value)) {
		bool is_max = at >= offsetof(struct counters, connected_ns);
		uint64_t sum = 0;
		for (uint32_t i = 0; i < counters_map->count; i++) {
			uint64_t value = counters_get(
			    value_at(counters_map_at(counters_map, i), at));
			if (!is_max)
				sum += value;
			else if (value > sum)
				sum = value;
		}
		counters_set(value_at(ret, at), sum);
	}
}

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

int
counters_map_open(struct counters_map *ret, uint32_t count)
{
	size_t control_block =
	    round_up(sizeof(struct control_block), COUNTERS_CACHE_LINE);
	size_t each =
	    round_up(histogram_size(&counters_latency_config), COUNTERS_CACHE_LINE);
	size_t head = round_up(sizeof(struct counters), COUNTERS_CACHE_LINE);
	size_t slot = round_up(head + LATENCY_KIND_COUNT * each, 4096);
	size_t total = control_block + count * slot;
	uint8_t *memory = mmap(NULL, total, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	*ret = (struct counters_map){
		.control_block = (struct control_block *)(void *)memory,
		.first = memory + control_block,
		.slot_bytes = slot,
		.total_bytes = total,
		.count = count,
	};
	ret->control_block->slots = count;
	for (uint32_t i = 0; i < count; i++) {
		struct counters *counters = counters_map_at(ret, i);
		uint8_t *at = (uint8_t *)counters + head;
		counters->process = i;
		for (int h = 0; h < LATENCY_KIND_COUNT; h++)
			counters->histograms[h] = histogram_init_zeroed(
			    at + (size_t)h * each, &counters_latency_config);
	}
	return 0;
}

void
counters_map_close(struct counters_map *counters_map)
{
	if (counters_map->control_block)
		munmap(counters_map->control_block, counters_map->total_bytes);
	counters_map->control_block = NULL;
}

uint64_t
counters_lost(const struct counters_messages *messages)
{
	uint64_t sum = 0;
	for (int i = 0; i < MESSAGE_LOSS_COUNT; i++)
		sum += counters_get(&messages->lost[i]);
	return sum;
}
