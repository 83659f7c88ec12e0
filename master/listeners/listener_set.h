/*
 * listener_set.h - the endpoints of the configuration to come: what stays, what is
 * bound for it, what goes. Until it is adopted, nothing that serves is touched.
 */
#ifndef MASTER_LISTENERS_LISTENER_SET_H
#define MASTER_LISTENERS_LISTENER_SET_H

#include <stdint.h>

#include "master/master.h"

/* Binds what the configuration has and the endpoints have not, for all its workers. 0,
 * or -1 with one line in error[CONFIG_ERROR_MAX] and everything as it was. */
int listener_set_plan(struct master *master, const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* Closes what was bound for the configuration to come alone, or for a change of size
 * that failed. */
void listener_set_discard(struct master *master);
/* The endpoints are those of the new configuration (master->config.current) now; those
 * that only the old one had get no new connections, and are emptied by the workers that
 * leave. */
void listener_set_commit(struct master *master);

/* So many workers are needed for each passed socket to be served. */
uint32_t listener_set_min_workers(const struct master *master);

#endif
