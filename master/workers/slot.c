#include "master/workers/slot.h"

#include <sys/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"

#include "master/admin/capacity.h"
#include "master/changes/reload.h"
#include "master/changes/scale.h"
#include "master/changes/service_manager.h"
#include "master/changes/shutdown.h"
#include "master/listeners/reuseport.h"
#include "master/listeners/socket_activation.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/worker_drain.h"

/* Back-off of a slot whose worker dies again and again: doubled from the first to the
 * longest, +-25 % so that slots do not move in step; forgotten after a quiet time. */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LONGEST_MS 30000
#define QUIET_NS (10 * NS_PER_S)
/* A slot that failed this often in a row is in a crash loop. */
#define CRASH_LOOP 3

const char *const slot_state_names[] = { "empty", "starting", "serving", "draining",
	"backing_off" };

static uint32_t
slot_number(const struct slot *slot)
{
	return (uint32_t)(slot - slot->master->workers.slots);
}

uint32_t
slot_serving(const struct master *master)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < master->workers.slot_count; i++)
		count += master->workers.slots[i].state == SLOT_SERVING;
	return count;
}

/* It has had its chance, and more than one. */
static bool
is_in_crash_loop(const struct slot *slot)
{
	return slot->state != SLOT_SERVING && slot->failures >= CRASH_LOOP;
}

uint32_t
slot_crash_looping(const struct master *master)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < master->workers.slot_count; i++)
		count += is_in_crash_loop(&master->workers.slots[i]);
	return count;
}

void
reuseport_update(struct master *master)
{
	bool takes_new[LEDGER_SLOTS];
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->workers.slots[i];
		takes_new[i] =
		    i < master->workers.slot_count && !is_in_crash_loop(slot);
	}
	const struct listener_config *listeners = master->config.current.listeners;
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next) {
		bool by_cpu = e->config_index >= 0 &&
		    listeners[e->config_index].balance == BALANCE_CPU;
		reuseport_select(e, takes_new, by_cpu);
	}
}

static uint64_t
backoff_ms(uint32_t failures)
{
	if (failures <= 1)
		return 0;
	uint64_t ms = BACKOFF_FIRST_MS;
	for (uint32_t i = 2; i < failures && ms < BACKOFF_LONGEST_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_LONGEST_MS)
		ms = BACKOFF_LONGEST_MS;
	return ms * 3 / 4 + (uint64_t)random() % (ms / 2 + 1);
}

/* The start is over when each slot serves, or is in a crash loop and some other serves:
 * a server that serves can be reloaded, and says what it lacks. */
static void
finish_start(struct master *master)
{
	uint32_t serving = slot_serving(master), given_up = slot_crash_looping(master);
	char of[32] = "";
	if (serving == 0 || serving + given_up < master->workers.slot_count)
		return;
	master->workers.phase = MASTER_RUNNING;
	if (given_up > 0)
		snprintf(of, sizeof(of), "%u of ", serving);
	log_info("ready: %s%u worker%s, %zu listener%s", of, master->workers.slot_count,
	    master->workers.slot_count == 1 ? "" : "s",
	    master->config.current.listener_count,
	    master->config.current.listener_count == 1 ? "" : "s");
	capacity_log(master);
	service_manager_ready(master);
	/* Begun with the sockets of more: emptied, then closed (socket_activation.h).
	 */
	if (master->workers.slot_count > master->config.current.workers)
		scale_workers(master, master->config.current.workers);
}

static void
back_off(struct slot *slot)
{
	uint64_t ms = backoff_ms(slot->failures);
	if (slot->state != SLOT_DRAINING)
		slot->state = SLOT_BACKING_OFF;
	slot->process = NULL;
	if (ms > 0)
		log_warnx("worker %u: failure %u in a row, next try in %llu ms",
		    slot_number(slot), slot->failures, (unsigned long long)ms);
	if (slot->failures == CRASH_LOOP)
		log_errorx("worker %u is in a crash loop: no new connections for it",
		    slot_number(slot));
	struct timeval delay = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	if (event_add(&slot->retry_timer, &delay) < 0)
		event_active(&slot->retry_timer, EV_TIMEOUT, 0);
	reuseport_update(slot->master);
	if (slot->master->workers.phase == MASTER_STARTING)
		finish_start(slot->master);
	scale_on_slot_change(slot->master);
	service_manager_status(slot->master);
}

static void
give_up_start(struct master *master)
{
	log_errorx("no worker came up: giving up");
	master->exit_status = EX_OSERR;
	shutdown_now(master);
}

static void
spawn(struct slot *slot)
{
	struct master *master = slot->master;
	slot->process = process_start(master, &master->config.current,
	    master->workers.generation, slot_number(slot));
	if (slot->process != NULL) {
		if (slot->state != SLOT_DRAINING) {
			slot->state = SLOT_STARTING;
			return;
		}
		drain_summary_attach(slot);
		worker_drain_start(slot->process, DRAIN_ALL_QUEUES);
		return;
	}
	log_warn("cannot fork worker %u", slot_number(slot));
	slot->failures++;
	back_off(slot);
	/* Want of processes or memory may pass: not at once. */
	if (master->workers.phase == MASTER_STARTING &&
	    slot_crash_looping(master) == master->workers.slot_count)
		give_up_start(master);
}

static void
on_retry(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct slot *slot = argument;
	slot->restarts++;
	spawn(slot);
}

static void
prepare(struct master *master, struct slot *slot)
{
	if (slot->master != NULL)
		event_del(&slot->retry_timer);
	drain_summary_cancel(slot);
	slot->master = master;
	slot->failures = 0;
	evtimer_assign(&slot->retry_timer, master->base, on_retry, slot);
}

/* Its sockets, if they had been left. */
static void
accept_new_connections(const struct slot *slot)
{
	for (struct listener *e = slot->master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->is_order_unknown && e->config_index >= 0)
			listener_accept_new_slot(e, slot_number(slot));
	}
}

void
slot_start(struct master *master, uint32_t number)
{
	struct slot *slot = &master->workers.slots[number];
	prepare(master, slot);
	accept_new_connections(slot);
	slot->state = SLOT_EMPTY;
	spawn(slot);
}

void
slot_adopt(struct process *process)
{
	struct slot *slot = &process->master->workers.slots[process->slot];
	prepare(process->master, slot);
	slot->process = process;
	slot->successor = NULL;
	if (process->is_draining)
		slot->state = SLOT_DRAINING;
	else
		slot->state = process->is_ready ? SLOT_SERVING : SLOT_STARTING;
}

void
slot_set_process(struct process *process)
{
	const struct slot *slot = &process->master->workers.slots[process->slot];
	slot_adopt(process);
	accept_new_connections(slot);
	if (slot->state == SLOT_SERVING)
		worker_drain_queue_taken_over(process);
}

void
slot_stop_retries(struct master *master)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (master->workers.slots[i].master != NULL)
			event_del(&master->workers.slots[i].retry_timer);
	}
}

/* From now on nobody begins with them, and nobody else keeps them open. */
static void
retire_sockets(const struct slot *slot)
{
	uint32_t number = slot_number(slot);
	for (struct listener *e = slot->master->listeners.first; e != NULL;
	     e = e->next) {
		socket_activation_forget_slot(e, number);
		if (e->is_order_unknown)
			listener_block_new_slot(e, number);
	}
}

void
slot_drain(struct slot *slot)
{
	event_del(&slot->retry_timer);
	slot->state = SLOT_DRAINING;
	retire_sockets(slot);
	if (slot->process != NULL) {
		worker_drain_start(slot->process, DRAIN_ALL_QUEUES);
		return;
	}
	drain_summary_expect(slot, drain_summary_current(slot->master));
	spawn(slot);
}

void
slot_drain_queue(struct master *master, uint32_t number)
{
	struct slot *slot = &master->workers.slots[number];
	prepare(master, slot);
	slot->state = SLOT_DRAINING;
	retire_sockets(slot);
	spawn(slot);
}

void
slot_on_ready(struct process *process)
{
	struct master *master = process->master;
	struct slot *slot = &master->workers.slots[process->slot];
	if (slot->successor == process) {
		reload_on_ready(master);
		return;
	}
	if (slot->process != process || slot->state == SLOT_DRAINING)
		return;
	slot->state = SLOT_SERVING;
	worker_drain_queue_taken_over(process);
	reuseport_update(master);
	if (master->workers.phase == MASTER_RUNNING)
		log_info(
		    "worker %u serves (process %d)", process->slot, (int)process->pid);
	else if (master->workers.phase == MASTER_STARTING)
		finish_start(master);
	worker_drain_find_receivers(master);
	scale_on_slot_change(master);
	service_manager_status(master);
}

/* No worker has ever come up: there is nothing to wait for. */
static bool
start_has_failed(const struct master *master)
{
	if (master->workers.phase != MASTER_STARTING)
		return false;
	for (uint32_t i = 0; i < master->workers.slot_count; i++) {
		const struct slot *slot = &master->workers.slots[i];
		if (slot->state != SLOT_BACKING_OFF && !is_in_crash_loop(slot))
			return false;
	}
	return true;
}

static void
on_died(struct slot *slot, const struct process *process)
{
	struct master *master = slot->master;
	if (process->is_ready && clock_now_ns() - process->started_ns >= QUIET_NS)
		slot->failures = 0;
	slot->failures++;
	back_off(slot);
	if (start_has_failed(master))
		give_up_start(master);
}

/* A slot that is being emptied needs somebody until its queue is empty. */
static bool
must_be_replaced(
    const struct slot *slot, const struct process *process, bool exit_was_requested)
{
	if (slot->process != process || slot->master->workers.phase == MASTER_STOPPING)
		return false;
	return slot->state == SLOT_DRAINING ? !process->listeners_closed
					    : !exit_was_requested;
}

void
slot_on_exit(struct process *process, int status)
{
	struct master *master = process->master;
	struct slot *slot = &master->workers.slots[process->slot];
	bool exit_was_requested = process->is_draining && WIFEXITED(status);
	bool needs_replacement = must_be_replaced(slot, process, exit_was_requested);
	if (needs_replacement ||
	    (!exit_was_requested && master->workers.phase != MASTER_STOPPING)) {
		char text[64];
		process_format_status(status, text, sizeof(text));
		log_warnx("worker %u (process %d) died: %s", process->slot,
		    (int)process->pid, text);
	}
	if (slot->successor == process) {
		slot->successor = NULL;
		reload_on_successor_exit(master, process->slot);
	} else if (slot->process == process) {
		slot->process = NULL;
		if (needs_replacement) {
			drain_summary_expect(slot, process->drain_summary);
			on_died(slot, process);
		} else {
			slot->state = SLOT_EMPTY;
		}
	}
	if (!process->listeners_closed)
		worker_drain_replace(process);
}
