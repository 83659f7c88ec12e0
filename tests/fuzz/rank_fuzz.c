/*
 * --rank and --start-at. A rank is below the number of ranks, a start without a date is
 * at most an hour in the past; a rejected text has an error.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/plan/rank.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_NS UINT64_C(1700000000000000000)     /* in 2023 */
#define LATEST_NS UINT64_C(10000000000000000000) /* in 2286 */
#define HOUR_NS (UINT64_C(3600) * 1000000000)

static void
check_rank(const char *text)
{
	uint32_t rank, ranks;
	char error[256] = "";

	if (rank_parse(text, &rank, &ranks, error, sizeof(error)) == 0)
		must(rank < ranks && ranks <= RANK_MAX);
	else
		must(error[0] != '\0');
}

static void
check_start(const char *text)
{
	uint64_t start;
	char error[256] = "";

	if (rank_parse_start(text, NOW_NS, &start, error, sizeof(error)) < 0) {
		must(error[0] != '\0');
		return;
	}
	must(start <= LATEST_NS);
	if (text[0] == '+')
		must(start >= NOW_NS);
	else if (text[0] != '@' && strlen(text) == strlen("HH:MM:SS"))
		must(start + HOUR_NS > NOW_NS && start < NOW_NS + 25 * HOUR_NS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	must(text != NULL);
	check_rank(text);
	check_start(text);
	free(text);
	return 0;
}
