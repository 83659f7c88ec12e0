/*
 * Percentiles differ if their 95 % intervals (lib/stats/percentile_interval.h) do not
 * overlap, which is stricter than 95 %. Means are compared by Welch's test with the
 * effective sample size, the rate by Welch's test over the seconds, shares (lost,
 * wrong, failed) by the test of two proportions. Where the samples cannot tell, the row
 * is "inconclusive".
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/options.h"
#include "lib/units.h"
#include "client/commands/commands.h"
#include "client/result/noise.h"
#include "client/result/result.h"
#include "client/result/result_fields.h"

#define NORMAL_95 1.96
#define SECONDS_MIN 5 /* for a test over the seconds */
#define CLEAR_RATIO 2 /* a difference that no variation between seconds explains */
#define EXIT_WORSE 99

enum difference { INCONCLUSIVE, NOISE, BETTER, WORSE };

static const char *const words[] = { "inconclusive", "within noise", "better",
	"WORSE" };

/* A mean and half the width of its 95 % confidence interval. */
struct estimate {
	double mean, half;
	bool known;
};

/* Two results and the variation between the seconds of each. */
struct pair {
	const struct result *base, *new;
	struct noise base_noise, new_noise;
	bool run_is_too_short; /* a row is inconclusive: too few seconds */
	bool rare_unknown;     /* a row is inconclusive: too few losses */
};

static enum difference
judge(double base, double new, bool differs, bool more_is_better)
{
	if (!differs)
		return NOISE;
	return (new > base) == more_is_better ? BETTER : WORSE;
}

static enum difference
welch(struct estimate base, struct estimate new, bool more_is_better)
{
	if (!base.known || !new.known)
		return INCONCLUSIVE;
	return judge(base.mean, new.mean,
	    fabs(new.mean - base.mean) > hypot(base.half, new.half), more_is_better);
}

/* One row: name, base, new, change in percent, verdict. */
static enum difference
show(const char *name, const char *base, const char *new, double before, double after,
    enum difference difference)
{
	char change[32] = "-";
	if (before > 0)
		snprintf(
		    change, sizeof(change), "%+.1f %%", 100 * (after / before - 1));
	printf(
	    "  %-18s %14s %14s %10s  %s\n", name, base, new, change, words[difference]);
	return difference;
}

static enum difference
show_times(const char *name, double base, double new, enum difference difference)
{
	char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX];
	units_show_duration(result_whole(base), before);
	units_show_duration(result_whole(new), after);
	return show(name, before, after, base, new, difference);
}

static const char *
percentile_text(struct percentile_interval found, char *buffer)
{
	return found.known ? units_show_duration(found.value, buffer) : "?";
}

/* Connections that were all opened at the start sample the machine once, and so does a
 * run of a few seconds. Only a large difference is conclusive then. */
static enum difference
unless_too_short(struct pair *pair, enum latency_kind which, double base, double new,
    enum difference difference)
{
	bool is_sampled = pair->base_noise.known && pair->new_noise.known;
	if (which == LATENCY_CONNECT)
		is_sampled = is_sampled && pair->base->connections.reconnects > 0 &&
		    pair->new->connections.reconnects > 0;
	if (is_sampled || difference == INCONCLUSIVE || difference == NOISE ||
	    fmax(base, new) >= CLEAR_RATIO * fmin(base, new))
		return difference;
	pair->run_is_too_short = true;
	return INCONCLUSIVE;
}

static enum difference
compare_percentile(struct pair *pair, enum latency_kind which, double percentile)
{
	struct percentile_interval b =
	    noise_interval(pair->base, &pair->base_noise, which, percentile);
	struct percentile_interval n =
	    noise_interval(pair->new, &pair->new_noise, which, percentile);
	double before = (double)b.value, after = (double)n.value;
	enum difference difference = INCONCLUSIVE;
	char name[32], base[UNITS_TEXT_MAX], new[UNITS_TEXT_MAX];
	snprintf(
	    name, sizeof(name), "%s p%g", threshold_latency_names[which], percentile);
	if (b.known && n.known)
		difference = unless_too_short(pair, which, before, after,
		    judge(before, after, b.high < n.low || n.high < b.low, false));
	/* Without both values there is no change to show. */
	return show(name, percentile_text(b, base), percentile_text(n, new),
	    b.known && n.known ? before : 0, after, difference);
}

static struct estimate
mean_of(const struct result *result, const struct noise *noise, enum latency_kind which)
{
	const struct histogram *h = result->latency[which];
	double count = result_effective_count(result, which);
	struct estimate estimate = { .mean = histogram_mean(h), .known = count >= 30 };
	if (count > 0)
		estimate.half = NORMAL_95 * histogram_stddev(h) / sqrt(count);
	if (noise->known)
		estimate.half = fmax(estimate.half, noise->mean * estimate.mean);
	return estimate;
}

static bool
compare_latency(struct pair *pair, enum latency_kind which)
{
	static const double percentiles[] = { 50, 90, 99, 99.9 };
	struct estimate b = mean_of(pair->base, &pair->base_noise, which);
	struct estimate n = mean_of(pair->new, &pair->new_noise, which);
	bool worse = false;
	char name[32];
	if (histogram_count(pair->base->latency[which]) == 0 ||
	    histogram_count(pair->new->latency[which]) == 0)
		return false;
	snprintf(name, sizeof(name), "%s mean", threshold_latency_names[which]);
	worse |= show_times(name, b.mean, n.mean,
		     unless_too_short(
			 pair, which, b.mean, n.mean, welch(b, n, false))) == WORSE;
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		worse |= compare_percentile(pair, which, percentiles[i]) == WORSE;
	return worse;
}

/* Over whole seconds: the last one may be shorter. */
static struct estimate
rate_of(const struct result *result)
{
	double sum = 0, squares = 0, count = 0;
	struct estimate estimate = { .mean = result->messages_per_s };
	for (size_t i = 0; i < result->second_count; i++) {
		const struct sampler_second *s = &result->seconds[i];
		double rate = s->length_s > 0 ? (double)s->verified / s->length_s : 0;
		if (!sampler_second_is_whole(s))
			continue;
		count++;
		sum += rate;
		squares += rate * rate;
	}
	if (count < SECONDS_MIN)
		return estimate;
	estimate.half = noise_student(count - 1) *
	    sqrt(fmax(0, squares / count - sum / count * sum / count) / (count - 1));
	estimate.known = true;
	return estimate;
}

static bool
compare_rate(const struct result *base, const struct result *new)
{
	struct estimate b = rate_of(base), n = rate_of(new);
	char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX];
	units_show_count(result_whole(b.mean), before);
	units_show_count(result_whole(n.mean), after);
	return show("messages/s", before, after, b.mean, n.mean, welch(b, n, true)) ==
	    WORSE;
}

/* Test of two proportions, pooled; below 5 events the normal approximation is invalid.
 */
static enum difference
judge_share(uint64_t base, uint64_t base_all, uint64_t new, uint64_t new_all)
{
	double b = (double)base / fmax(1, (double)base_all);
	double n = (double)new / fmax(1, (double)new_all);
	double all = (double)base_all + (double)new_all;
	double pooled = ((double)base + (double)new) / fmax(1, all);
	double error = sqrt(pooled * (1 - pooled) *
	    (1 / fmax(1, (double)base_all) + 1 / fmax(1, (double)new_all)));
	if (base == 0 && new == 0)
		return NOISE;
	if (base + new < 5)
		return INCONCLUSIVE;
	return judge(b, n, fabs(n - b) > NORMAL_95 * error, false);
}

static bool
show_share(struct pair *pair, const char *name, uint64_t base, uint64_t base_all,
    uint64_t new, uint64_t new_all, enum difference difference)
{
	char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX];
	pair->rare_unknown = pair->rare_unknown || difference == INCONCLUSIVE;
	return show(name, units_show_count(base, before), units_show_count(new, after),
		   (double)base / fmax(1, (double)base_all),
		   (double)new / fmax(1, (double)new_all), difference) == WORSE;
}

/* Wrong bytes are not random: the first one is a fault. */
static enum difference
judge_wrong(uint64_t base, uint64_t base_all, uint64_t new, uint64_t new_all)
{
	if (base == 0 || new == 0)
		return judge((double)base, (double)new, base != new, false);
	return judge_share(base, base_all, new, new_all);
}

static bool
compare_losses(struct pair *pair)
{
	const struct result *b = pair->base, *n = pair->new;
	const struct result_messages *bm = &b->messages, *nm = &n->messages;
	const struct result_connections *bc = &b->connections, *nc = &n->connections;
	bool worse = false;
#define SHARE(name, judge, base, base_all, new, new_all)                               \
	worse |= show_share(pair, name, base, base_all, new, new_all,                  \
	    judge(base, base_all, new, new_all))
	SHARE(
	    "lost", judge_share, result_lost(bm), bm->sent, result_lost(nm), nm->sent);
	SHARE("wrong", judge_wrong, bm->wrong, bm->sent, nm->wrong, nm->sent);
	SHARE("extra bytes", judge_wrong, b->bytes_unexpected, b->bytes_received,
	    n->bytes_unexpected, n->bytes_received);
	SHARE("connections lost", judge_share, bc->lost, bc->established, nc->lost,
	    nc->established);
	SHARE("failed to connect", judge_share, result_failed(bc->failed),
	    bc->attempted, result_failed(nc->failed), nc->attempted);
#undef SHARE
	return worse;
}

/* A field of the plan as text, into buffer[64]. */
static const char *
value_of(
    const struct json_record_field *field, const struct result_plan *plan, char *buffer)
{
	switch (field->kind) {
	case JSON_RECORD_TEXT:
		return *JSON_RECORD_AT(field, plan, char *const);
	case JSON_RECORD_REAL:
		snprintf(buffer, 64, "%g", *JSON_RECORD_AT(field, plan, const double));
		return buffer;
	case JSON_RECORD_FLAG:
		return *JSON_RECORD_AT(field, plan, const bool) ? "yes" : "no";
	default:
		snprintf(buffer, 64, "%" PRIu64,
		    *JSON_RECORD_AT(field, plan, const uint64_t));
		return buffer;
	}
}

/* Targets and seeds are not compared: they are meant to differ. */
static void
warn_about_plans(const struct result_plan *base, const struct result_plan *new)
{
	char before[64], after[64];
	for (const struct json_record_field *f = result_plan_fields; f->name != NULL;
	     f++)
		if (f->kind != JSON_RECORD_TEXTS && f->kind != JSON_RECORD_WORD &&
		    !json_record_equals(f, base, new))
			printf("  plans differ in %s: base %s, new %s\n", f->name,
			    value_of(f, base, before), value_of(f, new, after));
}

static void
print_conclusion(const struct pair *pair, bool worse)
{
	if (pair->run_is_too_short)
		puts(
		    "  inconclusive: runs under 5 s, and connections that were all opened at once, show only differences of a factor of 2 or more");
	if (pair->base->trust.verdict == RESULT_INVALID ||
	    pair->new->trust.verdict == RESULT_INVALID)
		printf(
		    "  the %s result is invalid (see its \"trust\"); this comparison means nothing\n",
		    pair->new->trust.verdict == RESULT_INVALID ? "new" : "base");
	if (worse)
		puts(
		    "  new is worse than base in the rows marked WORSE, by more than noise (95 % confidence)");
	else if (pair->rare_unknown)
		puts(
		    "  no row is worse by more than noise (95 % confidence), but losses are too rare to compare");
	else
		puts("  no row is worse by more than noise (95 % confidence)");
}

/* True when a row is worse by more than noise. */
static bool
compare(const struct result *base, const struct result *new)
{
	struct pair pair = {
		.base = base,
		.new = new,
		.base_noise = noise_of(base),
		.new_noise = noise_of(new),
	};
	bool worse = false;
	printf("  %-18s %14s %14s %10s\n", "", "base", "new", "change");
	worse |= compare_rate(base, new);
	worse |= compare_losses(&pair);
	worse |= compare_latency(&pair, LATENCY_RESPONSE);
	worse |= compare_latency(&pair, LATENCY_SERVICE);
	worse |= compare_latency(&pair, LATENCY_CONNECT);
	printf("  %-18s %14s %14s\n\n", "trust",
	    result_verdict_names[base->trust.verdict],
	    result_verdict_names[new->trust.verdict]);
	warn_about_plans(&base->plan, &new->plan);
	print_conclusion(&pair, worse);
	return worse;
}

int
cmd_compare(int argc, char **argv)
{
	static const struct option_row rows[] = {
		{ "fail-worse", 0, NULL, OPTION_FLAG, 0,
		    .help = "exit 99 if a row is worse by more than noise" },
		{ .name = NULL },
	};
	static const struct options_command command = {
		.name = "yodel compare",
		.version = "yodel " YODEL_VERSION,
		.operands = "BASE NEW",
		.operands_min = 2,
		.operands_max = 2,
		.intro =
		    "Compares two JSON results and marks the differences that are larger than noise.",
		.rows = rows,
	};
	struct result base, new;
	bool fail_worse = false;
	char **paths = options_parse(&command, argc, argv, &fail_worse);
	int status = result_read_file(paths[0], &base);
	if (status != 0)
		return status;
	status = result_read_file(paths[1], &new);
	if (status != 0) {
		result_finish(&base);
		return status;
	}
	bool worse = compare(&base, &new);
	result_finish(&base);
	result_finish(&new);
	return worse && fail_worse ? EXIT_WORSE : 0;
}
