#include "master/changes/scale.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "master/changes/room.h"
#include "master/changes/service_manager.h"
#include "master/listeners/reuseport.h"
#include "master/workers/drain_summary.h"
#include "master/workers/slot.h"

/* 0, or -1 with the error. */
static int
grow(struct scale *scale, uint32_t count, char *error)
{
	struct worker_table *workers = scale->workers;
	const struct config *config = &workers->config->current;
	for (struct listener *e = workers->listeners->first; e != NULL; e = e->next) {
		if (e->config_index < 0)
			continue;
		reuseport_freeze(e);
		if (listener_add_sockets(
			e, &config->listeners[e->config_index], count, error) < 0) {
			slot_discard_listeners(workers);
			return -1;
		}
	}
	uint32_t old = workers->slot_count;
	workers->slot_count = count;
	for (uint32_t i = old; i < count; i++)
		slot_start(workers, i);
	slot_update_reuseport(workers);
	return 0;
}

static void
shrink(struct scale *scale, uint32_t count)
{
	struct worker_table *workers = scale->workers;
	uint32_t old = workers->slot_count;
	workers->slot_count = count;
	slot_update_reuseport(workers);
	for (uint32_t i = count; i < old; i++)
		slot_drain(&workers->slots[i]);
	slot_close_sockets(workers, false);
	service_manager_status(scale->manager);
}

/* False when the request is refused; that is then its outcome. */
static bool
is_allowed(
    struct scale *scale, const struct change *request, uint32_t count, bool is_forced)
{
	uint32_t min = listener_set_min_workers(scale->workers->listeners);
	if (!change_can_start(scale->changes, request, scale->workers->phase))
		return false;
	if (scale->reload->is_active) {
		change_finish(scale->changes, request, false,
		    "scale refused: a reload is in progress");
		return false;
	}
	if (count < min || count > CONFIG_WORKERS_MAX) {
		change_finish(scale->changes, request, false,
		    "scale refused: found %u workers, expected %u to %d", count, min,
		    CONFIG_WORKERS_MAX);
		return false;
	}
	char text[CONFIG_ERROR_MAX / 2];
	const struct worker_table *workers = scale->workers;
	if (is_forced || count >= workers->slot_count ||
	    room_suffices(
		workers, &workers->config->current, count, text, sizeof(text)))
		return true;
	change_finish(scale->changes, request, false,
	    "scale refused: %s (--force scales all the same)", text);
	return false;
}

static void
end_overtaken(struct scale *scale, uint32_t count)
{
	if (!scale->is_active)
		return;
	scale->is_active = false;
	change_finish(scale->changes, &scale->change, false,
	    "scale failed: overtaken by a scale to %u worker%s", count,
	    count == 1 ? "" : "s");
}

int
scale_workers(struct scale *scale, uint32_t count, bool is_forced)
{
	struct worker_table *workers = scale->workers;
	struct config *config = &workers->config->current;
	const struct change request = change_request(scale->changes, CHANGE_SCALE);
	char error[CONFIG_ERROR_MAX];
	if (!is_allowed(scale, &request, count, is_forced))
		return -1;
	uint32_t old = workers->slot_count;
	if (scale->is_active && count == old) {
		change_join(&scale->change, &request);
		return 0;
	}
	change_begin(scale->changes, CHANGE_SCALE);
	if (count > old && grow(scale, count, error) < 0) {
		change_finish(
		    scale->changes, &request, false, "scale failed: %s", error);
		return -1;
	}
	end_overtaken(scale, count);
	scale->change = request;
	scale->started_ns = clock_now_ns();
	drain_summary_open(workers, change_names[CHANGE_SCALE], request.first_request,
	    scale->started_ns);
	if (count < old)
		shrink(scale, count);
	config->workers_setting = config->workers = count;
	if (config_set_origin(config, "workers", "scale") < 0)
		log_warn("[workers_origin_failed] "
			 "cannot record the origin of \"workers\"");
	scale->is_active = true;
	scale_on_slot_change(scale);
	return 0;
}

void
scale_on_slot_change(struct scale *scale)
{
	const struct worker_table *workers = scale->workers;
	uint32_t serving = slot_count_in(workers, SLOT_SERVING);
	uint32_t crash_looping = slot_crash_looping(workers);
	if (!scale->is_active || serving + crash_looping < workers->slot_count)
		return;
	scale->is_active = false;
	if (crash_looping > 0) {
		change_finish(scale->changes, &scale->change, false,
		    "scale failed: %u of %u workers serve after %.1f ms, the others are in a crash loop",
		    serving, workers->slot_count, clock_elapsed_ms(scale->started_ns));
		return;
	}
	change_finish(scale->changes, &scale->change, true,
	    "scale: %u worker%s serve%s after %.1f ms", workers->slot_count,
	    workers->slot_count == 1 ? "" : "s", workers->slot_count == 1 ? "s" : "",
	    clock_elapsed_ms(scale->started_ns));
}

void
scale_on_reloaded(struct scale *scale)
{
	uint32_t count = scale->workers->slot_count;
	bool is_good = count == scale->workers->config->previous.workers;
	if (!scale->is_active)
		return;
	scale->is_active = false;
	change_finish(scale->changes, &scale->change, is_good,
	    "scale%s: overtaken by a reload, %u worker%s serve%s",
	    is_good ? "" : " failed", count, count == 1 ? "" : "s",
	    count == 1 ? "s" : "");
}
