#include "master/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "master/admin/capacity.h"
#include "master/admin/history.h"
#include "master/changes/pending_requests.h"
#include "master/listeners/certificates.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/crash_recovery.h"
#include "master/workers/drain_summary.h"
#include "master/workers/former_config.h"
#include "master/workers/keeper_loss.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/transfers.h"
#include "master/workers/watchdog.h"
#include "master/workers/worker_drain.h"

#define INTERVAL_NS (250 * NS_PER_MS)

static void
close_sockets(struct master *master)
{
	if (master->workers.phase != MASTER_RUNNING)
		return;
	slot_close_sockets(&master->workers, master->reload.is_active);
	service_manager_status(&master->manager);
}

/* The start is over when each slot serves or is in a crash loop, and at least one
 * serves. */
static void
finish_start(struct master *master)
{
	struct worker_table *workers = &master->workers;
	const struct config *config = &master->config.current;
	uint32_t serving = slot_count_in(workers, SLOT_SERVING);
	uint32_t failed = slot_crash_looping(workers);
	char of[32] = "";
	if (serving == 0 || serving + failed < workers->slot_count)
		return;
	workers->phase = MASTER_RUNNING;
	if (failed > 0)
		snprintf(of, sizeof(of), "%u of ", serving);
	log_info("[ready _ workers _ listeners _] "
		 "ready: %s%u worker%s, %zu listener%s",
	    of, workers->slot_count, workers->slot_count == 1 ? "" : "s",
	    config->listener_count, config->listener_count == 1 ? "" : "s");
	capacity_log(master);
	service_manager_ready(&master->manager);
	worker_drain_stored(workers);
}

/* All successors are ready, and the reload has committed. */
static void
on_new_generation(struct master *master)
{
	struct reload *reload = &master->reload;
	scale_on_reloaded(&master->scale);
	if (reload->change.kind == CHANGE_UPGRADE)
		upgrade_done(master);
	close_sockets(master);
	reload_start_queued(reload);
}

static void
on_ready(struct process *process, void *argument)
{
	struct master *master = argument;
	struct worker_table *workers = &master->workers;
	if (workers->slots[process->slot].successor == process) {
		if (!master->reload.is_active) {
			keeper_loss_on_ready(process);
			close_sockets(master);
		} else if (reload_on_ready(&master->reload)) {
			on_new_generation(master);
		}
		return;
	}
	if (!slot_on_ready(process))
		return;
	worker_drain_queue_taken_over(process);
	slot_update_reuseport(workers);
	if (workers->phase == MASTER_RUNNING)
		log_info(
		    "[worker_serving worker worker_pid] worker %u (pid %d): serving",
		    process->slot, (int)process->pid);
	else if (workers->phase == MASTER_STARTING)
		finish_start(master);
	worker_drain_find_receivers(workers);
	scale_on_slot_change(&master->scale);
	service_manager_status(&master->manager);
}

static void
on_listeners_closed(struct process *process, void *argument)
{
	(void)process;
	close_sockets(argument);
}

static void
on_keeper(struct process *process, uint64_t pid, void *argument)
{
	(void)argument;
	crash_recovery_on_keeper(process, pid);
}

/* Releases the processes whose last transfer is settled. */
static void
settle_transfers(struct master *master)
{
	struct transfer_result result;
	while (transfers_settle_next(&master->workers, &result)) {
		transfers_release(result.receiver);
		if (result.sender->wants_receiver)
			worker_drain_find_receivers(&master->workers);
		transfers_release(result.sender);
		if (result.is_partial)
			rebalance_on_transfer_end(&master->rebalance, result.moved);
	}
}

static void
on_transfer_end(struct process *process, const struct transfer_end *end, void *argument)
{
	if (transfers_on_end(process, end))
		settle_transfers(argument);
}

static void
on_back_off(struct master *master)
{
	slot_update_reuseport(&master->workers);
	if (master->workers.phase == MASTER_STARTING)
		finish_start(master);
	scale_on_slot_change(&master->scale);
	service_manager_status(&master->manager);
}

static void
give_up_start(struct master *master)
{
	log_errorx("[start_failed] start failed: no worker became ready");
	master->exit_status = EX_OSERR;
	shutdown_now(&master->shutdown);
}

static void
on_worker_died(struct master *master)
{
	on_back_off(master);
	if (master->workers.phase == MASTER_STARTING &&
	    slot_start_has_failed(&master->workers))
		give_up_start(master);
}

/* A lack of processes or memory may pass: unlike a worker that dies, it ends the start
 * only when every slot is in a crash loop. */
static void
on_fork_failed(void *argument)
{
	struct master *master = argument;
	const struct worker_table *workers = &master->workers;
	on_back_off(master);
	if (workers->phase == MASTER_STARTING &&
	    slot_crash_looping(workers) == workers->slot_count)
		give_up_start(master);
}

static void
on_successor_exit(struct master *master, uint32_t slot)
{
	struct reload *reload = &master->reload;
	if (reload_on_successor_exit(reload, slot))
		return;
	if (!reload_abort(reload, "its workers exit before they are ready")) {
		reload_start_queued(reload);
		return;
	}
	upgrade_rollback(master);
	reload_fail_queued(reload, "the upgrade before it failed");
}

static void
stop_after_last(const struct master *master)
{
	const struct worker_table *workers = &master->workers;
	if (workers->phase == MASTER_STOPPING && process_count(workers) == 0)
		event_base_loopbreak(master->base);
}

static void
on_exit(struct process *process, int status, void *argument)
{
	struct master *master = argument;
	crash_recovery_end(process);
	enum slot_exit exit = slot_on_exit(process, status);
	if (exit == SLOT_EXIT_SUCCESSOR)
		on_successor_exit(master, process->slot);
	else if (exit == SLOT_EXIT_BACK_OFF)
		on_worker_died(master);
	if (process->exit_state < PROCESS_LISTENERS_CLOSED)
		worker_drain_replace(process, shutdown_has_time(&master->shutdown));
	transfers_release(process);
	settle_transfers(master);
	close_sockets(master);
	stop_after_last(master);
}

/* As on_exit; but the process stays, and its keeper passes its connections on. */
static void
on_death(struct process *process, int status, void *argument)
{
	struct master *master = argument;
	crash_recovery_prepare(process, status);
	enum slot_exit exit = slot_on_exit(process, status);
	bool emptied_queues = process->exit_state < PROCESS_LISTENERS_CLOSED;
	crash_recovery_start(process);
	transfers_on_death(process);
	if (exit == SLOT_EXIT_SUCCESSOR)
		on_successor_exit(master, process->slot);
	else if (exit == SLOT_EXIT_BACK_OFF)
		on_worker_died(master);
	if (emptied_queues)
		worker_drain_replace(process, shutdown_has_time(&master->shutdown));
	settle_transfers(master);
	/* A stop without time closes what it has. */
	if (master->workers.phase == MASTER_STOPPING &&
	    !shutdown_has_time(&master->shutdown))
		process_send(process, CHANNEL_EXIT, 0, 0);
	worker_drain_find_receivers(&master->workers);
	close_sockets(master);
}

static void
on_other_child(pid_t pid, int status, void *argument)
{
	struct master *master = argument;
	crash_recovery_on_child(&master->workers, pid, status);
	upgrade_on_child(master, pid, status);
	stop_after_last(master);
}

static void
before_close(void *argument)
{
	upgrade_postpone(argument);
}

static void
on_drained(const struct drain_summary *drain_summary, void *argument)
{
	struct master *master = argument;
	pending_requests_on_drained(&master->pending, drain_summary);
}

static const struct process_events process_events = {
	.on_ready = on_ready,
	.on_listeners_closed = on_listeners_closed,
	.on_keeper = on_keeper,
	.on_transfer_end = on_transfer_end,
	.on_death = on_death,
	.on_exit = on_exit,
	.on_other_child = on_other_child,
	.on_fork_failed = on_fork_failed,
	.before_close = before_close,
	.on_drained = on_drained,
};

static void
before_change(enum change_kind kind, void *argument)
{
	struct master *master = argument;
	if (kind != CHANGE_STOP) {
		upgrade_postpone(master);
		return;
	}
	if (master->workers.phase != MASTER_STOPPING)
		pending_requests_flush(&master->pending);
	upgrade_cancel(master);
}

static void
on_change_finished(const struct outcome *outcome, void *argument)
{
	struct master *master = argument;
	struct worker_table *workers = &master->workers;
	if (!master->reload.is_active)
		service_manager_ready(&master->manager);
	struct drain_summary *drain_summary = drain_summary_close(
	    workers, outcome->change.first_request, outcome->is_good, outcome->text);
	pending_requests_on_outcome(&master->pending, outcome, drain_summary);
	if (drain_summary != NULL)
		drain_summary_finish(workers, drain_summary);
}

/* A reload or a change of size moves connections by itself; an upgrade waits until no
 * transfer is in progress. */
static bool
may_rebalance(const void *argument)
{
	const struct master *master = argument;
	return master->workers.phase == MASTER_RUNNING && !master->reload.is_active &&
	    !master->scale.is_active && !upgrade_is_pending(master);
}

void
supervisor_init(struct master *master)
{
	struct worker_table *workers = &master->workers;
	struct change_log *changes = &master->changes;
	workers->events = &process_events;
	workers->argument = master;
	workers->base = master->base;
	workers->config = &master->config;
	workers->listeners = &master->listeners;
	changes->before_change = before_change;
	changes->on_finished = on_change_finished;
	changes->argument = master;
	master->manager.workers = workers;
	master->pending = (struct pending_requests){
		.base = master->base, .workers = workers, .changes = changes
	};
	master->reload = (struct reload){ .workers = workers,
		.admin = master->admin,
		.changes = changes,
		.manager = &master->manager };
	master->scale = (struct scale){ .workers = workers,
		.changes = changes,
		.reload = &master->reload,
		.manager = &master->manager };
	master->rebalance = (struct rebalance){ .workers = workers,
		.changes = changes,
		.may_transfer = may_rebalance,
		.argument = master };
	master->shutdown =
	    (struct shutdown){ .workers = workers, .reload = &master->reload };
}

static bool
kill_overdue(const struct master *master, uint64_t now_ns)
{
	uint64_t deadline_ns = master->shutdown.deadline_ns;
	if (deadline_ns == 0 || now_ns < deadline_ns)
		return false;
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next) {
		if (p->state != PROCESS_EXITED)
			kill(p->pid, SIGKILL);
	}
	return true;
}

/* A worker can shut down a listening socket that it shares with others. */
static void
revive_listeners(const struct worker_table *workers)
{
	if (workers->phase == MASTER_RUNNING &&
	    listener_set_revive(workers->listeners, &workers->config->current))
		slot_update_reuseport(workers);
}

static void
on_tick(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct master *master = argument;
	uint64_t now_ns = clock_now_ns();
	bool all_responsive = kill_overdue(master, now_ns) ||
	    watchdog_check(&master->workers, now_ns, service_manager_watchdog_ns());
	ledger_trim(master->workers.ledger);
	process_release_listeners(&master->workers);
	former_config_release(&master->workers);
	log_report_suppressed();
	certificates_check(&master->config.current, &master->listeners,
	    &master->config.certificates_checked_s);
	(void)tls_tickets_advance(&master->config.tickets, now_ns);
	revive_listeners(&master->workers);
	listener_set_count_overflows(&master->listeners);
	history_sample(master, master->history);
	process_send_queued(&master->workers);
	worker_drain_find_receivers(&master->workers);
	if (may_rebalance(master))
		keeper_loss_check(&master->workers);
	upgrade_check(master);
	rebalance_check(&master->rebalance);
	pending_requests_check(&master->pending);
	service_manager_check(&master->manager, now_ns, all_responsive);
}

int
supervisor_start(struct master *master)
{
	const struct timeval interval = clock_timeval(INTERVAL_NS);
	master->workers.last_watch_ns = clock_now_ns();
	resources_oom_killed();
	listener_set_start_overflows(&master->listeners);
	event_assign(
	    &master->tick_timer, master->base, -1, EV_PERSIST, on_tick, master);
	return event_add(&master->tick_timer, &interval);
}
