#include "master/lineup.h"

#include <stdio.h>

#include "master/activation.h"
#include "master/group.h"
#include "master/slot.h"

/* A passed socket stays open at the service manager: with fewer workers than those,
 * some queue would have nobody. */
uint32_t
lineup_least_workers(const struct master *master)
{
	uint32_t least = 1;
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->listener >= 0 && e->passed > least)
			least = e->passed;
	}
	return least;
}

static void
forget_next(struct master *master)
{
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next)
		e->next_listener = -1;
}

/* What was added to slots that are none. Nobody has come to it where the group was held
 * (group.h); elsewhere it is emptied first. */
static void
close_added(struct master *master, struct endpoint *endpoint)
{
	for (uint32_t i = master->slot_count; i < LEDGER_SLOTS; i++) {
		if (endpoint->fds[i] < 0 || master->slots[i].state != SLOT_EMPTY)
			continue;
		if (endpoint->is_order_unknown)
			slot_empty(master, i);
		else
			endpoint_close_slot(endpoint, i);
	}
}

void
lineup_unplan(struct master *master)
{
	struct endpoint **at = &master->endpoints;
	while (*at != NULL) {
		struct endpoint *endpoint = *at;
		if (endpoint->is_new) {
			*at = endpoint->next;
			endpoint_destroy(endpoint);
			continue;
		}
		close_added(master, endpoint);
		at = &endpoint->next;
	}
	forget_next(master);
	slot_steer(master);
}

/* However the address is spelled. */
static bool
is_free(const struct endpoint *endpoint, const struct listener_config *config)
{
	return endpoint->next_listener < 0 &&
	    address_equal(&endpoint->configured, &config->address);
}

/* An endpoint of the first listener of this address that is not kept yet, of one that
 * is leaving at last; there are several where the kernel chose the ports. */
static const struct endpoint *
find_kept(const struct master *master, const struct listener_config *config)
{
	const struct endpoint *kept = NULL;
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (is_free(e, config) &&
		    (kept == NULL || (unsigned)e->listener < (unsigned)kept->listener))
			kept = e;
	}
	return kept;
}

/* Every endpoint of the listener that is kept will serve the new one; there are several
 * where the service manager passed more sockets than there are workers. */
static bool
keep_endpoints(
    struct master *master, const struct listener_config *config, int listener)
{
	const struct endpoint *kept = find_kept(master, config);
	if (kept == NULL)
		return false;
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (is_free(e, config) && e->listener == kept->listener)
			e->next_listener = listener;
	}
	return true;
}

static int
plan_endpoint(
    struct master *master, const struct config *config, int number, char *error)
{
	const struct listener_config *listener = &config->listeners[number];
	if (keep_endpoints(master, listener, number)) {
		if (endpoint_try(listener, error) < 0)
			return -1;
		for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
			if (e->next_listener != number)
				continue;
			group_hold(e);
			if (endpoint_grow(e, listener, config->workers, error) < 0)
				return -1;
		}
		return 0;
	}
	struct endpoint *endpoint = endpoint_open(listener, config->workers, error);
	if (endpoint == NULL)
		return -1;
	endpoint->is_new = true;
	endpoint->next_listener = number;
	endpoint->next = master->endpoints;
	master->endpoints = endpoint;
	return 0;
}

int
lineup_plan(struct master *master, const struct config *config, char *error)
{
	forget_next(master);
	if (config->workers < lineup_least_workers(master)) {
		snprintf(error, CONFIG_ERROR_MAX,
		    "%u workers are too few for the %u sockets that were passed",
		    config->workers, lineup_least_workers(master));
		return -1;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		if (plan_endpoint(master, config, (int)i, error) < 0) {
			lineup_unplan(master);
			return -1;
		}
	}
	return 0;
}

void
lineup_adopt(struct master *master)
{
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		int old = e->listener;
		e->is_new = false;
		e->listener = e->next_listener;
		e->next_listener = -1;
		e->former_listener = e->listener < 0 ? old : -1;
		if (e->listener < 0) {
			endpoint_turn_away(e);
			activation_forget(e);
			continue;
		}
		if (old < 0)
			endpoint_welcome(e);
		endpoint_adjust(e, &master->config.listeners[e->listener]);
	}
}
