#include "master/admin/history.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/json/json_record.h"
#include "lib/system/procfs.h"
#include "master/admin/capacity.h"
#include "master/master.h"
#include "master/workers/process.h"

#define STAT_MAX 512 /* bytes of /proc/PID/stat */

/* The CPU time of a process between the last two samples. */
struct cpu_use {
	pid_t pid; /* 0: none */
	uint64_t ticks, at_ns;
	double share; /* of one CPU */
};

struct history {
	struct cpu_use master, workers[LEDGER_SLOTS];
};

struct history *
history_create(void)
{
	return calloc(1, sizeof(struct history));
}

void
history_destroy(struct history *history)
{
	free(history);
}

/* User and system time in clock ticks (proc_pid_stat(5)); 0: not known. */
static uint64_t
read_ticks(pid_t pid)
{
	char path[64], text[STAT_MAX];
	unsigned long long user = 0, system = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	procfs_read(path, text, sizeof(text));
	/* The name of the program may contain anything. */
	const char *rest = strrchr(text, ')');
	if (rest == NULL ||
	    sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
		&user, &system) != 2)
		return 0;
	return user + system;
}

static void
measure_cpu(struct cpu_use *use, pid_t pid, uint64_t now_ns)
{
	struct cpu_use now = { .pid = pid, .at_ns = now_ns };
	if (pid > 0)
		now.ticks = read_ticks(pid);
	if (pid > 0 && pid == use->pid && now.ticks >= use->ticks &&
	    now_ns > use->at_ns)
		now.share = (double)(now.ticks - use->ticks) /
		    (double)sysconf(_SC_CLK_TCK) /
		    ((double)(now_ns - use->at_ns) / (double)NS_PER_S);
	*use = now;
}

static struct history_sample
take_sample(const struct master *master)
{
	struct ledger_totals totals;
	struct history_sample sample;
	ledger_sum(master->workers.ledger, &totals);
	sample = (struct history_sample){
		.open = ledger_open_total(&totals),
		.accepted = totals.counters[LEDGER_CONNECTIONS_ACCEPTED],
		.closed_by_peer = totals.closed[CLOSE_PEER_CLOSED],
		.messages = totals.counters[LEDGER_MESSAGES_RECEIVED],
		.replies = totals.counters[LEDGER_REPLIES_SENT],
		.bytes_received = totals.counters[LEDGER_BYTES_RECEIVED],
		.bytes_sent = totals.counters[LEDGER_BYTES_SENT],
	};
	sample.closed_otherwise = ledger_closed(&totals) - sample.closed_by_peer;
	for (const struct listener *l = master->listeners.first; l != NULL; l = l->next)
		sample.queue_overflows += l->overflows.count;
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		sample.faults += totals.faults[i];
	return sample;
}

void
history_sample(struct master *master, struct history *history)
{
	uint64_t second = clock_realtime_ns() / NS_PER_S, now_ns = clock_now_ns();
	if (!history_ring_wants(&master->history_ring, second))
		return;
	struct history_sample sample = take_sample(master);
	sample.second = second;
	history_ring_add(&master->history_ring, &sample);
	measure_cpu(&history->master, getpid(), now_ns);
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct process *process = master->workers.slots[i].process;
		measure_cpu(&history->workers[i],
		    process != NULL && process->state != PROCESS_EXITED ? process->pid
									: 0,
		    now_ns);
	}
}

static json_t *
make_cpu(const struct history *history)
{
	json_t *workers = json_object();
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		char slot[16];
		if (history->workers[i].pid == 0)
			continue;
		snprintf(slot, sizeof(slot), "%u", i);
		json_record_put(&workers, slot, json_real(history->workers[i].share));
	}
	return json_pack(
	    "{s:f, s:o}", "master", history->master.share, "workers", workers);
}

static json_t *
make_log(const struct recent_log *recent)
{
	json_t *lines = json_array();
	const char *line;
	for (uint64_t i = 0; (line = recent_log_line(recent, i)) != NULL; i++)
		json_record_append(&lines, json_record_text(line));
	return lines;
}

static json_t *
make_limits(const struct master *master)
{
	struct capacity capacity;
	capacity_read(master, &capacity);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "connections",
	    (json_int_t)capacity.connections, "descriptors",
	    (json_int_t)capacity.descriptors, "memory_bytes",
	    (json_int_t)capacity.memory_bytes, "max_connections",
	    (json_int_t)master->config.current.limits.max_connections, "handshakes",
	    (json_int_t)master->config.current.limits.handshakes);
}

char *
history_format(
    const struct master *master, const struct history *history, uint64_t since)
{
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o}", "columns",
	    history_ring_columns(), "rows",
	    history_ring_rows(&master->history_ring, since), "cpu", make_cpu(history),
	    "log", make_log(&master->recent_log), "limits", make_limits(master));
	char *text = object == NULL
	    ? NULL
	    : json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(4));
	json_decref(object);
	return text;
}
