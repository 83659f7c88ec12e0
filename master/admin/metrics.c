#include "master/admin/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/prometheus.h"
#include "master/admin/capacity.h"
#include "master/admin/snapshot.h"
#include "master/listeners/certificates.h"

#define PREFIX "yodeld_"

/* The rows of a snapshot that have one series each. */
struct dimension {
	const char *label;
	const void *rows; /* each begins with its name */
	size_t count, row_bytes;
};

/* One number of each row, or one for each name of name_value(0..), with a second label.
 */
struct metric {
	const char *name, *type, *help;
	size_t offset; /* in the row, of a uint64_t */
	const char *label;
	const char *(*name_value)(int value); /* NULL after the last one */
};

static void
write_metric(FILE *out, const struct dimension *by, const struct metric *metric)
{
	char name[96];
	snprintf(name, sizeof(name), PREFIX "%s", metric->name);
	prometheus_family(out, name, metric->type, metric->help);
	for (size_t i = 0; i < by->count; i++) {
		const char *row = (const char *)by->rows + i * by->row_bytes;
		const uint64_t *numbers = (const void *)(row + metric->offset);
		if (row[0] == '\0')
			continue;
		if (metric->label == NULL)
			fprintf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, by->label,
			    row, numbers[0]);
		for (int k = 0; metric->label != NULL && metric->name_value(k) != NULL;
		     k++) {
			if (numbers[k] != SNAPSHOT_NONE)
				fprintf(out, "%s{%s=\"%s\",%s=\"%s\"} %" PRIu64 "\n",
				    name, by->label, row, metric->label,
				    metric->name_value(k), numbers[k]);
		}
	}
}

static const char *
name_reason(int value)
{
	return value < CLOSE_REASON_COUNT ? close_reasons[value].name : NULL;
}

static const char *
name_fault(int value)
{
	return value < FAULT_KIND_COUNT ? fault_kinds[value].name : NULL;
}

static const char *
name_state(int value)
{
	return value < SNAPSHOT_STATES ? slot_state_names[value] : NULL;
}

static const char *
name_slot(int value)
{
	static char number[12];
	snprintf(number, sizeof(number), "%d", value);
	return value < LEDGER_SLOTS ? number : NULL;
}

static const struct metric worker_metrics[] = {
	{ "worker_state", "gauge", "1 for the state that the worker is in",
	    offsetof(struct snapshot_worker, is_in_state), "state", name_state },
	{ "worker_restarts_total", "counter",
	    "workers started in place of one that had died",
	    offsetof(struct snapshot_worker, restarts), NULL, NULL },
	{ "worker_failures", "gauge",
	    "consecutive failures; from the third on the worker gets no new connections until it serves again",
	    offsetof(struct snapshot_worker, failures), NULL, NULL },
	{ "connections_closed_total", "counter", "closed connections, by reason",
	    offsetof(struct snapshot_worker, totals.closed), "reason", name_reason },
	{ "faults_injected_total", "counter", "faults injected on purpose, by kind",
	    offsetof(struct snapshot_worker, totals.faults), "kind", name_fault },
	{ "connections_open", "gauge", "open connections",
	    offsetof(struct snapshot_worker, open), NULL, NULL },
	{ "handshakes_waiting", "gauge",
	    "connections that wait for their PROXY header or TLS handshake; handshakes_limit bounds them for each worker",
	    offsetof(struct snapshot_worker, handshakes), NULL, NULL },
	{ .name = NULL },
};

static const struct metric listener_metrics[] = {
	{ "listener_connections_closed_total", "counter",
	    "by listener: closed connections, by reason",
	    offsetof(struct snapshot_listener, totals.closed), "reason", name_reason },
	{ "listener_faults_injected_total", "counter",
	    "by listener: faults injected on purpose, by kind",
	    offsetof(struct snapshot_listener, totals.faults), "kind", name_fault },
	{ "listener_connections_open", "gauge", "by listener: open connections",
	    offsetof(struct snapshot_listener, open), NULL, NULL },
	{ .name = NULL },
};

static const struct metric queue_metrics[] = {
	{ "accept_queue_connections", "gauge",
	    "connections that wait in the accept queue",
	    offsetof(struct snapshot_queues, depth), "worker", name_slot },
	{ "accept_queue_limit_connections", "gauge",
	    "maximum length of the accept queue",
	    offsetof(struct snapshot_queues, limit), "worker", name_slot },
	{ "accept_queue_overflows_total", "counter",
	    "connections dropped because the accept queue was full",
	    offsetof(struct snapshot_queues, overflows), NULL, NULL },
	{ "accept_queue_drops_total", "counter",
	    "packets that the listening sockets dropped for any reason, also of handshakes that clients aborted, such as health checks; accept_queue_overflows_total counts full accept queues",
	    offsetof(struct snapshot_queues, drops), NULL, NULL },
	{ "accept_queue_wanted_connections", "gauge",
	    "the configured backlog, which the kernel limits to net.core.somaxconn",
	    offsetof(struct snapshot_queues, backlog), NULL, NULL },
	{ .name = NULL },
};

/* One family for each counter of the ledger; `totals` is its offset in a row. */
static void
write_counters(FILE *out, const struct dimension *by, size_t totals,
    const char *name_prefix, const char *help_prefix)
{
	for (int c = 0; c < LEDGER_COUNTER_COUNT; c++) {
		enum ledger_counter counter = (enum ledger_counter)c;
		char name[64], help[256];
		if (counter == LEDGER_RECOVERY_US ||
		    (name_prefix[0] != '\0' &&
			!ledger_counter_is_per_listener(counter)))
			continue;
		snprintf(name, sizeof(name), "%s%s_total", name_prefix,
		    ledger_counters[counter].name);
		snprintf(help, sizeof(help), "%s%s", help_prefix,
		    ledger_counters[counter].help);
		const struct metric metric = { name, "counter", help,
			totals + offsetof(struct ledger_totals, counters) +
			    (size_t)c * sizeof(uint64_t),
			NULL, NULL };
		write_metric(out, by, &metric);
	}
}

/* In the base unit of Prometheus. */
static void
write_recovery_seconds(FILE *out, const struct snapshot *snapshot)
{
	const char *name = PREFIX "recovery_seconds_total";
	prometheus_family(out, name, "counter",
	    "time from the death of a worker's process until its last connection was passed on, sum");
	for (int i = 0; i < LEDGER_SLOTS; i++) {
		const struct snapshot_worker *worker = &snapshot->workers[i];
		uint64_t us = worker->totals.counters[LEDGER_RECOVERY_US];
		if (worker->name[0] != '\0')
			fprintf(out, "%s{worker=\"%s\"} %.6f\n", name, worker->name,
			    (double)us / 1e6);
	}
}

static void
write_rows(FILE *out, const struct snapshot *snapshot)
{
	const struct dimension workers = { "worker", snapshot->workers, LEDGER_SLOTS,
		sizeof(snapshot->workers[0]) };
	const struct dimension listeners = { "listener", snapshot->listeners,
		LEDGER_LISTENERS, sizeof(snapshot->listeners[0]) };
	const struct dimension queues = { "listener", snapshot->queues,
		snapshot->queue_count, sizeof(snapshot->queues[0]) };
	write_counters(out, &workers, offsetof(struct snapshot_worker, totals), "", "");
	for (const struct metric *m = worker_metrics; m->name != NULL; m++)
		write_metric(out, &workers, m);
	write_recovery_seconds(out, snapshot);
	write_counters(out, &listeners, offsetof(struct snapshot_listener, totals),
	    "listener_", "by listener: ");
	for (const struct metric *m = listener_metrics; m->name != NULL; m++)
		write_metric(out, &listeners, m);
	for (const struct metric *m = queue_metrics; m->name != NULL; m++)
		write_metric(out, &queues, m);
	for (const struct snapshot_network_row *row = snapshot_network_rows;
	     row->name != NULL; row++) {
		char name[96];
		snprintf(name, sizeof(name), PREFIX "kernel_%s_total", row->name);
		prometheus_counter(
		    out, name, row->help, snapshot_network(snapshot, row));
	}
}

/* Connections of the fullest worker divided by the mean of all workers. */
static double
imbalance(const struct snapshot *snapshot, uint32_t slot_count)
{
	uint64_t sum = 0, most = 0;
	for (uint32_t i = 0; i < slot_count; i++) {
		uint64_t open = snapshot->workers[i].open;
		sum += open;
		most = open > most ? open : most;
	}
	return sum == 0 ? 1 : (double)most * slot_count / (double)sum;
}

static void
write_server(FILE *out, const struct master *master, const struct snapshot *snapshot)
{
	const struct worker_table *workers = &master->workers;
	const struct outcome *last = &master->changes.last;
	double now_s = (double)clock_realtime_ns() / 1e9;
	double uptime_s = (double)(clock_now_ns() - master->started_ns) / 1e9;
	prometheus_family(out, PREFIX "build_info", "gauge", "1, with the version");
	fprintf(out, PREFIX "build_info{version=\"%s\"} 1\n", YODEL_VERSION);
	prometheus_family(out, PREFIX "start_time_seconds", "gauge",
	    "when the server started, in seconds since 1970; an upgrade is not a start");
	fprintf(out, PREFIX "start_time_seconds %.3f\n", now_s - uptime_s);
	prometheus_gauge(out, PREFIX "generation",
	    "configuration generation, incremented by each successful reload or upgrade",
	    workers->generation);
	prometheus_counter(out, PREFIX "changes_total",
	    "finished reloads, upgrades, changes of size and rebalances, successful or not",
	    last->number);
	prometheus_gauge(out, PREFIX "last_change_success",
	    "0 if the last of them failed, else 1", last->number == 0 || last->is_good);
	prometheus_gauge(
	    out, PREFIX "workers", "configured number of workers", workers->slot_count);
	prometheus_gauge(out, PREFIX "workers_serving",
	    "workers that accept connections",
	    slot_count_in(&master->workers, SLOT_SERVING));
	prometheus_gauge(out, PREFIX "connections_imbalance_ratio",
	    "open connections of the fullest worker, divided by the mean of all workers; 1 is even",
	    imbalance(snapshot, workers->slot_count));
}

static void
write_capacity(FILE *out, const struct master *master)
{
	struct capacity capacity;
	capacity_read(master, &capacity);
	prometheus_gauge(out, PREFIX "connections_limit",
	    "maximum number of open connections", (double)capacity.connections);
	prometheus_gauge(out, PREFIX "handshakes_limit",
	    "maximum of handshakes_waiting for each worker (limits.handshakes)",
	    (double)master->config.current.limits.handshakes);
	prometheus_gauge(out, PREFIX "descriptors_limit",
	    "maximum number of descriptors of each process",
	    (double)capacity.descriptors);
	prometheus_gauge(out, PREFIX "kernel_somaxconn_connections",
	    "net.core.somaxconn; 0 if unknown", (double)capacity.somaxconn);
	prometheus_gauge(out, PREFIX "kernel_tcp_memory_limit_bytes",
	    "the third number of net.ipv4.tcp_mem, in bytes; 0 if unknown",
	    (double)capacity.tcp_memory_bytes);
	prometheus_gauge(out, PREFIX "kernel_tcp_migrate_req",
	    "net.ipv4.tcp_migrate_req: 1 if connections move from a closed accept queue to another",
	    (double)capacity.tcp_migrate_req);
}

static void
write_certificate(const struct listed_certificate *listed, void *argument)
{
	FILE *out = argument;
	/* Addresses and names have no characters to be escaped. */
	fprintf(out,
	    PREFIX "tls_certificate_expiry_timestamp_seconds{listener=\"%s\","
		   "name=\"%s\"} %lld\n",
	    listed->address, listed->name == NULL ? "" : listed->name,
	    (long long)listed->certificate->not_after);
}

static void
write_certificates(FILE *out, const struct master *master)
{
	prometheus_family(out, PREFIX "tls_certificate_expiry_timestamp_seconds",
	    "gauge",
	    "when the certificate of a listener expires, in seconds since 1970; name is that of the setting tls.sni, empty for the default certificate");
	certificates_visit(
	    &master->config.current, &master->listeners, write_certificate, out);
}

char *
metrics_format(const struct master *master)
{
	char *text = NULL;
	size_t size;
	struct snapshot *snapshot = snapshot_read(master);
	FILE *out = snapshot == NULL ? NULL : open_memstream(&text, &size);
	if (out != NULL) {
		write_server(out, master, snapshot);
		write_rows(out, snapshot);
		write_capacity(out, master);
		write_certificates(out, master);
	}
	free(snapshot);
	if (out == NULL || fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
