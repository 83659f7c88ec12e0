/*
 * admin_listener.h - the listening sockets for operators that the configuration names
 * (http_server.h). The requests are served by a handler of the master.
 *
 * A reload that changes an admin listener opens the new one first, so that a failure
 * changes nothing; the old one is closed on the commit.
 */
#ifndef MASTER_LISTENERS_ADMIN_LISTENER_H
#define MASTER_LISTENERS_ADMIN_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http_server.h"
#include "conf/config.h"

struct admin_listeners;

/* None is open yet. `handler` serves every request. NULL with errno. */
struct admin_listeners *admin_listener_create(struct event_base *base,
    http_server_handler handler, void *argument) __attribute__((warn_unused_result));
void admin_listener_destroy(struct admin_listeners *admin);

/* Whether this host lets them be opened, see listener_check(). 0, or -1 with one line
 * in error[CONFIG_ERROR_MAX]. */
int admin_listener_check(const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* Opens the listeners of a configuration that are not open. 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX] and nothing changed. Then commit or discard: */
int admin_listener_plan(struct admin_listeners *admin, const struct config *config,
    char *error) __attribute__((warn_unused_result));
/* Closes the listeners that are not in that configuration. */
void admin_listener_commit(struct admin_listeners *admin, const struct config *config);
void admin_listener_discard(struct admin_listeners *admin);

/* Before an exec, which closes the connections: accepts no more. True when at most
 * `waiting` connections are left (the requests for the upgrade itself), or enough time
 * has passed since the first call; false when it is to be called again soon. */
bool admin_listener_pause(struct admin_listeners *admin, size_t waiting);
bool admin_listener_is_paused(const struct admin_listeners *admin);
void admin_listener_resume(struct admin_listeners *admin);

/* An open listener, for the next program image; NULL: none. */
const struct http_server *admin_listener_server(
    const struct admin_listeners *admin, enum http_server_kind kind);
/* Adds a listener that this image inherited. 0, or -1 with errno. */
int admin_listener_install(struct admin_listeners *admin, enum http_server_kind kind,
    const char *name, int fd, const struct file_id *file)
    __attribute__((warn_unused_result));

#endif
