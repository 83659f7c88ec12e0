#include "client/plan/rank.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/units.h"

#define OWN_RANKS "YODEL_RANKS"
#define LATEST_NS (10 * NS_PER_S * NS_PER_S) /* in the year 2286; fits 64 bits */
#define LATE_MAX_S 3600

/* Environment variables of schedulers. */
static const struct {
	const char *rank;
	const char *ranks;
} environments[] = {
	{ "YODEL_RANK", OWN_RANKS },
	{ "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE" },
	{ "PMI_RANK", "PMI_SIZE" },
	{ "SLURM_PROCID", "SLURM_NTASKS" },
	{ "JOB_COMPLETION_INDEX", OWN_RANKS },
};

static int
parse_number(const char *text, const char *end, uint32_t *ret)
{
	char *stop;
	errno = 0;
	unsigned long value = strtoul(text, &stop, 10);
	if (errno != 0 || stop != end || stop == text || *text == '-' || *text == '+' ||
	    value > RANK_MAX)
		return -1;
	*ret = (uint32_t)value;
	return 0;
}

static int
parse_pair(const char *rank, const char *rank_end, const char *ranks,
    uint32_t *ret_rank, uint32_t *ret_ranks)
{
	uint32_t i, n;
	if (parse_number(rank, rank_end, &i) != 0 ||
	    parse_number(ranks, ranks + strlen(ranks), &n) != 0 || i >= n)
		return -1;
	*ret_rank = i;
	*ret_ranks = n;
	return 0;
}

static int
from_environment(
    uint32_t *ret_rank, uint32_t *ret_ranks, char *error, size_t error_size)
{
	for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
		const char *rank = getenv(environments[i].rank);
		const char *ranks = getenv(environments[i].ranks);
		if (rank != NULL && ranks == NULL &&
		    strcmp(environments[i].ranks, OWN_RANKS) == 0) {
			/* Otherwise each rank would run as the only one. */
			snprintf(error, error_size,
			    "environment: found %s=%s without " OWN_RANKS
			    "; fix: set it to the number of ranks, or use --rank",
			    environments[i].rank, rank);
			return -1;
		}
		if (rank == NULL || ranks == NULL)
			continue;
		if (parse_pair(rank, rank + strlen(rank), ranks, ret_rank, ret_ranks) ==
		    0)
			return 0;
		snprintf(error, error_size,
		    "environment: found %s=%s with %s=%s, expected a rank below the number of ranks",
		    environments[i].rank, rank, environments[i].ranks, ranks);
		return -1;
	}
	*ret_rank = 0;
	*ret_ranks = 1;
	return 0;
}

int
rank_parse(const char *text, uint32_t *ret_rank, uint32_t *ret_ranks, char *error,
    size_t error_size)
{
	if (text == NULL)
		return from_environment(ret_rank, ret_ranks, error, error_size);
	const char *slash = strchr(text, '/');
	if (slash != NULL &&
	    parse_pair(text, slash, slash + 1, ret_rank, ret_ranks) == 0)
		return 0;
	snprintf(error, error_size,
	    "--rank: found \"%s\", expected I/N with I from 0 to N - 1, as in 0/4",
	    text);
	return -1;
}

/* HH:MM:SS: today, even if it passed up to LATE_MAX_S ago, else tomorrow. */
static int
parse_clock(const char *text, uint64_t now_ns, uint64_t *ret_ns)
{
	time_t now = (time_t)(now_ns / NS_PER_S);
	struct tm when;
	if (localtime_r(&now, &when) == NULL)
		return -1;
	const char *end = strptime(text, "%H:%M:%S", &when);
	if (end == NULL || *end != '\0')
		return -1;
	when.tm_isdst = -1;
	time_t at = mktime(&when);
	if (at <= now - LATE_MAX_S) {
		when.tm_mday++;
		when.tm_isdst = -1; /* mktime() set it for today */
		at = mktime(&when);
	}
	*ret_ns = (uint64_t)at * NS_PER_S;
	return 0;
}

static int
parse_date(const char *text, uint64_t *ret_ns)
{
	struct tm when = { .tm_isdst = -1 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
	if (end == NULL || (strcmp(end, "Z") != 0 && *end != '\0'))
		return -1;
	when.tm_isdst = -1;
	time_t at = *end == 'Z' ? timegm(&when) : mktime(&when);
	if (at < 0 || (uint64_t)at > LATEST_NS / NS_PER_S)
		return -1;
	*ret_ns = (uint64_t)at * NS_PER_S;
	return 0;
}

/* "@1700000000.25" */
static int
parse_epoch(const char *text, uint64_t *ret_ns)
{
	char *end;
	errno = 0;
	double seconds = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(seconds > 0) ||
	    seconds > (double)(LATEST_NS / NS_PER_S))
		return -1;
	*ret_ns = (uint64_t)(seconds * 1e9);
	return 0;
}

int
rank_parse_start(
    const char *text, uint64_t now_ns, uint64_t *ret_ns, char *error, size_t error_size)
{
	uint64_t ns = 0, later = 0;
	int rc;
	if (text[0] == '+') {
		rc = units_parse_duration(text + 1, &later);
		if (later > LATEST_NS - now_ns)
			rc = -1;
		ns = now_ns + later;
	} else if (text[0] == '@') {
		rc = parse_epoch(text + 1, &ns);
	} else {
		rc = parse_clock(text, now_ns, &ns);
		if (rc != 0)
			rc = parse_date(text, &ns);
	}
	if (rc != 0) {
		snprintf(error, error_size,
		    "--start-at: found \"%s\", expected +10s, HH:MM:SS, YYYY-MM-DDTHH:MM:SSZ or @SECONDS",
		    text);
		return -1;
	}
	*ret_ns = ns;
	return 0;
}
