#include "master/listeners/socket_activation.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "lib/log.h"
#include "net/listen.h"

#define NAME_START "yodeld-"
#define NAME_BYTES (ADDRESS_TEXT_MAX + 32)
/* The service manager takes so long at most to close a socket. */
#define BARRIER_US 1000000

static int
make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* The listener of the configuration with that address; else, for a dual-stack socket,
 * that of the IPv4 wildcard. -1: none. */
static int
find_listener(const struct config *config, const struct address *address, int fd)
{
	int ipv4_wildcard = -1;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct address *configured = &config->listeners[i].address;
		if (address_equal(configured, address))
			return (int)i;
		if (configured->storage.ss_family == AF_INET &&
		    address_is_wildcard(configured) &&
		    address_port(configured) == address_port(address))
			ipv4_wildcard = (int)i;
	}
	return listen_is_dual_stack(fd, address) ? ipv4_wildcard : -1;
}

/* Connections to an address wait in the stored socket of a wildcard, and the reverse.
 */
static int
find_overlapping(const struct config *config, const struct address *address)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (address_overlaps(&config->listeners[i].address, address))
			return (int)i;
	}
	return -1;
}

static struct listener *
add_listener(struct listener_set *set, const char *name, const struct address *address)
{
	struct listener *listener = listener_create(name, address);
	if (listener == NULL)
		return NULL;
	listener->next = set->first;
	set->first = listener;
	return listener;
}

/* A struct listener with a free slot; a new one when all are full. */
static struct listener *
listener_of_unit(
    struct listener_set *set, const struct config *config, int config_index)
{
	const struct listener_config *own = &config->listeners[config_index];
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index == config_index &&
		    e->reuseport_count < config->workers)
			return e;
	}
	struct listener *listener = add_listener(set, own->address_text, &own->address);
	if (listener == NULL)
		return NULL;
	listener->config_index = config_index;
	listener->is_from_manager = true;
	listener->is_order_unknown = true;
	return listener;
}

static bool
is_stored_name(const char *name)
{
	return strncmp(name, NAME_START, strlen(NAME_START)) == 0;
}

struct passed_socket {
	int fd;
	const char *name; /* FDNAME */
	struct address address;
};

static int
take_stored(struct listener_set *set, const struct passed_socket *passed, int previous)
{
	char text[ADDRESS_TEXT_MAX];
	struct listener *listener =
	    add_listener(set, address_format(&passed->address, text), &passed->address);
	if (listener == NULL)
		return -1;
	listener->previous_config_index = previous;
	listener->is_of_previous = true;
	listener->stored_name = strdup(passed->name);
	listener_set_socket(listener, 0, passed->fd);
	return listener->stored_name == NULL ? -1 : 0;
}

static int
take_of_unit(struct listener_set *set, const struct config *config,
    const struct passed_socket *passed, int config_index)
{
	struct listener *listener = listener_of_unit(set, config, config_index);
	if (listener == NULL)
		return -1;
	uint32_t slot = listener->reuseport_count;
	listener->address = passed->address;
	listener_set_socket(listener, slot, passed->fd);
	listener->is_stored[slot] = true;
	listener->passed_sockets++;
	return 0;
}

/* A Unix socket of the previous instance goes on, with its queue: callers find it by
 * its file, or by its abstract name. */
static bool
can_go_on(const struct passed_socket *passed)
{
	const char *path = address_unix_path(&passed->address);
	struct file_id file = { .inode = 1 };
	if (path != NULL)
		unix_socket_identify(path, &file);
	return address_is_unix(&passed->address) && file.inode != 0;
}

static int
take_over(struct listener_set *set, const struct config *config,
    const struct passed_socket *passed, int config_index)
{
	const struct listener_config *own = &config->listeners[config_index];
	const char *path = address_unix_path(&passed->address);
	struct listener *listener = add_listener(set, own->address_text, &own->address);
	if (listener == NULL)
		return -1;
	if (path != NULL)
		unix_socket_identify(path, &listener->file);
	listener->config_index = config_index;
	listener->is_order_unknown = true;
	listener_set_socket(listener, 0, passed->fd);
	listener->is_stored[0] = true;
	return 0;
}

/* Whether sockets of this process may be bound beside it. */
static bool
is_own(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_uid == geteuid();
}

/* Left in the store it would accept connections that no worker serves, and keep its
 * address in use. */
static void
give_back(const struct passed_socket *passed, const char *reason)
{
	char text[ADDRESS_TEXT_MAX];
	log_warnx(
	    "[passed_socket_closed reason address] %s the passed socket %s: closed",
	    reason, address_format(&passed->address, text));
	close(passed->fd);
	if (!is_stored_name(passed->name))
		return;
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", passed->name);
	sd_notify_barrier(0, BARRIER_US);
}

static int
take_socket(
    struct listener_set *set, const struct config *config, struct passed_socket *passed)
{
	struct address *address = &passed->address;
	char text[ADDRESS_TEXT_MAX];
	address->length = sizeof(address->storage);
	if (sd_is_socket(passed->fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
	    getsockname(passed->fd, (struct sockaddr *)&address->storage,
		&address->length) < 0) {
		log_warnx(
		    "[passed_descriptor_closed descriptor] passed descriptor %d is not a listening socket: closed",
		    passed->fd);
		close(passed->fd);
		return 0;
	}
	bool is_stored = is_stored_name(passed->name);
	if (is_stored && !is_own(passed->fd)) {
		give_back(passed, "another user has opened");
		return 0;
	}
	int config_index = is_stored ? find_overlapping(config, address)
				     : find_listener(config, address, passed->fd);
	if (config_index < 0) {
		give_back(passed, "no listener is configured for");
		return 0;
	}
	int rc = make_nonblocking(passed->fd);
	if (rc == 0 && !is_stored)
		rc = take_of_unit(set, config, passed, config_index);
	else if (rc == 0 && can_go_on(passed))
		rc = take_over(set, config, passed, config_index);
	else if (rc == 0)
		rc = take_stored(set, passed, config_index);
	if (rc == 0)
		return 0;
	log_error("[passed_socket_failed address] cannot take the passed socket %s",
	    address_format(address, text));
	return -1;
}

/* Slots without a socket of their own share one. */
static int
assign_to_slots(struct listener_set *set, const struct config *config)
{
	char error[CONFIG_ERROR_MAX];
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index < 0)
			continue;
		const struct listener_config *own = &config->listeners[e->config_index];
		if (listener_add_sockets(e, own, config->workers, error) < 0) {
			log_errorx("[passed_sockets_failed reason] %s", error);
			return -1;
		}
		listener_accept_new(e);
		listener_apply_options(e, own);
	}
	return 0;
}

int
socket_activation_take(struct listener_set *set, const struct config *config)
{
	char **names = NULL;
	int rc = 0, count = sd_listen_fds_with_names(1, &names);
	if (count < 0) {
		errno = -count;
		log_error("[passed_sockets_failed] cannot read the passed sockets");
		return -1;
	}
	for (int i = 0; i < count; i++) {
		struct passed_socket passed = { .fd = SD_LISTEN_FDS_START + i,
			.name = names[i] };
		if (rc == 0)
			rc = take_socket(set, config, &passed);
		free(names[i]);
	}
	free(names);
	return rc == 0 ? assign_to_slots(set, config) : rc;
}

static bool
is_stored(const struct listener *listener)
{
	return listener->stored_name != NULL;
}

bool
socket_activation_has_stored(const struct listener_set *set)
{
	const struct listener *e = set->first;
	while (e != NULL && !is_stored(e))
		e = e->next;
	return e != NULL;
}

static bool
needs_stand_in(const struct listener_set *set, const struct listener *stored)
{
	bool is_replaced = false;
	for (const struct listener *e = set->first; e != NULL; e = e->next) {
		bool is_same = address_equal(&e->address, &stored->address);
		if (is_same && e->config_index < 0 && !is_stored(e))
			return false; /* there is one */
		if (is_same && e->config_index >= 0)
			is_replaced = true;
	}
	return is_replaced;
}

/* Without one (IPv6 is off, or another user has the port), connections are refused
 * between two system calls. */
static void
open_stand_in(struct listener_set *set, const struct listener *stored)
{
	int fd = listen_open_stand_in(&stored->address);
	if (fd < 0)
		return;
	struct listener *stand_in = add_listener(set, stored->name, &stored->address);
	if (stand_in == NULL) {
		close(fd);
		return;
	}
	stand_in->is_of_previous = true;
	stand_in->previous_config_index = stored->previous_config_index;
	listener_set_socket(stand_in, 0, fd);
}

void
socket_activation_retire_stored(struct listener_set *set)
{
	for (const struct listener *e = set->first; e != NULL; e = e->next) {
		if (is_stored(e) && needs_stand_in(set, e))
			open_stand_in(set, e);
	}
	for (const struct listener *e = set->first; e != NULL; e = e->next) {
		if (is_stored(e))
			listener_retire(e);
	}
}

void
socket_activation_retire_stand_ins(const struct listener_set *set)
{
	for (const struct listener *e = set->first; e != NULL; e = e->next) {
		if (e->config_index < 0 && !is_stored(e))
			listener_retire(e);
	}
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

/* The new sockets have the same names. */
static void
forget_previous(const struct listener_set *set)
{
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		if (!is_stored(e))
			continue;
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", e->stored_name);
		free(e->stored_name);
		e->stored_name = NULL;
	}
}

void
socket_activation_store(const struct listener_set *set, uint32_t slot_count)
{
	const char *limit = getenv("FDSTORE");
	/* $FDSTORE is set since systemd 254; older ones ignore the descriptor. */
	if (getenv("NOTIFY_SOCKET") == NULL || (limit != NULL && atoi(limit) == 0))
		return;
	forget_previous(set);
	for (struct listener *e = set->first; e != NULL; e = e->next) {
		for (uint32_t i = 0; e->config_index >= 0 && i < slot_count; i++) {
			char name[NAME_BYTES], state[NAME_BYTES + 32];
			bool is_shared = i > 0 && address_is_unix(&e->address);
			if (e->fds[i] < 0 || e->is_stored[i] || is_shared)
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
