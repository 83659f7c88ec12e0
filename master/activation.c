#include "master/activation.h"

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

/* An endpoint of the listener with room in a slot, the wanted one if it can be; a new
 * one when all are full. */
static struct endpoint *
endpoint_with_room(struct master *master, int listener, bool is_passed, uint32_t *slot)
{
	const struct listener_config *config = &master->config.listeners[listener];
	uint32_t wanted = *slot;
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->listener != listener || e->is_passed != is_passed ||
		    e->group_count >= master->slot_count)
			continue;
		if (wanted < master->slot_count && e->fds[wanted] < 0)
			return e;
		for (*slot = 0; e->fds[*slot] >= 0;)
			++*slot;
		return e;
	}
	struct endpoint *endpoint =
	    endpoint_create(config->address_text, &config->address);
	if (endpoint == NULL)
		return NULL;
	endpoint->listener = listener;
	endpoint->is_passed = is_passed;
	endpoint->is_order_unknown = true;
	endpoint->next = master->endpoints;
	master->endpoints = endpoint;
	if (wanted >= master->slot_count)
		*slot = 0;
	return endpoint;
}

/* A socket that we had stored ourselves carries the slot in its name; one that a unit
 * passes is its own. */
static bool
is_ours(const char *name, uint32_t *ret_slot)
{
	const char *dot = strrchr(name, '.');
	*ret_slot = 0;
	if (strncmp(name, NAME_START, strlen(NAME_START)) != 0 || dot == NULL)
		return false;
	*ret_slot = (uint32_t)strtoul(dot + 1, NULL, 10);
	return true;
}

static int
take_one(struct master *master, int fd, const char *name)
{
	struct address address = { .length = sizeof(address.storage) };
	char text[ADDRESS_TEXT_MAX];
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
	    getsockname(fd, (struct sockaddr *)&address.storage, &address.length) < 0) {
		log_warnx("passed descriptor %d is no listening socket: closed", fd);
		close(fd);
		return 0;
	}
	uint32_t slot;
	bool is_passed = !is_ours(name, &slot);
	int listener = find_listener(&master->config, &address);
	if (listener < 0) {
		log_warnx("no listener is configured for the passed socket %s: closed",
		    address_format(&address, text));
		/* Or it would stay open there, and callers wait for nobody. */
		if (!is_passed)
			sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
		close(fd);
		return 0;
	}
	struct endpoint *endpoint =
	    endpoint_with_room(master, listener, is_passed, &slot);
	if (endpoint == NULL || make_nonblocking(fd) < 0) {
		log_error(
		    "cannot take the passed socket %s", address_format(&address, text));
		return -1;
	}
	endpoint_put(endpoint, slot, fd);
	endpoint->is_stored[slot] = true;
	endpoint->passed += is_passed;
	return 0;
}

/* What we stored belongs into its slot, which there may be no worker for any more. */
static void
make_room(struct master *master, int count, char *const *names)
{
	for (int i = 0; i < count; i++) {
		uint32_t slot;
		if (is_ours(names[i], &slot) && slot < CONFIG_WORKERS_MAX &&
		    slot >= master->slot_count)
			master->slot_count = slot + 1;
	}
}

/* Slots without a socket get one: of their own, or shared with others. */
static int
share_out(struct master *master)
{
	char error[CONFIG_ERROR_MAX];
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		const struct listener_config *config =
		    &master->config.listeners[e->listener];
		if (endpoint_grow(e, config, master->slot_count, error) < 0) {
			log_errorx("%s", error);
			return -1;
		}
		endpoint_welcome(e);
		endpoint_adjust(e, config);
	}
	return 0;
}

int
activation_take(struct master *master)
{
	char **names = NULL;
	int rc = 0, count = sd_listen_fds_with_names(1, &names);
	if (count < 0) {
		errno = -count;
		log_error("the passed sockets cannot be read");
		return -1;
	}
	make_room(master, count, names);
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = take_one(master, SD_LISTEN_FDS_START + i, names[i]);
		free(names[i]);
	}
	free(names);
	return rc == 0 && count > 0 ? share_out(master) : rc;
}

/* The same however the configuration spells the address, or what was stored under one
 * name could not be removed under another. FDNAME= allows no colon. */
static void
format_name(const struct endpoint *endpoint, uint32_t slot, char *text, size_t size)
{
	char address[ADDRESS_TEXT_MAX];
	snprintf(text, size, NAME_START "%s.%u",
	    address_format(&endpoint->address, address), slot);
	for (char *c = text; *c != '\0'; c++) {
		if (*c == ':')
			*c = '_';
	}
}

void
activation_store(struct master *master)
{
	const char *limit = getenv("FDSTORE");
	/* FDSTORE tells since version 254; before, an unwanted descriptor is dropped.
	 */
	if (getenv("NOTIFY_SOCKET") == NULL || (limit != NULL && atoi(limit) == 0))
		return;
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		for (uint32_t i = 0; e->listener >= 0 && i < master->slot_count; i++) {
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
activation_forget_slot(struct endpoint *endpoint, uint32_t slot)
{
	if (!endpoint->is_stored[slot] || endpoint->is_passed)
		return;
	char name[NAME_BYTES];
	format_name(endpoint, slot, name, sizeof(name));
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	endpoint->is_stored[slot] = false;
}

void
activation_forget(struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		activation_forget_slot(endpoint, i);
}
