#include "master/master.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <linux/capability.h>

#include "lib/capabilities.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "lib/resources.h"
#include "http/http_reserve.h"
#include "master/admin/admin_routes.h"
#include "master/admin/history.h"
#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/listeners/socket_activation.h"
#include "master/master_run.h"
#include "master/signals.h"
#include "master/supervisor.h"
#include "master/upgrade/dry_run.h"
#include "master/upgrade/state_save.h"
#include "master/upgrade/takeover.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/crash_recovery.h"
#include "master/workers/drain_summary.h"
#include "master/workers/former_config.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "worker/worker.h"

/* The master keeps what it needs for ports below 1024, SYN filters (newer kernels),
 * workers that change their user and are signalled, and files in the directories of
 * other users. */
static int
limit_privileges(void)
{
	const uint64_t needed = CAPABILITY(CAP_NET_BIND_SERVICE) |
	    CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_SETPCAP) |
	    CAPABILITY(CAP_KILL) | CAPABILITY(CAP_DAC_OVERRIDE) |
	    CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_NET_ADMIN);
	if (capabilities_limit_bounding_set(needed) == 0 &&
	    capabilities_limit(needed) == 0)
		return 0;
	log_error("[privileges_failed] cannot drop root privileges");
	return -1;
}

static bool
is_from_manager(const struct master *master, int config_index)
{
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->config_index == config_index)
			return true;
	}
	return false;
}

static int
bind_listeners(struct master *master)
{
	const struct config *config = &master->config.current;
	for (size_t i = 0; i < config->listener_count; i++) {
		char error[CONFIG_ERROR_MAX];
		if (is_from_manager(master, (int)i))
			continue;
		struct listener *listener = listener_open(
		    &config->listeners[i], master->workers.slot_count, error);
		if (listener == NULL) {
			log_errorx("[start_failed reason] %s", error);
			return -1;
		}
		listener->config_index = (int)i;
		listener->next = master->listeners.first;
		master->listeners.first = listener;
	}
	return 0;
}

/* The worker that empties the sockets of the previous instance has this configuration
 * as its previous one. */
static int
copy_config(struct config_set *config)
{
	char error[CONFIG_ERROR_MAX];
	if (config_load(&config->sources, &config->previous, error) == 0) {
		config->number = 1;
		return 0;
	}
	log_errorx("[start_failed reason] %s", error);
	return -1;
}

/* socket_activation.h has the order and its reason. */
static int
open_listeners(struct master *master)
{
	struct listener_set *set = &master->listeners;
	const struct config *config = &master->config.current;
	char error[CONFIG_ERROR_MAX];
	if (socket_activation_take(set, config) < 0 || bind_listeners(master) < 0)
		return -1;
	if (admin_listener_plan(master->admin, config, error) < 0) {
		log_errorx("[start_failed reason] %s", error);
		return -1;
	}
	if (socket_activation_has_stored(set) && copy_config(&master->config) < 0)
		return -1;
	listener_set_listen(set, config, LISTEN_OVERLAP);
	socket_activation_retire_stored(set);
	admin_listener_commit(master->admin, config);
	listener_set_listen(set, config, LISTEN_SAME);
	socket_activation_retire_stand_ins(set);
	return 0;
}

static void
log_listener(const struct master *master, int config_index)
{
	const struct listener_config *config =
	    &master->config.current.listeners[config_index];
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		char text[ADDRESS_TEXT_MAX], reply[128];
		uint32_t sockets = listener_socket_count(e);
		if (e->config_index == config_index)
			log_info("[listening listener reply framing sockets _] "
				 "listening on %s (%s, %s, %u socket%s)",
			    address_format(&e->address, text),
			    printable_escape(config->reply_text, reply, sizeof(reply)),
			    framing_names[config->framing], sockets,
			    sockets == 1 ? "" : "s");
	}
	if (config->reply.kind == REPLY_WITNESS && config->allow_count == 0 &&
	    !address_is_loopback(&config->address))
		log_warnx("[witness_open_to_all listener] "
			  "%s: any client can use this witness (fix: set allow)",
		    config->address_text);
}

static int
open_log(const struct config *config)
{
	char error[CONFIG_ERROR_MAX];
	if (config_open_log(config, error) == 0)
		return 0;
	log_errorx("[start_failed reason] %s", error);
	return -1;
}

/* Shared memory counts as a file. A reload runs each worker twice for a while. */
static int
check_file_size_limit(const struct config *config)
{
	uint64_t limit = resources_file_size_limit();
	size_t needed = ledger_size(2 * config->workers);
	if (limit >= needed)
		return 0;
	log_errorx(
	    "[file_size_limit_low limit workers needed] the file size limit is %llu "
	    "bytes, but the shared memory of %u workers needs %zu; fix: a larger "
	    "LimitFSIZE= (systemd) or ulimit -f",
	    (unsigned long long)limit, config->workers, needed);
	return -1;
}

static int
begin(struct master *master)
{
	if (check_file_size_limit(&master->config.current) < 0)
		return -1;
	master->started_ns = clock_now_ns();
	master->workers.generation = 1;
	master->workers.slot_count = master->config.current.workers;
	master->workers.ledger =
	    ledger_create(worker_connections_max(resources_descriptor_limit()));
	if (master->workers.ledger == NULL) {
		log_error("[start_failed] "
			  "cannot create the ledger (memfd_create, getrandom)");
		return -1;
	}
	master->workers.fault_records =
	    fault_records_create(master->config.current.fault_record);
	if (master->workers.fault_records == NULL)
		log_warn("[fault_record_failed] "
			 "cannot create the record of faults: continuing without");
	if (open_listeners(master) < 0)
		return -1;
	for (size_t i = 0; i < master->config.current.listener_count; i++)
		log_listener(master, (int)i);
	return 0;
}

/* Common to a fresh start, a takeover and a dry run. */
static int
prepare(struct master *master)
{
	if (resources_raise_descriptor_limit() < 0)
		log_warn("[descriptor_limit_failed limit] "
			 "cannot raise the descriptor limit: it stays at %llu",
		    (unsigned long long)resources_descriptor_limit());
	if (limit_privileges() < 0)
		return -1;
	master->base = event_base_new();
	if (master->base != NULL)
		master->admin =
		    admin_listener_create(master->base, admin_routes_serve, master);
	master->history = history_create();
	if (master->admin != NULL && master->history != NULL) {
		supervisor_init(master);
		return 0;
	}
	log_error("[start_failed] cannot start");
	return -1;
}

/* A line of a worker to syslog: a line_pipe_reader. */
static void
relay_line(char *line, void *argument)
{
	(void)argument;
	if (!log_relay_line(line))
		log_warnx("[worker_line_malformed] "
			  "a worker wrote a malformed line to the log: dropped");
}

static int
start_events(struct master *master)
{
	if (signals_start(master) == 0 && supervisor_start(master) == 0 &&
	    line_pipe_start(&master->log_relay, master->base, relay_line, NULL) == 0 &&
	    recent_log_start(&master->recent_log, master->base) == 0) {
		master->workers.log_relay_fd = master->log_relay.write_fd;
		return 0;
	}
	log_error("[start_failed] cannot start");
	return -1;
}

static int
start_fresh(struct master *master)
{
	struct config_set *config = &master->config;
	char error[CONFIG_ERROR_MAX];
	if (open_log(&config->current) < 0)
		return -1;
	if (config_share_tickets(&config->current, &config->tickets, error) < 0) {
		log_errorx("[start_failed reason] %s", error);
		return -1;
	}
	if (prepare(master) < 0 || begin(master) < 0 || start_events(master) < 0)
		return -1;
	for (uint32_t i = 0; i < master->workers.slot_count; i++)
		slot_start(&master->workers, i);
	return 0;
}

static int
start_takeover(struct master *master)
{
	if (prepare(master) < 0 || takeover_load(master) < 0 ||
	    open_log(&master->config.current) < 0 || start_events(master) < 0) {
		takeover_rollback();
		return -1;
	}
	if (takeover_resume(master) < 0)
		upgrade_rollback(master);
	return 0;
}

void
master_finish(struct master *master)
{
	pending_requests_finish(&master->pending);
	drain_summary_destroy_all(&master->workers);
	admin_listener_destroy(master->admin);
	process_forget_all(&master->workers);
	crash_recovery_forget_all(&master->workers);
	while (master->listeners.first != NULL) {
		struct listener *listener = master->listeners.first;
		master->listeners.first = listener->next;
		listener_destroy(listener);
	}
	ledger_destroy(master->workers.ledger);
	fault_records_destroy(master->workers.fault_records);
	witness_records_destroy(master->workers.witness_records);
	line_pipe_stop(&master->log_relay);
	recent_log_stop(&master->recent_log);
	history_destroy(master->history);
	if (master->base != NULL)
		event_base_free(master->base);
	config_finish(&master->config.current);
	config_finish(&master->config.previous);
	if (master->workers.config != NULL)
		former_config_release(&master->workers);
	if (master->reload.is_active)
		config_finish(&master->reload.config);
	free(master);
}

static void
log_totals(struct master *master)
{
	struct ledger_totals totals;
	ledger_sum(master->workers.ledger, &totals);
	change_finish(&master->changes, &master->shutdown.change, true,
	    "stopped: %llu connections, %llu messages, %llu replies",
	    (unsigned long long)totals.counters[LEDGER_CONNECTIONS_ACCEPTED],
	    (unsigned long long)totals.counters[LEDGER_MESSAGES_RECEIVED],
	    (unsigned long long)totals.counters[LEDGER_REPLIES_SENT]);
}

static void
on_libevent_line(int severity, const char *message)
{
	if (severity >= EVENT_LOG_WARN)
		log_warnx("[libevent reason] libevent: %s", message);
	else
		log_debug("[libevent reason] libevent: %s", message);
}

int
master_run(const struct config_sources *sources, char **argv)
{
	log_set_name("yodeld", "");
	event_set_log_callback(on_libevent_line);
	http_reserve_start();
	struct master *master = calloc(1, sizeof(*master));
	if (master == NULL)
		fatal(EX_OSERR, "[start_failed] cannot start");
	bool is_takeover = takeover_is_running();
	master->config.sources = *sources;
	master->upgrade.argv = argv;
	master->upgrade.previous_program_fd = -1;
	char error[CONFIG_ERROR_MAX];
	if (!is_takeover && config_load(sources, &master->config.current, error) < 0) {
		int status = config_exit_status();
		log_set_name("yodeld", NULL);
		log_errorx("[start_failed reason] %s", error);
		master_finish(master);
		return status;
	}
	int exit_status = EX_OSERR;
	if ((is_takeover ? start_takeover(master) : start_fresh(master)) == 0) {
		event_base_dispatch(master->base);
		signals_stop(master);
		master->pending.loop_has_ended = true;
		log_totals(master);
		exit_status = master->exit_status;
	}
	master_finish(master);
	return exit_status;
}

/* Exits without master_finish(), which would remove what belongs to the parent. */
void
master_dry_run(int state_fd)
{
	struct upgrade_state upgrade_state;
	struct master *master = calloc(1, sizeof(*master));
	log_set_level(LOG_LEVEL_ERROR);
	if (master == NULL)
		_exit(EX_OSERR);
	master->upgrade.previous_program_fd = -1;
	if (prepare(master) < 0 || state_load(master, state_fd, &upgrade_state) < 0 ||
	    start_events(master) < 0 || dry_run_report() < 0)
		_exit(EX_OSERR);
	_exit(EX_OK);
}
