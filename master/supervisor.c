#include "master/supervisor.h"

#include <signal.h>

#include "lib/clock.h"
#include "lib/log.h"

#include "master/changes/pending_requests.h"
#include "master/changes/rebalance.h"
#include "master/changes/service_manager.h"
#include "master/changes/shutdown.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/drain_summary.h"
#include "master/workers/worker_drain.h"

#define INTERVAL_MS 250
/* A worker that has not come up by then is hung, if timeouts.hung is not shorter. */
#define START_LIMIT_NS (15 * NS_PER_S)
#define INTERVAL_NS (INTERVAL_MS * NS_PER_MS)

/* How long it may be silent; 0: for ever. */
static uint64_t
hang_limit_ns(const struct process *process)
{
	uint64_t limit_ns = process->master->config.current.timeouts.hung_ns;
	if (!process->is_ready && limit_ns > START_LIMIT_NS)
		return START_LIMIT_NS;
	return limit_ns;
}

static void
abort_process(struct process *process, uint64_t now_ns, uint64_t silent_ns)
{
	log_errorx(
	    "worker %u (process %d) is hung: no turn of its loop for %llu ms%s; aborting it",
	    process->slot, (int)process->pid,
	    (unsigned long long)(silent_ns / NS_PER_MS),
	    process->is_ready ? "" : " since it was started");
	process->abort_ns = now_ns;
	kill(process->pid, SIGABRT);
}

/* A worker whose loop stands still gets its share of new connections like any other: it
 * is told to dump core, then killed, and replaced like any that dies. Returns whether
 * the loop has turned lately. */
static bool
watch_process(struct process *process, uint64_t now_ns, uint64_t watchdog_ns)
{
	uint64_t limit_ns = hang_limit_ns(process);
	uint64_t heartbeat_count = atomic_load_explicit(
	    &process->worker_ledger->own.heartbeat_count, memory_order_relaxed);
	if (heartbeat_count != process->heartbeat_count) {
		process->heartbeat_count = heartbeat_count;
		process->heartbeat_ns = now_ns;
		return true;
	}
	uint64_t silent_ns = now_ns - process->heartbeat_ns;
	if (limit_ns == 0 || silent_ns < limit_ns)
		return watchdog_ns == 0 || silent_ns < watchdog_ns;
	if (process->abort_ns == 0)
		abort_process(process, now_ns, silent_ns);
	else if (now_ns - process->abort_ns >= SHUTDOWN_GRACE_NS)
		kill(process->pid, SIGKILL);
	return false;
}

/* Time in which the master did not look (a frozen container, a stopped process) is no
 * worker's fault: they may have stood still together. */
static void
exclude_own_absence(struct master *master, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - master->last_tick_ns;
	bool was_stalled = since_ns > 3 * INTERVAL_NS;
	master->last_tick_ns = now_ns;
	for (struct process *p = master->workers.processes; was_stalled && p != NULL;
	     p = p->next) {
		p->heartbeat_ns += since_ns < now_ns - p->heartbeat_ns
		    ? since_ns
		    : now_ns - p->heartbeat_ns;
		if (p->abort_ns != 0)
			p->abort_ns = now_ns;
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct master *master = argument;
	uint64_t now_ns = clock_now_ns();
	bool is_overdue =
	    master->shutdown.deadline_ns != 0 && now_ns >= master->shutdown.deadline_ns;
	bool all_responsive = true;
	uint64_t watchdog_ns = service_manager_watchdog_ns();
	exclude_own_absence(master, now_ns);
	for (struct process *p = master->workers.processes; p != NULL; p = p->next) {
		if (p->has_exited)
			continue;
		if (is_overdue)
			kill(p->pid, SIGKILL);
		else if (!watch_process(p, now_ns, watchdog_ns))
			all_responsive = false;
	}
	log_report_suppressed();
	worker_drain_find_receivers(master);
	upgrade_check(master);
	rebalance_check(master);
	pending_requests_check(master);
	service_manager_check(master, now_ns, all_responsive);
}

static void
before_change(enum change_kind kind, void *argument)
{
	if (kind == CHANGE_STOP)
		upgrade_cancel(argument);
	else
		upgrade_postpone(argument);
}

static void
on_change_finished(const struct outcome *outcome, void *argument)
{
	struct master *master = argument;
	service_manager_ready(master);
	struct drain_summary *drain_summary = drain_summary_close(
	    master, change_names[outcome->kind], outcome->is_good, outcome->text);
	pending_requests_on_outcome(master, drain_summary);
	if (drain_summary != NULL)
		drain_summary_finish(master, drain_summary);
}

static void
on_drained(const struct drain_summary *drain_summary, void *argument)
{
	pending_requests_on_drained(argument, drain_summary);
}

static void
before_close(void *argument)
{
	upgrade_postpone(argument);
}

static const struct worker_events worker_events = {
	.on_drained = on_drained,
	.before_close = before_close,
};

void
supervisor_init(struct master *master)
{
	master->workers.events = &worker_events;
	master->workers.argument = master;
	master->changes = (struct change_log){ .before_change = before_change,
		.on_finished = on_change_finished,
		.argument = master };
}

int
supervisor_start(struct master *master)
{
	struct timeval interval = { .tv_usec = INTERVAL_MS * 1000 };
	master->last_tick_ns = clock_now_ns();
	event_assign(
	    &master->tick_timer, master->base, -1, EV_PERSIST, on_tick, master);
	return event_add(&master->tick_timer, &interval);
}
