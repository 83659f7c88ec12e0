#include "master/listeners/admin_listener.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "net/address.h"

/* Grace period for requests in progress on an admin listener that a reload has closed,
 * and for connections in its accept queue. */
#define CLOSE_GRACE_S 2
/* An exec waits so long for requests in progress. */
#define EXEC_WAIT_NS NS_PER_S

struct admin_listeners {
	struct event_base *base;
	http_server_handler handler;
	void *argument;
	struct http_server *servers[HTTP_SERVER_KINDS];
	struct http_server *planned[HTTP_SERVER_KINDS];
	bool keeps[HTTP_SERVER_KINDS]; /* the plan has the same one */
	struct http_server *draining[HTTP_SERVER_KINDS];
	struct event close_grace_timer;
	uint64_t paused_since_ns; /* 0: not paused */
};

static void
on_close_grace_end(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct admin_listeners *admin = argument;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		http_server_destroy(admin->draining[i]);
		admin->draining[i] = NULL;
	}
}

struct admin_listeners *
admin_listener_create(
    struct event_base *base, http_server_handler handler, void *argument)
{
	struct admin_listeners *admin = calloc(1, sizeof(*admin));
	if (admin == NULL)
		return NULL;
	admin->base = base;
	admin->handler = handler;
	admin->argument = argument;
	evtimer_assign(&admin->close_grace_timer, base, on_close_grace_end, admin);
	return admin;
}

void
admin_listener_destroy(struct admin_listeners *admin)
{
	if (admin == NULL)
		return;
	admin_listener_discard(admin);
	on_close_grace_end(-1, 0, admin);
	event_del(&admin->close_grace_timer);
	for (int i = 0; i < HTTP_SERVER_KINDS; i++)
		http_server_destroy(admin->servers[i]);
	free(admin);
}

static const char *
configured_name(const struct config *config, enum http_server_kind kind)
{
	return kind == HTTP_SERVER_UNIX ? config->admin.socket : config->admin.address;
}

static struct http_server_args
args_for(
    const struct admin_listeners *admin, enum http_server_kind kind, const char *name)
{
	return (struct http_server_args){ .base = admin->base,
		.kind = kind,
		.name = name,
		.handler = admin->handler,
		.argument = admin->argument };
}

/* Compares addresses, not their spelling. */
static bool
is_same_name(enum http_server_kind kind, const char *a, const char *b)
{
	struct address one, other;
	char error[CONFIG_ERROR_MAX];
	if (kind != HTTP_SERVER_TCP)
		return strcmp(a, b) == 0;
	return address_parse(a, &one, error, sizeof(error)) == 0 &&
	    address_parse(b, &other, error, sizeof(error)) == 0 &&
	    address_equal(&one, &other);
}

static int
plan_server(struct admin_listeners *admin, const struct config *config,
    enum http_server_kind kind, char *error)
{
	const char *name = configured_name(config, kind);
	const struct http_server *open = admin->servers[kind];
	if (name == NULL)
		return 0;
	admin->keeps[kind] = open != NULL &&
	    is_same_name(kind, http_server_name(open), name) &&
	    http_server_is_reachable(open);
	if (admin->keeps[kind])
		return 0;
	const struct http_server_args args = args_for(admin, kind, name);
	char why[CONFIG_ERROR_MAX - 16];
	struct http_server *http_server = http_server_open(&args, why, sizeof(why));
	admin->planned[kind] = http_server;
	if (http_server == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "admin: %s", why);
		return -1;
	}
	if (http_server_set_group(http_server, config->admin.group) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "admin: cannot give %s to group %s: %s", name,
	    config->admin.group, strerror(errno));
	return -1;
}

int
admin_listener_check(const struct config *config, char *error)
{
	const struct group *entry =
	    config->admin.group == NULL ? NULL : getgrnam(config->admin.group);
	gid_t group = entry == NULL ? (gid_t)-1 : entry->gr_gid;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		enum http_server_kind kind = (enum http_server_kind)i;
		const struct http_server_args args = { .kind = kind,
			.name = configured_name(config, kind) };
		char why[CONFIG_ERROR_MAX - 16];
		if (args.name == NULL ||
		    http_server_check(&args, group, why, sizeof(why)) == 0)
			continue;
		snprintf(error, CONFIG_ERROR_MAX, "admin: %s", why);
		return -1;
	}
	return 0;
}

int
admin_listener_plan(
    struct admin_listeners *admin, const struct config *config, char *error)
{
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		if (plan_server(admin, config, (enum http_server_kind)i, error) < 0) {
			admin_listener_discard(admin);
			return -1;
		}
	}
	return 0;
}

void
admin_listener_discard(struct admin_listeners *admin)
{
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		http_server_destroy(admin->planned[i]);
		admin->planned[i] = NULL;
		admin->keeps[i] = false;
	}
}

static void
close_with_grace(struct admin_listeners *admin, int kind)
{
	const struct timeval delay = { .tv_sec = CLOSE_GRACE_S };
	http_server_retire(admin->servers[kind]);
	http_server_destroy(admin->draining[kind]);
	admin->draining[kind] = admin->servers[kind];
	evtimer_add(&admin->close_grace_timer, &delay);
}

void
admin_listener_commit(struct admin_listeners *admin, const struct config *config)
{
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		struct http_server *old = admin->servers[i];
		if (admin->keeps[i]) {
			if (http_server_set_group(old, config->admin.group) < 0)
				log_warn("[admin_group_failed listener] "
					 "admin: cannot change the group of %s",
				    http_server_name(old));
			continue;
		}
		if (admin->planned[i] != NULL)
			http_server_start(admin->planned[i]);
		if (old != NULL)
			close_with_grace(admin, i);
		admin->servers[i] = admin->planned[i];
		admin->planned[i] = NULL;
		char where[128];
		if (admin->servers[i] != NULL)
			log_info("[admin_listening listener access] admin: %s (%s)",
			    http_server_format_address(
				admin->servers[i], where, sizeof(where)),
			    i == HTTP_SERVER_UNIX ? "read and control" : "read-only");
	}
	admin_listener_discard(admin);
}

bool
admin_listener_pause(struct admin_listeners *admin, size_t waiting)
{
	size_t connections = 0;
	if (admin->paused_since_ns == 0)
		admin->paused_since_ns = clock_now_ns();
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		if (admin->servers[i] != NULL)
			connections += http_server_pause(admin->servers[i]);
	}
	return connections <= waiting ||
	    clock_now_ns() - admin->paused_since_ns >= EXEC_WAIT_NS;
}

bool
admin_listener_is_paused(const struct admin_listeners *admin)
{
	return admin->paused_since_ns != 0;
}

void
admin_listener_resume(struct admin_listeners *admin)
{
	admin->paused_since_ns = 0;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		if (admin->servers[i] != NULL)
			http_server_resume(admin->servers[i]);
	}
}

const struct http_server *
admin_listener_server(const struct admin_listeners *admin, enum http_server_kind kind)
{
	return admin == NULL ? NULL : admin->servers[kind];
}

int
admin_listener_install(struct admin_listeners *admin, enum http_server_kind kind,
    const char *name, int fd, const struct file_id *file)
{
	const struct http_server_args args = args_for(admin, kind, name);
	admin->servers[kind] = http_server_from_fd(&args, fd, file);
	return admin->servers[kind] == NULL ? -1 : 0;
}
