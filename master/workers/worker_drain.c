#include "master/workers/worker_drain.h"

#include "lib/clock.h"
#include "lib/log.h"

#include "proto/channel.h"

#include "master/changes/reload.h"
#include "master/changes/service_manager.h"
#include "master/listeners/socket_activation.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/transfers.h"

/* Workers that may be leaving one slot at a time. */
#define DRAINING_MAX 3

/* The worker that is to take over what `giver` holds: the one in its slot, or the one
 * that its slot's number falls to; any other that serves when that one does not. */
static struct process *
find_receiver(const struct process *sender)
{
	struct master *master = sender->master;
	for (uint32_t i = 0; i < master->workers.slot_count; i++) {
		struct slot *slot =
		    &master->workers
			 .slots[(sender->slot + i) % master->workers.slot_count];
		if (slot->state == SLOT_SERVING && slot->process != sender)
			return slot->process;
	}
	return NULL;
}

static void
start_transfer(struct process *sender)
{
	struct process *receiver = find_receiver(sender);
	if (receiver != NULL && !transfers_is_sending(sender))
		transfers_start(sender, receiver);
	else
		sender->wants_receiver = true;
}

void
worker_drain_find_receivers(struct master *master)
{
	for (struct process *p = master->workers.processes; p != NULL; p = p->next) {
		if (p->wants_receiver && p->is_draining && !p->has_exited &&
		    !transfers_is_sending(p))
			start_transfer(p);
	}
}

/* What the service manager keeps over a restart keeps its queue, for the next instance:
 * only who waits now is served. */
static void
drain_stored_queues(const struct process *process)
{
	for (const struct listener *e = process->master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->config_index >= 0)
			process_send(process, CHANNEL_DRAIN_QUEUE,
			    (uint32_t)e->config_index, e->is_stored[process->slot]);
	}
}

/* Bits of its listeners that the configuration in force has not any more. */
static uint64_t
removed_of(const struct process *process)
{
	const struct master *master = process->master;
	uint64_t removed = 0;
	if (process->config_number + 1 != master->config.number)
		return 0;
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->previous_config_index >= 0)
			removed |= UINT64_C(1) << e->previous_config_index;
	}
	return removed;
}

/* Their queues are emptied, too. */
static void
drain_removed(struct process *process)
{
	process->draining_listeners = removed_of(process);
	for (uint32_t i = 0; i < CONFIG_LISTENERS_MAX; i++) {
		if (process->draining_listeners >> i & 1)
			process_send(process, CHANNEL_DRAIN_QUEUE, i, 0);
	}
}

void
worker_drain_on_listeners_removed(struct master *master)
{
	for (struct process *p = master->workers.processes; p != NULL; p = p->next) {
		if (p->drains_all_queues && !p->listeners_closed && !p->has_exited)
			p->draining_listeners |= removed_of(p);
	}
}

/* A generation that cannot end (peers of a removed listener that never close) does not
 * pile up: of those that leave a slot and have nothing to hand over, the oldest beyond
 * the cap ends now. */
static void
limit_draining(const struct process *newest)
{
	const struct process *oldest = NULL;
	uint32_t count = 0;
	for (const struct process *p = newest->master->workers.processes; p != NULL;
	     p = p->next) {
		bool only_drains = p->is_draining && p->listeners_closed &&
		    !p->has_exited && !p->wants_receiver && !transfers_is_sending(p);
		if (p->slot != newest->slot || !only_drains)
			continue;
		count++;
		oldest = p; /* the list is newest first */
	}
	if (count <= DRAINING_MAX)
		return;
	log_warnx(
	    "worker %u (process %d) of generation %u ends before it has drained: %u more recent ones are leaving",
	    oldest->slot, (int)oldest->pid, oldest->generation, count - 1);
	process_send(oldest, CHANNEL_EXIT, 0, 0);
}

void
worker_drain_start(struct process *process, enum worker_drain_kind kind)
{
	struct master *master = process->master;
	process->is_draining = true;
	drain_summary_add(process);
	/* Also one that has not been heard yet: it may have accepted already. */
	process->transfers = kind != DRAIN_SHUTDOWN;
	if (kind == DRAIN_SHUTDOWN)
		drain_stored_queues(process);
	else
		drain_removed(process);
	process->drains_all_queues = kind == DRAIN_ALL_QUEUES;
	if (process->drains_all_queues)
		process_send(process, CHANNEL_DRAIN_QUEUE, CHANNEL_ALL, 0);
	process_send(process, CHANNEL_DRAIN, process->transfers,
	    master->config.current.timeouts.drain_ns);
	if (process->transfers)
		start_transfer(process);
	limit_draining(process);
}

void
worker_drain_queue_taken_over(const struct process *successor)
{
	for (const struct process *p = successor->master->workers.processes; p != NULL;
	     p = p->next) {
		if (p != successor && p->slot == successor->slot && p->is_draining &&
		    !p->listeners_closed && !p->has_exited)
			process_send(
			    p, CHANNEL_QUEUE_TAKEN_OVER, 0, p->draining_listeners);
	}
}

/* `dead` is whom it replaces; NULL: nobody. */
static void
start_drain_worker(struct master *master, const struct config *config, uint32_t slot,
    enum worker_drain_kind kind, const struct process *exited)
{
	struct process *drain_worker =
	    process_start(master, config, master->workers.generation, slot);
	if (drain_worker == NULL) {
		log_warn("cannot fork worker %u", slot);
		return;
	}
	drain_summary_inherit(
	    drain_worker, exited == NULL ? NULL : exited->drain_summary);
	worker_drain_start(drain_worker, kind);
}

void
worker_drain_all_queues(struct master *master)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->workers.slots[i];
		if (slot->process == NULL && slot->state != SLOT_EMPTY)
			start_drain_worker(
			    master, &master->config.current, i, DRAIN_SHUTDOWN, NULL);
	}
}

void
worker_drain_replace(const struct process *exited)
{
	struct master *master = exited->master;
	bool has_time = master->shutdown.deadline_ns == 0 ||
	    clock_now_ns() < master->shutdown.deadline_ns;
	/* One that cannot even start is not worth another try. */
	if (!exited->is_ready)
		return;
	if (master->workers.phase == MASTER_STOPPING) {
		if (master->shutdown.is_orderly && has_time)
			start_drain_worker(master, &master->config.current,
			    exited->slot, DRAIN_SHUTDOWN, exited);
		return;
	}
	if (exited->draining_listeners != 0 &&
	    exited->config_number + 1 == master->config.number)
		start_drain_worker(master, &master->config.previous, exited->slot,
		    DRAIN_KEEP_SOCKETS, exited);
}

/* Some worker that leaves may still accept from a socket of this slot (-1: of any). */
static bool
is_being_drained(const struct master *master, int slot)
{
	for (const struct process *p = master->workers.processes; p != NULL;
	     p = p->next) {
		bool may_accept =
		    !p->has_exited && p->is_draining && !p->listeners_closed;
		if (may_accept && (slot < 0 || p->slot == (uint32_t)slot))
			return true;
	}
	return false;
}

/* Somebody may wait in a socket of an empty slot: a change that has failed had added it
 * after the slot's last worker left, to a group that could not be held (reuseport.h).
 */
static bool
may_have_connections(const struct master *master, uint32_t slot)
{
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->fds[slot] >= 0 && e->is_order_unknown)
			return true;
	}
	return false;
}

static void
close_slot(struct master *master, uint32_t slot)
{
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next) {
		if (e->fds[slot] >= 0)
			master->workers.events->before_close(master->workers.argument);
		listener_close_slot(e, slot);
	}
}

static void
close_slots(struct master *master)
{
	for (uint32_t i = master->workers.slot_count; i < LEDGER_SLOTS; i++) {
		struct slot *slot = &master->workers.slots[i];
		struct process *last = slot->process;
		bool has_drained_queues =
		    last != NULL && last->listeners_closed && !last->sockets_closed;
		if (slot->successor != NULL || is_being_drained(master, (int)i))
			continue;
		if (has_drained_queues) {
			close_slot(master, i);
			last->sockets_closed = true;
		} else if (slot->state == SLOT_EMPTY &&
		    may_have_connections(master, i)) {
			slot_drain_queue(master, i);
		} else if (slot->state == SLOT_EMPTY) {
			close_slot(master, i);
		}
	}
}

static void
close_removed(struct master *master)
{
	if (master->reload.is_active || is_being_drained(master, -1))
		return;
	struct listener **at = &master->listeners.first;
	while (*at != NULL) {
		struct listener *listener = *at;
		if (listener->config_index >= 0) {
			at = &listener->next;
			continue;
		}
		master->workers.events->before_close(master->workers.argument);
		log_info("no longer listening on %s", listener->name);
		*at = listener->next;
		listener_destroy(listener);
	}
}

void
worker_drain_close_sockets(struct master *master)
{
	if (master->workers.phase != MASTER_RUNNING)
		return;
	if (!master->reload.is_active)
		close_slots(master);
	close_removed(master);
	reuseport_update(master);
	service_manager_status(master);
}
