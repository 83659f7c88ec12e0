/*
 * admin.h - operators see and steer the server over HTTP: the doors that the
 * configuration names (door.h), and what is answered there.
 *
 *   GET   /stats /workers       JSON
 *         /config               JSON, the effective configuration
 *         /metrics              the text format of Prometheus
 *         /healthz /readyz      200 or 503, with a word
 *   POST  what steers (steering.h)
 *
 * A reload that moves a door opens the new one before anything is changed, so that it
 * can fail whole; the old one is closed when the reload has succeeded.
 */
#ifndef MASTER_ADMIN_H
#define MASTER_ADMIN_H

#include <stdbool.h>

#include "master/door.h"
#include "master/master.h"

/* No door yet. 0, or -1 with errno. */
int admin_create(struct master *master) __attribute__((warn_unused_result));
void admin_destroy(struct master *master);

/* Opens what a configuration asks for and is not open. 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX] and everything as it was. Then either of the next two: */
int admin_plan(struct master *master, const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* That configuration is master->config now: closes what it does not ask for. */
void admin_commit(struct master *master);
void admin_unplan(struct master *master);

/* Before an exec, which cuts off whoever is inside: lets nobody in any more. True when
 * only those are left who wait for the upgrade, or enough time has passed since it was
 * first asked; false when it is to be asked again soon. */
bool admin_hold(struct master *master);
void admin_release(struct master *master);

/* The open doors, for the next program image; NULL: none. */
const struct door *admin_door(const struct master *master, enum door_kind kind);
/* A door that this image inherited. NULL with errno. */
struct door *admin_inherit(struct master *master, enum door_kind kind, const char *name,
    int fd) __attribute__((warn_unused_result));

#endif
