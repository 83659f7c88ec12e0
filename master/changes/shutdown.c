#include "master/changes/shutdown.h"

#include "lib/clock.h"
#include "lib/log.h"

#include "proto/channel.h"

#include "master/changes/change.h"
#include "master/changes/pending_requests.h"
#include "master/changes/reload.h"
#include "master/changes/service_manager.h"
#include "master/listeners/admin_listener.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

static void
enter_stopping(struct master *master, uint64_t limit_ns)
{
	if (master->reload.is_active)
		reload_abort(master, "the server stops");
	if (master->workers.phase != MASTER_STOPPING) {
		pending_requests_flush(master);
		drain_summary_destroy_all(master);
		drain_summary_open(master, change_names[CHANGE_STOP], clock_now_ns());
	}
	master->workers.phase = MASTER_STOPPING;
	change_begin(&master->changes, CHANGE_STOP);
	admin_listener_resume(master);
	master->shutdown.deadline_ns =
	    limit_ns == 0 ? 0 : clock_now_ns() + limit_ns + SHUTDOWN_GRACE_NS;
	slot_stop_retries(master);
	service_manager_stopping(master);
}

static void
finish_if_no_workers(struct master *master)
{
	if (process_count(master) == 0)
		event_base_loopbreak(master->base);
}

void
shutdown_in_order(struct master *master)
{
	if (master->workers.phase == MASTER_STOPPING)
		return;
	struct ledger_totals totals;
	ledger_sum(master->workers.ledger, &totals);
	log_info("stopping: draining %llu connections",
	    (unsigned long long)ledger_open_total(&totals));
	enter_stopping(master, master->config.current.timeouts.drain_ns);
	master->shutdown.is_orderly = true;
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next) {
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (!e->is_stored[i])
				listener_block_new_slot(e, i);
		}
	}
	for (struct process *p = master->workers.processes; p != NULL; p = p->next) {
		if (!p->has_exited)
			worker_drain_start(p, DRAIN_SHUTDOWN);
	}
	worker_drain_all_queues(master);
	finish_if_no_workers(master);
}

void
shutdown_now(struct master *master)
{
	enter_stopping(master, NS_PER_MS);
	for (struct process *p = master->workers.processes; p != NULL; p = p->next) {
		p->is_draining = true;
		drain_summary_add(p);
	}
	master->shutdown.is_orderly = false;
	process_send_all(master, CHANNEL_EXIT, 0);
	finish_if_no_workers(master);
}
