#include "master/changes/scale.h"

#include "lib/clock.h"
#include "lib/log.h"

#include "master/changes/change.h"
#include "master/listeners/listener_set.h"
#include "master/listeners/reuseport.h"
#include "master/workers/drain_summary.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

static int
grow(struct master *master, uint32_t count)
{
	char error[CONFIG_ERROR_MAX];
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next) {
		if (e->config_index < 0)
			continue;
		reuseport_freeze(e);
		if (listener_add_sockets(e,
			&master->config.current.listeners[e->config_index], count,
			error) < 0) {
			listener_set_discard(master);
			change_finish(&master->changes, CHANGE_SCALE, false,
			    "scale failed: %s", error);
			return -1;
		}
	}
	uint32_t old = master->workers.slot_count;
	master->workers.slot_count = count;
	for (uint32_t i = old; i < count; i++)
		slot_start(master, i);
	reuseport_update(master);
	return 0;
}

static void
shrink(struct master *master, uint32_t count)
{
	uint32_t old = master->workers.slot_count;
	master->workers.slot_count = count;
	reuseport_update(master);
	for (uint32_t i = count; i < old; i++)
		slot_drain(&master->workers.slots[i]);
	worker_drain_close_sockets(master);
}

int
scale_workers(struct master *master, uint32_t count)
{
	if (!change_can_start(&master->changes, CHANGE_SCALE, master->workers.phase))
		return -1;
	if (master->reload.is_active) {
		change_finish(&master->changes, CHANGE_SCALE, false,
		    "scale refused: a reload is under way");
		return -1;
	}
	if (count < listener_set_min_workers(master) || count > CONFIG_WORKERS_MAX) {
		change_finish(&master->changes, CHANGE_SCALE, false,
		    "scale refused: %u workers; from %u to %d were wanted", count,
		    listener_set_min_workers(master), CONFIG_WORKERS_MAX);
		return -1;
	}
	change_begin(&master->changes, CHANGE_SCALE);
	uint32_t old = master->workers.slot_count;
	master->reload.started_ns = clock_now_ns();
	if (count > old && grow(master, count) < 0)
		return -1;
	drain_summary_open(
	    master, change_names[CHANGE_SCALE], master->reload.started_ns);
	if (count < old)
		shrink(master, count);
	master->config.current.workers = count;
	if (config_set_origin(&master->config.current, "workers", "scale") < 0)
		log_warn("where the number of workers came from is not noted");
	master->scale.is_active = true;
	scale_on_slot_change(master);
	return 0;
}

void
scale_on_slot_change(struct master *master)
{
	uint32_t serving = slot_serving(master), given_up = slot_crash_looping(master);
	if (!master->scale.is_active || serving + given_up < master->workers.slot_count)
		return;
	master->scale.is_active = false;
	if (given_up > 0) {
		change_finish(&master->changes, CHANGE_SCALE, false,
		    "scale failed: %u of %u workers serve after %.1f ms, the others are in a crash loop",
		    serving, master->workers.slot_count,
		    clock_elapsed_ms(master->reload.started_ns));
		return;
	}
	change_finish(&master->changes, CHANGE_SCALE, true,
	    "scale: %u worker%s serve%s after %.1f ms", master->workers.slot_count,
	    master->workers.slot_count == 1 ? "" : "s",
	    master->workers.slot_count == 1 ? "s" : "",
	    clock_elapsed_ms(master->reload.started_ns));
}

void
scale_on_reloaded(struct master *master)
{
	uint32_t wanted = master->config.previous.workers,
		 count = master->workers.slot_count;
	if (!master->scale.is_active)
		return;
	master->scale.is_active = false;
	change_finish(&master->changes, CHANGE_SCALE, count == wanted,
	    "scale%s: a reload came meanwhile, %u worker%s serve%s",
	    count == wanted ? "" : " failed", count, count == 1 ? "" : "s",
	    count == 1 ? "s" : "");
}
