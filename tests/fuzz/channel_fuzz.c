/*
 * Compromised workers against the master: they send anything on their channels, with
 * any descriptors, at any time, write anything into the shared ledger, and exit. The
 * first byte is the number of workers, the rest are the events:
 *
 *   0  a packet of any bytes          1  a message with any verb
 *   2  a worker does as requested     3  eight bytes of the ledger change
 *   4  a worker exits                 5  reload, scale, rebalance or stop
 *   6  run the loop                   7  no worker can be forked for a while
 *
 * There are no processes (fake_processes.h). Only existing workers may be killed. After
 * each event every slot has the worker that its state requires, and each transfer has
 * two known ends. In the end all workers have exited, their ledger blocks are retired,
 * and no descriptor is open (the sanitizer checks memory).
 */
#include <sys/mman.h>

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/shared_memory.h"
#include "master/admin/admin_routes.h"
#include "master/admin/metrics.h"
#include "master/admin/stats.h"
#include "master/changes/rebalance.h"
#include "master/changes/reload.h"
#include "master/changes/scale.h"
#include "master/changes/shutdown.h"
#include "master/listeners/admin_listener.h"
#include "master/listeners/listener_set.h"
#include "master/master_run.h"
#include "master/supervisor.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "tests/fuzz/descriptors.h"
#include "tests/fuzz/fake_processes.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORKERS_MOST 6
#define CONFIGS 3

static struct master *master;
static char config_paths[CONFIGS][64];

/* Bytes that a worker writes: of its blocks, or of its table of addresses. */
static void
corrupt_ledger(struct input *input)
{
	struct ledger *ledger = master->workers.ledger;
	uint8_t where = next_byte(input);
	size_t at = next_number(input, 2) * 8;
	uint64_t value = next_number(input, where & 128 ? 8 : 1);
	struct worker_ledger *worker_ledger =
	    ledger_open_entry(ledger, (where >> 1) % 8 % ledger_live_end(ledger));
	must(worker_ledger != NULL);
	uint8_t *base = (uint8_t *)&worker_ledger->own;
	size_t most = 2 * sizeof(struct ledger_block);

	if (where & 1) {
		base = (uint8_t *)&worker_ledger->address_usage;
		most = sizeof(worker_ledger->address_usage);
	}
	memcpy(base + at % most / 8 * 8, &value, sizeof(value));
	shared_memory_unmap(worker_ledger, sizeof(*worker_ledger));
}

static void
run_loop_once(void)
{
	for (int i = 0; i < 2; i++)
		must(event_base_loop(master->base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
	process_reap(&master->workers);
}

static void
write_stats(void)
{
	char *stats = stats_format(master), *metrics = metrics_format(master);

	must(stats != NULL && metrics != NULL);
	must(strchr(stats, '\033') == NULL && strchr(metrics, '\033') == NULL);
	free(stats);
	free(metrics);
}

static void
request_change(struct input *input)
{
	uint8_t what = next_byte(input);

	switch (what % 8) {
	case 0:
	case 1:
	case 2:
		master->config.sources.file = config_paths[what % CONFIGS];
		(void)reload_start(&master->reload);
		break;
	case 3:
		(void)scale_workers(
		    &master->scale, what / 8 % (WORKERS_MOST + 1), what % 2 == 0);
		break;
	case 4:
		(void)rebalance_start(&master->rebalance);
		break;
	case 5:
		rebalance_check(&master->rebalance);
		break;
	case 6:
		write_stats();
		break;
	default:
		if (what > 240)
			shutdown_in_order(&master->shutdown);
		break;
	}
}

static bool
is_known(const struct process *process)
{
	const struct process *p = master->workers.processes;

	while (p != NULL && p != process)
		p = p->next;
	return p != NULL;
}

static void
check_slot(const struct slot *slot)
{
	must(slot->process == NULL ||
	    (is_known(slot->process) && slot->process->state != PROCESS_EXITED));
	must(slot->successor == NULL ||
	    (is_known(slot->successor) && master->reload.is_active));
	must(slot->state != SLOT_SERVING ||
	    (slot->process != NULL && slot->process->is_ready));
	must(slot->state != SLOT_STARTING || slot->process != NULL);
	must((slot->state != SLOT_EMPTY && slot->state != SLOT_BACKING_OFF) ||
	    slot->process == NULL);
}

static void
check(void)
{
	uint32_t some = 0;

	for (uint32_t i = 0; i < WORKERS_MOST; i++)
		check_slot(&master->workers.slots[i]);
	for (const struct transfer *m = master->workers.transfers; m != NULL;
	     m = m->next) {
		must(is_known(m->sender) && is_known(m->receiver) &&
		    m->sender != m->receiver);
		some += m->selection != 0;
	}
	must(master->rebalance.transfers_in_progress == some);
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		must(listener_socket_count(e) == e->reuseport_count);
		for (uint32_t i = 0;
		     e->config_index >= 0 && i < master->workers.slot_count; i++)
			must(e->fds[i] >= 0);
	}
}

static void
make_configs(void)
{
	static const char *const texts[CONFIGS] = {
		"{\"workers\": 2, \"log\": {\"level\": \"error\"}, \"listeners\": [{\"address\": \"127.0.0.1:0\"}], \"admin\": {\"socket\": \"\"}}",
		"{\"workers\": 3, \"log\": {\"level\": \"error\"}, \"listeners\": [{\"address\": \"127.0.0.1:0\", \"balance\": \"move\"}, {\"address\": \"127.0.0.2:0\"}], \"admin\": {\"socket\": \"\"}}",
		"{\"workers\": 0}",
	};

	signal(SIGPIPE, SIG_IGN); /* as yodeld does */
	for (int i = 0; i < CONFIGS; i++) {
		int fd = memfd_create("config", MFD_CLOEXEC);
		must(fd >= 0 && write(fd, texts[i], strlen(texts[i])) > 0);
		snprintf(
		    config_paths[i], sizeof(config_paths[i]), "/proc/self/fd/%d", fd);
	}
}

static void
open_listeners(void)
{
	char error[CONFIG_ERROR_MAX];

	for (size_t i = 0; i < master->config.current.listener_count; i++) {
		struct listener *listener =
		    listener_open(&master->config.current.listeners[i],
			master->workers.slot_count, error);
		must(listener != NULL);
		listener->config_index = (int)i;
		listener->next = master->listeners.first;
		master->listeners.first = listener;
	}
}

static void
start(uint8_t how)
{
	const struct config_sources sources = { .file = config_paths[how & 1] };
	char error[CONFIG_ERROR_MAX];

	fake_processes_reset();
	master = calloc(1, sizeof(*master));
	must(master != NULL &&
	    config_load(&sources, &master->config.current, error) == 0);
	master->config.sources = sources;
	master->upgrade.previous_program_fd = -1;
	master->workers.generation = 1;
	master->config.current.workers = master->workers.slot_count =
	    how / 2 % WORKERS_MOST + 1;
	master->base = event_base_new();
	master->workers.ledger = ledger_create(10000);
	must(master->base != NULL && master->workers.ledger != NULL);
	master->admin = admin_listener_create(master->base, admin_routes_serve, master);
	must(master->admin != NULL);
	supervisor_init(master);
	open_listeners();
	for (uint32_t i = 0; i < master->workers.slot_count; i++)
		slot_start(&master->workers, i);
}

/* All workers have exited: the last ledger block is retired with the last transfer. */
static void
finish(void)
{
	shutdown_now(&master->shutdown);
	fake_processes_kill_all();
	process_reap(&master->workers);
	must(master->workers.processes == NULL && master->workers.transfers == NULL);
	write_stats();
	master_finish(master);
}

static void
step(struct input *input)
{
	switch (next_byte(input) % 8) {
	case 0:
		fake_processes_send_garbage(input);
		break;
	case 1:
		fake_processes_send_message(input);
		break;
	case 2:
		fake_processes_answer_commands(input);
		break;
	case 3:
		corrupt_ledger(input);
		break;
	case 4:
		fake_processes_exit_one(input);
		break;
	case 5:
		request_change(input);
		break;
	case 6:
		run_loop_once();
		break;
	default:
		fake_processes_fail_forks(next_byte(input) % 4);
		break;
	}
	if (input->left % 2 == 0)
		run_loop_once();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (config_paths[0][0] == '\0')
		make_configs();
	struct input input = { .data = data + 1, .left = size - 1 };
	uint64_t open = open_descriptors();

	log_set_level(LOG_LEVEL_ERROR);
	start(data[0]);
	while (input.left > 0 && fake_processes_count() < FAKE_PROCESSES_MAX) {
		step(&input);
		check();
	}
	finish();
	must(open_descriptors() == open);
	return 0;
}
