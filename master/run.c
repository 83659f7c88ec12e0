#include <sys/mman.h>
#include <sys/resource.h>

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/master.h"
#include "master/signals.h"
#include "master/supervise.h"

/* As many descriptors as the system lets us have: each worker inherits the limit. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("the descriptor limit stays at %llu",
		    (unsigned long long)limit.rlim_cur);
}

static int
open_endpoints(struct master *master)
{
	struct endpoint **at = &master->endpoints;
	for (size_t i = 0; i < master->config.listener_count; i++) {
		char error[CONFIG_ERROR_MAX];
		*at = endpoint_open(
		    &master->config.listeners[i], master->config.workers, error);
		if (*at == NULL) {
			log_errorx("%s", error);
			return -1;
		}
		at = &(*at)->next;
	}
	return 0;
}

static void
tell_endpoints(const struct master *master)
{
	const struct endpoint *endpoint = master->endpoints;
	for (size_t i = 0; i < master->config.listener_count; i++) {
		const struct listener_config *config = &master->config.listeners[i];
		char text[ADDRESS_TEXT_MAX];
		uint32_t sockets = endpoint_sockets(endpoint);
		log_info("listening on %s (%s, %s, %u socket%s)",
		    address_format(&endpoint->address, text), config->reply_text,
		    framing_names[config->framing], sockets, sockets == 1 ? "" : "s");
		endpoint = endpoint->next;
	}
}

static int
open_log(const struct config *config, int verbose)
{
	log_set_level(verbose > 0 ? LOG_LEVEL_DEBUG : config->log.level);
	log_set_format(config->log.format);
	if (log_open(config->log.file) == 0)
		return 0;
	log_error("cannot open the log file %s", config->log.file);
	return -1;
}

static int
start(struct master *master)
{
	if (open_log(&master->config, master->verbose) < 0)
		return -1;
	raise_descriptor_limit();
	master->base = event_base_new();
	master->ledger = ledger_create(&master->ledger_fd);
	if (master->base == NULL || master->ledger == NULL) {
		log_error("cannot start");
		return -1;
	}
	if (open_endpoints(master) < 0)
		return -1;
	tell_endpoints(master);
	if (signals_start(master) < 0 || supervise_start(master) < 0) {
		log_error("cannot start");
		return -1;
	}
	master->generation = 1;
	master->slot_count = master->config.workers;
	for (uint32_t i = 0; i < master->slot_count; i++)
		supervise_fill(master, i);
	return 0;
}

static void
finish(struct master *master)
{
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
}

static void
tell_totals(const struct master *master)
{
	struct ledger_totals totals;
	ledger_sum(master->ledger, &totals);
	log_info("stopped: %llu connections, %llu messages, %llu replies",
	    (unsigned long long)totals.counters[LEDGER_CONNECTIONS_ACCEPTED],
	    (unsigned long long)totals.counters[LEDGER_MESSAGES_RECEIVED],
	    (unsigned long long)totals.counters[LEDGER_REPLIES_SENT]);
}

int
master_run(const struct config_sources *sources, int verbose)
{
	struct master *master = calloc(1, sizeof(*master));
	if (master == NULL)
		fatal(EX_OSERR, "cannot start");
	master->sources = *sources;
	master->verbose = verbose;
	char error[CONFIG_ERROR_MAX];
	if (config_load(sources, &master->config, error) < 0)
		fatalx(EX_CONFIG, "%s", error);
	log_set_name("yodeld", "");
	int status = EX_OSERR;
	if (start(master) == 0) {
		event_base_dispatch(master->base);
		signals_stop(master);
		tell_totals(master);
		status = master->exit_status;
	}
	finish(master);
	free(master);
	return status;
}
