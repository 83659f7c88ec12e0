#include "master/admin/stats.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/printable.h"

#include "net/socket_info.h"

#include "master/workers/drain_summary.h"
#include "master/workers/slot.h"

#define LAYOUT (JSON_INDENT(2) | JSON_REAL_PRECISION(15))

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* Puts a member into an object (owned), which becomes NULL where memory is short: an
 * answer is whole, or none. */
static void
put(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value) == 0)
		return;
	json_decref(*object);
	*object = NULL;
}

/* The same of an array. */
static void
append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

/* A text that may hold what somebody else has said, in any bytes. */
static json_t *
words(const char *text)
{
	char *copy = strdup(text);
	json_t *value = copy == NULL ? NULL : json_string(printable_sanitize(copy));
	free(copy);
	return value;
}

/* The counters of a sum, with `open` among them; all, or those of listeners. */
static void
add_counters(
    json_t **object, const struct ledger_totals *totals, uint64_t open, bool all)
{
	json_t *closed = json_object();
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		put(&closed, close_reason_name((enum close_reason)i),
		    number(totals->closed[i]));
	for (int i = 0; i < LEDGER_COUNTER_COUNT; i++) {
		enum ledger_counter counter = (enum ledger_counter)i;
		if (!all && !ledger_counter_is_per_listener(counter))
			continue;
		put(object, ledger_counter_name(counter), number(totals->counters[i]));
		if (i != LEDGER_CONNECTIONS_ACCEPTED)
			continue;
		put(object, "connections_open", number(open));
		put(object, "connections_closed", closed);
	}
}

static json_t *
make_totals(const struct master *master)
{
	struct ledger_totals totals;
	ledger_sum(master->workers.ledger, &totals);
	json_t *object = json_object();
	add_counters(&object, &totals, ledger_open_total(&totals), true);
	return object;
}

uint64_t
stats_slot_open(const struct ledger_totals *totals)
{
	int64_t open = (int64_t)ledger_open(totals);
	return open < 0 ? 0 : (uint64_t)open;
}

static json_t *
make_worker(const struct master *master, uint32_t i)
{
	const struct slot *slot = &master->workers.slots[i];
	const struct process *process = slot->process;
	json_t *object = json_object();
	put(&object, "slot", number(i));
	put(&object, "pid",
	    process != NULL ? number((uint64_t)process->pid) : json_null());
	put(&object, "state", json_string(slot_state_names[slot->state]));
	put(&object, "generation",
	    process != NULL ? number(process->generation) : json_null());
	put(&object, "restarts", number(slot->restarts));
	put(&object, "failures", number(slot->failures));
	struct ledger_totals totals;
	ledger_sum_slot(master->workers.ledger, i, &totals);
	add_counters(&object, &totals, stats_slot_open(&totals), true);
	return object;
}

static json_t *
make_workers(const struct master *master)
{
	json_t *array = json_array();
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (i < master->workers.slot_count ||
		    master->workers.slots[i].state != SLOT_EMPTY)
			append(&array, make_worker(master, i));
	}
	return array;
}

static void
add_sockets(
    json_t **array, const struct listener *listener, struct accept_queue *ret_sum)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		struct accept_queue queue;
		if (listener->fds[i] < 0 ||
		    socket_info_read_queue(listener->fds[i], &queue) < 0)
			continue;
		ret_sum->depth += queue.depth;
		ret_sum->limit += queue.limit;
		append(array,
		    json_pack("{s:I, s:I, s:I}", "slot", (json_int_t)i, "queue_depth",
			(json_int_t)queue.depth, "queue_limit",
			(json_int_t)queue.limit));
	}
}

/* Several endpoints are one listener where the service manager passed more sockets than
 * there are workers. */
static json_t *
make_listener(const struct master *master, int number)
{
	const struct listener_config *config =
	    &master->config.current.listeners[number];
	char address[ADDRESS_TEXT_MAX] = "";
	struct accept_queue sum = { 0 };
	uint64_t drops = 0;
	json_t *sockets = json_array();
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->config_index != number)
			continue;
		address_format(&e->address, address);
		add_sockets(&sockets, e, &sum);
		drops += listener_drops(e);
	}
	json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "address",
	    address, "reply", config->reply_text, "framing",
	    framing_names[config->framing], "queue_depth", (json_int_t)sum.depth,
	    "queue_limit", (json_int_t)sum.limit, "queue_drops", (json_int_t)drops,
	    "sockets", sockets);
	uint32_t ledger_index =
	    ledger_register_listener(master->workers.ledger, address);
	struct ledger_totals totals;
	ledger_sum_listener(master->workers.ledger, ledger_index, &totals);
	add_counters(&object, &totals,
	    ledger_open_by_listener(master->workers.ledger, ledger_index), false);
	return object;
}

/* In the order of the configuration. */
static json_t *
make_listeners(const struct master *master)
{
	json_t *array = json_array();
	for (size_t i = 0; i < master->config.current.listener_count; i++)
		append(&array, make_listener(master, (int)i));
	return array;
}

static json_t *
make_kernel(void)
{
	struct network_counters losses;
	socket_info_read_network_counters(&losses);
	return json_pack("{s:I, s:I, s:I, s:I}", "listen_overflows",
	    (json_int_t)losses.listen_overflows, "listen_drops",
	    (json_int_t)losses.listen_drops, "syncookies_sent",
	    (json_int_t)losses.syncookies_sent, "retransmits",
	    (json_int_t)losses.retransmits);
}

static char *
write_and_free(json_t *value)
{
	char *text = value == NULL ? NULL : json_dumps(value, LAYOUT);
	json_decref(value);
	return text;
}

static const char *
phase_name(const struct master *master)
{
	static const char *const names[] = { "starting", "running", "stopping" };
	return names[master->workers.phase];
}

static json_t *
make_change(const struct outcome *outcome)
{
	return json_pack("{s:I, s:b, s:o}", "number", (json_int_t)outcome->number, "ok",
	    outcome->number == 0 || outcome->is_good, "text", words(outcome->text));
}

static double
uptime_s(const struct master *master)
{
	uint64_t ms = (clock_now_ns() - master->started_ns) / NS_PER_MS;
	return (double)ms / 1000;
}

char *
stats_format(const struct master *master)
{
	json_t *object =
	    json_pack("{s:s, s:I, s:s, s:I, s:f}", "version", YODEL_VERSION, "pid",
		(json_int_t)getpid(), "state", phase_name(master), "generation",
		(json_int_t)master->workers.generation, "uptime_s", uptime_s(master));
	if (object == NULL)
		return NULL;
	put(&object, "last_change", make_change(&master->changes.last));
	put(&object, "totals", make_totals(master));
	put(&object, "workers", make_workers(master));
	put(&object, "listeners", make_listeners(master));
	put(&object, "kernel", make_kernel());
	return write_and_free(object);
}

char *
stats_format_workers(const struct master *master)
{
	return write_and_free(json_pack("{s:o}", "workers", make_workers(master)));
}

static json_t *
make_drain_summary(const struct drain_summary *drain_summary)
{
	return json_pack("{s:b, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "is_over",
	    drain_summary->exited_workers == drain_summary_workers(drain_summary), "ms",
	    drain_summary_elapsed_ms(drain_summary), "workers",
	    (json_int_t)drain_summary_workers(drain_summary), "workers_gone",
	    (json_int_t)drain_summary->exited_workers, "workers_died",
	    (json_int_t)drain_summary->died, "connections_handed_over",
	    (json_int_t)drain_summary->moved, "connections_drained",
	    (json_int_t)drain_summary->drained, "connections_forced",
	    (json_int_t)drain_summary->forced, "connections_lost",
	    (json_int_t)drain_summary->lost);
}

char *
stats_format_outcome(const struct master *master, bool is_good, const char *text,
    const struct drain_summary *drain_summary)
{
	json_t *object = json_pack("{s:b, s:o, s:I, s:I, s:I, s:I}", "ok", is_good,
	    "text", words(text), "generation", (json_int_t)master->workers.generation,
	    "pid", (json_int_t)getpid(), "workers",
	    (json_int_t)master->workers.slot_count, "serving",
	    (json_int_t)slot_serving(&master->workers));
	if (object != NULL && drain_summary != NULL) {
		uint64_t finished_ns =
		    drain_summary->finished_ns - drain_summary->started_ns;
		put(&object, "outcome_ms",
		    json_real((double)finished_ns / (double)NS_PER_MS));
		put(&object, "left", make_drain_summary(drain_summary));
	}
	return write_and_free(object);
}
