#include "master/listeners/listener_set.h"

#include <stdio.h>

#include "master/listeners/reuseport.h"
#include "master/listeners/socket_activation.h"
#include "master/workers/slot.h"

/* A passed socket stays open at the service manager: with fewer workers than those,
 * some queue would have nobody. */
uint32_t
listener_set_min_workers(const struct master *master)
{
	uint32_t least = 1;
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->config_index >= 0 && e->passed_sockets > least)
			least = e->passed_sockets;
	}
	return least;
}

static void
clear_next_indexes(struct master *master)
{
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next)
		e->next_config_index = -1;
}

/* What was added to slots that are none. Nobody has come to it where the group was held
 * (reuseport.h); elsewhere it is emptied first. */
static void
close_added(struct master *master, struct listener *listener)
{
	for (uint32_t i = master->workers.slot_count; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] < 0 ||
		    master->workers.slots[i].state != SLOT_EMPTY)
			continue;
		if (listener->is_order_unknown)
			slot_drain_queue(master, i);
		else
			listener_close_slot(listener, i);
	}
}

void
listener_set_discard(struct master *master)
{
	struct listener **at = &master->listeners.first;
	while (*at != NULL) {
		struct listener *listener = *at;
		if (listener->is_new) {
			*at = listener->next;
			listener_destroy(listener);
			continue;
		}
		close_added(master, listener);
		at = &listener->next;
	}
	clear_next_indexes(master);
	reuseport_update(master);
}

/* However the address is spelled. */
static bool
is_free(const struct listener *listener, const struct listener_config *config)
{
	return listener->next_config_index < 0 &&
	    address_equal(&listener->configured, &config->address);
}

/* An endpoint of the first listener of this address that is not kept yet, of one that
 * is leaving at last; there are several where the kernel chose the ports. */
static const struct listener *
find_kept(const struct master *master, const struct listener_config *config)
{
	const struct listener *kept = NULL;
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (is_free(e, config) &&
		    (kept == NULL ||
			(unsigned)e->config_index < (unsigned)kept->config_index))
			kept = e;
	}
	return kept;
}

/* Every endpoint of the listener that is kept will serve the new one; there are several
 * where the service manager passed more sockets than there are workers. */
static bool
keep_listeners(
    struct master *master, const struct listener_config *config, int config_index)
{
	const struct listener *kept = find_kept(master, config);
	if (kept == NULL)
		return false;
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next) {
		if (is_free(e, config) && e->config_index == kept->config_index)
			e->next_config_index = config_index;
	}
	return true;
}

static int
plan_listener(
    struct master *master, const struct config *config, int number, char *error)
{
	const struct listener_config *wanted = &config->listeners[number];
	if (keep_listeners(master, wanted, number)) {
		if (listener_check_options(wanted, error) < 0)
			return -1;
		for (struct listener *e = master->listeners.first; e != NULL;
		     e = e->next) {
			if (e->next_config_index != number)
				continue;
			reuseport_freeze(e);
			if (listener_add_sockets(e, wanted, config->workers, error) < 0)
				return -1;
		}
		return 0;
	}
	struct listener *listener = listener_open(wanted, config->workers, error);
	if (listener == NULL)
		return -1;
	listener->is_new = true;
	listener->next_config_index = number;
	listener->next = master->listeners.first;
	master->listeners.first = listener;
	return 0;
}

int
listener_set_plan(struct master *master, const struct config *config, char *error)
{
	clear_next_indexes(master);
	if (config->workers < listener_set_min_workers(master)) {
		snprintf(error, CONFIG_ERROR_MAX,
		    "%u workers are too few for the %u sockets that were passed",
		    config->workers, listener_set_min_workers(master));
		return -1;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		if (plan_listener(master, config, (int)i, error) < 0) {
			listener_set_discard(master);
			return -1;
		}
	}
	return 0;
}

void
listener_set_commit(struct master *master)
{
	for (struct listener *e = master->listeners.first; e != NULL; e = e->next) {
		int old = e->config_index;
		e->is_new = false;
		e->config_index = e->next_config_index;
		e->next_config_index = -1;
		e->previous_config_index = e->config_index < 0 ? old : -1;
		if (e->config_index < 0) {
			listener_block_new(e);
			socket_activation_forget(e);
			continue;
		}
		if (old < 0)
			listener_accept_new(e);
		listener_apply_options(
		    e, &master->config.current.listeners[e->config_index]);
	}
}
