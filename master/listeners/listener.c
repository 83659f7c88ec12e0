#include "master/listeners/listener.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/log.h"
#include "lib/procfs.h"

#include "net/listen.h"
#include "net/socket_info.h"

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Accepted sockets inherit it. "" would be no name: what was set before is undone by
 * the name of the default. */
static int
set_congestion(int fd, const char *name)
{
	char text[32] = "";
	if (name == NULL) {
		procfs_read(
		    "/proc/sys/net/ipv4/tcp_congestion_control", text, sizeof(text));
		text[strcspn(text, "\n")] = '\0';
		if (text[0] == '\0')
			return 0;
		name = text;
	}
	return setsockopt(
	    fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

/* Binds fd; *ret_step says what failed. */
static int
bind_and_listen(struct listener *listener, const struct listener_config *config, int fd,
    const char **ret_step)
{
	struct sockaddr *address = (struct sockaddr *)&listener->address.storage;
	bool is_first = listener->reuseport_count == 0;
	*ret_step = "set up";
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
		return -1;
	if (address->sa_family == AF_INET6 &&
	    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		return -1;
	/* Accepted sockets inherit it: no call for each connection. */
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, config->nodelay) < 0)
		return -1;
	if (!is_first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	*ret_step = "set the congestion control of";
	if (config->congestion != NULL && set_congestion(fd, config->congestion) < 0)
		return -1;
	*ret_step = "bind";
	if (bind(fd, address, listener->address.length) < 0)
		return -1;
	*ret_step = "share";
	if (is_first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	*ret_step = "listen on";
	if (listen(fd, (int)config->backlog) < 0)
		return -1;
	socklen_t length = sizeof(listener->address.storage);
	return getsockname(fd, address, &length);
}

/* What the reasons of some steps want. */
static const char *
remedy(int reason)
{
	switch (reason) {
	case EACCES: /* bind */
		return "; below net.ipv4.ip_unprivileged_port_start CAP_NET_BIND_SERVICE is wanted";
	case ENOENT: /* the congestion control */
		return "; one of net.ipv4.tcp_available_congestion_control was wanted";
	case EPERM:
		return "; one of net.ipv4.tcp_allowed_congestion_control was wanted";
	default:
		return "";
	}
}

static int
open_slot(struct listener *listener, const struct listener_config *config,
    uint32_t slot, char *error)
{
	const char *step = "open a socket for";
	int fd = socket(listener->address.storage.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind_and_listen(listener, config, fd, &step) == 0) {
		listener_set_socket(listener, slot, fd);
		return 0;
	}
	int saved = errno;
	snprintf(error, CONFIG_ERROR_MAX, "cannot %s %s: %s%s", step, listener->name,
	    strerror(saved), remedy(saved));
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

/* The service manager's sockets may not be in a group that one more could join: a slot
 * beyond them shares one. */
static int
share_slot(struct listener *listener, uint32_t slot, char *error)
{
	int fd =
	    fcntl(listener->fds[slot % listener->passed_sockets], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		int saved = errno;
		snprintf(error, CONFIG_ERROR_MAX,
		    "cannot share the passed socket %s: %s", listener->name,
		    strerror(saved));
		errno = saved;
		return -1;
	}
	listener_set_socket(listener, slot, fd);
	listener->is_stored[slot] = true;
	return 0;
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

int
listener_add_sockets(struct listener *listener, const struct listener_config *config,
    uint32_t slots, char *error)
{
	for (uint32_t i = 0; i < slots; i++) {
		if (listener->fds[i] >= 0)
			continue;
		int rc = listener->is_from_manager
		    ? share_slot(listener, i, error)
		    : open_slot(listener, config, i, error);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int
listener_check_options(const struct listener_config *config, char *error)
{
	if (config->congestion == NULL)
		return 0;
	int fd =
	    socket(config->address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : set_congestion(fd, config->congestion);
	if (rc < 0)
		snprintf(error, CONFIG_ERROR_MAX,
		    "cannot set the congestion control of %s to %s: %s",
		    config->address_text, config->congestion, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

void
listener_apply_options(
    const struct listener *listener, const struct listener_config *config)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		int fd = listener->fds[i];
		if (fd < 0)
			continue;
		if (listen(fd, (int)config->backlog) < 0 ||
		    set_option(fd, IPPROTO_TCP, TCP_NODELAY, config->nodelay) < 0 ||
		    (!(listener->is_from_manager && config->congestion == NULL) &&
			set_congestion(fd, config->congestion) < 0))
			log_warn("%s: a socket stays as it was", listener->name);
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
	/* As reuseport_detach_sock() does: the last one moves into the gap. */
	for (uint32_t i = 0; i < listener->reuseport_count; i++) {
		if (listener->reuseport_slots[i] == slot) {
			listener->reuseport_slots[i] =
			    listener->reuseport_slots[--listener->reuseport_count];
			break;
		}
	}
}

void
listener_destroy(struct listener *listener)
{
	if (listener == NULL)
		return;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		listener_close_slot(listener, i);
	free(listener->name);
	free(listener);
}

void
listener_block_new(const struct listener *listener)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] >= 0 && listen_block_new(listener->fds[i]) < 0)
			log_debug(
			    "%s: new connections are not turned away", listener->name);
	}
}

void
listener_block_new_slot(const struct listener *listener, uint32_t slot)
{
	bool is_shared = listener->is_from_manager && slot >= listener->passed_sockets;
	if (listener->fds[slot] >= 0 && !is_shared &&
	    listen_block_new(listener->fds[slot]) < 0)
		log_debug("%s: new connections are not turned away", listener->name);
}

void
listener_accept_new_slot(const struct listener *listener, uint32_t slot)
{
	if (listener->fds[slot] >= 0)
		listen_accept_new(listener->fds[slot]);
}

void
listener_accept_new(const struct listener *listener)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (listener->fds[i] >= 0)
			listen_accept_new(listener->fds[i]);
	}
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
