#include "client/tally.h"

#include <sys/mman.h>

#include <errno.h>

const char *const tally_histogram_names[] = {
#define X(id, name, help) name,
	TALLY_HISTOGRAMS(X)
#undef X
	    NULL,
};
const char *const tally_connect_failure_names[] = {
#define X(id, name) name,
	TALLY_CONNECT_FAILURES(X)
#undef X
	    NULL,
};
const char *const tally_loss_names[] = {
#define X(id, name) name,
	TALLY_LOSSES(X)
#undef X
	    NULL,
};
const struct histogram_config tally_histogram_config = {
	.lowest = 1,
	.highest = INT64_C(3600) * 1000 * 1000 * 1000,
	.significant_digits = 3,
};

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

int
tallies_open(struct tallies *ret, uint32_t count)
{
	size_t board = round_up(sizeof(struct board), TALLY_LINE);
	size_t each = round_up(histogram_size(&tally_histogram_config), TALLY_LINE);
	size_t head = round_up(sizeof(struct tally), TALLY_LINE);
	size_t slot = round_up(head + TALLY_HISTOGRAM_COUNT * each, 4096);
	size_t total = board + count * slot;
	uint8_t *memory = mmap(NULL, total, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	*ret = (struct tallies){
		.board = (struct board *)(void *)memory,
		.first = memory + board,
		.slot_bytes = slot,
		.total_bytes = total,
		.count = count,
	};
	ret->board->slots = count;
	for (uint32_t i = 0; i < count; i++) {
		struct tally *tally = tallies_at(ret, i);
		uint8_t *at = (uint8_t *)tally + head;

		tally->process = i;
		for (int h = 0; h < TALLY_HISTOGRAM_COUNT; h++)
			tally->histograms[h] = histogram_init_zeroed(
			    at + (size_t)h * each, &tally_histogram_config);
	}
	return 0;
}

void
tallies_close(struct tallies *tallies)
{
	if (tallies->board)
		munmap(tallies->board, tallies->total_bytes);
	tallies->board = NULL;
}

uint64_t
tally_lost(const struct tally_messages *messages)
{
	uint64_t sum = 0;

	for (int i = 0; i < TALLY_LOSS_COUNT; i++)
		sum += tally_get(&messages->lost[i]);
	return sum;
}
