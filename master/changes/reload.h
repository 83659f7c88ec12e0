/*
 * reload.h - a new generation takes the place of the old one: reload, upgrade.
 *
 *   the file is checked whole, what is new is bound (listener_set.h)
 *     -> a successor is forked for each slot, on the same sockets
 *     -> all of them serve: they take the slots
 *     -> the old ones hand their connections over and leave (worker_drain.h)
 *
 * Until every successor serves, nothing that was is touched: when the file is bad, an
 * address is taken or successors keep dying, the old configuration and the old workers
 * go on as if nothing had been asked.
 */
#ifndef MASTER_CHANGES_RELOAD_H
#define MASTER_CHANGES_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "master/changes/change.h"
#include "master/master.h"

/* Starts a reload, or notes that another one is to follow the one under way. 0, or -1
 * when it failed at once (the outcome says why, and the log). */
int reload_start(struct master *master);
/* The same after an exec: the program has changed. On failure the outcome is as well
 * the reason to go back. */
int reload_start_upgrade(struct master *master);
void reload_on_ready(struct master *master);
void reload_on_successor_exit(struct master *master, uint32_t slot);
/* Gives a turnover up: what had been started leaves again. A reload that was to follow
 * has failed with it. */
void reload_abort(struct master *master, const char *reason);

#endif
