#include "master/changes/shutdown.h"

#include "lib/log.h"
#include "proto/channel.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

/* A stop serves every request for one. */
static void
request(struct shutdown *shutdown)
{
	const struct change request =
	    change_request(shutdown->reload->changes, CHANGE_STOP);
	if (shutdown->workers->phase == MASTER_STOPPING)
		change_join(&shutdown->change, &request);
	else
		shutdown->change = request;
}

static void
enter_stopping(struct shutdown *shutdown, uint64_t limit_ns)
{
	struct worker_table *workers = shutdown->workers;
	struct reload *reload = shutdown->reload;
	if (reload->is_active) {
		reload_abort(reload, "the server is stopping");
		reload_fail_queued(reload, "the server is stopping");
	}
	change_begin(reload->changes, CHANGE_STOP);
	if (workers->phase != MASTER_STOPPING) {
		drain_summary_destroy_all(workers);
		drain_summary_open(workers, change_names[CHANGE_STOP],
		    shutdown->change.first_request, clock_now_ns());
	}
	workers->phase = MASTER_STOPPING;
	admin_listener_resume(reload->admin);
	shutdown->deadline_ns =
	    limit_ns == 0 ? 0 : clock_now_ns() + limit_ns + SHUTDOWN_GRACE_NS;
	slot_stop_retries(workers);
	service_manager_stopping(reload->manager, shutdown->deadline_ns);
}

static void
finish_if_no_workers(const struct worker_table *workers)
{
	if (process_count(workers) == 0)
		event_base_loopbreak(workers->base);
}

void
shutdown_in_order(struct shutdown *shutdown)
{
	struct worker_table *workers = shutdown->workers;
	request(shutdown);
	if (workers->phase == MASTER_STOPPING)
		return;
	struct ledger_totals totals;
	ledger_sum(workers->ledger, &totals);
	log_info("[stopping connections] stopping: draining %llu connections",
	    (unsigned long long)ledger_open_total(&totals));
	enter_stopping(shutdown, workers->config->current.timeouts.drain_ns);
	shutdown->is_orderly = true;
	for (struct listener *e = workers->listeners->first; e != NULL; e = e->next) {
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (!e->is_stored[i])
				listener_retire_slot(e, i);
		}
	}
	for (struct process *p = workers->processes; p != NULL; p = p->next) {
		if (p->state != PROCESS_EXITED)
			worker_drain_start(p, DRAIN_SHUTDOWN);
	}
	worker_drain_all_queues(workers);
	finish_if_no_workers(workers);
}

void
shutdown_now(struct shutdown *shutdown)
{
	struct worker_table *workers = shutdown->workers;
	request(shutdown);
	enter_stopping(shutdown, NS_PER_MS);
	for (struct process *p = workers->processes; p != NULL; p = p->next) {
		if (p->state == PROCESS_ACTIVE)
			p->state = PROCESS_DRAINING;
		drain_summary_add(p);
	}
	shutdown->is_orderly = false;
	process_send_all(workers, CHANNEL_EXIT, 0);
	finish_if_no_workers(workers);
}

bool
shutdown_has_time(const struct shutdown *shutdown)
{
	return shutdown->is_orderly &&
	    (shutdown->deadline_ns == 0 || clock_now_ns() < shutdown->deadline_ns);
}
