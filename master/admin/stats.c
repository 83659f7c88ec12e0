#include "master/admin/stats.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/json/json_record.h"
#include "net/tls/tls_context.h"
#include "master/admin/snapshot.h"
#include "master/workers/slot.h"

#define LAYOUT (JSON_INDENT(2) | JSON_REAL_PRECISION(15))

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* The counters of a worker, of the server, or of a listener. */
static void
add_counters(json_t **object, const struct ledger_totals *totals, uint64_t open,
    bool of_listener)
{
	json_t *closed = json_object();
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		json_record_put(
		    &closed, close_reasons[i].name, number(totals->closed[i]));
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++) {
		enum ledger_counter counter = (enum ledger_counter)i;
		if (of_listener && !ledger_counter_is_per_listener(counter))
			continue;
		json_record_put(
		    object, ledger_counters[counter].name, number(totals->counters[i]));
		if (i != LEDGER_CONNECTIONS_ACCEPTED)
			continue;
		json_record_put(object, "connections_open", number(open));
		json_record_put(object, "connections_closed", closed);
	}
	json_t *faults = json_object();
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		json_record_put(
		    &faults, fault_kinds[i].name, number(totals->faults[i]));
	json_record_put(object, "faults_injected", faults);
}

static json_t *
make_totals(const struct snapshot *snapshot)
{
	json_t *object = json_object();
	add_counters(
	    &object, &snapshot->totals, ledger_open_total(&snapshot->totals), false);
	return object;
}

static json_t *
make_worker(const struct slot *slot, uint32_t i, const struct snapshot_worker *worker)
{
	const struct process *process = slot->process;
	json_t *object =
	    json_pack("{s:I, s:o, s:s, s:o, s:I, s:I}", "slot", (json_int_t)i, "pid",
		process != NULL ? json_integer(process->pid) : json_null(), "state",
		slot_state_names[slot->state], "generation",
		process != NULL ? json_integer(process->generation) : json_null(),
		"restarts", (json_int_t)slot->restarts, "failures",
		(json_int_t)slot->failures);
	json_record_put(&object, "handshakes_waiting", number(worker->handshakes));
	add_counters(&object, &worker->totals, worker->open, false);
	return object;
}

static json_t *
make_workers(const struct master *master, const struct snapshot *snapshot)
{
	const struct worker_table *table = &master->workers;
	json_t *array = json_array();
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (i < table->slot_count || table->slots[i].state != SLOT_EMPTY)
			json_record_append(&array,
			    make_worker(&table->slots[i], i, &snapshot->workers[i]));
	}
	return array;
}

static const char *
transport_of(const struct listener_config *config)
{
	if (address_is_unix(&config->address))
		return "unix";
	return config->address.is_mptcp ? "mptcp" : "tcp";
}

/* null without TLS. */
static json_t *
make_tls(const struct listener_config *config)
{
	const struct tls_context *context = config->tls.context;
	if (context == NULL)
		return json_null();
	json_t *rows = json_array();
	for (size_t i = 0; i < tls_context_certificate_count(context); i++) {
		const char *name;
		char fingerprint[TLS_SHA256_TEXT];
		const struct tls_certificate *certificate =
		    tls_context_certificate(context, i, &name);
		json_record_append(&rows,
		    json_pack("{s:s, s:s, s:s, s:I, s:s}", "name",
			name == NULL ? "" : name, "subject", certificate->subject,
			"issuer", certificate->issuer, "not_after",
			(json_int_t)certificate->not_after, "sha256",
			tls_sha256_format(certificate->sha256, fingerprint)));
	}
	json_t *tls = json_pack("{s:s, s:s, s:s, s:b}", "min_version",
	    tls_version_names[config->tls.min_version], "max_version",
	    tls_version_names[config->tls.max_version], "client_verify",
	    client_verify_names[config->tls.client_verify], "tickets",
	    config->tls.tickets);
	json_record_put(&tls, "certificates", rows);
	return tls;
}

/* The socket options that the configuration gives, and what the kernel has made of
 * them. */
static json_t *
make_options(const struct listener_config *config, const struct snapshot_queues *queues)
{
	json_t *object = json_object();
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++) {
		enum socket_option option = (enum socket_option)i;
		char given[SOCKET_OPTION_TEXT_MAX];
		if (!socket_option_is_given(&config->sockets, option))
			continue;
		socket_option_format(&config->sockets, option, given);
		json_record_put(&object, socket_option_name(option),
		    json_pack(
			"{s:s, s:s}", "given", given, "granted", queues->options[i]));
	}
	return object;
}

static json_t *
make_listener(const struct listener_config *config,
    const struct snapshot_queues *queues, const struct snapshot_listener *counts)
{
	uint64_t depth = 0, limit = 0;
	json_t *sockets = json_array();
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (queues->depth[i] == SNAPSHOT_NONE)
			continue;
		depth += queues->depth[i];
		limit += queues->limit[i];
		json_record_append(&sockets,
		    json_pack("{s:I, s:I, s:I}", "slot", (json_int_t)i, "queue_depth",
			(json_int_t)queues->depth[i], "queue_limit",
			(json_int_t)queues->limit[i]));
	}
	/* The kernel does not tell those of a Unix socket. */
	bool is_known = json_array_size(sockets) > 0;
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:o}",
	    "address", queues->name, "reply", config->reply_text, "framing",
	    framing_names[config->framing], "queue_depth",
	    is_known ? number(depth) : json_null(), "queue_limit",
	    is_known ? number(limit) : json_null(), "queue_overflows",
	    (json_int_t)queues->overflows, "queue_drops", (json_int_t)queues->drops,
	    "sockets", sockets);
	json_record_put(&object, "transport", json_string(transport_of(config)));
	json_record_put(&object, "tls", make_tls(config));
	json_record_put(&object, "socket_options", make_options(config, queues));
	add_counters(&object, &counts->totals, counts->open, true);
	return object;
}

static json_t *
make_listeners(const struct master *master, const struct snapshot *snapshot)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->queue_count; i++) {
		const struct snapshot_queues *queues = &snapshot->queues[i];
		uint32_t number =
		    ledger_register_listener(master->workers.ledger, queues->name);
		json_record_append(&array,
		    make_listener(&master->config.current.listeners[i], queues,
			&snapshot->listeners[number]));
	}
	return array;
}

static json_t *
make_kernel(const struct snapshot *snapshot)
{
	json_t *object = json_object();
	for (const struct snapshot_network_row *row = snapshot_network_rows;
	     row->name != NULL; row++)
		json_record_put(
		    &object, row->name, number(snapshot_network(snapshot, row)));
	return object;
}

static char *
write_and_free(json_t *value)
{
	char *text = value == NULL ? NULL : json_dumps(value, LAYOUT);
	json_decref(value);
	return text;
}

char *
stats_format(const struct master *master)
{
	static const char *const phases[] = { "starting", "running", "stopping" };
	const struct outcome *last = &master->changes.last;
	uint64_t uptime_ms = (clock_now_ns() - master->started_ns) / NS_PER_MS;
	struct snapshot *snapshot = snapshot_read(master);
	if (snapshot == NULL)
		return NULL;
	json_t *object = json_pack("{s:s, s:o, s:I, s:s, s:I, s:f, s:{s:I, s:b, s:o}}",
	    "version", YODEL_VERSION, "instance",
	    json_record_text(master->config.current.instance_name), "pid",
	    (json_int_t)getpid(), "state", phases[master->workers.phase], "generation",
	    (json_int_t)master->workers.generation, "uptime_s",
	    (double)uptime_ms / 1000, "last_change", "number", (json_int_t)last->number,
	    "ok", last->number == 0 || last->is_good, "text",
	    json_record_text(last->text));
	json_record_put(&object, "totals", make_totals(snapshot));
	json_record_put(&object, "workers", make_workers(master, snapshot));
	json_record_put(&object, "listeners", make_listeners(master, snapshot));
	json_record_put(&object, "kernel", make_kernel(snapshot));
	free(snapshot);
	return write_and_free(object);
}

char *
stats_format_workers(const struct master *master)
{
	struct snapshot *snapshot = snapshot_read(master);
	if (snapshot == NULL)
		return NULL;
	json_t *workers = make_workers(master, snapshot);
	free(snapshot);
	return write_and_free(json_pack("{s:o}", "workers", workers));
}
