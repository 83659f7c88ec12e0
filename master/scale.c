#include "master/scale.h"

#include "lib/log.h"

#include "master/departure.h"
#include "master/group.h"
#include "master/leaving.h"
#include "master/lineup.h"
#include "master/slot.h"
#include "master/turnover.h"
#include "master/upgrade.h"

static int
grow(struct master *master, uint32_t count)
{
	char error[CONFIG_ERROR_MAX];
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->listener < 0)
			continue;
		group_hold(e);
		if (endpoint_grow(
			e, &master->config.listeners[e->listener], count, error) < 0) {
			lineup_unplan(master);
			turnover_conclude(master, false, "scale failed: %s", error);
			return -1;
		}
	}
	uint32_t old = master->slot_count;
	master->slot_count = count;
	for (uint32_t i = old; i < count; i++)
		slot_fill(master, i);
	slot_steer(master);
	return 0;
}

static void
shrink(struct master *master, uint32_t count)
{
	uint32_t old = master->slot_count;
	master->slot_count = count;
	slot_steer(master);
	for (uint32_t i = count; i < old; i++)
		slot_leave(&master->slots[i]);
	leaving_check(master);
}

int
scale_workers(struct master *master, uint32_t count)
{
	if (!turnover_can_begin(master, "scale"))
		return -1;
	if (master->turnover.is_active) {
		turnover_conclude(
		    master, false, "scale refused: a reload is under way");
		return -1;
	}
	if (count < lineup_least_workers(master) || count > CONFIG_WORKERS_MAX) {
		turnover_conclude(master, false,
		    "scale refused: %u workers; from %u to %d were wanted", count,
		    lineup_least_workers(master), CONFIG_WORKERS_MAX);
		return -1;
	}
	upgrade_put_off(master);
	uint32_t old = master->slot_count;
	master->turnover.started_ns = master_now_ns();
	if (count > old && grow(master, count) < 0)
		return -1;
	departure_begin(master, "scale", master->turnover.started_ns);
	if (count < old)
		shrink(master, count);
	master->config.workers = count;
	if (config_set_origin(&master->config, "workers", "scale") < 0)
		log_warn("where the number of workers came from is not noted");
	master->is_scaling = true;
	scale_check(master);
	return 0;
}

void
scale_check(struct master *master)
{
	uint32_t serving = slot_serving(master), given_up = slot_given_up(master);
	if (!master->is_scaling || serving + given_up < master->slot_count)
		return;
	master->is_scaling = false;
	if (given_up > 0) {
		turnover_conclude(master, false,
		    "scale failed: %u of %u workers serve after %.1f ms, the others are in a crash loop",
		    serving, master->slot_count,
		    master_elapsed_ms(master->turnover.started_ns));
		return;
	}
	turnover_conclude(master, true, "scale: %u worker%s serve%s after %.1f ms",
	    master->slot_count, master->slot_count == 1 ? "" : "s",
	    master->slot_count == 1 ? "s" : "",
	    master_elapsed_ms(master->turnover.started_ns));
}

void
scale_on_reloaded(struct master *master)
{
	uint32_t wanted = master->former.workers, count = master->slot_count;
	if (!master->is_scaling)
		return;
	master->is_scaling = false;
	turnover_conclude(master, count == wanted,
	    "scale%s: a reload came meanwhile, %u worker%s serve%s",
	    count == wanted ? "" : " failed", count, count == 1 ? "" : "s",
	    count == 1 ? "s" : "");
}
