/*
 * reload.h - a new generation replaces the old one: reload, upgrade.
 *
 *   the configuration is checked, new listeners are opened (listener_set.h)
 *     -> a successor is forked for each slot, on the same sockets
 *     -> all of them are ready: they take the slots
 *     -> the old workers transfer their connections and exit (worker_drain.h)
 *
 * Until every successor is ready the old workers are not touched: if the configuration
 * is bad, an address is in use, or successors keep dying, the old generation continues.
 */
#ifndef MASTER_CHANGES_RELOAD_H
#define MASTER_CHANGES_RELOAD_H

#include "master/changes/change.h"
#include "master/changes/service_manager.h"
#include "master/listeners/admin_listener.h"

struct reload {
	struct worker_table *workers;
	struct admin_listeners *admin;
	struct change_log *changes;
	struct service_manager *manager;
	bool is_active;       /* from the first fork until the commit */
	struct change change; /* reload or upgrade */
	struct change queued; /* reload: it reads the file after its requests */
	bool is_queued;       /* another reload was requested meanwhile */
	struct config config;
	uint32_t generation;
	uint32_t slot_count;
	uint32_t failures; /* of successors */
	uint64_t started_ns;
	char source[CONFIG_ERROR_MAX]; /* the file or program of the new generation */
};

/* Starts a reload, or queues it behind the one in progress. 0, or -1 if it failed
 * immediately (the outcome and the log contain the reason). */
int reload_start(struct reload *reload);
/* As reload_start(), after an exec: the program has changed, for all requests so far.
 * On failure the outcome is the reason to roll back, too. `program` describes the new
 * program in the outcome. */
int reload_start_upgrade(struct reload *reload, const char *program);

/* A successor is ready. True when all are, and the new generation serves. */
bool reload_on_ready(struct reload *reload);
/* Starts the queued reload, if there is one. */
void reload_start_queued(struct reload *reload);
/* A successor has exited: starts another one. False after too many failures: then
 * reload_abort is due. */
bool reload_on_successor_exit(struct reload *reload, uint32_t slot);
/* Stops the successors; the old generation continues. Returns true after an upgrade. A
 * queued reload is due, or is to fail. */
bool reload_abort(struct reload *reload, const char *reason);
void reload_fail_queued(struct reload *reload, const char *reason);

#endif
