#include "master/workers/slot.h"

#include <sys/wait.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "master/listeners/reuseport.h"
#include "master/listeners/socket_activation.h"
#include "master/workers/drain_summary.h"
#include "master/workers/process.h"
#include "master/workers/worker_drain.h"

/* Delay before a worker is started again: doubled with each failure, up to a limit,
 * +-25 % so that slots do not retry in step; reset after a quiet time. */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LONGEST_MS 30000
#define QUIET_NS (10 * NS_PER_S)
/* As QUIET_NS, for a worker whose connections survive it: only deaths soon after the
 * start are a loop. */
#define RECOVERABLE_QUIET_NS (500 * NS_PER_MS)
/* A slot that failed this often in a row is in a crash loop. */
#define CRASH_LOOP 3

const char *const slot_state_names[] = { "empty", "starting", "serving", "draining",
	"backing_off" };

static uint32_t
slot_number(const struct slot *slot)
{
	return (uint32_t)(slot - slot->table->slots);
}

uint32_t
slot_count_in(const struct worker_table *table, enum slot_state state)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < table->slot_count; i++)
		count += table->slots[i].state == state;
	return count;
}

/* True after CRASH_LOOP failures in a row: new connections are no longer directed to
 * this slot. */
static bool
is_in_crash_loop(const struct slot *slot)
{
	return slot->state != SLOT_SERVING && slot->failures >= CRASH_LOOP;
}

uint32_t
slot_crash_looping(const struct worker_table *table)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < table->slot_count; i++)
		count += is_in_crash_loop(&table->slots[i]);
	return count;
}

void
slot_update_reuseport(const struct worker_table *table)
{
	bool takes_new[LEDGER_SLOTS];
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &table->slots[i];
		takes_new[i] = i < table->slot_count && !is_in_crash_loop(slot);
	}
	const struct listener_config *listeners = table->config->current.listeners;
	for (struct listener *e = table->listeners->first; e != NULL; e = e->next) {
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

static void
back_off(struct slot *slot)
{
	uint64_t ms = backoff_ms(slot->failures);
	if (slot->state != SLOT_DRAINING)
		slot->state = SLOT_BACKING_OFF;
	slot->process = NULL;
	if (ms > 0)
		log_warnx("[worker_back_off worker failures delay_ms] "
			  "worker %u: failure %u in a row: next start in %llu ms",
		    slot_number(slot), slot->failures, (unsigned long long)ms);
	if (slot->failures == CRASH_LOOP)
		log_errorx(
		    "[worker_crash_loop worker] "
		    "worker %u: crash loop: no new connections are directed to it",
		    slot_number(slot));
	struct timeval delay = clock_timeval(ms * NS_PER_MS);
	if (event_add(&slot->retry_timer, &delay) < 0)
		event_active(&slot->retry_timer, EV_TIMEOUT, 0);
}

static void
spawn(struct slot *slot)
{
	struct worker_table *table = slot->table;
	slot->process = process_start(
	    table, &table->config->current, table->generation, slot_number(slot));
	if (slot->process != NULL) {
		if (slot->state != SLOT_DRAINING) {
			slot->state = SLOT_STARTING;
			return;
		}
		drain_summary_attach(slot);
		worker_drain_start(slot->process, DRAIN_ALL_QUEUES);
		return;
	}
	log_warn(
	    "[worker_fork_failed worker] cannot fork worker %u", slot_number(slot));
	slot->failures++;
	back_off(slot);
	table->events->on_fork_failed(table->argument);
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
prepare(struct worker_table *table, struct slot *slot)
{
	if (slot->table != NULL)
		event_del(&slot->retry_timer);
	drain_summary_cancel(slot);
	slot->table = table;
	evtimer_assign(&slot->retry_timer, table->base, on_retry, slot);
}

void
slot_start(struct worker_table *table, uint32_t number)
{
	struct slot *slot = &table->slots[number];
	prepare(table, slot);
	slot->failures = 0;
	slot->state = SLOT_EMPTY;
	spawn(slot);
}

void
slot_resume(struct worker_table *table, uint32_t number)
{
	struct slot *slot = &table->slots[number];
	if (slot->failures == 0) {
		slot_start(table, number);
		return;
	}
	prepare(table, slot);
	back_off(slot);
}

void
slot_adopt(struct process *process)
{
	struct slot *slot = &process->table->slots[process->slot];
	prepare(process->table, slot);
	slot->process = process;
	slot->successor = NULL;
	if (process_is_draining(process))
		slot->state = SLOT_DRAINING;
	else
		slot->state = process->is_ready ? SLOT_SERVING : SLOT_STARTING;
}

void
slot_set_process(struct process *process)
{
	struct slot *slot = &process->table->slots[process->slot];
	slot_adopt(process);
	slot->failures = 0;
	if (slot->state == SLOT_SERVING)
		worker_drain_queue_taken_over(process);
}

void
slot_stop_retries(struct worker_table *table)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (table->slots[i].table != NULL)
			event_del(&table->slots[i].retry_timer);
	}
}

/* The service manager closes its copies of the slot's sockets. */
static void
forget_sockets(const struct slot *slot)
{
	for (struct listener *e = slot->table->listeners->first; e != NULL; e = e->next)
		socket_activation_forget_slot(e, slot_number(slot));
}

void
slot_drain(struct slot *slot)
{
	event_del(&slot->retry_timer);
	slot->state = SLOT_DRAINING;
	forget_sockets(slot);
	if (slot->process != NULL) {
		worker_drain_start(slot->process, DRAIN_ALL_QUEUES);
		return;
	}
	drain_summary_expect(slot, drain_summary_current(slot->table));
	spawn(slot);
}

void
slot_drain_queue(struct worker_table *table, uint32_t number)
{
	struct slot *slot = &table->slots[number];
	prepare(table, slot);
	slot->failures = 0;
	slot->state = SLOT_DRAINING;
	forget_sockets(slot);
	spawn(slot);
}

static void
close_slot(struct worker_table *table, uint32_t slot)
{
	for (struct listener *e = table->listeners->first; e != NULL; e = e->next) {
		if (e->fds[slot] >= 0)
			table->events->before_close(table->argument);
		listener_close_slot(e, slot);
	}
}

static void
close_slots(struct worker_table *table)
{
	for (uint32_t i = table->slot_count; i < LEDGER_SLOTS; i++) {
		struct slot *slot = &table->slots[i];
		struct process *last = slot->process;
		if (slot->successor != NULL || worker_drain_is_emptying(table, (int)i))
			continue;
		if (last != NULL && last->state == PROCESS_LISTENERS_CLOSED) {
			close_slot(table, i);
			last->state = PROCESS_SOCKETS_CLOSED;
		} else if (slot->state == SLOT_EMPTY) {
			close_slot(table, i);
		}
	}
}

void
slot_close_sockets(struct worker_table *table, bool is_reloading)
{
	if (table->phase != MASTER_RUNNING)
		return;
	if (!is_reloading) {
		close_slots(table);
		worker_drain_close_removed(table);
	}
	slot_update_reuseport(table);
}

void
slot_discard_listeners(struct worker_table *table)
{
	bool is_unused[LEDGER_SLOTS];
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		is_unused[i] =
		    i >= table->slot_count && table->slots[i].state == SLOT_EMPTY;
	listener_set_discard(table->listeners, is_unused);
	slot_update_reuseport(table);
}

bool
slot_on_ready(const struct process *process)
{
	struct slot *slot = &process->table->slots[process->slot];
	if (slot->process != process || slot->state == SLOT_DRAINING)
		return false;
	slot->state = SLOT_SERVING;
	return true;
}

bool
slot_start_has_failed(const struct worker_table *table)
{
	for (uint32_t i = 0; i < table->slot_count; i++) {
		const struct slot *slot = &table->slots[i];
		if (slot->state != SLOT_BACKING_OFF && !is_in_crash_loop(slot))
			return false;
	}
	return true;
}

static void
on_died(struct slot *slot, const struct process *process)
{
	uint64_t quiet_ns = process->keeper_pid > 0 ? RECOVERABLE_QUIET_NS : QUIET_NS;
	if (process->is_ready && clock_now_ns() - process->started_ns >= quiet_ns)
		slot->failures = 0;
	slot->failures++;
	back_off(slot);
}

/* A slot that is being removed needs a worker until its queues are empty. */
static bool
must_be_replaced(
    const struct slot *slot, const struct process *process, bool exit_was_requested)
{
	if (slot->process != process || slot->table->phase == MASTER_STOPPING)
		return false;
	return slot->state == SLOT_DRAINING
	    ? process->exit_state < PROCESS_LISTENERS_CLOSED
	    : !exit_was_requested;
}

enum slot_exit
slot_on_exit(struct process *process, int status)
{
	struct worker_table *table = process->table;
	struct slot *slot = &table->slots[process->slot];
	bool exit_was_requested =
	    process->exit_state != PROCESS_ACTIVE && WIFEXITED(status);
	bool needs_replacement = must_be_replaced(slot, process, exit_was_requested);
	if (needs_replacement ||
	    (!exit_was_requested && table->phase != MASTER_STOPPING)) {
		char text[96];
		process_format_status(status, text, sizeof(text));
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
		    resources_oom_killed())
			strcat(text, ": out of memory");
		log_warnx("[worker_died worker worker_pid reason] "
			  "worker %u (pid %d): died: %s",
		    process->slot, (int)process->pid, text);
	}
	if (slot->successor == process) {
		slot->successor = NULL;
		return SLOT_EXIT_SUCCESSOR;
	}
	if (slot->process != process)
		return SLOT_EXIT_OTHER;
	slot->process = NULL;
	if (!needs_replacement) {
		slot->state = SLOT_EMPTY;
		return SLOT_EXIT_EMPTY;
	}
	drain_summary_expect(slot, process->drain_summary);
	on_died(slot, process);
	return SLOT_EXIT_BACK_OFF;
}
