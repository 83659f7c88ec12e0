#include "master/admin/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/prometheus.h"

#include "net/socket_info.h"

#include "master/admin/capacity.h"
#include "master/admin/metrics_ledger.h"
#include "master/workers/slot.h"

static void
write_workers(FILE *out, const struct master *master, const struct metrics_ledger *view)
{
	prometheus_gauge(out, METRICS_PREFIX "workers", "workers that are wanted",
	    master->workers.slot_count);
	prometheus_gauge(out, METRICS_PREFIX "workers_serving", "workers that serve",
	    slot_serving(&master->workers));
	prometheus_family(out, METRICS_PREFIX "worker_state", "gauge",
	    "1 for the state that the worker is in");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		for (int s = 0; view->is_shown[i] && s <= SLOT_BACKING_OFF; s++)
			fprintf(out,
			    METRICS_PREFIX
			    "worker_state{worker=\"%u\",state=\"%s\"} %d\n",
			    i, slot_state_names[s],
			    (int)master->workers.slots[i].state == s);
	}
	prometheus_family(out, METRICS_PREFIX "worker_restarts_total", "counter",
	    "times that a worker was put in the place of one that had died");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (view->is_shown[i])
			fprintf(out,
			    METRICS_PREFIX
			    "worker_restarts_total{worker=\"%u\"} %" PRIu64 "\n",
			    i, master->workers.slots[i].restarts);
	}
	prometheus_family(out, METRICS_PREFIX "worker_failures", "gauge",
	    "deaths in a row; from the third on the worker gets no new connections until one serves again");
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (view->is_shown[i])
			fprintf(out,
			    METRICS_PREFIX "worker_failures{worker=\"%u\"} %u\n", i,
			    master->workers.slots[i].failures);
	}
}

/* Several endpoints have one address where the service manager passed more sockets than
 * there are workers: they are one listener. */
static bool
is_first_of_listener(const struct master *master, const struct listener *listener)
{
	const struct listener *e = master->listeners.first;
	while (e->config_index != listener->config_index)
		e = e->next;
	return e == listener && e->config_index >= 0;
}

/* The queues that one worker has on a listener; false when it has none. */
static bool
sum_queues(const struct master *master, int config_index, uint32_t slot,
    struct accept_queue *ret)
{
	bool has_any = false;
	*ret = (struct accept_queue){ 0 };
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		struct accept_queue queue;
		if (e->config_index != config_index || e->fds[slot] < 0 ||
		    socket_info_read_queue(e->fds[slot], &queue) < 0)
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
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		char address[ADDRESS_TEXT_MAX];
		if (!is_first_of_listener(master, e))
			continue;
		address_format(&e->address, address);
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			struct accept_queue queue;
			if (sum_queues(master, e->config_index, i, &queue))
				fprintf(out, "%s{listener=\"%s\",worker=\"%u\"} %u\n",
				    name, address, i,
				    limits ? queue.limit : queue.depth);
		}
	}
}

static uint64_t
backlog_of(const struct master *master, int config_index)
{
	return master->config.current.listeners[config_index].backlog;
}

static uint64_t
drops_of(const struct master *master, int config_index)
{
	uint64_t drops = 0;
	for (const struct listener *e = master->listeners.first; e != NULL; e = e->next)
		drops += e->config_index == config_index ? listener_drops(e) : 0;
	return drops;
}

static void
write_of_listeners(FILE *out, const struct master *master, const char *name,
    uint64_t (*figure)(const struct master *master, int config_index))
{
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		char address[ADDRESS_TEXT_MAX];
		if (is_first_of_listener(master, e))
			fprintf(out, "%s{listener=\"%s\"} %" PRIu64 "\n", name,
			    address_format(&e->address, address),
			    figure(master, e->config_index));
	}
}

static void
write_kernel(FILE *out, const struct master *master)
{
	struct network_counters losses;
	socket_info_read_network_counters(&losses);
	prometheus_family(out, METRICS_PREFIX "accept_queue_connections", "gauge",
	    "connections that wait to be accepted");
	write_queues(out, master, METRICS_PREFIX "accept_queue_connections", false);
	prometheus_family(out, METRICS_PREFIX "accept_queue_limit_connections", "gauge",
	    "connections that may wait to be accepted");
	write_queues(
	    out, master, METRICS_PREFIX "accept_queue_limit_connections", true);
	prometheus_family(out, METRICS_PREFIX "accept_queue_drops_total", "counter",
	    "connections that the kernel dropped at the listener, for its queue was full or it is being emptied");
	write_of_listeners(
	    out, master, METRICS_PREFIX "accept_queue_drops_total", drops_of);
	prometheus_family(out, METRICS_PREFIX "accept_queue_wanted_connections",
	    "gauge",
	    "the backlog that was asked for; the kernel gives net.core.somaxconn at most");
	write_of_listeners(
	    out, master, METRICS_PREFIX "accept_queue_wanted_connections", backlog_of);
	prometheus_counter(out, METRICS_PREFIX "kernel_listen_overflows_total",
	    "connections that met a full accept queue, of the whole network namespace",
	    losses.listen_overflows);
	prometheus_counter(out, METRICS_PREFIX "kernel_listen_drops_total",
	    "connections that a listener could not take for whatever reason, of the whole network namespace",
	    losses.listen_drops);
	prometheus_counter(out, METRICS_PREFIX "kernel_syncookies_sent_total",
	    "SYN cookies sent, of the whole network namespace", losses.syncookies_sent);
	prometheus_counter(out, METRICS_PREFIX "kernel_retransmits_total",
	    "TCP segments sent again, of the whole network namespace",
	    losses.retransmits);
}

static void
write_capacity(FILE *out, const struct master *master)
{
	struct capacity capacity;
	capacity_read(master, &capacity);
	prometheus_gauge(out, METRICS_PREFIX "connections_limit",
	    "connections that can be open at a time", (double)capacity.connections);
	prometheus_gauge(out, METRICS_PREFIX "descriptors_limit",
	    "descriptors that each process may have", (double)capacity.descriptors);
	prometheus_gauge(out, METRICS_PREFIX "kernel_somaxconn_connections",
	    "net.core.somaxconn; 0: not known", (double)capacity.somaxconn);
	prometheus_gauge(out, METRICS_PREFIX "kernel_tcp_memory_limit_bytes",
	    "the third number of net.ipv4.tcp_mem; 0: not known",
	    (double)capacity.tcp_memory_bytes);
	prometheus_gauge(out, METRICS_PREFIX "kernel_tcp_migrate_req",
	    "net.ipv4.tcp_migrate_req: 1 when the queue of a closed socket moves on",
	    (double)capacity.tcp_migrate_req);
}

static double
start_time_s(const struct master *master)
{
	double now_s = (double)clock_realtime_ns() / 1e9;
	return now_s - (double)(clock_now_ns() - master->started_ns) / 1e9;
}

static void
write_server(FILE *out, const struct master *master)
{
	prometheus_family(
	    out, METRICS_PREFIX "build_info", "gauge", "1, with the version");
	fprintf(out, METRICS_PREFIX "build_info{version=\"%s\"} 1\n", YODEL_VERSION);
	prometheus_family(out, METRICS_PREFIX "start_time_seconds", "gauge",
	    "when the server began, in seconds since 1970; an upgrade is no beginning");
	fprintf(out, METRICS_PREFIX "start_time_seconds %.3f\n", start_time_s(master));
	prometheus_gauge(out, METRICS_PREFIX "generation",
	    "of the configuration and program that serve; each reload that succeeds makes one",
	    master->workers.generation);
	prometheus_counter(out, METRICS_PREFIX "changes_total",
	    "reloads, upgrades, changes of size and rebalances that have ended, well or not",
	    master->changes.last.number);
	prometheus_gauge(out, METRICS_PREFIX "last_change_success",
	    "1 unless the last of them has failed",
	    master->changes.last.number == 0 || master->changes.last.is_good);
}

char *
metrics_format(const struct master *master)
{
	char *text = NULL;
	size_t size;
	struct metrics_ledger *view = calloc(1, sizeof(*view));
	FILE *out = view == NULL ? NULL : open_memstream(&text, &size);
	if (out == NULL) {
		free(view);
		return NULL;
	}
	metrics_ledger_read(master, view);
	write_server(out, master);
	write_workers(out, master, view);
	metrics_ledger_write(out, master, view);
	write_kernel(out, master);
	write_capacity(out, master);
	free(view);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
