#include "master/admin/snapshot.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NETWORK(member, help)                                                          \
	{                                                                              \
#member, help ", in the whole network namespace",                      \
		    offsetof(struct network_counters, member)                          \
	}
const struct snapshot_network_row snapshot_network_rows[] = {
	NETWORK(
	    listen_overflows, "connections dropped because an accept queue was full"),
	NETWORK(
	    listen_drops, "connections that a listening socket dropped for any reason"),
	NETWORK(listen_refused,
	    "SYNs and connections that a listening socket refused although its accept queue had room"),
	NETWORK(handshakes_aborted,
	    "handshakes that the client aborted by a reset, such as health checks of load balancers: nothing is lost"),
	NETWORK(syncookies_sent, "SYN cookies sent"),
	NETWORK(retransmits, "TCP segments retransmitted"),
	{ .name = NULL },
};

uint64_t
snapshot_network(
    const struct snapshot *snapshot, const struct snapshot_network_row *row)
{
	const char *counters = (const char *)&snapshot->network;
	return *(const uint64_t *)(const void *)(counters + row->offset);
}

static void
finish_worker(
    struct snapshot_worker *worker, const struct worker_table *table, uint32_t i)
{
	const struct slot *slot = &table->slots[i];
	const uint64_t *counters = worker->totals.counters;
	/* Below 0 while the end of a connection that moves is counted before its
	 * arrival. */
	int64_t open = (int64_t)ledger_open(&worker->totals);
	worker->open = open < 0 ? 0 : (uint64_t)open;
	worker->is_in_state[slot->state] = 1;
	worker->restarts = slot->restarts;
	worker->failures = slot->failures;
	if (i < table->slot_count || slot->state != SLOT_EMPTY || slot->restarts > 0 ||
	    counters[LEDGER_CONNECTIONS_ACCEPTED] > 0 ||
	    counters[LEDGER_CONNECTIONS_MOVED_IN] > 0)
		snprintf(worker->name, sizeof(worker->name), "%u", i);
}

/* One pass over the live blocks, instead of one for each slot. */
static void
read_workers(const struct worker_table *table, struct snapshot_worker *workers)
{
	struct ledger *ledger = table->ledger;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		ledger_add_block(&workers[i].totals, &ledger->shared->retired[i]);
	for (uint32_t i = 0; i < ledger_live_end(ledger); i++) {
		uint32_t slot = ledger_slot_of(ledger, i);
		if (slot >= LEDGER_SLOTS)
			continue;
		ledger_add_worker(&workers[slot].totals, ledger, i);
		uint64_t handshakes =
		    atomic_load(&ledger_entry(ledger, i)->own.handshakes);
		/* A compromised worker may have written anything. */
		if (handshakes <= ledger->shared->connections_max)
			workers[slot].handshakes += handshakes;
	}
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		finish_worker(&workers[i], table, i);
}

static void
read_listeners(struct ledger *ledger, struct snapshot_listener *listeners)
{
	for (uint32_t i = 0; i < ledger_listener_count(ledger); i++) {
		ledger_listener_name(ledger, i, listeners[i].name);
		ledger_sum_listener(ledger, i, &listeners[i].totals);
		listeners[i].open = ledger_open_total(&listeners[i].totals);
	}
}

static void
add_queues(struct snapshot_queues *queues, const struct listener *listener)
{
	queues->drops += listener_drops(listener);
	queues->overflows += listener->overflows.count;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		struct accept_queue queue;
		if (listener->fds[i] < 0 ||
		    socket_info_read_queue(listener->fds[i], &queue) < 0)
			continue;
		bool is_first = queues->depth[i] == SNAPSHOT_NONE;
		queues->depth[i] = queue.depth + (is_first ? 0 : queues->depth[i]);
		queues->limit[i] = queue.limit + (is_first ? 0 : queues->limit[i]);
	}
}

/* As the kernel has them on one of the sockets. */
static void
read_options(const struct master *master, const struct listener *listener,
    struct snapshot_queues *ret)
{
	const struct listener_config *config =
	    &master->config.current.listeners[listener->config_index];
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] < 0)
			continue;
		for (int k = 0; k < SOCKET_OPTION_COUNT; k++) {
			enum socket_option option = (enum socket_option)k;
			if (socket_option_is_given(&config->sockets, option))
				socket_option_read(
				    listener->fds[i], option, ret->options[k]);
		}
		return;
	}
}

static void
read_queues(const struct master *master, struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->queue_count; i++) {
		struct snapshot_queues *queues = &snapshot->queues[i];
		queues->backlog = master->config.current.listeners[i].backlog;
		memset(queues->depth, 0xff, sizeof(queues->depth));
		memset(queues->limit, 0xff, sizeof(queues->limit));
	}
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->config_index < 0)
			continue;
		address_format(&e->address, snapshot->queues[e->config_index].name);
		add_queues(&snapshot->queues[e->config_index], e);
		read_options(master, e, &snapshot->queues[e->config_index]);
	}
}

struct snapshot *
snapshot_read(const struct master *master)
{
	size_t queue_count = master->config.current.listener_count;
	struct snapshot *snapshot =
	    calloc(1, sizeof(*snapshot) + queue_count * sizeof(snapshot->queues[0]));
	if (snapshot == NULL)
		return NULL;
	snapshot->queue_count = queue_count;
	ledger_sum(master->workers.ledger, &snapshot->totals);
	read_workers(&master->workers, snapshot->workers);
	read_listeners(master->workers.ledger, snapshot->listeners);
	read_queues(master, snapshot);
	socket_info_read_network_counters(&snapshot->network);
	return snapshot;
}
