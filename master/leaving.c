#include "master/leaving.h"

#include "lib/log.h"

#include "proto/channel.h"

#include "master/activation.h"
#include "master/departure.h"
#include "master/move.h"
#include "master/notify.h"
#include "master/process.h"
#include "master/slot.h"
#include "master/turnover.h"
#include "master/upgrade.h"

/* Workers that may be leaving one slot at a time. */
#define LEAVING_MAX 3

/* The worker that is to take over what `giver` holds: the one in its slot, or the one
 * that its slot's number falls to; any other that serves when that one does not. */
static struct process *
find_taker(const struct process *giver)
{
	struct master *master = giver->master;
	for (uint32_t i = 0; i < master->slot_count; i++) {
		struct slot *slot =
		    &master->slots[(giver->slot + i) % master->slot_count];
		if (slot->state == SLOT_SERVING && slot->process != giver)
			return slot->process;
	}
	return NULL;
}

static void
find_one(struct process *giver)
{
	struct process *taker = find_taker(giver);
	if (taker != NULL && !move_is_giving(giver))
		move_start(giver, taker);
	else
		giver->wants_taker = true;
}

void
leaving_find_takers(struct master *master)
{
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		if (p->wants_taker && p->is_leaving && !p->is_gone &&
		    !move_is_giving(p))
			find_one(p);
	}
}

/* What the service manager keeps over a restart keeps its queue, for the next instance:
 * only who waits now is served. */
static void
empty_for_good(const struct process *process)
{
	for (const struct endpoint *e = process->master->endpoints; e != NULL;
	     e = e->next) {
		if (e->listener >= 0)
			process_tell(process, CHANNEL_DRAIN_QUEUE,
			    (uint32_t)e->listener, e->is_stored[process->slot]);
	}
}

/* Bits of its listeners that the configuration in force has not any more. */
static uint64_t
removed_of(const struct process *process)
{
	const struct master *master = process->master;
	uint64_t removed = 0;
	if (process->config_number + 1 != master->config_number)
		return 0;
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->former_listener >= 0)
			removed |= UINT64_C(1) << e->former_listener;
	}
	return removed;
}

/* Their queues are emptied, too. */
static void
empty_removed(struct process *process)
{
	process->emptied = removed_of(process);
	for (uint32_t i = 0; i < CONFIG_LISTENERS_MAX; i++) {
		if (process->emptied >> i & 1)
			process_tell(process, CHANNEL_DRAIN_QUEUE, i, 0);
	}
}

void
leaving_on_removed(struct master *master)
{
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		if (p->empties_all && !p->is_retired && !p->is_gone)
			p->emptied |= removed_of(p);
	}
}

/* A generation that cannot end (peers of a removed listener that never close) does not
 * pile up: of those that leave a slot and have nothing to hand over, the oldest beyond
 * the cap ends now. */
static void
cap_leaving(const struct process *newest)
{
	const struct process *oldest = NULL;
	uint32_t count = 0;
	for (const struct process *p = newest->master->processes; p != NULL;
	     p = p->next) {
		bool only_drains = p->is_leaving && p->is_retired && !p->is_gone &&
		    !p->wants_taker && !move_is_giving(p);
		if (p->slot != newest->slot || !only_drains)
			continue;
		count++;
		oldest = p; /* the list is newest first */
	}
	if (count <= LEAVING_MAX)
		return;
	log_warnx(
	    "worker %u (process %d) of generation %u ends before it has drained: %u more recent ones are leaving",
	    oldest->slot, (int)oldest->pid, oldest->generation, count - 1);
	process_tell(oldest, CHANNEL_EXIT, 0, 0);
}

void
leaving_start(struct process *process, enum leaving_kind kind)
{
	struct master *master = process->master;
	process->is_leaving = true;
	departure_add(process);
	/* Also one that has not been heard yet: it may have accepted already. */
	process->moves = kind != LEAVING_FOR_GOOD;
	if (kind == LEAVING_FOR_GOOD)
		empty_for_good(process);
	else
		empty_removed(process);
	process->empties_all = kind == LEAVING_EMPTY_ALL;
	if (process->empties_all)
		process_tell(process, CHANNEL_DRAIN_QUEUE, CHANNEL_ALL, 0);
	process_tell(
	    process, CHANNEL_DRAIN, process->moves, master->config.timeouts.drain_ns);
	if (process->moves)
		find_one(process);
	cap_leaving(process);
}

void
leaving_cede(const struct process *heir)
{
	for (const struct process *p = heir->master->processes; p != NULL;
	     p = p->next) {
		if (p != heir && p->slot == heir->slot && p->is_leaving &&
		    !p->is_retired && !p->is_gone)
			process_tell(p, CHANNEL_QUEUE_TAKEN_OVER, 0, p->emptied);
	}
}

/* `dead` is whom it replaces; NULL: nobody. */
static void
start_caretaker(struct master *master, const struct config *config, uint32_t slot,
    enum leaving_kind kind, const struct process *dead)
{
	struct process *caretaker =
	    process_start(master, config, master->generation, slot);
	if (caretaker == NULL) {
		log_warn("cannot fork worker %u", slot);
		return;
	}
	departure_join(caretaker, dead == NULL ? NULL : dead->departure);
	leaving_start(caretaker, kind);
}

void
leaving_attend(struct master *master)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->slots[i];
		if (slot->process == NULL && slot->state != SLOT_EMPTY)
			start_caretaker(
			    master, &master->config, i, LEAVING_FOR_GOOD, NULL);
	}
}

void
leaving_replace(const struct process *dead)
{
	struct master *master = dead->master;
	bool has_time =
	    master->stop_deadline_ns == 0 || master_now_ns() < master->stop_deadline_ns;
	/* One that cannot even start is not worth another try. */
	if (!dead->is_ready)
		return;
	if (master->phase == MASTER_STOPPING) {
		if (master->stops_in_order && has_time)
			start_caretaker(master, &master->config, dead->slot,
			    LEAVING_FOR_GOOD, dead);
		return;
	}
	if (dead->emptied != 0 && dead->config_number + 1 == master->config_number)
		start_caretaker(
		    master, &master->former, dead->slot, LEAVING_SOCKETS_STAY, dead);
}

/* Some worker that leaves may still accept from a socket of this slot (-1: of any). */
static bool
is_being_emptied(const struct master *master, int slot)
{
	for (const struct process *p = master->processes; p != NULL; p = p->next) {
		bool may_accept = !p->is_gone && p->is_leaving && !p->is_retired;
		if (may_accept && (slot < 0 || p->slot == (uint32_t)slot))
			return true;
	}
	return false;
}

/* Somebody may wait in a socket of an empty slot: a change that has failed had added it
 * after the slot's last worker left, to a group that could not be held (group.h). */
static bool
may_have_come(const struct master *master, uint32_t slot)
{
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->fds[slot] >= 0 && e->is_order_unknown)
			return true;
	}
	return false;
}

static void
close_slot(struct master *master, uint32_t slot)
{
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->fds[slot] >= 0)
			upgrade_put_off(master);
		endpoint_close_slot(e, slot);
	}
}

static void
close_slots(struct master *master)
{
	for (uint32_t i = master->slot_count; i < LEDGER_SLOTS; i++) {
		struct slot *slot = &master->slots[i];
		struct process *last = slot->process;
		bool has_emptied = last != NULL && last->is_retired && !last->is_shut;
		if (slot->successor != NULL || is_being_emptied(master, (int)i))
			continue;
		if (has_emptied) {
			close_slot(master, i);
			last->is_shut = true;
		} else if (slot->state == SLOT_EMPTY && may_have_come(master, i)) {
			slot_empty(master, i);
		} else if (slot->state == SLOT_EMPTY) {
			close_slot(master, i);
		}
	}
}

static void
close_removed(struct master *master)
{
	if (master->turnover.is_active || is_being_emptied(master, -1))
		return;
	struct endpoint **at = &master->endpoints;
	while (*at != NULL) {
		struct endpoint *endpoint = *at;
		if (endpoint->listener >= 0) {
			at = &endpoint->next;
			continue;
		}
		upgrade_put_off(master);
		log_info("no longer listening on %s", endpoint->name);
		*at = endpoint->next;
		endpoint_destroy(endpoint);
	}
}

void
leaving_check(struct master *master)
{
	if (master->phase != MASTER_RUNNING)
		return;
	if (!master->turnover.is_active)
		close_slots(master);
	close_removed(master);
	slot_steer(master);
	notify_status(master);
}
