#include "master/endpoint.h"

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

#include "net/listen.h"

#include "master/kernel.h"

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
		FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");
		bool is_known = file != NULL && fscanf(file, "%31s", text) == 1;
		if (file != NULL)
			fclose(file);
		if (!is_known)
			return 0;
		name = text;
	}
	return setsockopt(
	    fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

/* Binds fd; *ret_step says what failed. */
static int
bind_and_listen(struct endpoint *endpoint, const struct listener_config *config, int fd,
    const char **ret_step)
{
	struct sockaddr *address = (struct sockaddr *)&endpoint->address.storage;
	bool is_first = endpoint->group_count == 0;
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
	if (bind(fd, address, endpoint->address.length) < 0)
		return -1;
	*ret_step = "share";
	if (is_first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	*ret_step = "listen on";
	if (listen(fd, (int)config->backlog) < 0)
		return -1;
	socklen_t length = sizeof(endpoint->address.storage);
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
open_slot(struct endpoint *endpoint, const struct listener_config *config,
    uint32_t slot, char *error)
{
	const char *step = "open a socket for";
	int fd = socket(endpoint->address.storage.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind_and_listen(endpoint, config, fd, &step) == 0) {
		endpoint_put(endpoint, slot, fd);
		return 0;
	}
	int saved = errno;
	snprintf(error, CONFIG_ERROR_MAX, "cannot %s %s: %s%s", step, endpoint->name,
	    strerror(saved), remedy(saved));
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

/* The service manager's sockets may not be in a group that one more could join: a slot
 * beyond them shares one. */
static int
share_slot(struct endpoint *endpoint, uint32_t slot, char *error)
{
	int fd = fcntl(endpoint->fds[slot % endpoint->passed], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		int saved = errno;
		snprintf(error, CONFIG_ERROR_MAX,
		    "cannot share the passed socket %s: %s", endpoint->name,
		    strerror(saved));
		errno = saved;
		return -1;
	}
	endpoint_put(endpoint, slot, fd);
	endpoint->is_stored[slot] = true;
	return 0;
}

struct endpoint *
endpoint_create(const char *name, const struct address *address)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
	if (endpoint == NULL)
		return NULL;
	endpoint->name = strdup(name);
	if (endpoint->name == NULL) {
		free(endpoint);
		return NULL;
	}
	endpoint->configured = endpoint->address = *address;
	endpoint->listener = endpoint->next_listener = endpoint->former_listener = -1;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		endpoint->fds[i] = -1;
	return endpoint;
}

struct endpoint *
endpoint_open(const struct listener_config *config, uint32_t slots, char *error)
{
	struct endpoint *endpoint =
	    endpoint_create(config->address_text, &config->address);
	if (endpoint == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "out of memory");
		return NULL;
	}
	if (endpoint_grow(endpoint, config, slots, error) == 0)
		return endpoint;
	int saved = errno;
	endpoint_destroy(endpoint);
	errno = saved;
	return NULL;
}

void
endpoint_put(struct endpoint *endpoint, uint32_t slot, int fd)
{
	endpoint->fds[slot] = fd;
	endpoint->group[endpoint->group_count++] = (uint16_t)slot;
}

int
endpoint_grow(struct endpoint *endpoint, const struct listener_config *config,
    uint32_t slots, char *error)
{
	for (uint32_t i = 0; i < slots; i++) {
		if (endpoint->fds[i] >= 0)
			continue;
		int rc = endpoint->is_passed ? share_slot(endpoint, i, error)
					     : open_slot(endpoint, config, i, error);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int
endpoint_try(const struct listener_config *config, char *error)
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
endpoint_adjust(const struct endpoint *endpoint, const struct listener_config *config)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		int fd = endpoint->fds[i];
		if (fd < 0)
			continue;
		if (listen(fd, (int)config->backlog) < 0 ||
		    set_option(fd, IPPROTO_TCP, TCP_NODELAY, config->nodelay) < 0 ||
		    (!(endpoint->is_passed && config->congestion == NULL) &&
			set_congestion(fd, config->congestion) < 0))
			log_warn("%s: a socket stays as it was", endpoint->name);
	}
}

void
endpoint_close_slot(struct endpoint *endpoint, uint32_t slot)
{
	if (endpoint->fds[slot] < 0)
		return;
	endpoint->drops_closed += kernel_read_drops(endpoint->fds[slot]);
	close(endpoint->fds[slot]);
	endpoint->fds[slot] = -1;
	endpoint->is_stored[slot] = false;
	/* As reuseport_detach_sock() does: the last one moves into the gap. */
	for (uint32_t i = 0; i < endpoint->group_count; i++) {
		if (endpoint->group[i] == slot) {
			endpoint->group[i] = endpoint->group[--endpoint->group_count];
			break;
		}
	}
}

void
endpoint_destroy(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		endpoint_close_slot(endpoint, i);
	free(endpoint->name);
	free(endpoint);
}

void
endpoint_turn_away(const struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (endpoint->fds[i] >= 0 && listen_block_new(endpoint->fds[i]) < 0)
			log_debug(
			    "%s: new connections are not turned away", endpoint->name);
	}
}

void
endpoint_turn_away_slot(const struct endpoint *endpoint, uint32_t slot)
{
	bool is_shared = endpoint->is_passed && slot >= endpoint->passed;
	if (endpoint->fds[slot] >= 0 && !is_shared &&
	    listen_block_new(endpoint->fds[slot]) < 0)
		log_debug("%s: new connections are not turned away", endpoint->name);
}

void
endpoint_welcome_slot(const struct endpoint *endpoint, uint32_t slot)
{
	if (endpoint->fds[slot] >= 0)
		listen_accept_new(endpoint->fds[slot]);
}

void
endpoint_welcome(const struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (endpoint->fds[i] >= 0)
			listen_accept_new(endpoint->fds[i]);
	}
}

uint32_t
endpoint_sockets(const struct endpoint *endpoint)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++)
		count += endpoint->fds[i] >= 0;
	return count;
}

uint64_t
endpoint_drops(const struct endpoint *endpoint)
{
	uint64_t drops = endpoint->drops_closed;
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (endpoint->fds[i] >= 0)
			drops += kernel_read_drops(endpoint->fds[i]);
	}
	return drops;
}
