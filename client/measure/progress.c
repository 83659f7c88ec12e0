#include "client/measure/progress.h"

#include <sys/ioctl.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/units.h"

#define REFRESH_TERMINAL_NS UINT64_C(250000000)
#define REFRESH_PIPE_NS NS_PER_S

#define LINE_SIZE 256
#define LEFT_SIZE 48

/* Totals of all load processes. */
struct snapshot {
	uint64_t now_ns, start_ns;
	uint64_t open, established, failed;
	uint64_t answered; /* correctly or not, warm-up included */
	uint64_t errors;   /* messages wrong or lost, connections failed or lost */
};

void
progress_init(struct progress *progress, const struct plan *plan)
{
	bool terminal = isatty(STDERR_FILENO) == 1;
	bool is_auto = terminal && !plan->quiet && !plan->transcript;
	*progress = (struct progress){ .terminal = terminal };
	if (plan->progress == PLAN_PROGRESS_ALWAYS ||
	    (plan->progress == PLAN_PROGRESS_AUTO && is_auto))
		progress->is_shown = true;
	if (progress->is_shown)
		sink_attach(&progress->sink, STDERR_FILENO);
}

static struct snapshot
take_snapshot(const struct counters_map *counters_map, uint64_t now_ns)
{
	struct counters sum;
	counters_sum(counters_map, &sum);
	uint64_t failed = 0;
	uint64_t wrong =
	    counters_get(&sum.messages.wrong) + counters_get(&sum.warmup.wrong);
	for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
		failed += counters_get(&sum.connections_failed[f]);
	return (struct snapshot){
		.now_ns = now_ns,
		.start_ns = atomic_load(&counters_map->control_block->start_ns),
		.open = counters_get(&sum.connections_open),
		.established = counters_get(&sum.connections_first),
		.failed = failed,
		.answered = counters_get(&sum.messages.verified) +
		    counters_get(&sum.warmup.verified) + wrong,
		.errors = wrong + counters_lost(&sum.messages) +
		    counters_lost(&sum.warmup) + counters_get(&sum.connections_lost) +
		    failed,
	};
}

/* "8 s left": from the duration of the plan, else from the rate. */
static void
format_left(const struct plan *plan, const struct snapshot *now, double rate,
    char out[LEFT_SIZE])
{
	uint64_t end_ns = now->start_ns + plan->warmup_ns + plan->duration_ns;
	double left_s = NAN;
	if (plan->duration_ns > 0)
		left_s = ((double)end_ns - (double)now->now_ns) / 1e9;
	else if (rate > 0)
		left_s = fmax(0,
		    ((double)plan->messages * plan->rank_connections -
			(double)now->answered) /
			rate);
	out[0] = '\0';
	if (plan->duration_ns > 0 && now->now_ns >= end_ns)
		snprintf(out, LEFT_SIZE, ", draining");
	else if (!isnan(left_s))
		snprintf(out, LEFT_SIZE, ", %.0f s left", ceil(left_s));
}

/* p99 of the last second; "?": too few values, "-": none. */
static const char *
format_p99(const struct sampler *sampler, char *out)
{
	if (sampler->count == 0 || sampler->rows[sampler->count - 1].count == 0)
		return "-";
	uint64_t p99_ns = sampler->rows[sampler->count - 1].p99_ns;
	return p99_ns == UINT64_MAX ? "?" : units_show_duration(p99_ns, out);
}

static void
format_running(const struct progress *progress, const struct sampler *sampler,
    const struct snapshot *now, char line[LINE_SIZE])
{
	double seconds = (double)(now->now_ns - progress->last_ns) / 1e9;
	double rate =
	    seconds > 0 ? (double)(now->answered - progress->last_done) / seconds : 0;
	char left[LEFT_SIZE], open[UNITS_TEXT_MAX], speed[UNITS_TEXT_MAX],
	    p99[UNITS_TEXT_MAX], errors[UNITS_TEXT_MAX];
	format_left(sampler->plan, now, rate, left);
	snprintf(line, LINE_SIZE,
	    "%.0f s: %s connections, %s messages/s, p99 %s, %s errors%s",
	    (double)(now->now_ns - now->start_ns) / 1e9,
	    units_show_count(now->open, open), units_show_count((uint64_t)rate, speed),
	    format_p99(sampler, p99), units_show_count(now->errors, errors), left);
}

static void
format_connecting(
    const struct sampler *sampler, const struct snapshot *now, char line[LINE_SIZE])
{
	char made[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], failed[UNITS_TEXT_MAX];
	units_show_count(now->established, made);
	units_show_count(sampler->plan->rank_connections, all);
	if (now->start_ns > now->now_ns)
		snprintf(line, LINE_SIZE, "%s of %s connected, load starts in %.0f s",
		    made, all, ceil((double)(now->start_ns - now->now_ns) / 1e9));
	else
		snprintf(line, LINE_SIZE,
		    "%.0f s: connecting, %s of %s connections, %s failed",
		    (double)(now->now_ns - sampler->began_ns) / 1e9, made, all,
		    units_show_count(now->failed, failed));
}

/* Cut to the width of the terminal: a wrapped line cannot be refreshed in place. */
static void
put_line(struct progress *progress, const char *line)
{
	struct winsize window = { .ws_col = 0 };
	int width = INT_MAX;
	if (progress->terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 &&
	    window.ws_col > 1)
		width = window.ws_col - 1;
	char text[LINE_SIZE + 8];
	int n = snprintf(text, sizeof(text),
	    progress->terminal ? "\r%.*s\033[K" : "%.*s\n", width, line);
	progress->has_line |= progress->terminal;
	/* The next refresh makes up for a line that is skipped. */
	if (sink_write(&progress->sink, text, (size_t)n) < 0)
		return;
}

void
progress_show(struct progress *progress, const struct sampler *sampler, uint64_t now_ns)
{
	char line[LINE_SIZE];
	if (!progress->is_shown || now_ns < progress->next_ns)
		return;
	if (progress->next_ns == 0) { /* a run that ends at once needs no line */
		progress->next_ns = now_ns + REFRESH_TERMINAL_NS;
		progress->last_ns = now_ns;
		return;
	}
	struct snapshot now = take_snapshot(sampler->counters_map, now_ns);
	if (now.start_ns == 0 || now_ns < now.start_ns)
		format_connecting(sampler, &now, line);
	else
		format_running(progress, sampler, &now, line);
	put_line(progress, line);
	progress->last_ns = now_ns;
	progress->last_done = now.answered;
	progress->next_ns =
	    now_ns + (progress->terminal ? REFRESH_TERMINAL_NS : REFRESH_PIPE_NS);
}

void
progress_finish(struct progress *progress)
{
	static const char clear[] = "\r\033[K";
	if (!progress->is_shown)
		return;
	if (progress->has_line &&
	    sink_write(&progress->sink, clear, sizeof(clear) - 1) > 0)
		progress->has_line = false;
	sink_close(&progress->sink);
	progress->is_shown = false;
}
