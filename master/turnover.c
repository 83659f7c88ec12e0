#include "master/turnover.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/log.h"
#include "lib/printable.h"

#include "master/admin.h"
#include "master/departure.h"
#include "master/leaving.h"
#include "master/lineup.h"
#include "master/logging.h"
#include "master/notify.h"
#include "master/process.h"
#include "master/scale.h"
#include "master/slot.h"
#include "master/upgrade.h"
#include "master/waiting.h"

/* Successors that may die before they serve until the turnover is given up. */
#define FAILURES_MAX 3

void
turnover_conclude(struct master *master, bool is_good, const char *format, ...)
{
	struct outcome *outcome = &master->outcome;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, arguments);
	va_end(arguments);
	printable_sanitize(outcome->text);
	outcome->number++;
	outcome->is_good = is_good;
	if (is_good)
		log_info("%s", outcome->text);
	else
		log_errorx("%s", outcome->text);
	notify_ready(master);
	struct departure *departure = departure_seal(master);
	waiting_on_outcome(master, departure);
	if (departure != NULL)
		departure_settle(master, departure);
}

static const char *
name_of(const struct turnover *turnover)
{
	return turnover->is_upgrade ? "upgrade" : "reload";
}

/* Opens everything that the configuration has and the old one had not, or nothing. */
static int
plan(struct master *master, const struct config *config, char *error)
{
	if (lineup_plan(master, config, error) < 0)
		return -1;
	if (admin_plan(master, config, error) == 0) {
		/* The new workers inherit the new log. */
		if (logging_apply(config, error) == 0)
			return 0;
		admin_unplan(master);
	}
	lineup_unplan(master);
	return -1;
}

static int
start_successor(struct master *master, uint32_t number)
{
	struct turnover *turnover = &master->turnover;
	struct slot *slot = &master->slots[number];
	slot->successor =
	    process_start(master, &turnover->config, turnover->generation, number);
	if (slot->successor != NULL)
		return 0;
	log_warn("cannot fork worker %u", number);
	return -1;
}

static void
fail_to_begin(struct master *master, bool is_upgrade, const char *error)
{
	turnover_conclude(master, false, "%s failed, the old configuration stays: %s",
	    is_upgrade ? "upgrade" : "reload", error);
	if (is_upgrade)
		upgrade_go_back(master);
}

static int
begin(struct master *master, bool is_upgrade)
{
	struct turnover *turnover = &master->turnover;
	char error[CONFIG_ERROR_MAX];
	upgrade_put_off(master);
	/* Also when it fails at once: the manager has asked, and waits for both. */
	notify_reloading(master);
	if (config_load(&master->sources, &turnover->config, error) < 0) {
		fail_to_begin(master, is_upgrade, error);
		return -1;
	}
	if (plan(master, &turnover->config, error) < 0) {
		config_finish(&turnover->config);
		fail_to_begin(master, is_upgrade, error);
		return -1;
	}
	/* Nobody begins with a slot that is not served yet. */
	slot_steer(master);
	turnover->is_active = true;
	turnover->is_upgrade = is_upgrade;
	turnover->failures = 0;
	turnover->generation = master->generation + 1;
	turnover->slot_count = turnover->config.workers;
	turnover->started_ns = master_now_ns();
	for (uint32_t i = 0; i < turnover->slot_count; i++) {
		if (start_successor(master, i) < 0) {
			turnover_abort(master, "no process can be forked");
			return -1;
		}
	}
	return 0;
}

bool
turnover_can_begin(struct master *master, const char *name)
{
	if (master->phase == MASTER_RUNNING)
		return true;
	turnover_conclude(master, false, "%s refused: the server is %s", name,
	    master->phase == MASTER_STARTING ? "starting" : "stopping");
	return false;
}

int
turnover_reload(struct master *master)
{
	if (!turnover_can_begin(master, "reload"))
		return -1;
	if (master->turnover.is_active) {
		log_info("reload: follows the one under way");
		master->turnover.again = true;
		return 0;
	}
	return begin(master, false);
}

int
turnover_upgrade(struct master *master)
{
	return begin(master, true);
}

/* Puts each successor into its slot; those that served until now begin to leave. */
static void
take_slots(struct master *master, uint32_t old_count)
{
	struct process *old[LEDGER_SLOTS] = { NULL };
	for (uint32_t i = 0; i < master->slot_count; i++) {
		struct slot *slot = &master->slots[i];
		old[i] = slot->process;
		slot_install(slot->successor);
	}
	slot_steer(master);
	for (uint32_t i = 0; i < master->slot_count; i++) {
		if (old[i] != NULL && !old[i]->is_leaving)
			leaving_start(old[i], LEAVING_SOCKETS_STAY);
	}
	for (uint32_t i = master->slot_count; i < old_count; i++)
		slot_leave(&master->slots[i]);
}

static void
commit(struct master *master)
{
	struct turnover *turnover = &master->turnover;
	uint32_t old_count = master->slot_count;
	config_finish(&master->former);
	master->former = master->config;
	master->config = turnover->config;
	master->config_number++;
	master->generation = turnover->generation;
	master->slot_count = turnover->slot_count;
	turnover->is_active = false;
	lineup_adopt(master);
	leaving_on_removed(master);
	admin_commit(master);
	departure_begin(master, name_of(turnover), turnover->started_ns);
	take_slots(master, old_count);
	turnover_conclude(master, true,
	    "%s: generation %u serves with %u worker%s after %.1f ms",
	    name_of(turnover), turnover->generation, master->slot_count,
	    master->slot_count == 1 ? "" : "s",
	    master_elapsed_ms(turnover->started_ns));
	scale_on_reloaded(master);
	if (turnover->is_upgrade)
		upgrade_done(master);
	leaving_check(master);
	if (turnover->again) {
		turnover->again = false;
		turnover_reload(master);
	}
}

void
turnover_on_ready(struct master *master)
{
	const struct turnover *turnover = &master->turnover;
	for (uint32_t i = 0; i < turnover->slot_count; i++) {
		const struct process *successor = master->slots[i].successor;
		if (successor == NULL || !successor->is_ready)
			return;
	}
	commit(master);
}

/* Somebody may have come to the sockets of slots that now will not be. */
static void
empty_new_slots(struct master *master)
{
	for (uint32_t i = master->slot_count; i < master->turnover.slot_count; i++) {
		if (master->slots[i].state == SLOT_EMPTY)
			slot_empty(master, i);
	}
}

/* A successor that already serves has connections: they move to those who stay. */
void
turnover_abort(struct master *master, const char *reason)
{
	struct turnover *turnover = &master->turnover;
	bool was_upgrade = turnover->is_upgrade, had_another = turnover->again;
	turnover->is_active = false;
	turnover->again = false;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		struct process *successor = master->slots[i].successor;
		master->slots[i].successor = NULL;
		if (successor != NULL)
			leaving_start(successor, LEAVING_SOCKETS_STAY);
	}
	empty_new_slots(master);
	lineup_unplan(master);
	admin_unplan(master);
	logging_restore(master);
	config_finish(&turnover->config);
	turnover_conclude(master, false, "%s failed, generation %u goes on: %s",
	    was_upgrade ? "upgrade" : "reload", master->generation, reason);
	if (!was_upgrade)
		return;
	upgrade_go_back(master);
	if (had_another)
		turnover_conclude(master, false,
		    "reload failed, generation %u goes on: the upgrade before it failed",
		    master->generation);
}

void
turnover_on_died(struct master *master, uint32_t slot)
{
	struct turnover *turnover = &master->turnover;
	if (!turnover->is_active)
		return;
	if (++turnover->failures >= FAILURES_MAX || start_successor(master, slot) < 0)
		turnover_abort(master, "its workers die before they serve");
}
