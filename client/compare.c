#include "client/compare.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/option_error.h"
#include "lib/units.h"

#include "client/confidence.h"
#include "client/result_fields.h"
#include "client/result_file.h"

#define NORMAL_95 1.96
#define SECONDS_MIN 5 /* for a test over the seconds */
#define EXIT_WORSE 99

static const char usage[] =
    "Usage: yodel compare [OPTION...] BASE NEW\n"
    "Shows two JSON results side by side, and whether a difference is more than "
    "noise.\n"
    "\n"
    "      --fail-worse           exit 99 when a figure is worse by more than noise\n"
    "  -h, --help                 print this and exit\n";

enum difference { NOT_KNOWN, NOISE, BETTER, WORSE };

static const char *const words[] = { "not known", "within noise", "better", "WORSE" };

/* A mean with its standard error. */
struct estimate {
	double mean, error;
	bool known;
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
		return NOT_KNOWN;
	return judge(base.mean, new.mean,
	    fabs(new.mean - base.mean) > NORMAL_95 * hypot(base.error, new.error),
	    more_is_better);
}

/* One line: what, base, new, the change in percent, the verdict. */
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
percentile_text(struct confidence found, char *buffer)
{
	return found.known ? units_show_duration(found.value, buffer) : "?";
}

static enum difference
compare_percentile(const struct result *base, const struct result *new,
    enum tally_histogram which, double percentile)
{
	bool main = which == TALLY_RESPONSE;
	struct confidence b = confidence_of(
	    base->latency[which], percentile, main ? result_effective_count(base) : 0);
	struct confidence n = confidence_of(
	    new->latency[which], percentile, main ? result_effective_count(new) : 0);
	enum difference difference = NOT_KNOWN;
	char name[32], before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX];

	snprintf(
	    name, sizeof(name), "%s p%g", tally_histogram_names[which], percentile);
	if (b.known && n.known)
		difference = judge((double)b.value, (double)n.value,
		    b.high < n.low || n.high < b.low, false);
	/* What one of them does not know has not changed by anything. */
	return show(name, percentile_text(b, before), percentile_text(n, after),
	    b.known && n.known ? (double)b.value : 0, (double)n.value, difference);
}

static struct estimate
mean_of(const struct result *result, enum tally_histogram which)
{
	const struct histogram *h = result->latency[which];
	double count = which == TALLY_RESPONSE ? result_effective_count(result)
					       : (double)histogram_count(h);

	return (struct estimate){ .mean = histogram_mean(h),
		.error = count > 0 ? histogram_stddev(h) / sqrt(count) : 0,
		.known = count >= 30 };
}

static bool
compare_latency(
    const struct result *base, const struct result *new, enum tally_histogram which)
{
	static const double percentiles[] = { 50, 90, 99, 99.9 };
	struct estimate b = mean_of(base, which), n = mean_of(new, which);
	bool worse = false;
	char name[32];

	if (histogram_count(base->latency[which]) == 0 ||
	    histogram_count(new->latency[which]) == 0)
		return false;
	snprintf(name, sizeof(name), "%s mean", tally_histogram_names[which]);
	worse |= show_times(name, b.mean, n.mean, welch(b, n, false)) == WORSE;
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		worse |= compare_percentile(base, new, which, percentiles[i]) == WORSE;
	return worse;
}

/* Over whole seconds: the last one may be a short rest. */
static struct estimate
rate_of(const struct result *result)
{
	double sum = 0, squares = 0, count = 0;
	struct estimate estimate = { .mean = result->messages_per_s };

	for (size_t i = 0; i < result->second_count; i++) {
		const struct result_second *s = &result->seconds[i];
		double rate = s->length_s > 0 ? (double)s->verified / s->length_s : 0;

		if (s->length_s < 0.5)
			continue;
		count++;
		sum += rate;
		squares += rate * rate;
	}
	if (count < SECONDS_MIN)
		return estimate;
	estimate.error =
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

/* Two proportions, pooled. Below five events the normal form says nothing. */
static bool
compare_share(
    const char *name, uint64_t base, uint64_t base_all, uint64_t new, uint64_t new_all)
{
	double b = (double)base / fmax(1, (double)base_all);
	double n = (double)new / fmax(1, (double)new_all);
	double all = (double)base_all + (double)new_all;
	double pooled = ((double)base + (double)new) / fmax(1, all);
	double error = sqrt(pooled * (1 - pooled) *
	    (1 / fmax(1, (double)base_all) + 1 / fmax(1, (double)new_all)));
	enum difference difference = NOT_KNOWN;
	char before[UNITS_TEXT_MAX], after[UNITS_TEXT_MAX];

	if (base == 0 && new == 0)
		difference = NOISE;
	else if (base + new >= 5)
		difference = judge(b, n, fabs(n - b) > NORMAL_95 * error, false);
	return show(name, units_show_count(base, before), units_show_count(new, after),
		   b, n, difference) == WORSE;
}

/* As a person reads it, into buffer[64]. */
static const char *
value_of(const struct record_field *field, const struct result_plan *plan, char *buffer)
{
	switch (field->kind) {
	case RECORD_TEXT:
		return *RECORD_AT(field, plan, char *const);
	case RECORD_REAL:
		snprintf(buffer, 64, "%g", *RECORD_AT(field, plan, const double));
		return buffer;
	case RECORD_FLAG:
		return *RECORD_AT(field, plan, const bool) ? "yes" : "no";
	default:
		snprintf(
		    buffer, 64, "%" PRIu64, *RECORD_AT(field, plan, const uint64_t));
		return buffer;
	}
}

/* Another server, or another seed, is what one compares. */
static void
warn_about_plans(const struct result_plan *base, const struct result_plan *new)
{
	char before[64], after[64];

	for (const struct record_field *f = result_plan_fields; f->name != NULL; f++)
		if (f->kind != RECORD_TEXTS && f->kind != RECORD_WORD &&
		    !record_same(f, base, new))
			printf("  the plans differ: %s %s, %s\n", f->name,
			    value_of(f, base, before), value_of(f, new, after));
}

/* True when something is worse by more than noise. */
static bool
compare(const struct result *base, const struct result *new)
{
	bool worse = false;

	printf("  %-18s %14s %14s %10s\n", "", "base", "new", "change");
	worse |= compare_rate(base, new);
	worse |= compare_share("lost", result_lost(&base->messages),
	    base->messages.sent, result_lost(&new->messages), new->messages.sent);
	worse |= compare_share("wrong", base->messages.wrong, base->messages.sent,
	    new->messages.wrong, new->messages.sent);
	worse |= compare_share("failed to connect", result_failed(&base->connections),
	    base->connections.attempted, result_failed(&new->connections),
	    new->connections.attempted);
	worse |= compare_latency(base, new, TALLY_RESPONSE);
	worse |= compare_latency(base, new, TALLY_SERVICE);
	worse |= compare_latency(base, new, TALLY_CONNECT);
	printf("  %-18s %14s %14s\n\n", "trust",
	    result_verdict_names[base->trust.verdict],
	    result_verdict_names[new->trust.verdict]);
	warn_about_plans(&base->plan, &new->plan);
	puts(worse ? "  new is WORSE in what is marked, by more than noise (95 %)"
		   : "  nothing is worse by more than noise (95 %)");
	return worse;
}

int
compare_main(int argc, char **argv)
{
	enum { OPTION_FAIL_WORSE = 256 };
	static const struct option options[] = {
		{ "fail-worse", no_argument, NULL, OPTION_FAIL_WORSE },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct result base, new;
	bool fail_worse = false, worse;
	int option, status;

	optind = 0; /* the caller has parsed, too */
	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (option != OPTION_FAIL_WORSE) {
			option_error_log(option, argv, options);
			return EX_USAGE;
		}
		fail_worse = true;
	}
	if (optind + 2 != argc) {
		log_errorx("BASE and NEW were wanted (see --help)");
		return EX_USAGE;
	}
	status = result_file_load(argv[optind], &base);
	if (status != 0)
		return status;
	status = result_file_load(argv[optind + 1], &new);
	if (status != 0) {
		result_finish(&base);
		return status;
	}
	worse = compare(&base, &new);
	result_finish(&base);
	result_finish(&new);
	return worse && fail_worse ? EXIT_WORSE : 0;
}
