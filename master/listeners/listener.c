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
#include "conf/listener_faults.h"

static struct listen_options
options_of(const struct listener *listener, const struct listener_config *config)
{
	return (struct listen_options){ .name = listener->name,
		.group = listener->reuseport_count == 0 ? LISTEN_GROUP_FIRST
							: LISTEN_GROUP_NEXT,
		.backlog = listener_faults_backlog(config),
		.is_v6_only = true,
		.is_mptcp = listener->address.is_mptcp,
		.nodelay = config->nodelay,
		.save_syn = config->reply.kind == REPLY_WHOAMI ||
		    config->reply.kind == REPLY_WITNESS,
		.congestion = config->congestion,
		.sockets = &config->sockets };
}

uint64_t
listener_options_id(const struct listener_config *config)
{
	char text[SOCKET_OPTIONS_TEXT_MAX];
	uint64_t id = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	socket_options_format(&config->sockets, -1, text);
	for (const char *c = text; *c != '\0'; c++)
		id = (id ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	return id;
}

static struct unix_socket_access
access_of(const struct listener_config *config)
{
	return (struct unix_socket_access){
		.mode = config->mode, .owner = config->owner, .group = config->group
	};
}

/* Slots from this one on share the sockets of those before it. */
static uint32_t
first_shared_slot(const struct listener *listener)
{
	if (listener->is_from_manager)
		return listener->passed_sockets;
	return address_is_unix(&listener->address) ? 1 : LEDGER_SLOTS;
}

static bool
is_shared(const struct listener *listener, uint32_t slot)
{
	return slot >= first_shared_slot(listener);
}

/* A descriptor of a socket that is shared, or -1 with the error. Those that the service
 * manager passed may not be in a group that another one could join. */
static int
share_socket(const struct listener *listener, uint32_t slot, char *error)
{
	int fd = fcntl(
	    listener->fds[slot % first_shared_slot(listener)], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		int saved = errno;
		snprintf(error, CONFIG_ERROR_MAX, "cannot share the socket %s: %s",
		    listener->name, strerror(saved));
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

/* The kernel changes some values without an error. */
static void
log_granted(const struct listener *listener, const struct listener_config *config)
{
	for (int i = 0; i < SOCKET_OPTION_COUNT; i++) {
		enum socket_option option = (enum socket_option)i;
		char given[SOCKET_OPTION_TEXT_MAX], granted[SOCKET_OPTION_TEXT_MAX];
		if (!socket_option_is_given(&config->sockets, option))
			continue;
		socket_option_format(&config->sockets, option, given);
		socket_option_read(listener->fds[0], option, granted);
		if (strcmp(given, granted) != 0)
			log_warnx(
			    "[socket_option_changed listener option given granted] "
			    "%s: %s: found %s, the kernel grants %s",
			    listener->name, socket_option_name(option), given, granted);
	}
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
	listener->options_id = listener_options_id(config);
	if (listener_add_sockets(listener, config, slots, error) == 0) {
		log_granted(listener, config);
		return listener;
	}
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
open_unix_socket(
    struct listener *listener, const struct listener_config *config, char *error)
{
	const struct unix_socket_access access = access_of(config);
	const char *path = address_unix_path(&listener->address);
	int fd = unix_socket_listen(&listener->address, &access,
	    listener_faults_backlog(config), error, CONFIG_ERROR_MAX);
	if (fd >= 0 && path != NULL)
		unix_socket_identify(path, &listener->file);
	listener->is_order_unknown = true; /* there is no group */
	return fd;
}

/* A descriptor, or -1 with the error. */
static int
open_socket(
    struct listener *listener, const struct listener_config *config, char *error)
{
	const struct listen_error where = { error, CONFIG_ERROR_MAX };
	const struct listen_options options = options_of(listener, config);
	if (address_is_unix(&listener->address))
		return open_unix_socket(listener, config, error);
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
		int fd = is_shared(listener, i) ? share_socket(listener, i, error)
						: open_socket(listener, config, error);
		if (fd < 0)
			return -1;
		listener_set_socket(listener, i, fd);
		listener->is_stored[i] = listener->is_from_manager;
	}
	return 0;
}

int
listener_check(const struct listener_config *config, char *error)
{
	const struct listener listener = { .name = config->address_text,
		.address = config->address };
	const struct listen_options options = options_of(&listener, config);
	const struct listen_error where = { error, CONFIG_ERROR_MAX };
	const struct unix_socket_access access = access_of(config);
	return address_is_unix(&config->address)
	    ? unix_socket_check(
		  &config->address, &access, true, error, CONFIG_ERROR_MAX)
	    : listen_check(&config->address, &options, &where);
}

static void
apply_unix_options(
    const struct listener *listener, const struct listener_config *config)
{
	char error[CONFIG_ERROR_MAX] = "";
	const struct unix_socket_access access = access_of(config);
	const char *path = address_unix_path(&listener->address);
	if (listener->fds[0] >= 0 &&
	    listen_start(listener->fds[0], listener_faults_backlog(config)) < 0)
		log_warn("[socket_options_failed listener] "
			 "%s: cannot change the backlog",
		    listener->name);
	if (path != NULL && listener_is_reachable(listener) &&
	    !listener->is_from_manager &&
	    unix_socket_set_access(path, &access, error, sizeof(error)) < 0)
		log_warnx("[socket_access_failed listener reason] %s: %s",
		    listener->name, error);
}

void
listener_apply_options(
    const struct listener *listener, const struct listener_config *config)
{
	char congestion[32];
	if (address_is_unix(&listener->address)) {
		apply_unix_options(listener, config);
		return;
	}
	struct listen_options options = options_of(listener, config);
	enum socket_option option;
	if (listener->is_from_manager &&
	    socket_options_apply(listener->fds[0], &config->sockets, &option) < 0)
		log_warn("[socket_options_failed listener option] "
			 "%s: cannot set %s of a passed socket",
		    listener->name, socket_option_name(option));
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
	const char *path = address_unix_path(&listener->address);
	/* A stored socket goes on until the next yodeld has it. */
	if (path != NULL && !listener->is_stored[0])
		unix_socket_remove(path, &listener->file);
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
		if (listen_start(listener->fds[slot], listener_faults_backlog(config)) <
		    0)
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

/* 0, or -1 with errno. That of a unit goes on: it must take connections again when the
 * next yodeld gets it. */
static int
retire_unix_socket(const struct listener *listener, int fd)
{
	const char *path = address_unix_path(&listener->address);
	if (listener->is_from_manager)
		return 0;
	if (path != NULL)
		unix_socket_remove(path, &listener->file);
	return unix_socket_retire(fd);
}

void
listener_retire_slot(const struct listener *listener, uint32_t slot)
{
	int fd = listener->fds[slot];
	if (fd < 0 || is_shared(listener, slot))
		return;
	int rc = address_is_unix(&listener->address) ? retire_unix_socket(listener, fd)
						     : listen_retire(fd);
	if (rc < 0)
		log_debug("[retire_failed listener] %s: cannot retire a socket",
		    listener->name);
}

void
listener_retire(const struct listener *listener)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		listener_retire_slot(listener, i);
}

bool
listener_is_reachable(const struct listener *listener)
{
	const char *path = address_unix_path(&listener->address);
	return path == NULL || listener->is_from_manager ||
	    unix_socket_is_same(path, &listener->file);
}

void
listener_accept_new(const struct listener *listener)
{
	if (address_is_unix(&listener->address))
		return;
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
		listener_faults_backlog(config)) < 0) {
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
	return count > 0 && address_is_unix(&listener->address) ? 1 : count;
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
