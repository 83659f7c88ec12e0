/*
 * admin_listener.h - operators see and steer the server over HTTP: the doors that the
 * configuration names (http_server.h), and what is answered there.
 *
 *   GET   /stats /workers       JSON
 *         /config               JSON, the effective configuration
 *         /metrics              the text format of Prometheus
 *         /healthz /readyz      200 or 503, with a word
 *   POST  what steers (admin_routes.h)
 *
 * A reload that moves a door opens the new one before anything is changed, so that it
 * can fail whole; the old one is closed when the reload has succeeded.
 */
#ifndef MASTER_LISTENERS_ADMIN_LISTENER_H
#define MASTER_LISTENERS_ADMIN_LISTENER_H

#include <stdbool.h>

#include "http/http_server.h"

#include "master/master.h"

/* No door yet. 0, or -1 with errno. */
int admin_listener_create(struct master *master) __attribute__((warn_unused_result));
void admin_listener_destroy(struct master *master);

/* Opens what a configuration asks for and is not open. 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX] and everything as it was. Then either of the next two: */
int admin_listener_plan(struct master *master, const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* That configuration is master->config.current now: closes what it does not ask for. */
void admin_listener_commit(struct master *master);
void admin_listener_discard(struct master *master);

/* Before an exec, which cuts off whoever is inside: lets nobody in any more. True when
 * only those are left who wait for the upgrade, or enough time has passed since it was
 * first asked; false when it is to be asked again soon. */
bool admin_listener_pause(struct master *master);
void admin_listener_resume(struct master *master);

/* The open doors, for the next program image; NULL: none. */
const struct http_server *admin_listener_server(
    const struct master *master, enum http_server_kind kind);
/* A door that this image inherited. NULL with errno. */
struct http_server *admin_listener_install(
    struct master *master, enum http_server_kind kind, const char *name, int fd)
    __attribute__((warn_unused_result));

#endif
