#include "master/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "master/capacity.h"
#include "master/kernel.h"
#include "master/slot.h"
#include "master/stats.h"

#define PREFIX "yodeld_"

static void
begin(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help,
	    name, type);
}

static void
write_gauge(FILE *out, const char *name, const char *help, double value)
{
	begin(out, name, "gauge", help);
	fprintf(out, PREFIX "%s %.15g\n", name, value);
}

static void
write_total(FILE *out, const char *name, const char *help, uint64_t value)
{
	begin(out, name, "counter", help);
	fprintf(out, PREFIX "%s %" PRIu64 "\n", name, value);
}

/* --- the ledger ---------------------------------------------------------------------
 */

static bool
has_counted(const struct ledger_totals *totals)
{
	return totals->counters[LEDGER_CONNECTIONS_ACCEPTED] > 0 ||
	    totals->counters[LEDGER_CONNECTIONS_MOVED_IN] > 0;
}

/* One sum for each slot, and which of them are shown. */
struct view {
	struct ledger_totals totals[LEDGER_SLOTS];
	bool is_shown[LEDGER_SLOTS];
};

/* One pass over the blocks, and not one for each slot. */
static void
look(const struct master *master, struct view *view)
{
	const struct ledger *ledger = master->ledger;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		ledger_add_block(&view->totals[i], &ledger->retired[i]);
	for (uint32_t i = 0; i < LEDGER_BLOCKS; i++) {
		uint64_t owner = atomic_load(&ledger->live[i].owner);
		if (owner > 0)
			ledger_add_block(&view->totals[owner - 1], &ledger->live[i]);
	}
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct slot *slot = &master->slots[i];
		view->is_shown[i] = i < master->slot_count ||
		    slot->state != SLOT_EMPTY || slot->restarts > 0 ||
		    has_counted(&view->totals[i]);
	}
}

static void
write_counters(FILE *out, const struct view *view)
{
	for (int c = 0; c < LEDGER_COUNTER_COUNT; c++) {
		enum ledger_counter counter = (enum ledger_counter)c;
		char name[64];
		snprintf(name, sizeof(name), "%s_total", ledger_counter_name(counter));
		begin(out, name, "counter", ledger_counter_help(counter));
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (view->is_shown[i])
				fprintf(out, PREFIX "%s{worker=\"%u\"} %" PRIu64 "\n",
				    name, i, view->totals[i].counters[c]);
		}
	}
}

static void
write_closed(FILE *out, const struct view *view)
{
	begin(out, "connections_closed_total", "counter",
	    "connections that have ended, by the reason of their end");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		for (int r = 0; view->is_shown[i] && r < CLOSE_REASON_COUNT; r++)
			fprintf(out,
			    PREFIX
			    "connections_closed_total{worker=\"%u\",reason=\"%s\"} "
			    "%" PRIu64 "\n",
			    i, close_reason_name((enum close_reason)r),
			    view->totals[i].closed[r]);
	}
}

static void
write_open(FILE *out, const struct master *master, const struct view *view)
{
	uint64_t sum = 0, most = 0;
	begin(out, "connections_open", "gauge", "connections that are open now");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		uint64_t open = stats_open_in_slot(&view->totals[i]);
		if (view->is_shown[i])
			fprintf(out,
			    PREFIX "connections_open{worker=\"%u\"} %" PRIu64 "\n", i,
			    open);
		if (i < master->slot_count) {
			sum += open;
			most = open > most ? open : most;
		}
	}
	write_gauge(out, "connections_imbalance_ratio",
	    "open connections of the worker that has most over the mean of all; 1 is "
	    "even",
	    sum == 0 ? 1 : (double)most * master->slot_count / (double)sum);
}

/* --- the workers --------------------------------------------------------------------
 */

static void
write_workers(FILE *out, const struct master *master, const struct view *view)
{
	write_gauge(out, "workers", "workers that are wanted", master->slot_count);
	write_gauge(out, "workers_serving", "workers that serve", slot_serving(master));
	begin(out, "worker_state", "gauge", "1 for the state that the worker is in");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		for (int s = 0; view->is_shown[i] && s <= SLOT_BACKING_OFF; s++)
			fprintf(out,
			    PREFIX "worker_state{worker=\"%u\",state=\"%s\"} %d\n", i,
			    slot_state_names[s], (int)master->slots[i].state == s);
	}
	begin(out, "worker_restarts_total", "counter",
	    "times that a worker was put in the place of one that had died");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (view->is_shown[i])
			fprintf(out,
			    PREFIX "worker_restarts_total{worker=\"%u\"} %" PRIu64 "\n",
			    i, master->slots[i].restarts);
	}
	begin(out, "worker_failures", "gauge",
	    "deaths in a row; from the third on the worker gets no new connections "
	    "until one serves again");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (view->is_shown[i])
			fprintf(out, PREFIX "worker_failures{worker=\"%u\"} %u\n", i,
			    master->slots[i].failures);
	}
}

/* --- the kernel ---------------------------------------------------------------------
 */

/* Several endpoints have one address where the service manager passed more sockets than
 * there are workers: they are one listener. */
static bool
is_first_of_listener(const struct master *master, const struct endpoint *endpoint)
{
	const struct endpoint *e = master->endpoints;
	while (e->listener != endpoint->listener)
		e = e->next;
	return e == endpoint && e->listener >= 0;
}

/* The queues that one worker has on a listener; false when it has none. */
static bool
sum_queues(
    const struct master *master, int listener, uint32_t slot, struct kernel_queue *ret)
{
	bool has_any = false;
	*ret = (struct kernel_queue){ 0 };
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		struct kernel_queue queue;
		if (e->listener != listener || e->fds[slot] < 0 ||
		    kernel_read_queue(e->fds[slot], &queue) < 0)
			continue;
		has_any = true;
		ret->depth += queue.depth;
		ret->limit += queue.limit;
	}
	return has_any;
}

static void
write_queues(FILE *out, const struct master *master, const char *name, bool limits)
{
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		char address[ADDRESS_TEXT_MAX];
		if (!is_first_of_listener(master, e))
			continue;
		address_format(&e->address, address);
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			struct kernel_queue queue;
			if (sum_queues(master, e->listener, i, &queue))
				fprintf(out,
				    PREFIX "%s{listener=\"%s\",worker=\"%u\"} %u\n",
				    name, address, i,
				    limits ? queue.limit : queue.depth);
		}
	}
}

static void
write_backlogs(FILE *out, const struct master *master)
{
	begin(out, "accept_queue_wanted_connections", "gauge",
	    "the backlog that was asked for; the kernel gives net.core.somaxconn at "
	    "most");
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		char address[ADDRESS_TEXT_MAX];
		if (is_first_of_listener(master, e))
			fprintf(out,
			    PREFIX
			    "accept_queue_wanted_connections{listener=\"%s\"} %u\n",
			    address_format(&e->address, address),
			    master->config.listeners[e->listener].backlog);
	}
}

static void
write_kernel(FILE *out, const struct master *master)
{
	struct kernel_losses losses;
	kernel_read_losses(&losses);
	begin(out, "accept_queue_connections", "gauge",
	    "connections that wait to be accepted");
	write_queues(out, master, "accept_queue_connections", false);
	begin(out, "accept_queue_limit_connections", "gauge",
	    "connections that may wait to be accepted");
	write_queues(out, master, "accept_queue_limit_connections", true);
	write_backlogs(out, master);
	write_total(out, "kernel_listen_overflows_total",
	    "connections that met a full accept queue, of the whole network namespace",
	    losses.listen_overflows);
	write_total(out, "kernel_listen_drops_total",
	    "connections that a listener could not take for whatever reason, of the "
	    "whole network namespace",
	    losses.listen_drops);
	write_total(out, "kernel_syncookies_sent_total",
	    "SYN cookies sent, of the whole network namespace", losses.syncookies_sent);
}

static void
write_capacity(FILE *out, const struct master *master)
{
	struct capacity capacity;
	capacity_read(master, &capacity);
	write_gauge(out, "connections_limit", "connections that can be open at a time",
	    (double)capacity.connections);
	write_gauge(out, "descriptors_limit", "descriptors that each process may have",
	    (double)capacity.descriptors);
	write_gauge(out, "kernel_somaxconn_connections",
	    "net.core.somaxconn; 0: not known", (double)capacity.somaxconn);
	write_gauge(out, "kernel_tcp_memory_limit_bytes",
	    "the third number of net.ipv4.tcp_mem; 0: not known",
	    (double)capacity.tcp_memory_bytes);
	write_gauge(out, "kernel_tcp_migrate_req",
	    "net.ipv4.tcp_migrate_req: 1 when the queue of a closed socket moves on",
	    (double)capacity.tcp_migrate_req);
}

/* --- whole --------------------------------------------------------------------------
 */

static double
start_time_s(const struct master *master)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	double now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return now_s - (double)(master_now_ns() - master->started_ns) / 1e9;
}

static void
write_server(FILE *out, const struct master *master)
{
	begin(out, "build_info", "gauge", "1, with the version");
	fprintf(out, PREFIX "build_info{version=\"%s\"} 1\n", YODEL_VERSION);
	begin(out, "start_time_seconds", "gauge",
	    "when the server began, in seconds since 1970; an upgrade is no beginning");
	fprintf(out, PREFIX "start_time_seconds %.3f\n", start_time_s(master));
	write_gauge(out, "generation",
	    "of the configuration and program; each reload tried makes one",
	    master->generation);
	write_total(out, "changes_total",
	    "reloads, upgrades and changes of size that have ended, well or not",
	    master->outcome.number);
	write_gauge(out, "last_change_success", "1 unless the last of them has failed",
	    master->outcome.number == 0 || master->outcome.is_good);
}

char *
metrics_write(const struct master *master)
{
	char *text = NULL;
	size_t size;
	struct view *view = calloc(1, sizeof(*view));
	FILE *out = view == NULL ? NULL : open_memstream(&text, &size);
	if (out == NULL) {
		free(view);
		return NULL;
	}
	look(master, view);
	write_server(out, master);
	write_workers(out, master, view);
	write_counters(out, view);
	write_closed(out, view);
	write_open(out, master, view);
	write_kernel(out, master);
	write_capacity(out, master);
	free(view);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
