#include "master/changes/reload.h"

#include "lib/clock.h"
#include "lib/log.h"

#include "conf/log_config.h"

#include "master/changes/pending_requests.h"
#include "master/changes/scale.h"
#include "master/changes/service_manager.h"
#include "master/listeners/admin_listener.h"
#include "master/listeners/listener_set.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

/* Successors that may die before they serve until the turnover is given up. */
#define FAILURES_MAX 3

static enum change_kind
kind_of(const struct reload *reload)
{
	return reload->is_upgrade ? CHANGE_UPGRADE : CHANGE_RELOAD;
}

/* Opens everything that the configuration has and the old one had not, or nothing. */
static int
plan(struct master *master, const struct config *config, char *error)
{
	if (listener_set_plan(master, config, error) < 0)
		return -1;
	if (admin_listener_plan(master, config, error) == 0) {
		/* The new workers inherit the new log. */
		if (log_config_apply(config, error) == 0)
			return 0;
		admin_listener_discard(master);
	}
	listener_set_discard(master);
	return -1;
}

static int
start_successor(struct master *master, uint32_t number)
{
	struct reload *reload = &master->reload;
	struct slot *slot = &master->workers.slots[number];
	slot->successor =
	    process_start(master, &reload->config, reload->generation, number);
	if (slot->successor != NULL)
		return 0;
	log_warn("cannot fork worker %u", number);
	return -1;
}

static void
fail_to_start(struct master *master, bool is_upgrade, const char *error)
{
	enum change_kind kind = is_upgrade ? CHANGE_UPGRADE : CHANGE_RELOAD;
	change_finish(&master->changes, kind, false,
	    "%s failed, the old configuration stays: %s", change_names[kind], error);
	if (is_upgrade)
		upgrade_rollback(master);
}

static int
begin(struct master *master, bool is_upgrade)
{
	struct reload *reload = &master->reload;
	char error[CONFIG_ERROR_MAX];
	change_begin(&master->changes, CHANGE_RELOAD);
	/* Also when it fails at once: the manager has asked, and waits for both. */
	service_manager_reloading(master);
	if (config_load(&master->config.sources, &reload->config, error) < 0) {
		fail_to_start(master, is_upgrade, error);
		return -1;
	}
	if (plan(master, &reload->config, error) < 0) {
		config_finish(&reload->config);
		fail_to_start(master, is_upgrade, error);
		return -1;
	}
	/* Nobody begins with a slot that is not served yet. */
	reuseport_update(master);
	reload->is_active = true;
	reload->is_upgrade = is_upgrade;
	reload->failures = 0;
	reload->generation = master->workers.generation + 1;
	reload->slot_count = reload->config.workers;
	reload->started_ns = clock_now_ns();
	for (uint32_t i = 0; i < reload->slot_count; i++) {
		if (start_successor(master, i) < 0) {
			reload_abort(master, "no process can be forked");
			return -1;
		}
	}
	return 0;
}

int
reload_start(struct master *master)
{
	if (!change_can_start(&master->changes, CHANGE_RELOAD, master->workers.phase))
		return -1;
	if (master->reload.is_active) {
		log_info("reload: follows the one under way");
		master->reload.is_repeat_requested = true;
		return 0;
	}
	return begin(master, false);
}

int
reload_start_upgrade(struct master *master)
{
	return begin(master, true);
}

/* Puts each successor into its slot; those that served until now begin to leave. */
static void
switch_generation(struct master *master, uint32_t old_count)
{
	struct process *old[LEDGER_SLOTS] = { NULL };
	for (uint32_t i = 0; i < master->workers.slot_count; i++) {
		struct slot *slot = &master->workers.slots[i];
		old[i] = slot->process;
		slot_set_process(slot->successor);
	}
	reuseport_update(master);
	for (uint32_t i = 0; i < master->workers.slot_count; i++) {
		if (old[i] != NULL && !old[i]->is_draining)
			worker_drain_start(old[i], DRAIN_KEEP_SOCKETS);
	}
	for (uint32_t i = master->workers.slot_count; i < old_count; i++)
		slot_drain(&master->workers.slots[i]);
}

static void
commit(struct master *master)
{
	struct reload *reload = &master->reload;
	uint32_t old_count = master->workers.slot_count;
	config_finish(&master->config.previous);
	master->config.previous = master->config.current;
	master->config.current = reload->config;
	master->config.number++;
	master->workers.generation = reload->generation;
	master->workers.slot_count = reload->slot_count;
	reload->is_active = false;
	listener_set_commit(master);
	worker_drain_on_listeners_removed(master);
	admin_listener_commit(master);
	drain_summary_open(master, change_names[kind_of(reload)], reload->started_ns);
	switch_generation(master, old_count);
	change_finish(&master->changes, kind_of(reload), true,
	    "%s: generation %u serves with %u worker%s after %.1f ms",
	    change_names[kind_of(reload)], reload->generation,
	    master->workers.slot_count, master->workers.slot_count == 1 ? "" : "s",
	    clock_elapsed_ms(reload->started_ns));
	scale_on_reloaded(master);
	if (reload->is_upgrade)
		upgrade_done(master);
	worker_drain_close_sockets(master);
	if (reload->is_repeat_requested) {
		reload->is_repeat_requested = false;
		reload_start(master);
	}
}

void
reload_on_ready(struct master *master)
{
	const struct reload *reload = &master->reload;
	for (uint32_t i = 0; i < reload->slot_count; i++) {
		const struct process *successor = master->workers.slots[i].successor;
		if (successor == NULL || !successor->is_ready)
			return;
	}
	commit(master);
}

/* Somebody may have come to the sockets of slots that now will not be. */
static void
drain_new_slots(struct master *master)
{
	for (uint32_t i = master->workers.slot_count; i < master->reload.slot_count;
	     i++) {
		if (master->workers.slots[i].state == SLOT_EMPTY)
			slot_drain_queue(master, i);
	}
}

/* A successor that already serves has connections: they move to those who stay. */
void
reload_abort(struct master *master, const char *reason)
{
	struct reload *reload = &master->reload;
	bool was_upgrade = reload->is_upgrade, had_repeat = reload->is_repeat_requested;
	reload->is_active = false;
	reload->is_repeat_requested = false;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		struct process *successor = master->workers.slots[i].successor;
		master->workers.slots[i].successor = NULL;
		if (successor != NULL)
			worker_drain_start(successor, DRAIN_KEEP_SOCKETS);
	}
	drain_new_slots(master);
	listener_set_discard(master);
	admin_listener_discard(master);
	log_config_restore(master);
	config_finish(&reload->config);
	change_finish(&master->changes, kind_of(reload), false,
	    "%s failed, generation %u goes on: %s", change_names[kind_of(reload)],
	    master->workers.generation, reason);
	if (!was_upgrade)
		return;
	upgrade_rollback(master);
	if (had_repeat)
		change_finish(&master->changes, CHANGE_RELOAD, false,
		    "reload failed, generation %u goes on: the upgrade before it failed",
		    master->workers.generation);
}

void
reload_on_successor_exit(struct master *master, uint32_t slot)
{
	struct reload *reload = &master->reload;
	if (!reload->is_active)
		return;
	if (++reload->failures >= FAILURES_MAX || start_successor(master, slot) < 0)
		reload_abort(master, "its workers die before they serve");
}
