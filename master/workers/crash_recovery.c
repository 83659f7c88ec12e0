#include "master/workers/crash_recovery.h"

#include <sys/wait.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "master/workers/process.h"
#include "worker/worker.h"

/* True for a child of this process that belongs to no worker yet. */
static bool
is_unknown_child(const struct worker_table *table, pid_t pid)
{
	siginfo_t info;
	for (const struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->pid == pid || p->keeper_pid == pid)
			return false;
	}
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void
crash_recovery_on_keeper(struct process *process, uint64_t pid)
{
	/* Before READY the worker has read nothing from a peer: it can be trusted. */
	if (!process->is_ready && process->keeper_pid == 0 && pid <= INT_MAX &&
	    is_unknown_child(process->table, (pid_t)pid))
		process->keeper_pid = (pid_t)pid;
}

void
crash_recovery_prepare(struct process *process, int status)
{
	process->crash.worker_pid = process->pid;
	process->crash.receiver_pid = 0;
	process->crash.status = status;
	process->crash.died_ns = clock_now_ns();
	process->full_receivers = 0;
	process->needs_own_listeners = false;
}

void
crash_recovery_start(struct process *process)
{
	process->pid = process->keeper_pid;
	process->keeper_pid = 0;
	process->is_recovering = true;
	process->wants_receiver = true;
	/* It closes its copies of the listening sockets at once. */
	process->state = PROCESS_SOCKETS_CLOSED;
	const union sigval value = { .sival_int = resources_oom_killed() };
	if (sigqueue(process->pid, KEEPER_SIGNAL_RECOVER, value) < 0)
		log_warn("[keeper_signal_failed worker keeper_pid] "
			 "worker %u: cannot signal its keeper (pid %d)",
		    process->slot, (int)process->pid);
}

static const char *
format_death(int status, char *text, size_t size)
{
	if (!WIFSIGNALED(status)) {
		snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
		return text;
	}
	int number = WTERMSIG(status);
#ifdef __GLIBC__
	const char *name = sigabbrev_np(number);
	if (name != NULL) {
		snprintf(text, size, "killed by SIG%s", name);
		return text;
	}
#endif
	snprintf(text, size, "killed by signal %d", number);
	return text;
}

static void
log_result(const struct process *process)
{
	struct ledger_totals totals = { 0 };
	char death[64], by[32] = "";
	ledger_add_worker(&totals, process->table->ledger, process->ledger_entry);
	uint64_t count = totals.counters[LEDGER_CONNECTIONS_RECOVERED];
	totals.counters[LEDGER_CONNECTIONS_MOVED_IN] = process->moved_in;
	totals.counters[LEDGER_CONNECTIONS_MOVED_OUT] = process->moved_out;
	int64_t open = (int64_t)ledger_open(&totals);
	uint64_t lost =
	    totals.closed[CLOSE_WORKER_LOST] + totals.closed[CLOSE_CRASHED_TWICE];
	if (open > 0 && process->was_killed)
		lost += (uint64_t)open;
	if (process->crash.receiver_pid > 0 && count > 0)
		snprintf(
		    by, sizeof(by), " by pid %d", (int)process->crash.receiver_pid);
	log_warnx(
	    "[worker_recovered worker worker_pid reason connections_recovered _ "
	    "duration_ms _ connections_lost] "
	    "worker %u (pid %d): %s: %llu connection%s recovered in %.0f ms%s, %llu lost",
	    process->slot, (int)process->crash.worker_pid,
	    format_death(process->crash.status, death, sizeof(death)),
	    (unsigned long long)count, count == 1 ? "" : "s",
	    clock_elapsed_ms(process->crash.died_ns), by, (unsigned long long)lost);
}

static void
end_keeper(struct worker_table *table, pid_t pid)
{
	struct ending_keeper *ending = malloc(sizeof(*ending));
	kill(pid, KEEPER_SIGNAL_EXIT);
	if (ending == NULL)
		return;
	*ending = (struct ending_keeper){ .next = table->ending_keepers, .pid = pid };
	table->ending_keepers = ending;
}

static bool
forget_ending(struct worker_table *table, pid_t pid)
{
	struct ending_keeper **at = &table->ending_keepers;
	while (*at != NULL && (*at)->pid != pid)
		at = &(*at)->next;
	struct ending_keeper *ending = *at;
	if (ending == NULL)
		return false;
	*at = ending->next;
	free(ending);
	return true;
}

void
crash_recovery_end(struct process *process)
{
	if (process->is_recovering)
		log_result(process);
	else if (process->keeper_pid > 0)
		end_keeper(process->table, process->keeper_pid);
	process->keeper_pid = 0;
}

void
crash_recovery_on_child(struct worker_table *table, pid_t pid, int status)
{
	struct process *process = table->processes;
	char text[64];
	if (forget_ending(table, pid))
		return;
	while (process != NULL && process->keeper_pid != pid)
		process = process->next;
	if (process == NULL)
		return;
	process->keeper_pid = 0;
	process_format_status(status, text, sizeof(text));
	process->has_lost_keeper = true;
	log_warnx(
	    "[keeper_died worker worker_pid keeper_pid reason] "
	    "worker %u (pid %d): its keeper (pid %d) died: %s: replacing the worker",
	    process->slot, (int)process->pid, (int)pid, text);
}

void
crash_recovery_forget_all(struct worker_table *table)
{
	while (table->ending_keepers != NULL)
		forget_ending(table, table->ending_keepers->pid);
}
