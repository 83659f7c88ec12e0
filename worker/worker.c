#include "worker/worker.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/system/process_title.h"
#include "net/tls/tls_tickets.h"
#include "proto/channel.h"
#include "worker/acceptor.h"
#include "worker/admission.h"
#include "worker/connection/connection.h"
#include "worker/connection/connection_io.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/responder.h"
#include "worker/connection/worker_state.h"
#include "worker/drain.h"
#include "worker/event_memory.h"
#include "worker/faults/fault_listener.h"
#include "worker/limits/sandbox.h"
#include "worker/timeouts.h"
#include "worker/transfer_receive.h"
#include "worker/transfer_send.h"
#include "worker/witness/witness_serve.h"

/* Size of a descriptor set in libevent's select back end. */
#define SELECT_DESCRIPTORS 1024

static struct event_base *
create_base(enum event_method method)
{
	struct event_config *config = event_config_new();
	if (config == NULL)
		return NULL;
	event_config_set_flag(config,
	    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
		EVENT_BASE_FLAG_NO_CACHE_TIME);
	const char **known = event_get_supported_methods();
	for (int i = 0; method != EVENTS_AUTO && known[i] != NULL; i++) {
		if (strcmp(known[i], event_method_names[method]) != 0)
			event_config_avoid_method(config, known[i]);
	}
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/* Edge-triggered events save the kernel a second poll of each reported socket. That is
 * safe only where a half-close is reported with the data before it (EV_CLOSED). */
static short
edge_events(const struct event_base *base)
{
	int features = event_base_get_features(base);
	int needed = EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE;
	return (features & needed) == needed ? EV_ET | EV_CLOSED : 0;
}

static void
set_limits(struct worker *worker)
{
	uint64_t limit = resources_descriptor_limit();
	bool is_select = strcmp(event_base_get_method(worker->base), "select") == 0;
	worker->limits.fd_end = is_select ? SELECT_DESCRIPTORS : (int)limit;
	worker->limits.max_connections = worker_connections_max(limit);
}

/* Worker i runs on the i-th of the CPUs that the process may use. */
static void
pin_to_cpu(uint32_t slot)
{
	cpu_set_t allowed, one;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	int skipped = (int)slot % CPU_COUNT(&allowed), cpu = 0;
	while (!CPU_ISSET(cpu, &allowed) || skipped-- > 0)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		log_warn(
		    "[cpu_affinity_failed cpu] cannot bind the process to CPU %d", cpu);
}

static void
set_faults(struct worker *worker, int fd, size_t length)
{
	char *text = fd < 0 || length == 0
	    ? MAP_FAILED
	    : mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED) {
		log_warnx("[faults_failed] "
			  "faults: cannot read them: the previous ones stay in effect");
		return;
	}
	fault_listener_set(worker, text, length);
	munmap(text, length);
}

static void
on_message(struct worker *worker, const struct channel_message *message, int descriptor)
{
	switch ((enum channel_verb)message->verb) {
	case CHANNEL_DRAIN_QUEUE:
		if (message->value != 0)
			acceptor_drain_queue_once(worker, message->argument);
		else
			acceptor_drain_queue(worker, message->argument);
		break;
	case CHANNEL_DRAIN:
		drain_start(worker, message->argument != 0, message->value);
		break;
	case CHANNEL_SEND_CONNECTIONS:
		transfer_send_start(
		    worker, descriptor, message->argument, message->value);
		return;
	case CHANNEL_RECEIVE_CONNECTIONS:
		transfer_receive_start(worker, descriptor, message->argument);
		return;
	case CHANNEL_EXIT:
		drain_abort(worker);
		break;
	case CHANNEL_QUEUE_TAKEN_OVER:
		acceptor_queue_taken_over(worker, message->value);
		worker_request_drain_check(worker);
		break;
	case CHANNEL_FAULTS:
		set_faults(worker, descriptor, message->value);
		break;
	case CHANNEL_LOG_LEVEL:
		log_set_level((enum log_level)message->argument);
		break;
	case CHANNEL_LOG_REOPEN:
		if (descriptor >= 0)
			log_set_fd(descriptor);
		return;
	default:
		log_warnx("[master_message_unknown message_number] "
			  "unknown control message %u from the master",
		    message->verb);
		break;
	}
	if (descriptor >= 0)
		close(descriptor);
}

static void
on_channel(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct worker *worker = argument;
	struct channel_message message;
	int descriptor, rc;
	while ((rc = channel_receive(fd, &message, &descriptor)) > 0)
		on_message(worker, &message, descriptor);
	if (rc < 0 && errno == EAGAIN)
		return;
	event_del(&worker->channel_event);
	log_warnx("[master_exited] the master has exited: draining");
	acceptor_drain_without_master(worker);
	drain_start(worker, false, worker->config->timeouts.drain_ns);
}

/* A number that grows with everything received. */
static uint64_t
traffic(const struct worker *worker)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < worker->accept.listener_count; i++) {
		const struct ledger_block *block = worker->accept.listeners[i].block;
		sum += ledger_read(block, LEDGER_BYTES_RECEIVED) +
		    ledger_read(block, LEDGER_CONNECTIONS_ACCEPTED);
	}
	return sum;
}

/* Waking a sleeping process costs about 35 us. With events.spin a worker that has just
 * had traffic polls for more, for that long after the last. */
static void
run_spinning(struct worker *worker)
{
	uint64_t seen = traffic(worker), last_ns = 0;
	bool spins = false;
	do {
		event_base_loop(worker->base, spins ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
		uint64_t now_ns = clock_now_ns();
		if (traffic(worker) != seen) {
			seen = traffic(worker);
			last_ns = now_ns;
		}
		spins = now_ns - last_ns < worker->config->spin_ns;
	} while (!event_base_got_break(worker->base));
}

static void *
alloc_block(size_t *bytes, void *argument)
{
	struct worker *worker = argument;
	*bytes = region_heap_block_bytes(*bytes);
	return region_heap_alloc(&worker->blocks, *bytes);
}

static void
free_block(void *block, size_t bytes, void *argument)
{
	struct worker *worker = argument;
	region_heap_free(&worker->blocks, block, bytes);
}

/* Address space for the partial messages and unsent replies of one connection: twice
 * what it may need, because blocks have powers of two of bytes and one is copied to the
 * next. */
static uint64_t
connection_bytes(const struct config *config)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < config->listener_count; i++) {
		uint64_t max = config->listeners[i].max_message;
		longest = max > longest ? max : longest;
	}
	return 4 * (longest + config->limits.max_pending + WORKER_INPUT_BYTES);
}

/* Shares the memory of connections with a keeper; -1 if that is not possible. */
static int
share_connections(struct worker *worker)
{
	uint64_t connections = worker_connections_max(resources_descriptor_limit());
	if (crash_region_create(
		&worker->region, connections, connection_bytes(worker->config)) < 0)
		return -1;
	if (connection_pool_start(&worker->connections, &worker->region) < 0) {
		crash_region_destroy(&worker->region);
		return -1;
	}
	region_heap_init(
	    &worker->blocks, worker->region.blocks, worker->region.block_bytes);
	worker->buffer_memory = (struct buffer_memory){
		.alloc = alloc_block, .free = free_block, .argument = worker
	};
	buffer_set_memory(&worker->buffer_memory);
	return 0;
}

/* 0, or -1 with errno. */
static int
start_record(struct worker *worker)
{
	bool is_shared = worker->config->survive_crashes;
	if (is_shared && share_connections(worker) < 0) {
		log_warn("[keeper_memory_failed] "
			 "survive_crashes: cannot share the memory of connections");
		is_shared = false;
	}
	if (!is_shared && crash_region_create_private(&worker->region) < 0)
		return -1;
	worker->record = worker->region.record;
	worker->input = worker->region.input;
	return 0;
}

/* A fork without copies of the descriptors: when this process is killed, its sockets
 * stay open in the keeper. It is the master's child, which sees it exit. */
static pid_t
clone_keeper(void)
{
	const unsigned long flags = CLONE_FILES | CLONE_PARENT | SIGCHLD;
#ifdef __s390x__
	return (pid_t)syscall(SYS_clone, NULL, flags, NULL, NULL, NULL);
#else
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
#endif
}

/* The keeper has its name and no pending signal from its first instruction on. */
static void
start_keeper(struct worker *worker, const struct worker_args *args)
{
	if (worker->region.slabs == NULL || args->run_keeper == NULL)
		return;
	char name[16] = "";
	sigset_t keeper_signals, before;
	sigemptyset(&keeper_signals);
	sigaddset(&keeper_signals, KEEPER_SIGNAL_RECOVER);
	sigaddset(&keeper_signals, KEEPER_SIGNAL_EXIT);
	sigprocmask(SIG_BLOCK, &keeper_signals, &before);
	(void)prctl(PR_GET_NAME, name, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "yodeld-keeper", 0, 0, 0);
	pid_t pid = clone_keeper();
	if (pid == 0) {
		args->run_keeper(args, &worker->region);
		_exit(EX_SOFTWARE);
	}
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid > 0)
		worker_report(worker, CHANNEL_KEEPER, 0, (uint64_t)pid);
	else
		log_warn("[keeper_start_failed] "
			 "survive_crashes: cannot start the keeper");
}

static void
on_pause_over(void *waiter)
{
	struct connection *connection = waiter;
	if (connection->listener->is_witness)
		witness_serve_on_due(connection);
	else
		connection_io_on_pause_over(connection);
}

/* Starts what listeners with a conversation, or a witness, need. 0, or -1 with errno.
 */
static int
start_pauses(struct worker *worker)
{
	bool is_needed = config_has_witness(worker->config);
	for (size_t i = 0; i < worker->config->listener_count; i++)
		if (worker->config->listeners[i].conversation != NULL)
			is_needed = true;
	return is_needed ? pauses_start(&worker->pauses, worker->base, on_pause_over)
			 : 0;
}

static int
start(struct worker *worker, const struct worker_args *args)
{
	if (start_record(worker) < 0)
		return -1;
	start_keeper(worker, args);
	event_memory_start(resources_descriptor_limit());
	worker->base = create_base(args->config->event_method);
	if (worker->base == NULL || responder_init(&worker->batch) < 0)
		return -1;
	if (start_pauses(worker) < 0)
		return -1;
	drain_init(worker);
	worker->edge_events = edge_events(worker->base);
	set_limits(worker);
	event_assign(&worker->channel_event, worker->base, args->channel_fd,
	    EV_READ | EV_PERSIST, on_channel, worker);
	if (event_add(&worker->channel_event, NULL) < 0 || timeouts_start(worker) < 0 ||
	    fault_timers_start(worker) < 0)
		return -1;
	return acceptor_start(worker, args->sockets, args->socket_count);
}

static void
finish(struct worker *worker)
{
	if (worker->base != NULL) {
		if (worker->accept.listeners != NULL) {
			/* Transfers that arrived after the loop had ended. */
			transfer_send_stop(worker);
			transfer_receive_stop_all(worker);
			acceptor_stop(worker);
			timeouts_stop(worker);
			fault_timers_stop(worker);
		}
		pauses_stop(&worker->pauses);
		event_base_free(worker->base);
	}
	free(worker->accept.listeners);
	responder_finish(&worker->batch);
	free(worker->faults.scratch);
	witness_book_destroy(worker->witness_book);
	connection_pool_finish(&worker->connections);
	buffer_set_memory(NULL);
	region_heap_finish(&worker->blocks);
	crash_region_destroy(&worker->region);
	admission_stop(worker);
	control_queue_flush(&worker->reports, worker->channel_fd);
	control_queue_clear(&worker->reports);
	close(worker->channel_fd);
}

static void
set_title(const struct worker_args *args)
{
	char title[32];
	snprintf(title, sizeof(title), "yodeld: worker %u", args->slot);
	process_title_set(title);
}

/* True if there are keys in the memory of the master, of which this process has a copy:
 * also those of a configuration that a reload has replaced. */
static bool
has_keys(const struct config *config)
{
	const struct tls_tickets *tickets = config->tickets;
	return config_has_tls(config) || (tickets != NULL && tickets->since_ns != 0);
}

int
worker_run(const struct worker_args *args)
{
	char role[32];
	snprintf(role, sizeof(role), "worker %u", args->slot);
	log_set_name("yodeld", role);
	set_title(args);
	if (args->config->cpu_affinity)
		pin_to_cpu(args->slot);
	/* After a change of the user /proc/self belongs to root. */
	int keeper_score_fd = resources_open_oom_score();
	int own_score_fd = resources_open_oom_score();
	if (args->slot == 0) /* one line for all workers */
		sandbox_warn_about_user(args->config->user);
	if (sandbox_drop_privileges(args->config->user, args->config->group) < 0)
		return EX_OSERR;
	struct worker worker = {
		.config = args->config,
		.slot = args->slot,
		.generation = args->generation,
		.ledger = args->ledger,
		.ledger_entry = args->ledger_entry,
		.worker_ledger = args->worker_ledger,
		.channel_fd = args->channel_fd,
		.fault_ring = args->fault_ring,
		.witness_book = args->witness_book,
		.accept.spare_fd = -1,
	};
	struct channel_message ready = { .verb = CHANNEL_READY };
	resources_prefer_for_oom(keeper_score_fd, WORKER_OOM_PREFERENCE / 2);
	int rc = start(&worker, args);
	/* The keeper, which has only the first half, is to outlive this process. But it
	 * goes before the master: it holds the memory of connections. */
	resources_prefer_for_oom(own_score_fd, WORKER_OOM_PREFERENCE / 2);
	if (has_keys(args->config)) {
		sandbox_hide_memory();
		worker.tls.is_hidden = true;
	}
	if (rc < 0 || sandbox_enter(args->config->security.seccomp) < 0 ||
	    channel_send(args->channel_fd, &ready, -1) < 0) {
		log_error("[start_failed] cannot start");
		finish(&worker);
		return EX_OSERR;
	}
	log_debug("[serving generation event_method] serving, generation %u, %s",
	    args->generation, event_base_get_method(worker.base));
	if (worker.config->spin_ns == 0)
		event_base_dispatch(worker.base);
	else
		run_spinning(&worker);
	finish(&worker);
	return EX_OK;
}
