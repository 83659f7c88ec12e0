#include "client/result/comparison.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/stats/batches.h"

#define NORMAL_95 1.96
/* Where two 95 % intervals of equal width no longer overlap. */
#define NORMAL_APART (NORMAL_95 * 1.4142)
/* Equal runs differ by this part, at most by this time: memory layout and the placement
 * of processes are those of one run. A single run does not show it. */
#define RUN_PART 0.08
#define RUN_NS 100e3
/* A load process that waited for a CPU longer than this part of the run shared it. */
#define CONTENDED_PART 0.1
#define CONTENDED_RATIO 10
#define EVENTS_MIN 5 /* fewer losses cannot be compared */

const char *const comparison_outcome_names[] = { "inconclusive", "within noise",
	"better", "WORSE" };

typedef struct comparison_estimate estimate_fn(
    const struct result *run, const void *which);

static struct comparison_estimate
between(double value, double half)
{
	return (struct comparison_estimate){ value, value - half, value + half, 0, true,
		isfinite(half) };
}

/* The mean over the runs. Its error is the larger of what the variation between the
 * runs and what the intervals of the runs suggest. */
static struct comparison_estimate
estimate_of(
    const struct comparison_side *side, estimate_fn *estimate, const void *which)
{
	double sum = 0, squares = 0, within = 0, n = (double)side->count;
	struct comparison_estimate one = estimate(&side->runs[0], which);
	if (side->count == 1) {
		one.low -= one.value * one.run_part;
		one.high += one.value * one.run_part;
		return one;
	}
	for (size_t i = 0; i < side->count; i++) {
		one = estimate(&side->runs[i], which);
		if (!one.known)
			return one;
		sum += one.value;
		squares += one.value * one.value;
		if (one.has_interval)
			within += pow((one.high - one.low) / 2, 2);
	}
	double mean = sum / n;
	double variance = fmax(0, squares / n - mean * mean) * n / (n - 1);
	double apart = batches_student(n - 1) * sqrt(variance / n);
	return between(mean, fmax(apart, sqrt(within) / n));
}

bool
comparison_is_contended(const struct comparison_side *side)
{
	for (size_t i = 0; side->count == 1 && i < side->runs[0].process_count; i++) {
		const struct result_process *process = &side->runs[0].processes[i];
		if (process->cpu_wait_s + process->not_run_s >
		    CONTENDED_PART * side->runs[0].elapsed_s)
			return true;
	}
	return false;
}

static enum comparison_outcome
judge(const struct comparison_estimate *base, const struct comparison_estimate *new,
    bool more_is_better)
{
	if (!base->has_interval || !new->has_interval)
		return COMPARISON_INCONCLUSIVE;
	if (base->high >= new->low &&new->high >= base->low)
		return COMPARISON_NOISE;
	return (new->value > base->value) == more_is_better ? COMPARISON_BETTER
							    : COMPARISON_WORSE;
}

static void
compare_row(const struct comparison_side sides[2], struct comparison_row *row,
    estimate_fn *estimate, const void *which)
{
	row->base = estimate_of(&sides[0], estimate, which);
	row->new = estimate_of(&sides[1], estimate, which);
	row->outcome = judge(&row->base, &row->new, row->unit == COMPARISON_COUNT);
	/* Other load on the machine differs between two runs as much as that. */
	if ((row->outcome == COMPARISON_WORSE || row->outcome == COMPARISON_BETTER) &&
	    fmax(row->base.value, row->new.value) <
		CONTENDED_RATIO * fmin(row->base.value, row->new.value) &&
	    (comparison_is_contended(&sides[0]) || comparison_is_contended(&sides[1])))
		row->outcome = COMPARISON_INCONCLUSIVE;
}

/* How much a latency of another run may differ, as a part of it. */
static double
run_part(double latency_ns)
{
	return latency_ns > 0 ? fmin(RUN_PART, RUN_NS / latency_ns) : RUN_PART;
}

static struct comparison_estimate
rate_of(const struct result *run, const void *which)
{
	(void)which;
	struct comparison_estimate rate = between(run->messages_per_s, run->rate_half);
	rate.run_part = run_part(histogram_mean(run->latency[LATENCY_RESPONSE]));
	return rate;
}

struct latency_row {
	enum latency_kind which;
	double percentile; /* 0: the mean */
};

static struct comparison_estimate
latency_of(const struct result *run, const void *which)
{
	const struct latency_row *row = which;
	struct comparison_estimate found;
	if (row->percentile == 0) {
		found = between(histogram_mean(run->latency[row->which]),
		    run->precision[row->which].mean_half_ns);
	} else {
		struct percentile_interval c =
		    result_percentile(run, row->which, row->percentile);
		found = (struct comparison_estimate){ .value = (double)c.value,
			.low = (double)c.low,
			.high = (double)c.high,
			.known = c.known,
			.has_interval = c.has_interval };
	}
	found.run_part = run_part(found.value);
	return found;
}

static bool
has_values(const struct comparison_side *side, enum latency_kind which)
{
	for (size_t i = 0; i < side->count; i++)
		if (histogram_count(side->runs[i].latency[which]) == 0)
			return false;
	return true;
}

/* True if all runs have this named step: the first steps that differ end the list. */
static bool
have_step(const struct comparison_side sides[2], int which)
{
	size_t step = (size_t)(which - LATENCY_STEP_FIRST);
	const struct result *first = &sides[0].runs[0];
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < sides[s].count; i++)
			if (step >= sides[s].runs[i].step_count ||
			    strcmp(sides[s].runs[i].steps[step], first->steps[step]) !=
				0)
				return false;
	return true;
}

static size_t
compare_latency(const struct comparison_side sides[2], enum latency_kind which,
    struct comparison_row *rows)
{
	static const double percentiles[] = { 0, 50, 90, 99, 99.9 };
	enum { COUNT = sizeof(percentiles) / sizeof(percentiles[0]) };
	char name[RESULT_LATENCY_NAME_MAX];
	const char *latency = result_latency_name(&sides[0].runs[0], (int)which, name);
	if (!has_values(&sides[0], which) || !has_values(&sides[1], which))
		return 0;
	for (size_t i = 0; i < COUNT; i++) {
		struct latency_row figure = { which, percentiles[i] };
		rows[i] = (struct comparison_row){ .unit = COMPARISON_DURATION };
		if (figure.percentile == 0)
			snprintf(
			    rows[i].name, sizeof(rows[i].name), "%s mean", latency);
		else
			snprintf(rows[i].name, sizeof(rows[i].name), "%s p%g", latency,
			    figure.percentile);
		compare_row(sides, &rows[i], latency_of, &figure);
	}
	return COUNT;
}

/* Events of a run, and how many there could have been. */
struct share {
	double events, all;
};
typedef struct share share_fn(const struct result *run);

static struct share
share_lost(const struct result *run)
{
	return (struct share){ (double)result_lost(&run->messages),
		(double)run->messages.sent };
}

static struct share
share_wrong(const struct result *run)
{
	return (
	    struct share){ (double)run->messages.wrong, (double)run->messages.sent };
}

static struct share
share_extra(const struct result *run)
{
	return (
	    struct share){ (double)run->bytes_unexpected, (double)run->bytes_received };
}

static struct share
share_connections_lost(const struct result *run)
{
	return (struct share){ (double)run->connections.lost,
		(double)run->connections.established };
}

static struct share
share_failed(const struct result *run)
{
	return (struct share){ (double)result_failed(run->connections.failed),
		(double)run->connections.attempted };
}

static struct share
share_dark(const struct result *run)
{
	return (struct share){ (double)run->hold.connections,
		(double)run->connections.first };
}

static struct share
share_periods(const struct result *run)
{
	return (struct share){ (double)run->hold.periods, (double)run->messages.sent };
}

static struct share
share_not_replaced(const struct result *run)
{
	return (struct share){ (double)run->hold.lost, (double)run->connections.first };
}

/* Losses come in clusters: the variation between the seconds widens the interval of the
 * share of lost messages. */
static double
cluster_error(const struct result *run)
{
	double lost[BATCHES_MAX] = { 0 }, sent[BATCHES_MAX] = { 0 };
	size_t each = (run->second_count + BATCHES_MAX - 1) / BATCHES_MAX, count = 0;
	for (size_t i = 0; i < run->second_count; i++) {
		count = i / each + 1;
		lost[count - 1] += (double)run->seconds[i].lost;
		sent[count - 1] += (double)run->seconds[i].sent;
	}
	double half = batches_ratio_half(lost, sent, count);
	return isfinite(half) ? half / NORMAL_95 : 0;
}

/* The share of all runs of a side and its standard error. */
static struct share
share_of(const struct comparison_side *side, share_fn *share, double pooled,
    double *ret_error)
{
	struct share sum = { 0 };
	double squares = 0, shares = 0, cluster = 0, n = (double)side->count;
	for (size_t i = 0; i < side->count; i++) {
		struct share one = share(&side->runs[i]);
		double part = one.events / fmax(1, one.all);
		sum.events += one.events;
		sum.all += one.all;
		shares += part;
		squares += part * part;
		if (share == share_lost)
			cluster = fmax(cluster, cluster_error(&side->runs[i]));
	}
	double variance =
	    n > 1 ? fmax(0, squares / n - pow(shares / n, 2)) / (n - 1) : 0;
	/* Of periods there may be more than messages: they are counts then. */
	double chance = sqrt(pooled * (pooled < 1 ? 1 - pooled : 1) / fmax(1, sum.all));
	*ret_error = fmax(fmax(chance, cluster / sqrt(n)),
	    sqrt(variance) * (n > 1 ? batches_student(n - 1) / NORMAL_95 : 1));
	return sum;
}

/* With `is_fault` the first event is worse: wrong bytes are not random. */
static enum comparison_outcome
judge_shares(const struct comparison_side sides[2], share_fn *share, bool is_fault)
{
	double errors[2];
	struct share base = share_of(&sides[0], share, 0, &errors[0]);
	struct share new = share_of(&sides[1], share, 0, &errors[1]);
	double events = base.events + new.events;
	double pooled = events / fmax(1, base.all + new.all);
	double off = new.events / fmax(1, new.all) - base.events / fmax(1, base.all);
	if (is_fault && (base.events == 0 || new.events == 0))
		return off == 0 ? COMPARISON_NOISE
		    : off < 0   ? COMPARISON_BETTER
				: COMPARISON_WORSE;
	if (events > 0 && events < EVENTS_MIN)
		return COMPARISON_INCONCLUSIVE;
	(void)share_of(&sides[0], share, pooled, &errors[0]);
	(void)share_of(&sides[1], share, pooled, &errors[1]);
	if (fabs(off) <= NORMAL_APART * hypot(errors[0], errors[1]))
		return COMPARISON_NOISE;
	return off < 0 ? COMPARISON_BETTER : COMPARISON_WORSE;
}

static double
events_of(const struct comparison_side *side, share_fn *share)
{
	double ignored;
	return share_of(side, share, 0, &ignored).events;
}

struct share_row {
	const char *name;
	share_fn *share;
	bool is_fault;
};

static size_t
compare_shares(const struct comparison_side sides[2], const struct share_row *shares,
    size_t count, struct comparison_row *rows)
{
	for (size_t i = 0; i < count; i++) {
		rows[i] = (struct comparison_row){
			.unit = COMPARISON_EVENTS,
			.base = between(events_of(&sides[0], shares[i].share), NAN),
			.new = between(events_of(&sides[1], shares[i].share), NAN),
			.outcome =
			    judge_shares(sides, shares[i].share, shares[i].is_fault),
		};
		snprintf(rows[i].name, sizeof(rows[i].name), "%s", shares[i].name);
	}
	return count;
}

static size_t
compare_losses(const struct comparison_side sides[2], struct comparison_row *rows)
{
	static const struct share_row shares[] = {
		{ "lost", share_lost, false },
		{ "wrong", share_wrong, true },
		{ "extra bytes", share_extra, true },
		{ "connections lost", share_connections_lost, false },
		{ "failed to connect", share_failed, false },
	};
	return compare_shares(sides, shares, sizeof(shares) / sizeof(shares[0]), rows);
}

/* Length of all periods without an answer; an outage more or less makes the error. */
static struct comparison_estimate
dark_time_of(const struct result *run, const void *which)
{
	double sum = 0, squares = 0;
	(void)which;
	for (size_t i = 0; i < run->outage_count; i++) {
		double length = (double)run->outages[i].length_ns;
		sum += length;
		squares += length * length;
	}
	struct comparison_estimate found = between(sum, NORMAL_95 * sqrt(squares));
	found.known = run->hold.unlisted == 0;
	found.has_interval = found.known;
	return found;
}

static struct comparison_estimate
longest_of(const struct result *run, const void *which)
{
	double longest = 0;
	(void)which;
	for (size_t i = 0; i < run->outage_count; i++)
		longest = fmax(longest, (double)run->outages[i].length_ns);
	struct comparison_estimate found = between(longest, NAN);
	found.known = run->hold.unlisted == 0;
	return found;
}

static bool
watch_outages(const struct comparison_side *side)
{
	for (size_t i = 0; i < side->count; i++)
		if (side->runs[i].plan.hold_ns == 0)
			return false;
	return true;
}

/* If all runs had --hold. */
static size_t
compare_outages(const struct comparison_side sides[2], struct comparison_row *rows)
{
	static const struct share_row shares[] = {
		{ "dark connections", share_dark, false },
		{ "dark periods", share_periods, false },
		{ "not replaced", share_not_replaced, false },
	};
	if (!watch_outages(&sides[0]) || !watch_outages(&sides[1]))
		return 0;
	size_t count =
	    compare_shares(sides, shares, sizeof(shares) / sizeof(shares[0]), rows);
	rows[count] =
	    (struct comparison_row){ .name = "dark time", .unit = COMPARISON_DURATION };
	compare_row(sides, &rows[count++], dark_time_of, NULL);
	rows[count] = (struct comparison_row){
		.name = "longest dark", .unit = COMPARISON_DURATION, .needs_runs = true
	};
	compare_row(sides, &rows[count], longest_of, NULL);
	if (rows[count].base.known &&
	    rows[count].new.known &&rows[count].base.value == rows[count].new.value)
		rows[count].outcome = COMPARISON_NOISE;
	return count + 1;
}

size_t
comparison_of(const struct comparison_side sides[2],
    struct comparison_row rows[COMPARISON_ROWS_MAX])
{
	size_t count = 0;
	rows[count] =
	    (struct comparison_row){ .name = "messages/s", .unit = COMPARISON_COUNT };
	compare_row(sides, &rows[count++], rate_of, NULL);
	count += compare_losses(sides, rows + count);
	count += compare_outages(sides, rows + count);
	count += compare_latency(sides, LATENCY_RESPONSE, rows + count);
	count += compare_latency(sides, LATENCY_SERVICE, rows + count);
	count += compare_latency(sides, LATENCY_CONNECT, rows + count);
	count += compare_latency(sides, LATENCY_TLS_HANDSHAKE, rows + count);
	count += compare_latency(sides, LATENCY_TLS_RESUMED, rows + count);
	count += compare_latency(sides, LATENCY_OPENING, rows + count);
	for (int i = LATENCY_STEP_FIRST; have_step(sides, i); i++)
		count += compare_latency(sides, (enum latency_kind)i, rows + count);
	return count;
}
