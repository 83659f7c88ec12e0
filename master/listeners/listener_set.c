#include "master/listeners/listener_set.h"

#include <stdio.h>

#include "lib/log.h"
#include "net/socket_info.h"
#include "master/listeners/reuseport.h"
#include "master/listeners/socket_activation.h"

/* A passed socket stays open in the service manager: with fewer workers than sockets
 * some accept queue would never be served. */
uint32_t
listener_set_min_workers(const struct listener_set *set)
{
	uint32_t least = 1;
	for (const struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index >= 0 && e->passed_sockets > least)
			least = e->passed_sockets;
	}
	return least;
}

static void
clear_next_indexes(struct listener_set *set)
{
	for (struct listener *e = set->first; e != NULL; e = e->next)
		e->next_config_index = -1;
}

void
listener_set_discard(struct listener_set *set, const bool *is_unused)
{
	struct listener **at = &set->first;
	while (*at != NULL) {
		struct listener *listener = *at;
		if (listener->is_new) {
			*at = listener->next;
			listener_destroy(listener);
			continue;
		}
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (is_unused[i])
				listener_close_slot(listener, i);
		}
		at = &listener->next;
	}
	clear_next_indexes(set);
}

/* Compares addresses, not their spelling. */
static bool
is_free(const struct listener *listener, const struct listener_config *config)
{
	return listener->config_index >= 0 && listener->next_config_index < 0 &&
	    address_equal(&listener->configured, &config->address) &&
	    listener->configured.is_mptcp == config->address.is_mptcp &&
	    (listener->is_from_manager || address_is_unix(&listener->address) ||
		listener->options_id == listener_options_id(config)) &&
	    listener_is_reachable(listener);
}

/* Several listeners have the same address where the kernel chose the ports: the first
 * of the current configuration. A removed one is retired, and cannot be kept. */
static const struct listener *
find_kept(const struct listener_set *set, const struct listener_config *config)
{
	const struct listener *kept = NULL;
	for (const struct listener *e = set->first; e != NULL; e = e->next) {
		if (is_free(e, config) &&
		    (kept == NULL || e->config_index < kept->config_index))
			kept = e;
	}
	return kept;
}

/* A configured listener is several struct listener where the service manager passed
 * more sockets than there are workers. */
static bool
keep_listeners(
    struct listener_set *set, const struct listener_config *config, int config_index)
{
	const struct listener *kept = find_kept(set, config);
	if (kept == NULL)
		return false;
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (is_free(e, config) && e->config_index == kept->config_index)
			e->next_config_index = config_index;
	}
	return true;
}

static int
plan_listener(
    struct listener_set *set, const struct config *config, int number, char *error)
{
	const struct listener_config *new_config = &config->listeners[number];
	if (keep_listeners(set, new_config, number)) {
		for (struct listener *e = set->first; e != NULL; e = e->next) {
			if (e->next_config_index != number)
				continue;
			reuseport_freeze(e);
			if (listener_add_sockets(
				e, new_config, config->workers, error) < 0)
				return -1;
		}
		return 0;
	}
	struct listener *listener = listener_open(new_config, config->workers, error);
	if (listener == NULL)
		return -1;
	listener->is_new = true;
	listener->next_config_index = number;
	listener->next = set->first;
	set->first = listener;
	return 0;
}

int
listener_set_plan(struct listener_set *set, const struct config *config, char *error)
{
	clear_next_indexes(set);
	if (config->workers < listener_set_min_workers(set)) {
		snprintf(error, CONFIG_ERROR_MAX,
		    "found %u workers, expected at least %u: one for each passed socket",
		    config->workers, listener_set_min_workers(set));
		return -1;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		if (plan_listener(set, config, (int)i, error) < 0)
			return -1;
	}
	return 0;
}

void
listener_set_listen(const struct listener_set *set, const struct config *config,
    enum listen_overlap overlap)
{
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index >= 0 && e->overlap == overlap)
			listener_listen(e, &config->listeners[e->config_index]);
	}
}

void
listener_set_commit(struct listener_set *set, const struct config *config)
{
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		int old = e->config_index;
		e->is_new = false;
		e->config_index = e->next_config_index;
		e->next_config_index = -1;
		e->previous_config_index = e->config_index < 0 ? old : -1;
	}
	/* First: until then only the removed ones receive connections of both. */
	listener_set_listen(set, config, LISTEN_OVERLAP);
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index >= 0) {
			listener_apply_options(e, &config->listeners[e->config_index]);
			continue;
		}
		listener_retire(e);
		socket_activation_forget(e);
	}
}

bool
listener_set_revive(const struct listener_set *set, const struct config *config)
{
	uint32_t total = 0;
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index < 0)
			continue;
		uint32_t count =
		    listener_revive(e, &config->listeners[e->config_index]);
		if (count > 0)
			log_warnx(
			    "[sockets_revived listener sockets _] %s: %u listening socket%s had been shut down by a worker: listening again",
			    e->name, count, count == 1 ? "" : "s");
		total += count;
	}
	return total > 0;
}

uint64_t
listener_set_share_overflows(uint64_t *drops, size_t count, uint64_t available)
{
	uint64_t total = 0, before = 0, given = 0;
	for (size_t i = 0; i < count; i++)
		total += drops[i];
	if (total <= available)
		return total;
	/* Rounded sums: what all get together is what there is. */
	for (size_t i = 0; i < count; i++) {
		before += drops[i];
		uint64_t until = (uint64_t)((unsigned __int128)available * before /
		    (total > 0 ? total : 1));
		drops[i] = until - given;
		given = until;
	}
	return given;
}

void
listener_set_count_overflows(struct listener_set *set)
{
	uint64_t shares[CONFIG_LISTENERS_MAX + 1];
	size_t count = 0, i = 0;
	/* First the drops: what they stem from is then among the overflows. */
	for (struct listener *e = set->first; e != NULL && count < CONFIG_LISTENERS_MAX;
	     e = e->next) {
		shares[count] = listener_drops(e) - e->overflows.counted_drops;
		e->overflows.counted_drops += shares[count++];
	}
	uint64_t now = socket_info_read_overflows();
	uint64_t fresh = now - set->counted_overflows;
	uint64_t available = fresh + set->carried_overflows;
	uint64_t found = listener_set_share_overflows(shares, count, available);
	for (struct listener *e = set->first; i < count; e = e->next, i++)
		e->overflows.count += shares[i];
	set->counted_overflows = now;
	set->carried_overflows = found < available ? available - found : 0;
	if (set->carried_overflows > fresh)
		set->carried_overflows = fresh;
}

void
listener_set_start_overflows(struct listener_set *set)
{
	for (struct listener *e = set->first; e != NULL; e = e->next)
		e->overflows.counted_drops = listener_drops(e);
	set->counted_overflows = socket_info_read_overflows();
	set->carried_overflows = 0;
}
