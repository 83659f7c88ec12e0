#include "master/admin/fault_report.h"

#include <sys/socket.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "proto/faults/fault_record.h"

/* An address as configured needs no escapes, nor does the text of a fault. */
static void
write_listener(
    FILE *out, const struct listener_config *config, const struct ledger_totals *totals)
{
	char text[FAULT_TEXT_MAX];
	fprintf(out, "    { \"address\": \"%s\", \"run_time\": %s, \"faults\": [",
	    config->address_text, config->has_run_time_faults ? "true" : "false");
	for (size_t i = 0; i < config->fault_count; i++) {
		const struct fault *fault = &config->faults[i];
		fprintf(out,
		    "%s\n      { \"fault\": \"%s\", \"injected\": %" PRIu64 " }",
		    i == 0 ? "" : ",", fault_format(fault, text),
		    totals->faults[fault->kind]);
	}
	fprintf(out, "%s] }", config->fault_count > 0 ? "\n    " : "");
}

static void
write_listeners(FILE *out, const struct master *master)
{
	const struct config *config = &master->config.current;
	for (size_t i = 0; i < config->listener_count; i++) {
		struct ledger_totals totals = { 0 };
		for (const struct listener *e = master->listeners.first; e != NULL;
		     e = e->next) {
			struct ledger_totals one;
			char address[ADDRESS_TEXT_MAX];
			if (e->config_index != (int)i)
				continue;
			uint32_t number =
			    ledger_register_listener(master->workers.ledger,
				address_format(&e->address, address));
			ledger_sum_listener(master->workers.ledger, number, &one);
			for (int k = 0; k < FAULT_KIND_COUNT; k++)
				totals.faults[k] += one.faults[k];
		}
		fprintf(out, "%s", i == 0 ? "" : ",\n");
		write_listener(out, &config->listeners[i], &totals);
	}
}

static void
write_record(FILE *out, const struct fault_record *record, const struct ledger *ledger)
{
	char time[UNITS_TEXT_MAX], client[ADDRESS_TEXT_MAX] = "";
	char listener[LEDGER_NAME_MAX] = "";
	struct address_compact peer = { .port = record->peer_port,
		.family = record->peer_family };
	memcpy(peer.bytes, record->peer, sizeof(peer.bytes));
	if (peer.family == AF_INET || peer.family == AF_INET6)
		address_format_compact(&peer, client);
	if (record->listener < ledger_listener_count(ledger))
		ledger_listener_name(ledger, record->listener, listener);
	fprintf(out,
	    "    { \"time\": \"%s\", \"time_ns\": %" PRIu64
	    ", \"listener\": \"%s\", \"client\": \"%s\", \"connected_ns\": %" PRIu64
	    ", \"kind\": \"%s\", \"message\": %" PRIu64 ", \"offset\": %" PRIu64
	    ", \"length\": %" PRIu64,
	    units_format_time(record->time_ns, 6, time), record->time_ns & INT64_MAX,
	    listener, client, record->connected_ns & INT64_MAX,
	    fault_kinds[record->kind].name, record->message & INT64_MAX,
	    record->offset & INT64_MAX, record->length & INT64_MAX);
	if (record->value <= INT64_MAX)
		fprintf(out, ", \"value\": %" PRIu64 " }", record->value);
	else
		fprintf(out, ", \"value\": null }"); /* for ever */
}

/* The record of all workers; NULL: empty, or out of memory. */
static struct fault_record *
read_record(const struct master *master, size_t *ret_count, uint64_t *ret_total)
{
	uint32_t *entries = calloc(LEDGER_WORKERS_MAX, sizeof(*entries));
	struct fault_record *list = NULL;
	size_t count = 0;
	for (const struct process *p = master->workers.processes;
	     entries != NULL && p != NULL && count < LEDGER_WORKERS_MAX; p = p->next)
		entries[count++] = p->ledger_entry;
	if (entries != NULL && master->workers.fault_records != NULL)
		list = fault_records_read(master->workers.fault_records, entries, count,
		    ret_count, ret_total);
	free(entries);
	return list;
}

static void
write_report(FILE *out, const struct master *master, uint64_t record_max)
{
	struct ledger_totals totals;
	size_t count = 0;
	uint64_t total = 0;
	struct fault_record *list = read_record(master, &count, &total);
	size_t first = count > record_max ? count - (size_t)record_max : 0;
	ledger_sum(master->workers.ledger, &totals);
	fprintf(out,
	    "{\n  \"fault_seed\": %" PRIu64 ",\n  \"now_ns\": %" PRIu64
	    ",\n  \"injected\": {",
	    master->config.current.fault_seed, clock_realtime_ns());
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		fprintf(out, "%s \"%s\": %" PRIu64, i == 0 ? "" : ",",
		    fault_kinds[i].name, totals.faults[i]);
	fprintf(out, " },\n  \"listeners\": [\n");
	write_listeners(out, master);
	fprintf(out,
	    "\n  ],\n  \"recorded\": %" PRIu64 ",\n  \"kept\": %zu,\n  \"record\": [",
	    total, count);
	for (size_t i = first; i < count; i++) {
		fprintf(out, "%s\n", i == first ? "" : ",");
		write_record(out, &list[i], master->workers.ledger);
	}
	fprintf(out, "%s]\n}", count > first ? "\n  " : "");
	free(list);
}

char *
fault_report_format(const struct master *master, uint64_t record_max)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	write_report(out, master, record_max);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
