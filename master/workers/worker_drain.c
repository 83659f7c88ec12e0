#include "master/workers/worker_drain.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "proto/channel.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/transfers.h"

/* Draining workers of one slot at a time. */
#define DRAINING_MAX 3
#define OWN_SLOT_WAIT_NS NS_PER_S

/* The worker of the sender's slot (modulo the slot count), or, if it does not serve or
 * is full, the worker of the next slot that serves. */
static struct process *
find_receiver(const struct process *sender)
{
	struct worker_table *table = sender->table;
	for (uint32_t i = 0; i < table->slot_count; i++) {
		struct slot *slot =
		    &table->slots[(sender->slot + sender->full_receivers + i) %
			table->slot_count];
		if (slot->state == SLOT_SERVING && slot->process != sender)
			return slot->process;
	}
	return NULL;
}

/* Lives that are short after one another end: the connections of a worker that died so
 * soon after its start are not given to a further one. */
#define SHORT_LIFE_NS (500 * NS_PER_MS)
#define SHORT_LIVES_MAX 3

static uint32_t
count_short_lives(const struct process *keeper)
{
	uint64_t lifetime_ns = keeper->crash.died_ns - keeper->started_ns;
	return lifetime_ns < SHORT_LIFE_NS ? keeper->short_lives + 1 : 0;
}

/* Moves the connections of a keeper that no worker of a slot serves (their listener was
 * removed or has changed, or the server stops) to a new worker with the same listeners,
 * which drains. */
static void
move_to_drain_worker(struct process *keeper)
{
	uint32_t short_lives = count_short_lives(keeper);
	struct process *receiver =
	    short_lives <= SHORT_LIVES_MAX ? process_start_like(keeper) : NULL;
	keeper->wants_receiver = false;
	if (receiver == NULL) {
		process_send(keeper, CHANNEL_NO_RECEIVER, 0, 0);
		return;
	}
	receiver->short_lives = short_lives;
	drain_summary_inherit(receiver, keeper->drain_summary);
	/* In this order, or it would exit without connections. */
	transfers_start(keeper, receiver);
	worker_drain_start(receiver,
	    keeper->table->phase == MASTER_STOPPING ? DRAIN_SHUTDOWN
						    : DRAIN_KEEP_SOCKETS);
}

static void
start_transfer(struct process *sender)
{
	bool is_stopping = sender->table->phase == MASTER_STOPPING;
	if (sender->is_recovering && (sender->needs_own_listeners || is_stopping)) {
		move_to_drain_worker(sender);
		return;
	}
	struct process *receiver = find_receiver(sender);
	if (receiver != NULL && !transfers_is_sending(sender))
		transfers_start(sender, receiver);
	else
		sender->wants_receiver = true;
}

/* The connections of a worker that has died wait for the next worker of its slot,
 * unless that takes long. */
static bool
waits_for_own_slot(const struct process *process)
{
	const struct slot *slot = &process->table->slots[process->slot];
	bool is_coming = slot->state == SLOT_STARTING ||
	    (slot->state == SLOT_BACKING_OFF && slot->failures <= 1);
	return process->is_recovering && is_coming &&
	    clock_now_ns() - process->crash.died_ns < OWN_SLOT_WAIT_NS;
}

void
worker_drain_find_receivers(struct worker_table *table)
{
	for (struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->wants_receiver && process_is_draining(p) &&
		    !transfers_is_sending(p) && !waits_for_own_slot(p))
			start_transfer(p);
	}
}

/* Sockets that the service manager keeps over a restart keep their queue for the next
 * instance: only connections that are in it now are accepted. */
static void
drain_stored_queues(struct process *process)
{
	for (const struct listener *e = process->table->listeners->first; e != NULL;
	     e = e->next) {
		if (e->config_index >= 0)
			process_send(process, CHANNEL_DRAIN_QUEUE,
			    (uint32_t)e->config_index, e->is_stored[process->slot]);
	}
}

/* Bits of its listeners that the current configuration no longer has. */
static uint64_t
removed_of(const struct process *process)
{
	const struct worker_table *table = process->table;
	uint64_t removed = 0;
	if (process->config_number + 1 != table->config->number)
		return 0;
	for (const struct listener *e = table->listeners->first; e != NULL;
	     e = e->next) {
		if (e->previous_config_index >= 0)
			removed |= UINT64_C(1) << e->previous_config_index;
	}
	return removed;
}

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
worker_drain_on_listeners_removed(struct worker_table *table)
{
	for (struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->drains_all_queues && p->state == PROCESS_DRAINING)
			p->draining_listeners |= removed_of(p);
	}
}

/* Bounds the draining workers of one slot, because peers may never close a connection
 * of a removed listener: beyond the limit the oldest one exits. */
static void
limit_draining(const struct process *newest)
{
	struct process *oldest = NULL;
	uint32_t count = 0;
	for (struct process *p = newest->table->processes; p != NULL; p = p->next) {
		bool only_drains = process_is_draining(p) && !p->is_recovering &&
		    p->state != PROCESS_DRAINING && !p->wants_receiver &&
		    !transfers_is_sending(p);
		if (p->slot != newest->slot || !only_drains)
			continue;
		count++;
		oldest = p; /* the list is newest first */
	}
	if (count <= DRAINING_MAX)
		return;
	log_warnx(
	    "[worker_drain_cut_short worker worker_pid generation newer_workers] "
	    "worker %u (pid %d): generation %u: sending EXIT before it has drained: %u newer workers drain in its slot",
	    oldest->slot, (int)oldest->pid, oldest->generation, count - 1);
	process_send(oldest, CHANNEL_EXIT, 0, 0);
}

void
worker_drain_start(struct process *process, enum worker_drain_kind kind)
{
	struct worker_table *table = process->table;
	bool is_transfer = kind != DRAIN_SHUTDOWN;
	if (process->state == PROCESS_ACTIVE)
		process->state = PROCESS_DRAINING;
	drain_summary_add(process);
	if (kind == DRAIN_SHUTDOWN)
		drain_stored_queues(process);
	else
		drain_removed(process);
	process->drains_all_queues = kind == DRAIN_ALL_QUEUES;
	if (process->drains_all_queues)
		process_send(process, CHANNEL_DRAIN_QUEUE, CHANNEL_ALL, 0);
	process_send(process, CHANNEL_DRAIN, is_transfer,
	    table->config->current.timeouts.drain_ns);
	/* Even if it is not ready yet: it may have accepted a connection already. */
	if (is_transfer)
		start_transfer(process);
	limit_draining(process);
}

void
worker_drain_queue_taken_over(const struct process *successor)
{
	for (struct process *p = successor->table->processes; p != NULL; p = p->next) {
		if (p != successor && p->slot == successor->slot &&
		    p->state == PROCESS_DRAINING)
			process_send(
			    p, CHANNEL_QUEUE_TAKEN_OVER, 0, p->draining_listeners);
	}
}

/* `exited` is the worker that it replaces, or NULL. */
static void
start_drain_worker(struct worker_table *table, const struct config *config,
    enum worker_drain_kind kind, uint32_t slot, const struct process *exited)
{
	struct process *drain_worker =
	    process_start(table, config, table->generation, slot);
	if (drain_worker == NULL) {
		log_warn("[worker_fork_failed worker] cannot fork worker %u", slot);
		return;
	}
	drain_summary_inherit(
	    drain_worker, exited == NULL ? NULL : exited->drain_summary);
	worker_drain_start(drain_worker, kind);
}

void
worker_drain_all_queues(struct worker_table *table)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &table->slots[i];
		if (slot->process == NULL && slot->state != SLOT_EMPTY)
			start_drain_worker(
			    table, &table->config->current, DRAIN_SHUTDOWN, i, NULL);
	}
}

void
worker_drain_replace(const struct process *exited, bool has_time)
{
	struct worker_table *table = exited->table;
	/* A worker that could not even start is not replaced. */
	if (!exited->is_ready)
		return;
	if (table->phase == MASTER_STOPPING) {
		if (has_time)
			start_drain_worker(table, &table->config->current,
			    DRAIN_SHUTDOWN, exited->slot, exited);
		return;
	}
	if (exited->draining_listeners != 0 &&
	    exited->config_number + 1 == table->config->number)
		start_drain_worker(table, &table->config->previous, DRAIN_KEEP_SOCKETS,
		    exited->slot, exited);
}

void
worker_drain_stored(struct worker_table *table)
{
	const struct listener *e = table->listeners->first;
	while (e != NULL && (e->config_index >= 0 || e->fds[0] < 0))
		e = e->next;
	if (e != NULL)
		start_drain_worker(
		    table, &table->config->previous, DRAIN_KEEP_SOCKETS, 0, NULL);
}

bool
worker_drain_is_emptying(const struct worker_table *table, int slot)
{
	for (const struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->state == PROCESS_DRAINING &&
		    (slot < 0 || p->slot == (uint32_t)slot))
			return true;
	}
	return false;
}

void
worker_drain_close_removed(struct worker_table *table)
{
	if (worker_drain_is_emptying(table, -1))
		return;
	struct listener **at = &table->listeners->first;
	while (*at != NULL) {
		struct listener *listener = *at;
		if (listener->config_index >= 0) {
			at = &listener->next;
			continue;
		}
		table->events->before_close(table->argument);
		if (!listener->is_of_previous)
			log_info("[listener_closed listener] no longer listening on %s",
			    listener->name);
		*at = listener->next;
		listener_destroy(listener);
	}
}
