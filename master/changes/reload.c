#include "master/changes/reload.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "conf/tls_files.h"
#include "conf/working_directory.h"
#include "master/changes/fault_change.h"
#include "master/changes/room.h"
#include "master/workers/drain_summary.h"
#include "master/workers/former_config.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

/* Successors that may die before they are ready; then the reload is aborted. */
#define FAILURES_MAX 3

static const char *
name_of(const struct reload *reload)
{
	return change_names[reload->change.kind];
}

/* Opens everything that only the new configuration has; on failure nothing. */
static int
plan(struct reload *reload, char *error)
{
	const struct config *config = &reload->config;
	if (listener_set_plan(reload->workers->listeners, config, error) == 0) {
		if (admin_listener_plan(reload->admin, config, error) == 0) {
			/* Before the fork: the new workers inherit the new log. */
			if (config_open_log(config, error) == 0)
				return 0;
			admin_listener_discard(reload->admin);
		}
	}
	slot_discard_listeners(reload->workers);
	return -1;
}

static int
start_successor(struct reload *reload, uint32_t number)
{
	struct slot *slot = &reload->workers->slots[number];
	/* It would have replaced a worker that has lost its keeper. */
	if (slot->successor != NULL)
		worker_drain_start(slot->successor, DRAIN_KEEP_SOCKETS);
	slot->successor =
	    process_start(reload->workers, &reload->config, reload->generation, number);
	if (slot->successor != NULL)
		return 0;
	log_warn("[worker_fork_failed worker] cannot fork worker %u", number);
	return -1;
}

/* True if they have the same replies, also those that files describe. */
static bool
has_equal_replies(const struct config *a, const struct config *b)
{
	if (a->listener_count != b->listener_count)
		return false;
	for (size_t i = 0; i < a->listener_count; i++)
		if (reply_fingerprint(&a->listeners[i].reply) !=
		    reply_fingerprint(&b->listeners[i].reply))
			return false;
	return true;
}

static bool
has_equal_certificates(const struct config *a, const struct config *b)
{
	/* As many listeners as has_equal_replies() has found. */
	for (size_t i = 0; i < a->listener_count; i++)
		if (!tls_files_are_equal(&a->listeners[i], &b->listeners[i]))
			return false;
	return true;
}

static bool
is_equal(const struct config *a, const struct config *b)
{
	char *one = config_print(a), *other = config_print(b);
	bool is_same = one != NULL && other != NULL && strcmp(one, other) == 0 &&
	    has_equal_replies(a, b) && has_equal_certificates(a, b);
	free(one);
	free(other);
	return is_same;
}

/* Describes the file that was just read: a link may lead elsewhere later. */
static void
describe_file(struct reload *reload)
{
	const char *name = reload->workers->config->sources.file;
	char path[PATH_MAX], real[PATH_MAX], shown[2][PRINTABLE_TAIL_MAX];
	reload->source[0] = '\0';
	if (name == NULL)
		return;
	working_directory_join(name, path, sizeof(path));
	bool is_link = realpath(path, real) != NULL && strcmp(path, real) != 0;
	bool is_same = is_equal(&reload->config, &reload->workers->config->current);
	snprintf(reload->source, sizeof(reload->source), ": %s%s%s%s%s",
	    printable_tail(path, shown[0], PRINTABLE_TAIL_MAX),
	    is_link ? " (file " : "",
	    is_link ? printable_tail(real, shown[1], PRINTABLE_TAIL_MAX) : "",
	    is_link ? ")" : "", is_same ? ", the same settings as before" : "");
}

/* An upgrade that failed for that reason would fail each time. */
static bool
has_room(const struct reload *reload, char *error)
{
	const struct worker_table *workers = reload->workers;
	const struct config *config = &reload->config;
	char text[CONFIG_ERROR_MAX / 2];
	if (reload->change.kind == CHANGE_UPGRADE ||
	    config->workers >= workers->slot_count ||
	    room_suffices(workers, config, config->workers, text, sizeof(text)))
		return true;
	snprintf(error, CONFIG_ERROR_MAX,
	    "workers: %s (fix: first \"yodelctl --force scale %u\", which closes them)",
	    text, config->workers);
	return false;
}

static int
load_and_plan(struct reload *reload, char *error)
{
	working_directory_follow();
	struct config_set *set = reload->workers->config;
	if (config_load(&set->sources, &reload->config, error) < 0)
		return -1;
	if (reload->change.kind == CHANGE_RELOAD)
		describe_file(reload);
	if (config_share_tickets(&reload->config, &set->tickets, error) == 0 &&
	    has_room(reload, error) && plan(reload, error) == 0)
		return 0;
	config_finish(&reload->config);
	return -1;
}

static int
begin(struct reload *reload, const struct change *change)
{
	struct worker_table *workers = reload->workers;
	char error[CONFIG_ERROR_MAX];
	reload->change = *change;
	change_begin(reload->changes, change->kind);
	/* Even if it fails at once: the service manager then waits for READY. */
	service_manager_reloading(reload->manager);
	if (load_and_plan(reload, error) < 0) {
		change_finish(reload->changes, change, false,
		    "%s failed, the old configuration stays: %s", name_of(reload),
		    error);
		return -1;
	}
	/* Direct no new connections to a slot whose worker is not ready yet. */
	slot_update_reuseport(workers);
	reload->is_active = true;
	reload->failures = 0;
	reload->generation = workers->generation + 1;
	reload->slot_count = reload->config.workers;
	reload->started_ns = clock_now_ns();
	for (uint32_t i = 0; i < reload->slot_count; i++) {
		if (start_successor(reload, i) < 0) {
			reload_abort(reload, "cannot fork a worker");
			return -1;
		}
	}
	return 0;
}

int
reload_start(struct reload *reload)
{
	const struct change request = change_request(reload->changes, CHANGE_RELOAD);
	if (!change_can_start(reload->changes, &request, reload->workers->phase))
		return -1;
	if (!reload->is_active)
		return begin(reload, &request);
	log_info("[reload_queued] reload: queued behind the reload in progress");
	if (reload->is_queued)
		change_join(&reload->queued, &request);
	else
		reload->queued = request;
	reload->is_queued = true;
	return 0;
}

int
reload_start_upgrade(struct reload *reload, const char *program)
{
	snprintf(reload->source, sizeof(reload->source), ": %s", program);
	const struct change change = { .kind = CHANGE_UPGRADE,
		.last_request = reload->changes->last_request };
	return begin(reload, &change);
}

/* Puts each successor into its slot, then the old workers drain. */
static void
switch_generation(struct worker_table *workers, uint32_t old_count)
{
	struct process *old[LEDGER_SLOTS] = { NULL };
	for (uint32_t i = 0; i < workers->slot_count; i++) {
		struct slot *slot = &workers->slots[i];
		old[i] = slot->process;
		slot_set_process(slot->successor);
	}
	slot_update_reuseport(workers);
	for (uint32_t i = 0; i < workers->slot_count; i++) {
		if (old[i] != NULL && old[i]->state == PROCESS_ACTIVE)
			worker_drain_start(old[i], DRAIN_KEEP_SOCKETS);
	}
	for (uint32_t i = workers->slot_count; i < old_count; i++)
		slot_drain(&workers->slots[i]);
}

static void
commit(struct reload *reload)
{
	struct worker_table *workers = reload->workers;
	struct config_set *config = workers->config;
	uint32_t old_count = workers->slot_count;
	bool ends_faults = fault_change_is_active(&config->current);
	former_config_keep_previous(workers->config);
	config->previous = config->current;
	config->current = reload->config;
	config->certificates_checked_s = 0;
	config->number++;
	workers->generation = reload->generation;
	workers->slot_count = reload->slot_count;
	reload->is_active = false;
	listener_set_commit(workers->listeners, &config->current);
	worker_drain_on_listeners_removed(workers);
	admin_listener_commit(reload->admin, &config->current);
	listener_set_listen(workers->listeners, &config->current, LISTEN_SAME);
	drain_summary_open(
	    workers, name_of(reload), reload->change.first_request, reload->started_ns);
	switch_generation(workers, old_count);
	change_finish(reload->changes, &reload->change, true,
	    "%s: generation %u serves with %u worker%s after %.1f ms%s%s",
	    name_of(reload), reload->generation, workers->slot_count,
	    workers->slot_count == 1 ? "" : "s", clock_elapsed_ms(reload->started_ns),
	    reload->source,
	    ends_faults ? "; the faults set at run time have ended" : "");
}

bool
reload_on_ready(struct reload *reload)
{
	for (uint32_t i = 0; i < reload->slot_count; i++) {
		const struct process *successor = reload->workers->slots[i].successor;
		if (successor == NULL || !successor->is_ready)
			return false;
	}
	commit(reload);
	return true;
}

void
reload_start_queued(struct reload *reload)
{
	const struct change queued = reload->queued;
	if (!reload->is_queued)
		return;
	reload->is_queued = false;
	begin(reload, &queued);
}

/* Successors that have not exited yet hold the sockets of slots that are not added
 * after all: they are closed, and get no connections, when a worker has emptied them.
 */
static void
drain_new_slots(struct reload *reload)
{
	struct worker_table *workers = reload->workers;
	for (uint32_t i = workers->slot_count; i < reload->slot_count; i++) {
		if (workers->slots[i].state == SLOT_EMPTY)
			slot_drain_queue(workers, i);
	}
}

bool
reload_abort(struct reload *reload, const char *reason)
{
	struct worker_table *workers = reload->workers;
	reload->is_active = false;
	/* A successor that is ready already has connections: they move. */
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		struct process *successor = workers->slots[i].successor;
		workers->slots[i].successor = NULL;
		if (successor == NULL)
			continue;
		process_forget_config(successor);
		worker_drain_start(successor, DRAIN_KEEP_SOCKETS);
	}
	drain_new_slots(reload);
	slot_discard_listeners(workers);
	admin_listener_discard(reload->admin);
	char error[CONFIG_ERROR_MAX];
	if (config_open_log(&workers->config->current, error) < 0)
		log_warnx("[log_return_failed reason] "
			  "log: cannot return to the previous log: %s",
		    error);
	config_finish(&reload->config);
	change_finish(reload->changes, &reload->change, false,
	    "%s failed, generation %u continues: %s", name_of(reload),
	    workers->generation, reason);
	return reload->change.kind == CHANGE_UPGRADE;
}

void
reload_fail_queued(struct reload *reload, const char *reason)
{
	if (!reload->is_queued)
		return;
	reload->is_queued = false;
	change_finish(reload->changes, &reload->queued, false,
	    "reload failed, generation %u continues: %s", reload->workers->generation,
	    reason);
}

bool
reload_on_successor_exit(struct reload *reload, uint32_t slot)
{
	return !reload->is_active ||
	    (++reload->failures < FAILURES_MAX && start_successor(reload, slot) == 0);
}
