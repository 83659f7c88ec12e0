#include "client/measure/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/stats/histogram_codec.h"
#include "lib/stats/percentile_interval.h"
#include "lib/system/procfs.h"
#include "lib/xmalloc.h"

#define SHORTEST_ROW_NS (NS_PER_S / 20) /* of a last row without new counts */
#define FIRST_BATCH_NS (10 * NS_PER_MS)
#define PORTS_EVERY_NS (50 * NS_PER_MS)

/* The histograms in the .hlog; response has no tag. */
static const struct {
	enum latency_kind which;
	const char *tag;
} logged[] = {
	{ LATENCY_RESPONSE, NULL },
	{ LATENCY_SERVICE, "service" },
	{ LATENCY_SEND_LAG, "send_lag" },
	{ LATENCY_CONNECT, "connect" },
};

/* Sockets of this network namespace in TIME_WAIT. */
static uint64_t
time_wait(void)
{
	return procfs_word("/proc/self/net/sockstat", "TCP:", " tw ");
}

/* A port is free again after a minute in TIME_WAIT: keeps the largest number held. */
static void
sample_ports(struct sampler *sampler, uint64_t now_ns)
{
	if (now_ns < sampler->next_ports_ns)
		return;
	sampler->next_ports_ns = now_ns + PORTS_EVERY_NS;
	uint64_t waiting = time_wait();
	struct counters sum;
	counters_sum(sampler->counters_map, &sum);
	uint64_t held = counters_get(&sum.connections_open);
	uint64_t made = counters_get(&sum.connections_established);
	if (waiting > sampler->time_wait_before)
		held += waiting - sampler->time_wait_before;
	/* A connection that is just closed counts twice, and other programs have
	 * connections in TIME_WAIT, too. */
	held = held < made ? held : made;
	if (held > sampler->ports_held_max)
		sampler->ports_held_max = held;
	if (waiting > sampler->time_wait_max)
		sampler->time_wait_max = waiting;
}

static void
release(struct sampler *sampler)
{
	for (int i = 0; i < LATENCY_KIND_COUNT; i++)
		free(sampler->before[i]);
	for (uint32_t i = 0; i < sampler->latency_count; i++) {
		free(sampler->batched[i]);
		batches_clear(&sampler->batches[i]);
	}
	free(sampler->now);
	free(sampler->between);
	free(sampler->rows);
	tenths_finish(&sampler->tenths);
	memset(sampler, 0, sizeof(*sampler));
}

static FILE *
open_log(const char *path)
{
	return strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
}

int
sampler_start(struct sampler *sampler, const struct plan *plan,
    const struct counters_map *counters_map)
{
	memset(sampler, 0, sizeof(*sampler));
	sampler->began_ns = clock_now_ns();
	sampler->plan = plan;
	sampler->counters_map = counters_map;
	socket_info_read_network_counters(&sampler->network);
	sampler->cpu_wait = cpu_wait_host();
	sampler->time_wait_before = sampler->time_wait_max = time_wait();
	sampler->now = xmalloc_check(histogram_create(&counters_latency_config));
	sampler->between = xmalloc_check(histogram_create(&counters_latency_config));
	for (size_t i = 0; i < sizeof(logged) / sizeof(logged[0]); i++)
		sampler->before[logged[i].which] =
		    xmalloc_check(histogram_create(&counters_latency_config));
	sampler->latency_count = counters_map_at(counters_map, 0)->latency_count;
	for (uint32_t i = 0; i < sampler->latency_count; i++)
		sampler->batched[i] =
		    xmalloc_check(histogram_create(&counters_latency_config));
	sampler->batch_ns = FIRST_BATCH_NS;
	if (plan->hlog == NULL || (sampler->hlog = open_log(plan->hlog)) != NULL)
		return 0;
	release(sampler);
	return -1;
}

/* A row with the totals since the start. */
static struct sampler_second
sum_now(const struct sampler *sampler)
{
	struct counters sum;
	counters_sum(sampler->counters_map, &sum);
	return (struct sampler_second){
		.connections_open = counters_get(&sum.connections_open),
		.sent = counters_get(&sum.messages.sent),
		.verified = counters_get(&sum.messages.verified),
		.wrong = counters_get(&sum.messages.wrong),
		.lost = counters_lost(&sum.messages),
		.connections_lost = counters_get(&sum.connections_lost),
	};
}

static bool
has_new_values(const struct sampler *sampler, enum latency_kind which,
    const struct histogram *before)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < sampler->counters_map->count; i++) {
		const struct histogram *one =
		    counters_map_at(sampler->counters_map, i)->histograms[which];
		count += histogram_count(one) + histogram_dropped(one);
	}
	return count != histogram_count(before) + histogram_dropped(before);
}

/* sampler->between = the values of histogram `which` since *before, which moves on. */
static void
difference(struct sampler *sampler, enum latency_kind which, struct histogram **before)
{
	struct histogram *now = sampler->now;
	int status = 0;
	if (!has_new_values(sampler, which, *before)) {
		histogram_reset(sampler->between);
		return;
	}
	histogram_reset(now);
	for (uint32_t i = 0; i < sampler->counters_map->count; i++)
		status |= histogram_add(
		    now, counters_map_at(sampler->counters_map, i)->histograms[which]);
	status |= histogram_subtract(sampler->between, now, *before);
	if (status != 0)
		histogram_reset(sampler->between);
	sampler->now = *before;
	*before = now;
}

/* Halves the number of rates, as batches_add does with the batches. */
static void
merge_rates(struct sampler *sampler)
{
	for (size_t i = 0; i < BATCHES_MAX / 2; i++) {
		sampler->verified[i] =
		    sampler->verified[2 * i] + sampler->verified[2 * i + 1];
		sampler->lengths_s[i] =
		    sampler->lengths_s[2 * i] + sampler->lengths_s[2 * i + 1];
	}
	sampler->batch_ns *= 2;
}

static void
take_batch(struct sampler *sampler, uint64_t now_ns)
{
	struct counters sum;
	bool merged = false;
	counters_sum(sampler->counters_map, &sum);
	uint64_t verified = counters_get(&sum.messages.verified);
	for (uint32_t i = 0; i < sampler->latency_count; i++) {
		difference(sampler, (enum latency_kind)i, &sampler->batched[i]);
		int status = batches_add(&sampler->batches[i], sampler->between);
		if (status < 0)
			xmalloc_fail();
		merged = status > 0;
	}
	if (merged)
		merge_rates(sampler);
	size_t last = sampler->batches[LATENCY_RESPONSE].count - 1;
	sampler->verified[last] = (double)(verified - sampler->batch_verified);
	sampler->lengths_s[last] = (double)(now_ns - sampler->batched_ns) / 1e9;
	sampler->batch_verified = verified;
	sampler->batched_ns = now_ns;
}

uint64_t
sampler_next_ns(const struct sampler *sampler)
{
	if (sampler->batched_ns == 0)
		return UINT64_MAX;
	uint64_t batch = sampler->batched_ns + sampler->batch_ns;
	return batch < sampler->tenth_end_ns ? batch : sampler->tenth_end_ns;
}

static void
fill_latency(struct sampler_second *row, const struct histogram *response)
{
	row->count = histogram_count(response);
	row->mean_ns = histogram_mean(response);
	row->p50_ns = percentile_if_known(response, 50);
	row->p90_ns = percentile_if_known(response, 90);
	row->p99_ns = percentile_if_known(response, 99);
	row->max_ns = histogram_max(response);
}

static void
write_log(struct sampler *sampler, enum latency_kind which, const char *tag,
    const struct sampler_second *row)
{
	if (sampler->hlog == NULL)
		return;
	if (sampler->count == 0 && which == LATENCY_RESPONSE)
		histogram_codec_write_hlog_head(sampler->hlog,
		    (double)sampler->counters_map->control_block->started_at_ns / 1e9 +
			(double)sampler->plan->warmup_ns / 1e9);
	if (histogram_codec_write_hlog(
		sampler->hlog, tag, row->at_s, row->length_s, sampler->between) < 0)
		fprintf(sampler->hlog, "#[out of memory at %.3f]\n", row->at_s);
	if (fflush(sampler->hlog) != 0 && sampler->hlog_error == 0)
		sampler->hlog_error = errno;
}

static void
append_row(struct sampler *sampler, const struct sampler_second *row)
{
	if (sampler->count == sampler->room) {
		sampler->room = sampler->room == 0 ? 64 : 2 * sampler->room;
		sampler->rows = xreallocarray(
		    sampler->rows, sampler->room, sizeof(sampler->rows[0]));
	}
	sampler->rows[sampler->count++] = *row;
}

/* Counts between two totals; the row has no latencies. */
static struct sampler_second
row_between(const struct sampler_second *before, const struct sampler_second *after)
{
	struct sampler_second row = *after;
	row.sent -= before->sent;
	row.verified -= before->verified;
	row.wrong -= before->wrong;
	row.lost -= before->lost;
	row.connections_lost -= before->connections_lost;
	return row;
}

/* The end of the row that begins now: rows that are late do not add up. */
static uint64_t
next_end(uint64_t start_ns, uint64_t now_ns, uint64_t each_ns)
{
	return start_ns + ((now_ns - start_ns) / each_ns + 1) * each_ns;
}

static void
take_tenth(struct sampler *sampler, uint64_t start_ns, uint64_t now_ns)
{
	struct sampler_second sum = sum_now(sampler);
	struct sampler_second row = row_between(&sampler->last_tenth, &sum);
	row.at_s = (double)(sampler->tenth_ns - start_ns) / 1e9;
	row.length_s = (double)(now_ns - sampler->tenth_ns) / 1e9;
	tenths_add(&sampler->tenths, &row);
	sampler->last_tenth = sum;
	sampler->tenth_ns = now_ns;
	sampler->tenth_end_ns = next_end(start_ns, now_ns, TENTHS_NS);
}

static void
take_row(struct sampler *sampler, uint64_t start_ns, uint64_t now_ns)
{
	take_tenth(sampler, start_ns, now_ns);
	tenths_end_second(&sampler->tenths);
	struct sampler_second sum = sampler->last_tenth;
	struct sampler_second row = row_between(&sampler->last, &sum);
	row.at_s = (double)(sampler->sampled_ns - start_ns) / 1e9;
	row.length_s = (double)(now_ns - sampler->sampled_ns) / 1e9;
	for (size_t i = 0; i < sizeof(logged) / sizeof(logged[0]); i++) {
		if (sampler->hlog == NULL && logged[i].which != LATENCY_RESPONSE)
			continue;
		difference(sampler, logged[i].which, &sampler->before[logged[i].which]);
		if (logged[i].which == LATENCY_RESPONSE)
			fill_latency(&row, sampler->between);
		write_log(sampler, logged[i].which, logged[i].tag, &row);
	}
	append_row(sampler, &row);
	sampler->last = sum;
	sampler->sampled_ns = now_ns;
	sampler->row_end_ns = next_end(start_ns, now_ns, NS_PER_S);
}

/* Samples the ports. Returns when the measured part started; 0: it has not. */
static uint64_t
begin_row(struct sampler *sampler, uint64_t now_ns)
{
	uint64_t start = atomic_load_explicit(
	    &sampler->counters_map->control_block->start_ns, memory_order_acquire);
	sample_ports(sampler, now_ns);
	if (start == 0 || now_ns < start + sampler->plan->warmup_ns)
		return 0;
	start += sampler->plan->warmup_ns;
	if (sampler->sampled_ns == 0) {
		sampler->sampled_ns = sampler->batched_ns = sampler->tenth_ns = start;
		sampler->tenth_end_ns = start + TENTHS_NS;
		sampler->row_end_ns = start + NS_PER_S;
	}
	return start;
}

bool
sampler_tick(struct sampler *sampler, uint64_t now_ns)
{
	uint64_t start = begin_row(sampler, now_ns);
	if (start == 0)
		return false;
	if (now_ns >= sampler->batched_ns + sampler->batch_ns)
		take_batch(sampler, now_ns);
	if (now_ns >= sampler->tenth_end_ns)
		take_tenth(sampler, start, now_ns);
	if (now_ns < sampler->row_end_ns)
		return false;
	take_row(sampler, start, now_ns);
	return true;
}

/* True if the last row is needed for the rows to add up to the totals. */
static bool
has_new_counts(const struct sampler *sampler)
{
	struct sampler_second sum = sum_now(sampler);
	const struct sampler_second *last = &sampler->last;
	return sum.sent != last->sent || sum.verified != last->verified ||
	    sum.wrong != last->wrong || sum.lost != last->lost ||
	    sum.connections_lost != last->connections_lost;
}

void
sampler_stop(struct sampler *sampler, uint64_t now_ns)
{
	sampler->next_ports_ns = 0; /* a short run may not have been sampled yet */
	uint64_t start = begin_row(sampler, now_ns);
	if (start != 0 && now_ns > sampler->batched_ns)
		take_batch(sampler, now_ns);
	if (start != 0 &&
	    (now_ns - sampler->sampled_ns >= SHORTEST_ROW_NS || sampler->count == 0 ||
		has_new_counts(sampler)))
		take_row(sampler, start, now_ns);
}

int
sampler_finish(struct sampler *sampler)
{
	FILE *log = sampler->hlog;
	int error = sampler->hlog_error;
	release(sampler);
	if (log == NULL)
		return 0;
	if (error == 0 && ferror(log))
		error = EIO;
	if ((log == stdout ? fflush(log) : fclose(log)) != 0 && error == 0)
		error = errno;
	errno = error;
	return error == 0 ? 0 : -1;
}
