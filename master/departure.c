#include "master/departure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

#include "master/waiting.h"

/* It is the first, and has no outcome yet. */
struct departure *
departure_open(const struct master *master)
{
	struct departure *first = master->departures;
	return first != NULL && first->served_ns == 0 ? first : NULL;
}

void
departure_begin(struct master *master, const char *change, uint64_t started_ns)
{
	struct departure *departure = departure_open(master);
	if (departure == NULL) {
		departure = calloc(1, sizeof(*departure));
		if (departure == NULL)
			return;
		departure->next = master->departures;
		master->departures = departure;
	}
	departure->change = change;
	departure->started_ns = started_ns;
}

static void
read_books(const struct process *process, struct ledger_totals *ret)
{
	*ret = (struct ledger_totals){ 0 };
	ledger_add_worker(ret, process->master->ledger, process->worker_ledger);
}

void
departure_add(struct process *process)
{
	struct departure *departure = departure_open(process->master);
	struct ledger_totals totals;
	if (departure == NULL || process->departure != NULL)
		return;
	read_books(process, &totals);
	process->departure = departure;
	process->closed_before = ledger_closed(&totals);
	process->moved_out_before = process->moved_out;
	departure->workers++;
}

uint32_t
departure_workers(const struct departure *departure)
{
	return departure->workers + departure->awaited;
}

void
departure_join(struct process *process, struct departure *departure)
{
	if (departure == NULL)
		return;
	process->departure = departure;
	departure->workers++;
}

void
departure_await(struct slot *slot, struct departure *departure)
{
	slot->departure = departure;
	if (departure != NULL)
		departure->awaited++;
}

void
departure_follow(struct slot *slot)
{
	if (slot->departure == NULL)
		return;
	slot->departure->awaited--;
	departure_join(slot->process, slot->departure);
	slot->departure = NULL;
}

void
departure_let_go(struct slot *slot)
{
	struct departure *departure = slot->departure;
	if (departure == NULL)
		return;
	slot->departure = NULL;
	departure->awaited--;
	departure_settle(slot->master, departure);
}

static void
forget(struct departure *departure, struct master *master)
{
	struct departure **at = &master->departures;
	while (*at != departure)
		at = &(*at)->next;
	*at = departure->next;
	free(departure);
}

void
departure_settle(struct master *master, struct departure *departure)
{
	char text[CONFIG_ERROR_MAX];
	if (departure->served_ns == 0 || departure->gone < departure_workers(departure))
		return;
	departure->ended_ns = master_now_ns();
	if (departure->workers > 0)
		log_info("%s: %s", departure->change,
		    departure_describe(departure, text, sizeof(text)));
	waiting_on_departed(master, departure);
	forget(departure, master);
}

struct departure *
departure_seal(struct master *master)
{
	struct departure *departure = departure_open(master);
	const char *text = master->outcome.text;
	if (departure == NULL ||
	    strncmp(text, departure->change, strlen(departure->change)) != 0)
		return NULL;
	departure->served_ns = master_now_ns();
	departure->is_good = master->outcome.is_good;
	snprintf(departure->text, sizeof(departure->text), "%s", text);
	return departure;
}

void
departure_on_buried(struct process *process)
{
	struct departure *departure = process->departure;
	struct ledger_totals totals;
	if (departure == NULL)
		return;
	read_books(process, &totals);
	totals.counters[LEDGER_CONNECTIONS_MOVED_IN] = process->moved_in;
	totals.counters[LEDGER_CONNECTIONS_MOVED_OUT] = process->moved_out;
	int64_t open = (int64_t)ledger_open(&totals);
	uint64_t forced =
	    totals.closed[CLOSE_DRAIN_TIMEOUT] + totals.closed[CLOSE_STOPPED];
	departure->moved += process->moved_out - process->moved_out_before;
	departure->forced += forced;
	departure->drained += ledger_closed(&totals) - process->closed_before - forced;
	departure->lost += open > 0 ? (uint64_t)open : 0;
	departure->died += process->has_died;
	departure->gone++;
	process->departure = NULL;
	departure_settle(process->master, departure);
}

void
departure_forget_all(struct master *master)
{
	for (struct process *p = master->processes; p != NULL; p = p->next)
		p->departure = NULL;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		master->slots[i].departure = NULL;
	while (master->departures != NULL)
		forget(master->departures, master);
}

double
departure_ms(const struct departure *departure)
{
	uint64_t end_ns =
	    departure->ended_ns != 0 ? departure->ended_ns : master_now_ns();
	return (double)(end_ns - departure->started_ns) / (double)NS_PER_MS;
}

static const char *
ending(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *
departure_describe(const struct departure *departure, char *text, size_t size)
{
	uint32_t all = departure_workers(departure);
	uint32_t left = all - departure->gone;
	int n;
	if (departure->ended_ns != 0)
		n = snprintf(text, size, "%u worker%s left within %.1f ms",
		    departure->workers, ending(departure->workers),
		    departure_ms(departure));
	else
		n = snprintf(text, size,
		    "%u of %u worker%s still leave%s after %.1f ms", left, all,
		    ending(all), left == 1 ? "s" : "", departure_ms(departure));
	n += snprintf(text + n, size - (size_t)n,
	    ": %llu connection%s handed over, %llu drained, %llu forced",
	    (unsigned long long)departure->moved, ending(departure->moved),
	    (unsigned long long)departure->drained,
	    (unsigned long long)departure->forced);
	if (departure->died > 0)
		snprintf(text + n, size - (size_t)n, ", %llu lost with %u that died",
		    (unsigned long long)departure->lost, departure->died);
	return text;
}
