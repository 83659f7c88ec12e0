#include "master/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "lib/log.h"

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

/* An endpoint of the listener with room in a slot; a new one when all are full. */
static struct endpoint *
endpoint_with_room(struct master *master, int listener, uint32_t *ret_slot)
{
	const struct listener_config *config = &master->config.listeners[listener];
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->listener != listener || e->group_count >= master->slot_count)
			continue;
		*ret_slot = e->group_count;
		return e;
	}
	struct endpoint *endpoint =
	    endpoint_create(config->address_text, &config->address);
	if (endpoint == NULL)
		return NULL;
	endpoint->listener = listener;
	endpoint->is_passed = endpoint->is_stored = true;
	endpoint->next = master->endpoints;
	master->endpoints = endpoint;
	*ret_slot = 0;
	return endpoint;
}

static int
take_one(struct master *master, int fd)
{
	struct address address = { .length = sizeof(address.storage) };
	char text[ADDRESS_TEXT_MAX];
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
	    getsockname(fd, (struct sockaddr *)&address.storage, &address.length) < 0) {
		log_warnx("passed descriptor %d is no listening socket: closed", fd);
		close(fd);
		return 0;
	}
	int listener = find_listener(&master->config, &address);
	if (listener < 0) {
		log_warnx("no listener is configured for the passed socket %s: closed",
		    address_format(&address, text));
		close(fd);
		return 0;
	}
	uint32_t slot;
	struct endpoint *endpoint = endpoint_with_room(master, listener, &slot);
	if (endpoint == NULL || make_nonblocking(fd) < 0) {
		log_error(
		    "cannot take the passed socket %s", address_format(&address, text));
		return -1;
	}
	endpoint_put(endpoint, slot, fd);
	endpoint->passed = endpoint->group_count;
	return 0;
}

/* Slots without a socket of their own share those of the others. */
static int
share_out(struct master *master)
{
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		uint32_t passed = e->group_count;
		for (uint32_t i = passed; i < master->slot_count; i++) {
			int fd = fcntl(e->fds[i % passed], F_DUPFD_CLOEXEC, 0);
			if (fd < 0) {
				log_error("cannot share the passed socket %s", e->name);
				return -1;
			}
			endpoint_put(e, i, fd);
		}
		endpoint_welcome(e);
		endpoint_adjust(e, &master->config.listeners[e->listener]);
	}
	return 0;
}

int
activation_take(struct master *master)
{
	int count = sd_listen_fds(1);
	if (count < 0) {
		errno = -count;
		log_error("the passed sockets cannot be read");
		return -1;
	}
	for (int i = 0; i < count; i++) {
		if (take_one(master, SD_LISTEN_FDS_START + i) < 0)
			return -1;
	}
	return count > 0 ? share_out(master) : 0;
}

/* FDNAME= allows no colon. */
static void
format_name(const struct endpoint *endpoint, char *text, size_t size)
{
	snprintf(text, size, "yodeld-%s", endpoint->name);
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
		if (e->is_stored || e->listener < 0)
			continue;
		char name[96], state[128];
		int fds[LEDGER_SLOTS];
		unsigned count = 0;
		for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
			if (e->fds[i] >= 0)
				fds[count++] = e->fds[i];
		}
		format_name(e, name, sizeof(name));
		snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
		e->is_stored = sd_pid_notify_with_fds(0, 0, state, fds, count) > 0;
	}
}

void
activation_forget(const struct endpoint *endpoint)
{
	if (!endpoint->is_stored || endpoint->is_passed)
		return;
	char name[96];
	format_name(endpoint, name, sizeof(name));
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}
