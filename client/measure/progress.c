#include "client/measure/progress.h"

#include <sys/ioctl.h>

#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/units.h"

#define REFRESH_TERMINAL_NS UINT64_C(250000000)
#define REFRESH_PIPE_NS NS_PER_S

/* Totals of all load processes. */
struct snapshot {
	uint64_t start_ns;
	uint64_t open, established, failed;
	uint64_t answered; /* verified or wrong, warm-up too */
	uint64_t errors;   /* messages wrong or lost, connections failed or lost */
};

void
progress_init(struct progress *progress, const struct plan *plan)
{
	bool terminal = isatty(STDERR_FILENO) == 1;

	memset(progress, 0, sizeof(*progress));
	progress->terminal = terminal;
	if (plan->progress == PLAN_PROGRESS_ALWAYS ||
	    (plan->progress == PLAN_PROGRESS_AUTO && terminal && !plan->quiet &&
		!plan->transcript))
		progress->file = stderr;
}

static struct snapshot
take_snapshot(const struct counters_map *counters_map)
{
	struct snapshot now = { .start_ns = atomic_load(
				    &counters_map->control_block->start_ns) };

	struct counters sum;
	counters_sum(counters_map, &sum);
	uint64_t wrong =
	    counters_get(&sum.messages.wrong) + counters_get(&sum.warmup.wrong);
	now.open = counters_get(&sum.connections_open);
	now.established = counters_get(&sum.connections_first);
	now.answered = counters_get(&sum.messages.verified) +
	    counters_get(&sum.warmup.verified) + wrong;
	for (int f = 0; f < CONNECT_FAILURE_COUNT; f++)
		now.failed += counters_get(&sum.connections_failed[f]);
	now.errors = wrong + counters_lost(&sum.messages) + counters_lost(&sum.warmup) +
	    counters_get(&sum.connections_lost) + now.failed;
	return now;
}

/* "8 s left": from the duration of the plan, else from the rate. */
static void
format_left(const struct plan *plan, const struct snapshot *now, uint64_t now_ns,
    double rate, char *out, size_t size)
{
	double left = NAN, total;

	out[0] = '\0';
	if (plan->duration_ns > 0) {
		uint64_t end = now->start_ns + plan->warmup_ns + plan->duration_ns;

		if (now_ns >= end)
			snprintf(out, size, ", draining");
		else
			left = (double)(end - now_ns) / 1e9;
	} else if (rate > 0) {
		total = (double)plan->messages * plan->rank_connections;
		left = fmax(0, (total - (double)now->answered) / rate);
	}
	if (!isnan(left))
		snprintf(out, size, ", %.0f s left", ceil(left));
}

/* p99 of the last second; "?": too few values. */
static void
format_p99(const struct result_second *last, char *out)
{
	if (last->count == 0)
		return;
	if (last->p99_ns == UINT64_MAX)
		strcpy(out, "?");
	else
		units_show_duration(last->p99_ns, out);
}

static void
format_running(const struct progress *progress, const struct sampler *sampler,
    const struct snapshot *now, uint64_t now_ns, char *out, size_t size)
{
	double seconds = (double)(now_ns - progress->last_ns) / 1e9;
	double rate =
	    seconds > 0 ? (double)(now->answered - progress->last_done) / seconds : 0;
	char left[48], open[UNITS_TEXT_MAX], speed[UNITS_TEXT_MAX],
	    p99[UNITS_TEXT_MAX] = "-", errors[UNITS_TEXT_MAX];

	if (sampler->count > 0)
		format_p99(&sampler->rows[sampler->count - 1], p99);
	format_left(sampler->plan, now, now_ns, rate, left, sizeof(left));
	snprintf(out, size,
	    "%.0f s: %s connections, %s messages/s, p99 %s, %s errors%s",
	    (double)(now_ns - now->start_ns) / 1e9, units_show_count(now->open, open),
	    units_show_count((uint64_t)rate, speed), p99,
	    units_show_count(now->errors, errors), left);
}

static void
format_connecting(const struct sampler *sampler, const struct snapshot *now,
    uint64_t now_ns, char *out, size_t size)
{
	char made[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], failed[UNITS_TEXT_MAX];

	if (now->start_ns > now_ns) {
		snprintf(out, size,
		    "%s of %s connections established, load starts in %.0f s",
		    units_show_count(now->established, made),
		    units_show_count(sampler->plan->rank_connections, all),
		    ceil((double)(now->start_ns - now_ns) / 1e9));
		return;
	}
	snprintf(out, size, "%.0f s: connecting, %s of %s connections, %s failed",
	    (double)(now_ns - sampler->began_ns) / 1e9,
	    units_show_count(now->established, made),
	    units_show_count(sampler->plan->rank_connections, all),
	    units_show_count(now->failed, failed));
}

/* Cut to the width of the terminal: a wrapped line cannot be refreshed in place. */
static void
put_line(const struct progress *progress, const char *line)
{
	struct winsize window = { .ws_col = 0 };
	int width = INT_MAX;

	if (!progress->terminal) {
		fprintf(progress->file, "%s\n", line);
		fflush(progress->file);
		return;
	}
	if (ioctl(fileno(progress->file), TIOCGWINSZ, &window) == 0 &&
	    window.ws_col > 1)
		width = window.ws_col - 1;
	fprintf(progress->file, "\r%.*s\033[K", width, line);
	fflush(progress->file);
}

void
progress_show(struct progress *progress, const struct sampler *sampler, uint64_t now_ns)
{
	struct snapshot now;
	char line[256];

	if (progress->file == NULL || now_ns < progress->next_ns)
		return;
	if (progress->next_ns == 0) { /* a run that ends at once needs no line */
		progress->next_ns = now_ns + REFRESH_TERMINAL_NS;
		progress->last_ns = now_ns;
		return;
	}
	now = take_snapshot(sampler->counters_map);
	if (now.start_ns == 0 || now_ns < now.start_ns)
		format_connecting(sampler, &now, now_ns, line, sizeof(line));
	else
		format_running(progress, sampler, &now, now_ns, line, sizeof(line));
	put_line(progress, line);
	progress->shown = progress->terminal;
	progress->last_ns = now_ns;
	progress->last_done = now.answered;
	progress->next_ns =
	    now_ns + (progress->terminal ? REFRESH_TERMINAL_NS : REFRESH_PIPE_NS);
}

void
progress_clear(struct progress *progress)
{
	if (progress->file == NULL || !progress->shown)
		return;
	fputs("\r\033[K", progress->file);
	fflush(progress->file);
	progress->shown = false;
}
