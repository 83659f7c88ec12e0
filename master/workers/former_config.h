/*
 * former_config.h - the configurations before the previous one, each kept as long as a
 * draining process has it: its connections may have to be recovered with it.
 */
#ifndef MASTER_WORKERS_FORMER_CONFIG_H
#define MASTER_WORKERS_FORMER_CONFIG_H

#include "master/workers/worker_table.h"

/* The current, the previous or a former configuration; NULL: it is gone. */
const struct config *former_config_find(const struct config_set *set, uint32_t number);
/* The number of one of these, or of the planned configuration. */
uint32_t former_config_number(
    const struct config_set *set, const struct config *config);
/* Keeps the previous configuration for the processes that have it: another one is about
 * to take its place. Without memory the connections of these processes are not
 * recovered (ENOENT of process_start_like). */
void former_config_keep_previous(struct config_set *set);
/* Frees those that no process has; to be called regularly. */
void former_config_release(struct worker_table *table);

#endif
