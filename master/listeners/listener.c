#include "master/listeners/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/system/procfs.h"
#include "net/listen.h"
#include "net/socket_info.h"

static struct listen_options
options_of(const struct listener *listener, const struct listener_config *config)
{
	return (struct listen_options){ .name = listener->name,
		.group = listener->reuseport_count == 0 ? LISTEN_GROUP_FIRST
							: LISTEN_GROUP_NEXT,
		.backlog = (int)config_backlog(config),
		.is_v6_only = true,
		.nodelay = config->nodelay,
		.save_syn = config->reply.kind == REPLY_WHOAMI ||
		    config->reply.kind == REPLY_WITNESS,
		.congestion = config->congestion };
}

/* A descriptor of a socket that the service manager passed, or -1 with the error: its
 * sockets may not be in a group that another one could join, so a slot beyond them
 * shares one. */
static int
share_socket(const struct listener *listener, uint32_t slot, char *error)
{
	int fd =
	    fcntl(listener->fds[slot % listener->passed_sockets], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		int saved = errno;
		snprintf(error, CONFIG_ERROR_MAX,
		    "cannot share the passed socket %s: %s", listener->name,
		    strerror(saved));
		errno = saved;
	}
	return fd;
}

struct listener *
listener_create(const char *name, const struct address *address)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return NULL;
	listener->name = strdup(name);
	if (listener->name == NULL) {
		free(listener);
		return NULL;
	}
	listener->configured = listener->address = *address;
	listener->config_index = listener->next_config_index =
	    listener->previous_config_index = -1;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		listener->fds[i] = -1;
	return listener;
}

struct listener *
listener_open(const struct listener_config *config, uint32_t slots, char *error)
{
	struct listener *listener =
	    listener_create(config->address_text, &config->address);
	if (listener == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "out of memory");
		return NULL;
	}
	if (listener_add_sockets(listener, config, slots, error) == 0)
		return listener;
	int saved = errno;
	listener_destroy(listener);
	errno = saved;
	return NULL;
}

void
listener_set_socket(struct listener *listener, uint32_t slot, int fd)
{
	listener->fds[slot] = fd;
	listener->reuseport_slots[listener->reuseport_count++] = (uint16_t)slot;
}

/* A descriptor, or -1 with the error. */
static int
open_socket(
    struct listener *listener, const struct listener_config *config, char *error)
{
	const struct listen_error where = { error, CONFIG_ERROR_MAX };
	const struct listen_options options = options_of(listener, config);
	int fd = listen_bind(&listener->address, &options, &listener->overlap, &where);
	if (fd < 0 || listener->overlap != LISTEN_NO_OVERLAP ||
	    listen_start(fd, options.backlog) == 0)
		return fd;
	int saved = errno;
	snprintf(error, CONFIG_ERROR_MAX, "cannot listen on %s: %s", listener->name,
	    strerror(saved));
	close(fd);
	errno = saved;
	return -1;
}

int
listener_add_sockets(struct listener *listener, const struct listener_config *config,
    uint32_t slots, char *error)
{
	for (uint32_t i = 0; i < slots; i++) {
		if (listener->fds[i] >= 0)
			continue;
		int fd = listener->is_from_manager
		    ? share_socket(listener, i, error)
		    : open_socket(listener, config, error);
		if (fd < 0)
			return -1;
		listener_set_socket(listener, i, fd);
		listener->is_stored[i] = listener->is_from_manager;
	}
	return 0;
}

int
listener_check_options(const struct listener_config *config, char *error)
{
	const struct listen_error where = { error, CONFIG_ERROR_MAX };
	const struct listen_options options = { .name = config->address_text,
		.congestion = config->congestion };
	if (config->congestion == NULL)
		return 0;
	return listen_check_congestion(
	    config->address.storage.ss_family, &options, &where);
}

void
listener_apply_options(
    const struct listener *listener, const struct listener_config *config)
{
	char congestion[32];
	struct listen_options options = options_of(listener, config);
	/* Undoes what an earlier configuration has set. */
	if (options.congestion == NULL && !listener->is_from_manager)
		options.congestion =
		    listen_default_congestion(congestion, sizeof(congestion));
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] >= 0 &&
		    listen_set_options(listener->fds[i], &options) < 0)
			log_warn("[socket_options_failed listener socket] "
				 "%s: cannot change the options of socket %u",
			    listener->name, i);
	}
}

/* As reuseport_detach_sock() does: the last one moves into the gap. */
static void
leave_group(struct listener *listener, uint32_t slot)
{
	for (uint32_t i = 0; i < listener->reuseport_count; i++) {
		if (listener->reuseport_slots[i] == slot) {
			listener->reuseport_slots[i] =
			    listener->reuseport_slots[--listener->reuseport_count];
			break;
		}
	}
}

void
listener_close_slot(struct listener *listener, uint32_t slot)
{
	if (listener->fds[slot] < 0)
		return;
	listener->closed_socket_drops += socket_info_read_drops(listener->fds[slot]);
	close(listener->fds[slot]);
	listener->fds[slot] = -1;
	listener->is_stored[slot] = false;
	leave_group(listener, slot);
}

void
listener_destroy(struct listener *listener)
{
	if (listener == NULL)
		return;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		listener_close_slot(listener, i);
	free(listener->name);
	free(listener->stored_name);
	free(listener);
}

void
listener_listen(struct listener *listener, const struct listener_config *config)
{
	if (listener->overlap == LISTEN_NO_OVERLAP)
		return;
	/* In the order in which they are in the group. listener_revive() tries again
	 * for one that fails, and appends it. */
	uint32_t count = 0;
	for (uint32_t i = 0; i < listener->reuseport_count; i++) {
		uint16_t slot = listener->reuseport_slots[i];
		if (listen_start(listener->fds[slot], (int)config_backlog(config)) < 0)
			log_warn("[listen_failed listener socket] "
				 "%s: socket %u does not listen",
			    listener->name, slot);
		else
			listener->reuseport_slots[count++] = slot;
	}
	listener->reuseport_count = count;
	/* Else it has joined the group of the former ones. */
	listener->is_order_unknown =
	    listener->overlap == LISTEN_SAME && !listen_can_retire();
	listener->overlap = LISTEN_NO_OVERLAP;
}

static bool
is_shared(const struct listener *listener, uint32_t slot)
{
	return listener->is_from_manager && slot >= listener->passed_sockets;
}

void
listener_retire_slot(const struct listener *listener, uint32_t slot)
{
	if (listener->fds[slot] >= 0 && !is_shared(listener, slot) &&
	    listen_retire(listener->fds[slot]) < 0)
		log_debug("[retire_failed listener] %s: cannot retire a socket",
		    listener->name);
}

void
listener_retire(const struct listener *listener)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		listener_retire_slot(listener, i);
}

void
listener_accept_new(const struct listener *listener)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] >= 0)
			listen_accept_new(listener->fds[i]);
	}
}

/* shutdown(2) has taken it out of the group, listen(2) appends it. */
static bool
revive_slot(
    struct listener *listener, const struct listener_config *config, uint32_t slot)
{
	if (listener->fds[slot] < 0 || is_shared(listener, slot) ||
	    listen_is_active(listener->fds[slot]))
		return false;
	if (listen_restart(listener->fds[slot], &listener->address,
		(int)config_backlog(config)) < 0) {
		log_warn(
		    "[listen_failed listener socket] %s: socket %u does not listen",
		    listener->name, slot);
		return false;
	}
	leave_group(listener, slot);
	listener->reuseport_slots[listener->reuseport_count++] = (uint16_t)slot;
	return true;
}

uint32_t
listener_revive(struct listener *listener, const struct listener_config *config)
{
	uint32_t count = 0;
	if (listener->overlap != LISTEN_NO_OVERLAP)
		return 0;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		count += revive_slot(listener, config, i);
	/* The order in which several have left the group is not known. */
	if (count > 1)
		listener->is_order_unknown = true;
	return count;
}

uint32_t
listener_socket_count(const struct listener *listener)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		count += listener->fds[i] >= 0;
	return count;
}

uint64_t
listener_drops(const struct listener *listener)
{
	uint64_t drops = listener->closed_socket_drops;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] >= 0)
			drops += socket_info_read_drops(listener->fds[i]);
	}
	return drops;
}
