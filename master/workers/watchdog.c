#include "master/workers/watchdog.h"

#include <signal.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/system/procfs.h"

/* A worker that is not ready by then is hung, unless timeouts.hung is shorter. */
#define START_LIMIT_NS (15 * NS_PER_S)
/* From SIGABRT to SIGKILL. */
#define ABORT_GRACE_NS (2 * NS_PER_S)
/* The master itself has been stopped if it was away for so long. */
#define STALL_NS (750 * NS_PER_MS)
/* Checks in a row that find a claim impossible. */
#define FALSE_CLAIMS 3

/* How long a worker may be silent; 0: no limit. */
static uint64_t
hang_limit_ns(const struct process *process)
{
	uint64_t limit_ns = process->table->config->current.timeouts.hung_ns;
	if (!process->is_ready && limit_ns > START_LIMIT_NS)
		return START_LIMIT_NS;
	return limit_ns;
}

static void
abort_process(struct process *process, uint64_t now_ns, uint64_t silent_ns)
{
	log_errorx(
	    "[worker_hung worker worker_pid silent_ms _] "
	    "worker %u (pid %d): hung: its event loop has not run for %llu ms%s: sending SIGABRT",
	    process->slot, (int)process->pid,
	    (unsigned long long)(silent_ns / NS_PER_MS),
	    process->is_ready ? "" : " since it was started");
	process->abort_ns = now_ns;
	kill(process->pid, SIGABRT);
}

static bool
check_process(struct process *process, uint64_t now_ns, uint64_t watchdog_ns)
{
	uint64_t limit_ns = hang_limit_ns(process);
	const struct worker_ledger *worker_ledger =
	    ledger_entry(process->table->ledger, process->ledger_entry);
	uint64_t heartbeat_count = atomic_load_explicit(
	    &worker_ledger->own.heartbeat_count, memory_order_relaxed);
	if (heartbeat_count != process->heartbeat_count) {
		process->heartbeat_count = heartbeat_count;
		process->heartbeat_ns = now_ns;
		return true;
	}
	uint64_t silent_ns = now_ns - process->heartbeat_ns;
	if (limit_ns == 0 || silent_ns < limit_ns)
		return watchdog_ns == 0 || silent_ns < watchdog_ns;
	if (process->abort_ns == 0)
		abort_process(process, now_ns, silent_ns);
	else if (now_ns - process->abort_ns >= ABORT_GRACE_NS)
		kill(process->pid, SIGKILL);
	return false;
}

/* A worker that claims more connections than it can have has a corrupted ledger entry:
 * its claim counts against limits.max_connections of all workers. A connection is a
 * descriptor, so that a claim is wrong if it is beyond these by far, and repeatedly:
 * both numbers change while they are read. */
static void
check_claim(struct process *process)
{
	const struct ledger *ledger = process->table->ledger;
	const uint64_t slack = 64;
	uint64_t open = open_count_decode(
	    open_count_load(&ledger_entry(ledger, process->ledger_entry)->open.total))
			    .connections;
	uint64_t descriptors = procfs_descriptors(process->pid);
	bool is_possible = open <= ledger->shared->connections_max &&
	    (descriptors == 0 || open <= 2 * descriptors + slack);
	process->false_claims = is_possible ? 0 : process->false_claims + 1;
	if (process->false_claims < FALSE_CLAIMS)
		return;
	log_errorx(
	    "[worker_counters_corrupted worker worker_pid connections descriptors] "
	    "worker %u (pid %d): corrupted counters: it reports %llu open connections, but has %llu descriptors: sending SIGKILL",
	    process->slot, (int)process->pid, (unsigned long long)open,
	    (unsigned long long)descriptors);
	kill(process->pid, SIGKILL);
}

/* Time in which the master itself was stopped (SIGSTOP, a frozen container) does not
 * count: the workers may have been stopped with it. */
static void
exclude_own_absence(struct worker_table *table, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - table->last_watch_ns;
	bool was_stalled = since_ns > STALL_NS;
	table->last_watch_ns = now_ns;
	for (struct process *p = table->processes; was_stalled && p != NULL;
	     p = p->next) {
		p->heartbeat_ns += since_ns < now_ns - p->heartbeat_ns
		    ? since_ns
		    : now_ns - p->heartbeat_ns;
		if (p->abort_ns != 0)
			p->abort_ns = now_ns;
	}
}

bool
watchdog_check(struct worker_table *table, uint64_t now_ns, uint64_t limit_ns)
{
	bool all_responsive = true;
	exclude_own_absence(table, now_ns);
	for (struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->state == PROCESS_EXITED || p->is_recovering)
			continue;
		all_responsive &= check_process(p, now_ns, limit_ns);
		check_claim(p);
	}
	return all_responsive;
}
