#include <sys/mman.h>
#include <sys/resource.h>

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "lib/capabilities.h"
#include "lib/log.h"
#include "lib/printable.h"

#include "master/activation.h"
#include "master/admin.h"
#include "master/heartbeat.h"
#include "master/heir.h"
#include "master/inheritance.h"
#include "master/logging.h"
#include "master/master.h"
#include "master/process.h"
#include "master/rehearsal.h"
#include "master/reserve.h"
#include "master/signals.h"
#include "master/slot.h"
#include "master/turnover.h"

uint64_t
master_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

double
master_elapsed_ms(uint64_t since_ns)
{
	return (double)(master_now_ns() - since_ns) / (double)NS_PER_MS;
}

/* As many descriptors as the system lets us have: each worker inherits the limit. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("the descriptor limit stays at %llu",
		    (unsigned long long)limit.rlim_cur);
}

/* What root may and the master needs: ports below 1024, filters that keep new
 * connections from a queue that is being emptied (newer kernels), workers that become
 * another user and are signalled, and the folders of others for log, control socket and
 * configuration. */
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
	log_error("cannot give up what root may");
	return -1;
}

static bool
is_passed(const struct master *master, int listener)
{
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->listener == listener)
			return true;
	}
	return false;
}

static int
open_endpoints(struct master *master)
{
	if (activation_take(master) < 0)
		return -1;
	for (size_t i = 0; i < master->config.listener_count; i++) {
		char error[CONFIG_ERROR_MAX];
		if (is_passed(master, (int)i))
			continue;
		struct endpoint *endpoint = endpoint_open(
		    &master->config.listeners[i], master->slot_count, error);
		if (endpoint == NULL) {
			log_errorx("%s", error);
			return -1;
		}
		endpoint->listener = (int)i;
		endpoint->next = master->endpoints;
		master->endpoints = endpoint;
	}
	return 0;
}

static void
tell_endpoints(const struct master *master, int listener)
{
	const struct listener_config *config = &master->config.listeners[listener];
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		char text[ADDRESS_TEXT_MAX], reply[128];
		uint32_t sockets = endpoint_sockets(e);
		if (e->listener == listener)
			log_info("listening on %s (%s, %s, %u socket%s)",
			    address_format(&e->address, text),
			    printable_escape(config->reply_text, reply, sizeof(reply)),
			    framing_names[config->framing], sockets,
			    sockets == 1 ? "" : "s");
	}
}

static int
open_log(const struct config *config)
{
	char error[CONFIG_ERROR_MAX];
	log_detect_journal();
	if (logging_apply(config, error) == 0)
		return 0;
	log_errorx("%s", error);
	return -1;
}

/* A server that begins: its own ledger, its own sockets. */
static int
begin(struct master *master)
{
	master->started_ns = master_now_ns();
	master->generation = 1;
	master->slot_count = master->config.workers;
	master->ledger = ledger_create(&master->ledger_fd);
	if (master->ledger == NULL) {
		log_error("cannot start");
		return -1;
	}
	if (open_endpoints(master) < 0)
		return -1;
	for (size_t i = 0; i < master->config.listener_count; i++)
		tell_endpoints(master, (int)i);
	return 0;
}

/* Operators may come in from the first moment on. */
static int
open_doors(struct master *master)
{
	char error[CONFIG_ERROR_MAX];
	if (admin_plan(master, &master->config, error) < 0) {
		log_errorx("%s", error);
		return -1;
	}
	admin_commit(master);
	return 0;
}

/* What this process is, before it is anybody's. */
static int
prepare(struct master *master)
{
	raise_descriptor_limit();
	if (limit_privileges() < 0)
		return -1;
	master->base = event_base_new();
	if (master->base != NULL && admin_create(master) == 0)
		return 0;
	log_error("cannot start");
	return -1;
}

static int
attend(struct master *master)
{
	if (signals_start(master) == 0 && heartbeat_start(master) == 0)
		return 0;
	log_error("cannot start");
	return -1;
}

static int
start_anew(struct master *master)
{
	if (open_log(&master->config) < 0 || prepare(master) < 0 ||
	    open_doors(master) < 0 || begin(master) < 0 || attend(master) < 0)
		return -1;
	for (uint32_t i = 0; i < master->slot_count; i++)
		slot_fill(master, i);
	return 0;
}

static int
start_as_heir(struct master *master)
{
	if (prepare(master) < 0 || heir_read(master) < 0 ||
	    open_log(&master->config) < 0 || attend(master) < 0) {
		heir_give_back();
		return -1;
	}
	heir_resume(master);
	return 0;
}

void
master_finish(struct master *master)
{
	admin_destroy(master);
	process_forget_all(master);
	while (master->endpoints != NULL) {
		struct endpoint *endpoint = master->endpoints;
		master->endpoints = endpoint->next;
		endpoint_destroy(endpoint);
	}
	if (master->ledger != NULL) {
		munmap(master->ledger, sizeof(*master->ledger));
		close(master->ledger_fd);
	}
	if (master->base != NULL)
		event_base_free(master->base);
	config_finish(&master->config);
	config_finish(&master->former);
	free(master);
}

static void
tell_totals(struct master *master)
{
	struct ledger_totals totals;
	ledger_sum(master->ledger, &totals);
	turnover_conclude(master, true,
	    "stopped: %llu connections, %llu messages, %llu replies",
	    (unsigned long long)totals.counters[LEDGER_CONNECTIONS_ACCEPTED],
	    (unsigned long long)totals.counters[LEDGER_MESSAGES_RECEIVED],
	    (unsigned long long)totals.counters[LEDGER_REPLIES_SENT]);
}

int
master_run(const struct config_sources *sources, char **argv)
{
	logging_start();
	reserve_start();
	struct master *master = calloc(1, sizeof(*master));
	if (master == NULL)
		fatal(EX_OSERR, "cannot start");
	bool is_heir = heir_is();
	master->sources = *sources;
	master->argv = argv;
	master->former_program_fd = -1;
	char error[CONFIG_ERROR_MAX];
	if (!is_heir && config_load(sources, &master->config, error) < 0) {
		fprintf(stderr, "yodeld: %s\n", error);
		master_finish(master);
		return EX_CONFIG;
	}
	int status = EX_OSERR;
	if ((is_heir ? start_as_heir(master) : start_anew(master)) == 0) {
		event_base_dispatch(master->base);
		signals_stop(master);
		master->has_ended = true;
		tell_totals(master);
		status = master->exit_status;
	}
	master_finish(master);
	return status;
}

/* Without a farewell: what master_finish() closes and removes is somebody else's. */
void
master_rehearse(int inheritance_fd)
{
	struct inheritance inheritance;
	struct master *master = calloc(1, sizeof(*master));
	log_set_level(LOG_LEVEL_ERROR);
	if (master == NULL)
		_exit(EX_OSERR);
	master->former_program_fd = -1;
	if (prepare(master) < 0 ||
	    inheritance_read(master, inheritance_fd, &inheritance) < 0 ||
	    attend(master) < 0 || rehearsal_tell() < 0)
		_exit(EX_OSERR);
	_exit(EX_OK);
}
