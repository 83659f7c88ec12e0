#include "master/stop.h"

#include "lib/log.h"

#include "proto/channel.h"

#include "master/admin.h"
#include "master/departure.h"
#include "master/leaving.h"
#include "master/notify.h"
#include "master/process.h"
#include "master/slot.h"
#include "master/turnover.h"
#include "master/upgrade.h"
#include "master/waiting.h"

static void
enter_stopping(struct master *master, uint64_t limit_ns)
{
	if (master->turnover.is_active)
		turnover_abort(master, "the server stops");
	if (master->phase != MASTER_STOPPING) {
		waiting_hurry(master);
		departure_forget_all(master);
		departure_begin(master, "stop", master_now_ns());
	}
	master->phase = MASTER_STOPPING;
	upgrade_forget(master);
	admin_release(master);
	master->stop_deadline_ns =
	    limit_ns == 0 ? 0 : master_now_ns() + limit_ns + STOP_GRACE_NS;
	slot_stop_retries(master);
	notify_stopping(master);
}

static void
end_if_alone(struct master *master)
{
	if (process_count(master) == 0)
		event_base_loopbreak(master->base);
}

void
stop_in_order(struct master *master)
{
	if (master->phase == MASTER_STOPPING)
		return;
	struct ledger_totals totals;
	ledger_sum(master->ledger, &totals);
	log_info("stopping: draining %llu connections",
	    (unsigned long long)ledger_open_total(&totals));
	enter_stopping(master, master->config.timeouts.drain_ns);
	master->stops_in_order = true;
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (!e->is_stored[i])
				endpoint_turn_away_slot(e, i);
		}
	}
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		if (!p->is_gone)
			leaving_start(p, LEAVING_FOR_GOOD);
	}
	leaving_attend(master);
	end_if_alone(master);
}

void
stop_now(struct master *master)
{
	enter_stopping(master, NS_PER_MS);
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		p->is_leaving = true;
		departure_add(p);
	}
	master->stops_in_order = false;
	process_tell_all(master, CHANNEL_EXIT, 0);
	end_if_alone(master);
}
