#include "client/live/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/system/sink.h"
#include "lib/xmalloc.h"
#include "http/http_reserve.h"
#include "client/collect/result_collect.h"
#include "client/live/live_budget.h"
#include "client/live/live_event.h"
#include "client/live/live_ledger.h"
#include "client/live/live_server.h"

#define CLOSE_NS (2 * NS_PER_S)
#define CLOSE_TURN_MS 50
#define LAST_LINE_MS 1000

/* The file of --json-lines. */
struct lines {
	const char *path; /* NULL: none */
	int fd;
	struct sink sink;
	int error;         /* errno of the first line that could not be written */
	uint64_t left_out; /* for want of a reader */
};

struct live {
	struct run_observer observer;
	struct run_view view; /* plan NULL: no run is going on */
	struct result result; /* so far, or complete */
	bool has_result;
	enum live_phase phase;
	uint64_t connections_open; /* at time_ns */
	uint64_t time_ns;          /* CLOCK_REALTIME of the result */
	size_t step;               /* of --search, from 1, and its planned rate */
	double rate;
	struct live_budget budget;
	struct live_server *server; /* NULL: none */
	struct lines lines;
	const struct reconcile_server *servers;
	size_t server_count;
	struct live_ledger *ledger; /* NULL: none */
	const struct result_search_step *steps;
	size_t step_count;
};

static enum live_phase
phase_of(const struct run_view *view, uint64_t now_ns)
{
	uint64_t start = atomic_load(&view->counters_map->control_block->start_ns);
	bool is_draining = true;
	if (start == 0 || now_ns < start)
		return LIVE_CONNECTING;
	for (uint32_t i = 0; i < view->counters_map->count; i++)
		is_draining = is_draining &&
		    atomic_load(&counters_map_at(view->counters_map, i)->phase) >=
			PHASE_DRAINING;
	if (is_draining)
		return LIVE_DRAINING;
	return now_ns < start + view->plan->warmup_ns ? LIVE_WARMUP : LIVE_RUNNING;
}

static void
copy_steps(const struct live *live, struct result *into)
{
	into->search_steps = xcalloc(live->step_count, sizeof(into->search_steps[0]));
	for (size_t i = 0; i < live->step_count; i++) {
		into->search_steps[i] = live->steps[i];
		into->search_steps[i].outcome = xstrdup(live->steps[i].outcome);
		into->search_steps[i].verdict = xstrdup(live->steps[i].verdict);
	}
	into->search_step_count = live->step_count;
}

static uint64_t
count_open(const struct counters_map *counters_map)
{
	uint64_t open = 0;
	for (uint32_t i = 0; i < counters_map->count; i++)
		open +=
		    counters_get(&counters_map_at(counters_map, i)->connections_open);
	return open;
}

/* Replaces the result by that of now. */
static void
collect(struct live *live, uint64_t now_ns)
{
	const struct run_view *view = &live->view;
	if (live->has_result)
		result_finish(&live->result);
	result_collect(view->plan, view->counters_map, view->sampler, &live->result);
	live->result.is_running = true;
	live->has_result = true;
	copy_steps(live, &live->result);
	if (live->ledger != NULL)
		live_ledger_add_to(live->ledger, &live->result);
	live->phase = phase_of(view, now_ns);
	live->connections_open = count_open(view->counters_map);
	live->step = view->plan->search != NULL ? live->step_count + 1 : 0;
	live->rate = view->plan->search != NULL ? view->plan->rate_all : 0;
	live->time_ns = live->result.collected_at_ns = clock_realtime_ns();
}

static struct live_snapshot
snapshot_of(const struct live *live)
{
	return (struct live_snapshot){
		.result = live->has_result ? &live->result : NULL,
		.phase = live->phase,
		.connections_open = live->connections_open,
		.time_ns = live->time_ns,
		.step = live->step,
		.rate = live->rate,
	};
}

/* Writes a line, or counts it as left out. */
static void
write_line(struct lines *lines, const char *text)
{
	if (lines->path == NULL || lines->error != 0)
		return;
	if (sink_write_line(&lines->sink, text, strlen(text)) == 0)
		return;
	if (errno == EAGAIN)
		lines->left_out++;
	else
		lines->error = errno;
}

static void
publish(struct live *live)
{
	struct live_snapshot snapshot = snapshot_of(live);
	char *event = live_event_format(&snapshot);
	if (live->server != NULL)
		live_server_send(live->server, event);
	char *line = xasprintf("%s\n", event);
	write_line(&live->lines, line);
	free(line);
	free(event);
}

static bool
is_watched(const struct live *live)
{
	return live->lines.path != NULL ||
	    (live->server != NULL && live_server_streams(live->server) > 0);
}

/* Collects if it is time to, and publishes what was collected. */
static void
refresh(struct live *live, uint64_t now_ns)
{
	if (live->view.plan == NULL || !live_budget_begin(&live->budget, now_ns))
		return;
	uint64_t begun_ns = clock_cpu_ns();
	collect(live, now_ns);
	if (is_watched(live))
		publish(live);
	live_budget_add_since(&live->budget, begun_ns);
}

static void
on_tick(void *context, uint64_t now_ns)
{
	struct live *live = context;
	if (is_watched(live))
		refresh(live, now_ns);
}

/* For a request: the state, as new as the budget allows. */
static struct live_snapshot
on_snapshot(void *context)
{
	struct live *live = context;
	refresh(live, clock_now_ns());
	return snapshot_of(live);
}

static void
in_child(void *context)
{
	struct live *live = context;
	live_server_close_in_child(live->server);
	live_ledger_close_in_child(live->ledger);
	if (live->lines.path != NULL && live->lines.fd != STDOUT_FILENO)
		close(live->lines.fd);
}

static void
on_start(void *context, const struct run_view *view)
{
	struct live *live = context;
	live->view = *view;
	if (live->server_count == 0)
		return;
	live->ledger =
	    live_ledger_start(live->servers, live->server_count, in_child, live);
	if (live->ledger == NULL)
		log_warn("cannot read the servers of --ledger during the run");
}

/* A run ends with the result, a step of --search with an event of its own. */
static void
on_stop(void *context)
{
	struct live *live = context;
	if (live->view.plan->search != NULL && is_watched(live)) {
		uint64_t begun_ns = clock_cpu_ns();
		collect(live, clock_now_ns());
		publish(live);
		live_budget_add_since(&live->budget, begun_ns);
	}
	live_ledger_stop(live->ledger);
	live->ledger = NULL;
	live->view.plan = NULL;
}

/* A FIFO needs no reader yet. */
static int
open_lines(struct lines *lines, const char *path)
{
	if (path == NULL)
		return 0;
	lines->fd = STDOUT_FILENO;
	if (strcmp(path, "-") != 0)
		lines->fd = sink_open(path, O_TRUNC, 0666);
	if (lines->fd < 0) {
		log_error("cannot write %s", path);
		return EX_OSERR;
	}
	lines->path = path;
	sink_attach(&lines->sink, lines->fd);
	return 0;
}

static int
close_lines(struct lines *lines)
{
	if (lines->path == NULL)
		return 0;
	sink_close(&lines->sink);
	if (lines->fd != STDOUT_FILENO && close(lines->fd) < 0 && lines->error == 0)
		lines->error = errno;
	if (lines->left_out > 0)
		log_warnx("%s: %llu lines were left out: its reader is too slow",
		    lines->path, (unsigned long long)lines->left_out);
	if (lines->error == 0)
		return 0;
	errno = lines->error;
	log_error("cannot write %s", lines->path);
	return EX_OSERR;
}

static int
open_server(struct live *live, const char *address)
{
	const struct live_server_args args = { live->observer.base, address,
		on_snapshot, live, &live->budget };
	char error[256], url[160];
	if (address == NULL)
		return 0;
	if (!live_server_is_address(address)) {
		log_errorx(
		    "--serve: found \"%s\", expected PORT, ADDRESS:PORT (numeric) or unix:PATH",
		    address);
		return EX_USAGE;
	}
	live->server = live_server_open(&args, error, sizeof(error));
	if (live->server == NULL) {
		log_errorx("--serve %s: %s", address, error);
		return EX_OSERR;
	}
	fprintf(stderr, "yodel: live report: %s\n",
	    live_server_url(live->server, url, sizeof(url)));
	return 0;
}

int
live_open(const struct plan *plan, struct live **ret)
{
	*ret = NULL;
	if (plan->serve == NULL && plan->json_lines == NULL)
		return 0;
	http_reserve_start();
	resources_ignore_sigpipe();
	struct live *live = xcalloc(1, sizeof(*live));
	live->observer = (struct run_observer){
		.base = xmalloc_check(event_base_new()),
		.on_start = on_start,
		.on_tick = on_tick,
		.on_stop = on_stop,
		.in_child = in_child,
		.context = live,
	};
	int status = open_server(live, plan->serve);
	if (status == 0)
		status = open_lines(&live->lines, plan->json_lines);
	if (status == 0) {
		*ret = live;
		return 0;
	}
	live_server_destroy(live->server);
	event_base_free(live->observer.base);
	free(live);
	return status;
}

const struct run_observer *
live_observer(struct live *live)
{
	return live == NULL ? NULL : &live->observer;
}

void
live_set_servers(
    struct live *live, const struct reconcile_server *servers, size_t count)
{
	if (live == NULL)
		return;
	live->servers = servers;
	live->server_count = count;
}

void
live_set_steps(struct live *live, const struct result_search_step *steps, size_t count)
{
	if (live == NULL)
		return;
	live->steps = steps;
	live->step_count = count;
}

static void
serve_turn(struct live *live)
{
	const struct timeval turn = { .tv_usec = CLOSE_TURN_MS * 1000 };
	event_base_loopexit(live->observer.base, &turn);
	event_base_loop(live->observer.base, 0);
}

/* Serves until every page has fetched the result and closed its stream. */
static void
serve_last(struct live *live)
{
	uint64_t end_ns = clock_now_ns() + CLOSE_NS;
	if (live->server == NULL || live_server_streams(live->server) == 0)
		return;
	while (live_server_streams(live->server) > 0 && clock_now_ns() < end_ns)
		serve_turn(live);
	live_server_end_streams(live->server);
	serve_turn(live);
}

/* The caller keeps the result. */
static void
show_last(struct live *live, const struct result *result)
{
	if (live->has_result)
		result_finish(&live->result);
	live->result = *result;
	live->has_result = true;
	live->phase = LIVE_FINISHED;
	live->step = 0;
	live->rate = 0;
	live->connections_open = 0;
	live->time_ns = clock_realtime_ns();
	if (live->lines.path != NULL)
		sink_wait(&live->lines.sink, LAST_LINE_MS);
	publish(live);
	serve_last(live);
	live->has_result = false;
}

int
live_close(struct live *live, const struct result *result)
{
	if (live == NULL)
		return 0;
	if (result != NULL)
		show_last(live, result);
	live_server_destroy(live->server);
	event_base_free(live->observer.base);
	if (live->has_result)
		result_finish(&live->result);
	int status = close_lines(&live->lines);
	free(live);
	return status;
}
