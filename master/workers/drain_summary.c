#include "master/workers/drain_summary.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"

struct drain_summary *
drain_summary_current(const struct worker_table *table)
{
	struct drain_summary *first = table->drain_summaries;
	return first != NULL && first->finished_ns == 0 ? first : NULL;
}

void
drain_summary_open(struct worker_table *table, const char *change, uint64_t request,
    uint64_t started_ns)
{
	struct drain_summary *summary = drain_summary_current(table);
	if (summary == NULL) {
		summary = calloc(1, sizeof(*summary));
		if (summary == NULL)
			return;
		summary->next = table->drain_summaries;
		table->drain_summaries = summary;
	}
	summary->change = change;
	summary->request = request;
	summary->started_ns = started_ns;
}

static void
read_worker_ledger(const struct process *process, struct ledger_totals *ret)
{
	*ret = (struct ledger_totals){ 0 };
	ledger_add_worker(ret, process->table->ledger, process->ledger_entry);
}

void
drain_summary_add(struct process *process)
{
	struct drain_summary *summary = drain_summary_current(process->table);
	struct ledger_totals totals;
	if (summary == NULL || process->drain_summary != NULL)
		return;
	read_worker_ledger(process, &totals);
	process->drain_summary = summary;
	process->closed_before = ledger_closed(&totals);
	process->moved_out_before = process->moved_out;
	summary->workers++;
}

uint32_t
drain_summary_workers(const struct drain_summary *summary)
{
	return summary->workers + summary->expected_workers;
}

void
drain_summary_inherit(struct process *process, struct drain_summary *summary)
{
	if (summary == NULL)
		return;
	process->drain_summary = summary;
	summary->workers++;
}

void
drain_summary_expect(struct slot *slot, struct drain_summary *summary)
{
	slot->drain_summary = summary;
	if (summary != NULL)
		summary->expected_workers++;
}

void
drain_summary_attach(struct slot *slot)
{
	if (slot->drain_summary == NULL)
		return;
	slot->drain_summary->expected_workers--;
	drain_summary_inherit(slot->process, slot->drain_summary);
	slot->drain_summary = NULL;
}

void
drain_summary_cancel(struct slot *slot)
{
	struct drain_summary *summary = slot->drain_summary;
	if (summary == NULL)
		return;
	slot->drain_summary = NULL;
	summary->expected_workers--;
	drain_summary_finish(slot->table, summary);
}

static void
forget(struct drain_summary *summary, struct worker_table *table)
{
	struct drain_summary **at = &table->drain_summaries;
	while (*at != summary)
		at = &(*at)->next;
	*at = summary->next;
	free(summary);
}

void
drain_summary_finish(struct worker_table *table, struct drain_summary *summary)
{
	char text[CONFIG_ERROR_MAX];
	if (summary->finished_ns == 0 ||
	    summary->exited_workers < drain_summary_workers(summary))
		return;
	summary->ended_ns = clock_now_ns();
	if (summary->workers > 0)
		log_info("[drained change result] %s: %s", summary->change,
		    drain_summary_format(summary, text, sizeof(text)));
	table->events->on_drained(summary, table->argument);
	forget(summary, table);
}

struct drain_summary *
drain_summary_close(
    struct worker_table *table, uint64_t request, bool is_good, const char *text)
{
	struct drain_summary *summary = drain_summary_current(table);
	if (summary == NULL || summary->request != request)
		return NULL;
	summary->finished_ns = clock_now_ns();
	summary->is_good = is_good;
	snprintf(summary->text, sizeof(summary->text), "%s", text);
	return summary;
}

/* A falsified ledger entry cannot claim more connections than a worker can have. */
static uint64_t
bounded(const struct process *process, uint64_t connections)
{
	uint64_t max = process->table->ledger->shared->connections_max;
	return connections < max ? connections : max;
}

void
drain_summary_on_process_released(struct process *process)
{
	struct drain_summary *summary = process->drain_summary;
	struct ledger_totals totals;
	if (summary == NULL)
		return;
	read_worker_ledger(process, &totals);
	totals.counters[LEDGER_CONNECTIONS_MOVED_IN] = process->moved_in;
	totals.counters[LEDGER_CONNECTIONS_MOVED_OUT] = process->moved_out;
	int64_t open = (int64_t)ledger_open(&totals);
	uint64_t forced =
	    totals.closed[CLOSE_DRAIN_TIMEOUT] + totals.closed[CLOSE_STOPPED];
	uint64_t drained = ledger_closed(&totals) - process->closed_before - forced;
	summary->moved += process->moved_out - process->moved_out_before;
	summary->forced += bounded(process, forced);
	summary->drained += bounded(process, drained);
	summary->lost += open > 0 ? bounded(process, (uint64_t)open) : 0;
	summary->died += process->was_killed || process->is_recovering;
	summary->exited_workers++;
	process->drain_summary = NULL;
	drain_summary_finish(process->table, summary);
}

void
drain_summary_destroy_all(struct worker_table *table)
{
	for (struct process *p = table->processes; p != NULL; p = p->next)
		p->drain_summary = NULL;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		table->slots[i].drain_summary = NULL;
	while (table->drain_summaries != NULL)
		forget(table->drain_summaries, table);
}

double
drain_summary_elapsed_ms(const struct drain_summary *summary)
{
	uint64_t end_ns = summary->ended_ns != 0 ? summary->ended_ns : clock_now_ns();
	return (double)(end_ns - summary->started_ns) / (double)NS_PER_MS;
}

static const char *
plural_suffix(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *
drain_summary_format(const struct drain_summary *summary, char *text, size_t size)
{
	uint32_t all = drain_summary_workers(summary);
	int n;
	if (summary->ended_ns != 0)
		n = snprintf(text, size, "%u worker%s exited within %.1f ms",
		    summary->workers, plural_suffix(summary->workers),
		    drain_summary_elapsed_ms(summary));
	else
		n = snprintf(text, size,
		    "%u of %u worker%s still draining after %.1f ms",
		    all - summary->exited_workers, all, plural_suffix(all),
		    drain_summary_elapsed_ms(summary));
	n += snprintf(text + n, size - (size_t)n,
	    ": %llu connection%s transferred, %llu drained, %llu forced",
	    (unsigned long long)summary->moved, plural_suffix(summary->moved),
	    (unsigned long long)summary->drained, (unsigned long long)summary->forced);
	if (summary->died > 0)
		snprintf(text + n, size - (size_t)n,
		    ", %llu lost with %u worker%s that died",
		    (unsigned long long)summary->lost, summary->died,
		    plural_suffix(summary->died));
	return text;
}
