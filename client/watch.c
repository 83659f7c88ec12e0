#include "client/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/procfs.h"
#include "lib/stats/histogram_codec.h"

#include "client/confidence.h"

#define SECOND_NS UINT64_C(1000000000)
#define SHORTEST_ROW_NS (SECOND_NS / 20) /* of a rest in which nothing came */

/* Which histograms the .hlog holds; response carries no tag. */
static const struct {
	enum tally_histogram which;
	const char *tag;
} logged[] = {
	{ TALLY_RESPONSE, NULL },
	{ TALLY_SERVICE, "service" },
	{ TALLY_SEND_LAG, "send_lag" },
	{ TALLY_CONNECT, "connect" },
};

void
watch_read_kernel(struct watch_kernel *ret)
{
	*ret = (struct watch_kernel){ .retransmits = 0 };
	procfs_counter("/proc/self/net/snmp", "Tcp:", "RetransSegs", &ret->retransmits);
	procfs_counter("/proc/self/net/netstat", "TcpExt:", "ListenOverflows",
	    &ret->listen_overflows);
	procfs_counter(
	    "/proc/self/net/netstat", "TcpExt:", "ListenDrops", &ret->listen_drops);
}

/* Of this network namespace. */
static uint64_t
time_wait(void)
{
	return procfs_word("/proc/self/net/sockstat", "TCP:", " tw ");
}

/* Ports are taken back after a minute: what matters is the most at one time. */
static void
look_at_ports(struct watch *watch)
{
	uint64_t waiting = time_wait(), held = 0, made = 0;

	for (uint32_t i = 0; i < watch->tallies->count; i++) {
		const struct tally *tally = tallies_at(watch->tallies, i);

		held += tally_get(&tally->connections_open);
		made += tally_get(&tally->connections_established);
	}
	if (waiting > watch->time_wait_before)
		held += waiting - watch->time_wait_before;
	/* One that just ends is in both for a moment; others' connections wait, too. */
	held = held < made ? held : made;
	if (held > watch->ports_held_max)
		watch->ports_held_max = held;
	if (waiting > watch->time_wait_max)
		watch->time_wait_max = waiting;
}

static void
release(struct watch *watch)
{
	for (int i = 0; i < TALLY_HISTOGRAM_COUNT; i++)
		free(watch->before[i]);
	free(watch->now);
	free(watch->between);
	free(watch->rows);
	memset(watch, 0, sizeof(*watch));
}

static FILE *
open_log(const char *path)
{
	return strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
}

int
watch_start(struct watch *watch, const struct plan *plan, const struct tallies *tallies)
{
	struct timespec now;

	memset(watch, 0, sizeof(*watch));
	clock_gettime(CLOCK_MONOTONIC, &now);
	watch->began_ns = (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
	watch->plan = plan;
	watch->tallies = tallies;
	watch_read_kernel(&watch->kernel);
	watch->time_wait_before = watch->time_wait_max = time_wait();
	watch->now = histogram_create(&tally_histogram_config);
	watch->between = histogram_create(&tally_histogram_config);
	if (watch->now == NULL || watch->between == NULL)
		goto failed;
	for (size_t i = 0; i < sizeof(logged) / sizeof(logged[0]); i++) {
		struct histogram *before = histogram_create(&tally_histogram_config);

		if (before == NULL)
			goto failed;
		watch->before[logged[i].which] = before;
	}
	if (plan->hlog != NULL && (watch->hlog = open_log(plan->hlog)) == NULL)
		goto failed;
	return 0;
failed:
	release(watch);
	return -1;
}

/* The sums of all processes, as a row whose figures are totals. */
static struct result_second
sum_now(const struct watch *watch)
{
	struct result_second sum = { 0 };

	for (uint32_t i = 0; i < watch->tallies->count; i++) {
		const struct tally *tally = tallies_at(watch->tallies, i);

		sum.connections_open += tally_get(&tally->connections_open);
		sum.sent += tally_get(&tally->messages.sent);
		sum.verified += tally_get(&tally->messages.verified);
		sum.wrong += tally_get(&tally->messages.wrong);
		sum.lost += tally_lost(&tally->messages);
	}
	return sum;
}

/* watch->between = what histogram `which` took since the last row. */
static void
difference(struct watch *watch, enum tally_histogram which)
{
	struct histogram *now = watch->now;
	int status = 0;

	histogram_reset(now);
	for (uint32_t i = 0; i < watch->tallies->count; i++)
		status |= histogram_add(
		    now, tallies_at(watch->tallies, i)->histograms[which]);
	status |= histogram_subtract(watch->between, now, watch->before[which]);
	if (status != 0)
		histogram_reset(watch->between);
	watch->now = watch->before[which];
	watch->before[which] = now;
}

/* UINT64_MAX where one second holds too few to tell. */
static uint64_t
percentile_of(const struct histogram *response, double percentile)
{
	struct confidence found = confidence_of(response, percentile, 0);

	return found.known ? found.value : UINT64_MAX;
}

static void
fill_latency(struct result_second *row, const struct histogram *response)
{
	row->count = histogram_count(response);
	row->mean_ns = histogram_mean(response);
	row->p50_ns = percentile_of(response, 50);
	row->p90_ns = percentile_of(response, 90);
	row->p99_ns = percentile_of(response, 99);
	row->max_ns = histogram_max(response);
}

static void
write_log(struct watch *watch, enum tally_histogram which, const char *tag,
    const struct result_second *row)
{
	if (watch->hlog == NULL)
		return;
	if (watch->count == 0 && which == TALLY_RESPONSE)
		histogram_codec_write_hlog_head(watch->hlog,
		    (double)watch->tallies->board->started_at_ns / 1e9 +
			(double)watch->plan->warmup_ns / 1e9);
	if (histogram_codec_write_hlog(
		watch->hlog, tag, row->at_s, row->length_s, watch->between) < 0)
		fprintf(watch->hlog, "#[out of memory at %.3f]\n", row->at_s);
	fflush(watch->hlog);
}

static void
keep(struct watch *watch, const struct result_second *row)
{
	if (watch->count == watch->room) {
		size_t room = watch->room == 0 ? 64 : 2 * watch->room;
		struct result_second *more =
		    reallocarray(watch->rows, room, sizeof(*more));

		if (more == NULL)
			return; /* a chart with a hole, not a run without a report */
		watch->rows = more;
		watch->room = room;
	}
	watch->rows[watch->count++] = *row;
}

static void
take(struct watch *watch, uint64_t start_ns, uint64_t now_ns)
{
	struct result_second sum = sum_now(watch), row = sum;

	row.at_s = (double)(watch->sampled_ns - start_ns) / 1e9;
	row.length_s = (double)(now_ns - watch->sampled_ns) / 1e9;
	row.sent -= watch->last.sent;
	row.verified -= watch->last.verified;
	row.wrong -= watch->last.wrong;
	row.lost -= watch->last.lost;
	for (size_t i = 0; i < sizeof(logged) / sizeof(logged[0]); i++) {
		if (watch->hlog == NULL && logged[i].which != TALLY_RESPONSE)
			continue;
		difference(watch, logged[i].which);
		if (logged[i].which == TALLY_RESPONSE)
			fill_latency(&row, watch->between);
		write_log(watch, logged[i].which, logged[i].tag, &row);
	}
	keep(watch, &row);
	watch->last = sum;
	watch->sampled_ns = now_ns;
}

/* When the measured part starts; 0 while that is not known. */
static uint64_t
measured_from(const struct watch *watch)
{
	uint64_t start = atomic_load_explicit(
	    &watch->tallies->board->start_ns, memory_order_acquire);

	return start == 0 ? 0 : start + watch->plan->warmup_ns;
}

bool
watch_tick(struct watch *watch, uint64_t now_ns)
{
	uint64_t start = measured_from(watch);

	look_at_ports(watch);
	if (start == 0 || now_ns < start)
		return false;
	if (watch->sampled_ns == 0)
		watch->sampled_ns = start;
	if (now_ns - watch->sampled_ns < SECOND_NS)
		return false;
	take(watch, start, now_ns);
	return true;
}

/* What came in a moment at the end is in a row, too: the rows add up to the whole. */
static bool
something_came(const struct watch *watch)
{
	struct result_second sum = sum_now(watch);
	const struct result_second *last = &watch->last;

	return sum.sent != last->sent || sum.verified != last->verified ||
	    sum.wrong != last->wrong || sum.lost != last->lost;
}

void
watch_stop(struct watch *watch, uint64_t now_ns)
{
	uint64_t start = measured_from(watch);

	look_at_ports(watch);
	if (start == 0 || now_ns < start)
		return;
	if (watch->sampled_ns == 0)
		watch->sampled_ns = start;
	if (now_ns - watch->sampled_ns >= SHORTEST_ROW_NS || watch->count == 0 ||
	    something_came(watch))
		take(watch, start, now_ns);
}

int
watch_finish(struct watch *watch)
{
	FILE *log = watch->hlog;
	int status = 0;

	release(watch);
	if (log == NULL)
		return 0;
	if (ferror(log))
		status = -1;
	if ((log == stdout ? fflush(log) : fclose(log)) != 0)
		status = -1;
	return status;
}
