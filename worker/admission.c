#include "worker/admission.h"

#include <sys/socket.h>

#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "proto/ledger_usage.h"
#include "worker/connection/connection.h"
#include "worker/connection/worker_state.h"
#include "worker/limits/address_limits.h"

#define ADDRESSES_MAX (1 << 20)

int
admission_start(struct worker *worker)
{
	const struct config *config = worker->config;
	bool needed = false;
	for (size_t i = 0; i < config->listener_count; i++)
		needed = needed || address_limits_are_set(&config->listeners[i]);
	if (!needed)
		return 0;
	uint64_t capacity = worker->limits.max_connections < ADDRESSES_MAX
	    ? worker->limits.max_connections
	    : ADDRESSES_MAX;
	worker->limits.addresses = address_limits_create(
	    capacity, worker->ledger, worker->ledger_entry, worker->worker_ledger);
	return worker->limits.addresses == NULL ? -1 : 0;
}

void
admission_stop(struct worker *worker)
{
	address_limits_destroy(worker->limits.addresses);
	worker->limits.addresses = NULL;
}

static bool
contains(
    const struct address_prefix *prefixes, size_t count, const struct address *peer)
{
	for (size_t i = 0; i < count; i++) {
		if (address_prefix_contains(&prefixes[i], peer))
			return true;
	}
	return false;
}

static bool
is_allowed(const struct listener_config *config, const struct address *peer)
{
	return !contains(config->deny, config->deny_count, peer) &&
	    (config->allow_count == 0 ||
		contains(config->allow, config->allow_count, peer));
}

static bool
contains_id(const uint32_t *ids, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Its group, or one of its supplementary groups (SO_PEERGROUPS, Linux 4.13). */
static bool
is_in_group(const struct listener_config *config, int fd, uint32_t gid)
{
	static gid_t groups[NGROUPS_MAX];
	socklen_t length = sizeof(groups);
	if (config->allow_group_count == 0)
		return false;
	if (contains_id(config->allow_groups, config->allow_group_count, gid))
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
		return false;
	for (size_t i = 0; i < length / sizeof(groups[0]); i++) {
		if (contains_id(
			config->allow_groups, config->allow_group_count, groups[i]))
			return true;
	}
	return false;
}

static bool
is_process_allowed(
    const struct listener_config *config, int fd, const struct address_process *process)
{
	return (config->allow_user_count == 0 && config->allow_group_count == 0) ||
	    contains_id(config->allow_users, config->allow_user_count, process->uid) ||
	    is_in_group(config, fd, process->gid);
}

enum close_reason
admission_check_peer(
    const struct listener_config *config, int fd, const struct address *peer)
{
	if (address_is_unix(peer))
		return is_process_allowed(config, fd, &peer->process) ? CLOSE_NONE
								      : CLOSE_DENIED;
	if (config->proxy_protocol != PROXY_OFF)
		return contains(config->proxy_from, config->proxy_from_count, peer)
		    ? CLOSE_NONE
		    : CLOSE_PROXY_UNTRUSTED;
	return is_allowed(config, peer) ? CLOSE_NONE : CLOSE_DENIED;
}

/* True if the peer has the address of a listener, or its port and the local address of
 * this connection: two sockets of an echo server would answer each other for ever. */
static bool
is_own_listener(const struct worker *worker, int fd, const struct address *peer)
{
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		const struct address *own = &worker->accept.listeners[i].address;
		if (address_port(peer) != address_port(own))
			continue;
		if (address_equal(peer, own))
			return true;
		struct address local = { .length = sizeof(local.storage) };
		if (getsockname(fd, (struct sockaddr *)&local.storage, &local.length) <
		    0)
			continue;
		address_set_port(&local, address_port(peer));
		if (address_equal(peer, &local))
			return true;
	}
	return false;
}

/* True if all workers together have limits.max_connections open. */
static bool
is_full(const struct worker *worker)
{
	uint64_t limit = worker->config->limits.max_connections;
	return limit != 0 && ledger_usage_open(worker->ledger) >= limit;
}

static enum close_reason
check_address(
    const struct worker_listener *listener, const struct address_compact *peer)
{
	uint64_t now_ms = clock_read_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_MS;
	return address_limits_check(listener->worker->limits.addresses,
	    listener_ledger_index(listener), listener->config, peer, now_ms);
}

enum close_reason
admission_check(
    const struct worker_listener *listener, int fd, const struct address *peer)
{
	const struct worker *worker = listener->worker;
	bool has_header = listener->config->proxy_protocol != PROXY_OFF;
	enum close_reason reason = admission_check_peer(listener->config, fd, peer);
	if (reason != CLOSE_NONE)
		return reason;
	if (!address_is_unix(peer) && is_own_listener(worker, fd, peer))
		return CLOSE_OWN_LISTENER;
	if (fd >= worker->limits.fd_end)
		return CLOSE_METHOD_LIMIT;
	if (is_full(worker))
		return CLOSE_MAX_CONNECTIONS;
	if (worker->connections.count >= worker->limits.max_connections)
		return CLOSE_DESCRIPTOR_LIMIT;
	if (connection_first_phase(listener->config) != CONNECTION_SERVING &&
	    worker->handshake_count >= worker->config->limits.handshakes)
		return CLOSE_HANDSHAKE_LIMIT;
	if (has_header || !address_limits_are_set(listener->config))
		return CLOSE_NONE;
	struct address_compact compact;
	address_compact(peer, &compact);
	return check_address(listener, &compact);
}

enum close_reason
admission_check_announced(const struct worker_listener *listener,
    const struct address_compact *peer, bool is_counted)
{
	struct address address;
	address_expand(peer, &address);
	if (!is_allowed(listener->config, &address))
		return CLOSE_DENIED;
	return address_limits_are_set(listener->config) && !is_counted
	    ? check_address(listener, peer)
	    : CLOSE_NONE;
}

void
admission_refuse(const struct worker_listener *listener, int fd,
    const struct address *peer, enum close_reason reason)
{
	/* Without the interface of a link-local address: the sandbox forbids to look up
	 * its name. */
	struct address_compact compact;
	address_compact(peer, &compact);
	connection_log_closed(&compact, reason);
	const struct linger reset = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	crash_record_close_begin(listener, fd, reason, NULL);
	close(fd);
	ledger_count_closed(listener->block, reason);
	crash_record_close_end(listener->worker->record);
}
