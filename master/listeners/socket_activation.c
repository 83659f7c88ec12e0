#include "master/listeners/socket_activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "lib/log.h"

#define NAME_START "yodeld-"
#define NAME_BYTES 128

static int
make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int
find_listener(const struct config *config, const struct address *address)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (address_equal(&config->listeners[i].address, address))
			return (int)i;
	}
	return -1;
}

/* A struct listener with a free slot, if possible *slot; a new one when all are full.
 */
static struct listener *
listener_with_free_slot(struct passed_sockets *passed, int config_index,
    bool is_from_manager, uint32_t *slot)
{
	struct listener_set *set = passed->set;
	const struct listener_config *config = &passed->config->listeners[config_index];
	uint32_t requested_slot = *slot;
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index != config_index ||
		    e->is_from_manager != is_from_manager ||
		    e->reuseport_count >= passed->slot_count)
			continue;
		if (requested_slot < passed->slot_count && e->fds[requested_slot] < 0)
			return e;
		for (*slot = 0; e->fds[*slot] >= 0;)
			++*slot;
		return e;
	}
	struct listener *listener =
	    listener_create(config->address_text, &config->address);
	if (listener == NULL)
		return NULL;
	listener->config_index = config_index;
	listener->is_from_manager = is_from_manager;
	listener->is_order_unknown = true;
	listener->next = set->first;
	set->first = listener;
	if (requested_slot >= passed->slot_count)
		*slot = 0;
	return listener;
}

/* The name of a stored socket contains its slot. False: a unit passes the socket. */
static bool
is_stored_name(const char *name, uint32_t *ret_slot)
{
	const char *dot = strrchr(name, '.');
	*ret_slot = 0;
	if (strncmp(name, NAME_START, strlen(NAME_START)) != 0 || dot == NULL)
		return false;
	*ret_slot = (uint32_t)strtoul(dot + 1, NULL, 10);
	return true;
}

static int
take_socket(struct passed_sockets *passed, int fd, const char *name)
{
	struct address address = { .length = sizeof(address.storage) };
	char text[ADDRESS_TEXT_MAX];
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
	    getsockname(fd, (struct sockaddr *)&address.storage, &address.length) < 0) {
		log_warnx("[passed_descriptor_closed descriptor] "
			  "passed descriptor %d is not a listening socket: closed",
		    fd);
		close(fd);
		return 0;
	}
	uint32_t slot;
	bool is_from_manager = !is_stored_name(name, &slot);
	int config_index = find_listener(passed->config, &address);
	if (config_index < 0) {
		log_warnx("[passed_socket_closed address] "
			  "no listener is configured for the passed socket %s: closed",
		    address_format(&address, text));
		/* Left in the store it would accept connections that no worker serves.
		 */
		if (!is_from_manager)
			sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
		close(fd);
		return 0;
	}
	struct listener *listener =
	    listener_with_free_slot(passed, config_index, is_from_manager, &slot);
	if (listener == NULL || make_nonblocking(fd) < 0) {
		log_error("[passed_socket_failed address] "
			  "cannot take the passed socket %s",
		    address_format(&address, text));
		return -1;
	}
	listener_set_socket(listener, slot, fd);
	listener->is_stored[slot] = true;
	listener->passed_sockets += is_from_manager;
	return 0;
}

/* A stored socket returns to its slot, even if that is above the worker count. */
static void
find_free_slot(struct passed_sockets *passed, int count, char *const *names)
{
	for (int i = 0; i < count; i++) {
		uint32_t slot;
		if (is_stored_name(names[i], &slot) && slot < CONFIG_WORKERS_MAX &&
		    slot >= passed->slot_count)
			passed->slot_count = slot + 1;
	}
}

/* Slots without a socket get one of their own, or share one. */
static int
assign_to_slots(const struct passed_sockets *passed)
{
	char error[CONFIG_ERROR_MAX];
	for (struct listener *e = passed->set->first; e != NULL; e = e->next) {
		const struct listener_config *config =
		    &passed->config->listeners[e->config_index];
		if (listener_add_sockets(e, config, passed->slot_count, error) < 0) {
			log_errorx("[passed_sockets_failed reason] %s", error);
			return -1;
		}
		listener_accept_new(e);
		listener_apply_options(e, config);
	}
	return 0;
}

int
socket_activation_take(struct passed_sockets *passed)
{
	char **names = NULL;
	int rc = 0, count = sd_listen_fds_with_names(1, &names);
	if (count < 0) {
		errno = -count;
		log_error("[passed_sockets_failed] cannot read the passed sockets");
		return -1;
	}
	find_free_slot(passed, count, names);
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = take_socket(passed, SD_LISTEN_FDS_START + i, names[i]);
		free(names[i]);
	}
	free(names);
	return rc == 0 && count > 0 ? assign_to_slots(passed) : rc;
}

/* Independent of the spelling in the configuration, or a reload could not remove what
 * was stored before. FDNAME= allows no colon. */
static void
format_name(const struct listener *listener, uint32_t slot, char *text, size_t size)
{
	char address[ADDRESS_TEXT_MAX];
	snprintf(text, size, NAME_START "%s.%u",
	    address_format(&listener->address, address), slot);
	for (char *c = text; *c != '\0'; c++) {
		if (*c == ':')
			*c = '_';
	}
}

void
socket_activation_store(const struct listener_set *set, uint32_t slot_count)
{
	const char *limit = getenv("FDSTORE");
	/* $FDSTORE is set since systemd 254; older ones ignore the descriptor. */
	if (getenv("NOTIFY_SOCKET") == NULL || (limit != NULL && atoi(limit) == 0))
		return;
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		for (uint32_t i = 0; e->config_index >= 0 && i < slot_count; i++) {
			char name[NAME_BYTES], state[NAME_BYTES + 32];
			if (e->fds[i] < 0 || e->is_stored[i])
				continue;
			format_name(e, i, name, sizeof(name));
			snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
			e->is_stored[i] =
			    sd_pid_notify_with_fds(0, 0, state, &e->fds[i], 1) > 0;
		}
	}
}

void
socket_activation_forget_slot(struct listener *listener, uint32_t slot)
{
	if (!listener->is_stored[slot] || listener->is_from_manager)
		return;
	char name[NAME_BYTES];
	format_name(listener, slot, name, sizeof(name));
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	listener->is_stored[slot] = false;
}

void
socket_activation_forget(struct listener *listener)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		socket_activation_forget_slot(listener, i);
}
