#include "master/admin/metrics_ledger.h"

#include <inttypes.h>
#include <string.h>

#include "lib/prometheus.h"

#include "master/admin/stats.h"

static bool
has_counted(const struct ledger_totals *totals)
{
	return totals->counters[LEDGER_CONNECTIONS_ACCEPTED] > 0 ||
	    totals->counters[LEDGER_CONNECTIONS_MOVED_IN] > 0;
}

/* One pass over the books, and not one for each slot. */
void
metrics_ledger_read(const struct master *master, struct metrics_ledger *ret)
{
	const struct ledger *ledger = master->workers.ledger;
	memset(ret, 0, sizeof(*ret));
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		ledger_add_block(&ret->workers[i], &ledger->retired[i]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		const struct worker_ledger *worker_ledger = &ledger->live[i];
		uint64_t owner = atomic_load(&worker_ledger->own.owner);
		if (owner > 0 && owner <= LEDGER_SLOTS)
			ledger_add_worker(
			    &ret->workers[owner - 1], ledger, worker_ledger);
	}
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->workers.slots[i];
		ret->is_shown[i] = i < master->workers.slot_count ||
		    slot->state != SLOT_EMPTY || slot->restarts > 0 ||
		    has_counted(&ret->workers[i]);
	}
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++)
		ledger_sum_listener(ledger, i, &ret->listeners[i]);
}

static void
write_by_worker(FILE *out, const struct metrics_ledger *view)
{
	for (int c = 0; c < LEDGER_COUNTER_COUNT; c++) {
		enum ledger_counter counter = (enum ledger_counter)c;
		char name[80];
		snprintf(name, sizeof(name), METRICS_PREFIX "%s_total",
		    ledger_counter_name(counter));
		prometheus_family(out, name, "counter", ledger_counter_help(counter));
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (view->is_shown[i])
				fprintf(out, "%s{worker=\"%u\"} %" PRIu64 "\n", name, i,
				    view->workers[i].counters[c]);
		}
	}
}

static void
write_closed_by_worker(FILE *out, const struct metrics_ledger *view)
{
	prometheus_family(out, METRICS_PREFIX "connections_closed_total", "counter",
	    "connections that have ended, by the reason of their end");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		for (int r = 0; view->is_shown[i] && r < CLOSE_REASON_COUNT; r++)
			fprintf(out,
			    METRICS_PREFIX
			    "connections_closed_total{worker=\"%u\",reason=\"%s\"} %" PRIu64
			    "\n",
			    i, close_reason_name((enum close_reason)r),
			    view->workers[i].closed[r]);
	}
}

static void
write_open_by_worker(
    FILE *out, const struct master *master, const struct metrics_ledger *view)
{
	uint64_t sum = 0, most = 0;
	prometheus_family(out, METRICS_PREFIX "connections_open", "gauge",
	    "connections that are open now");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		uint64_t open = stats_slot_open(&view->workers[i]);
		if (view->is_shown[i])
			fprintf(out,
			    METRICS_PREFIX "connections_open{worker=\"%u\"} %" PRIu64
					   "\n",
			    i, open);
		if (i < master->workers.slot_count) {
			sum += open;
			most = open > most ? open : most;
		}
	}
	prometheus_gauge(out, METRICS_PREFIX "connections_imbalance_ratio",
	    "open connections of the worker that has most over the mean of all; 1 is even",
	    sum == 0 ? 1 : (double)most * master->workers.slot_count / (double)sum);
}

static void
write_by_listener(
    FILE *out, const struct ledger *ledger, const struct metrics_ledger *view)
{
	for (int c = 0; c < LEDGER_COUNTER_COUNT; c++) {
		enum ledger_counter counter = (enum ledger_counter)c;
		char name[80], help[256], address[LEDGER_NAME_MAX];
		if (!ledger_counter_is_per_listener(counter))
			continue;
		snprintf(name, sizeof(name), METRICS_PREFIX "listener_%s_total",
		    ledger_counter_name(counter));
		snprintf(help, sizeof(help), "by listener: %s",
		    ledger_counter_help(counter));
		prometheus_family(out, name, "counter", help);
		for (uint32_t i = 0; i < ledger_listener_count(ledger); i++)
			fprintf(out, "%s{listener=\"%s\"} %" PRIu64 "\n", name,
			    ledger_listener_name(ledger, i, address),
			    view->listeners[i].counters[c]);
	}
}

static void
write_closed_by_listener(
    FILE *out, const struct ledger *ledger, const struct metrics_ledger *view)
{
	char address[LEDGER_NAME_MAX];
	prometheus_family(out, METRICS_PREFIX "listener_connections_closed_total",
	    "counter",
	    "by listener: connections that have ended, by the reason of their end");
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++) {
		for (int r = 0; r < CLOSE_REASON_COUNT; r++)
			fprintf(out,
			    METRICS_PREFIX
			    "listener_connections_closed_total{listener=\"%s\",reason=\"%s\"} %" PRIu64
			    "\n",
			    ledger_listener_name(ledger, i, address),
			    close_reason_name((enum close_reason)r),
			    view->listeners[i].closed[r]);
	}
}

static void
write_open_by_listener(FILE *out, const struct ledger *ledger)
{
	char address[LEDGER_NAME_MAX];
	prometheus_family(out, METRICS_PREFIX "listener_connections_open", "gauge",
	    "by listener: connections that are open now");
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++)
		fprintf(out,
		    METRICS_PREFIX "listener_connections_open{listener=\"%s\"} %" PRIu64
				   "\n",
		    ledger_listener_name(ledger, i, address),
		    ledger_open_by_listener(ledger, i));
}

void
metrics_ledger_write(
    FILE *out, const struct master *master, const struct metrics_ledger *view)
{
	write_by_worker(out, view);
	write_closed_by_worker(out, view);
	write_open_by_worker(out, master, view);
	write_by_listener(out, master->workers.ledger, view);
	write_closed_by_listener(out, master->workers.ledger, view);
	write_open_by_listener(out, master->workers.ledger);
}
