#include "master/workers/process.h"

#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "proto/channel.h"
#include "keeper/keeper.h"
#include "master/workers/drain_summary.h"
#include "master/workers/former_config.h"
#include "master/workers/spawn.h"
#include "worker/worker.h"

/* Messages read per wake-up, so that one worker cannot starve the others. */
#define MESSAGES_AT_ONCE 64

static void
report_transfer_end(
    struct process *process, const struct channel_message *message, bool is_sender)
{
	const struct worker_table *table = process->table;
	const struct transfer_end end = { .is_sender = is_sender,
		.id = message->argument,
		.is_full = is_sender && (message->value & CHANNEL_SENT_FULL) != 0,
		.is_unserved = is_sender && process->is_recovering &&
		    (message->value & CHANNEL_SENT_UNSERVED) != 0,
		.connections =
		    message->value & ~(CHANNEL_SENT_FULL | CHANNEL_SENT_UNSERVED) };
	table->events->on_transfer_end(process, &end, table->argument);
}

/* Ignores messages that do not fit the worker's state. */
static void
on_message(struct process *process, const struct channel_message *message)
{
	const struct worker_table *table = process->table;
	switch ((enum channel_verb)message->verb) {
	case CHANNEL_READY:
		if (process->is_ready)
			break;
		process->is_ready = true;
		table->events->on_ready(process, table->argument);
		break;
	case CHANNEL_LISTENERS_CLOSED:
		if (process->state != PROCESS_DRAINING)
			break;
		process->state = PROCESS_LISTENERS_CLOSED;
		table->events->on_listeners_closed(process, table->argument);
		break;
	case CHANNEL_KEEPER:
		table->events->on_keeper(process, message->value, table->argument);
		break;
	case CHANNEL_SENT:
	case CHANNEL_RECEIVED:
		report_transfer_end(process, message, message->verb == CHANNEL_SENT);
		break;
	default:
		log_warnx("[worker_message_unknown worker worker_pid message_number] "
			  "worker %u (pid %d): unknown control message %u: ignored",
		    process->slot, (int)process->pid, message->verb);
		break;
	}
}

/* Returns as channel_receive; 1: there may be more. */
static int
receive_messages(struct process *process, int max)
{
	struct channel_message message;
	int descriptor, rc = 1;
	while (max-- > 0 &&
	    (rc = channel_receive(process->channel_fd, &message, &descriptor)) > 0) {
		channel_discard_fds(&descriptor, descriptor >= 0);
		on_message(process, &message);
	}
	return rc;
}

/* On EOF stop reading; SIGCHLD reports the exit. */
static void
on_channel(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct process *process = argument;
	int rc = receive_messages(process, MESSAGES_AT_ONCE);
	if (rc > 0 || (rc < 0 && errno == EAGAIN))
		return;
	event_del(&process->channel_event);
	if (rc == 0)
		return;
	log_errorx("[worker_message_malformed worker worker_pid] "
		   "worker %u (pid %d): malformed control message: sending SIGKILL",
	    process->slot, (int)process->pid);
	kill(process->pid, SIGKILL);
}

/* Links the new process in at *at. */
static struct process *
create(struct process **at, struct worker_table *table, uint32_t slot, int channel_fd,
    uint32_t ledger_entry)
{
	struct process *process = calloc(1, sizeof(*process));
	if (process == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	process->table = table;
	process->slot = slot;
	process->channel_fd = channel_fd;
	process->ledger_entry = ledger_entry;
	process->started_ns = process->heartbeat_ns = clock_now_ns();
	event_assign(&process->channel_event, table->base, channel_fd,
	    EV_READ | EV_PERSIST, on_channel, process);
	if (event_add(&process->channel_event, NULL) < 0) {
		free(process);
		errno = ENOMEM;
		return NULL;
	}
	process->next = *at;
	*at = process;
	return process;
}

static void
destroy(struct process *process)
{
	struct process **at = &process->table->processes;
	while (*at != process)
		at = &(*at)->next;
	*at = process->next;
	event_del(&process->channel_event);
	control_queue_clear(&process->queue);
	close(process->channel_fd);
	free(process->sockets);
	free(process);
}

struct process *
process_from_pid(struct worker_table *table, pid_t pid, uint32_t slot, int channel_fd,
    uint32_t ledger_entry)
{
	struct process **end = &table->processes;
	while (*end != NULL)
		end = &(*end)->next;
	struct process *process = create(end, table, slot, channel_fd, ledger_entry);
	if (process == NULL)
		return NULL;
	process->pid = pid;
	/* Which listeners it has is not known. */
	memset(process->listeners, 0xff, sizeof(process->listeners));
	return process;
}

/* The number of the listener in that configuration; of the previous one only listeners
 * that were removed since have a number. */
static int
config_index_in(const struct worker_table *table, const struct config *config,
    const struct listener *listener)
{
	if (config == &table->config->current)
		return listener->config_index;
	if (config == &table->config->previous)
		return listener->previous_config_index;
	return listener->next_config_index;
}

static size_t
count_listeners(const struct worker_table *table)
{
	size_t count = 0;
	for (const struct listener *e = table->listeners->first; e != NULL; e = e->next)
		count++;
	return count;
}

/* Sets the sockets of a process to those of a configuration. 0, or -1 with errno. */
static int
list_sockets(struct process *process, const struct config *config)
{
	const struct worker_table *table = process->table;
	uint32_t slot = process->slot;
	size_t count = 0;
	char address[ADDRESS_TEXT_MAX];
	struct worker_socket *ret = calloc(count_listeners(table) + 1, sizeof(*ret));
	if (ret == NULL)
		return -1;
	for (const struct listener *e = table->listeners->first; e != NULL;
	     e = e->next) {
		int config_index = config_index_in(table, config, e);
		if (config_index >= 0 && e->fds[slot] >= 0)
			ret[count++] = (struct worker_socket){ .fd = e->fds[slot],
				.listener = (uint32_t)config_index,
				.ledger_index = ledger_register_listener(table->ledger,
				    address_format(&e->address, address)) };
	}
	process->sockets = ret;
	process->socket_count = count;
	return 0;
}

/* The listeners of another process, without their sockets. 0, or -1 with errno. */
static int
copy_listeners(struct process *process, const struct process *from)
{
	process->sockets = calloc(from->socket_count, sizeof(*process->sockets));
	if (process->sockets == NULL)
		return -1;
	process->socket_count = from->socket_count;
	for (size_t i = 0; i < from->socket_count; i++) {
		process->sockets[i] = from->sockets[i];
		process->sockets[i].fd = -1;
	}
	return 0;
}

/* Where a new worker with this configuration keeps the records of witnesses; made when
 * they are first needed. NULL: it needs none, or there is no memory. */
static struct witness_records *
witness_records(
    struct worker_table *table, const struct config *config, uint32_t ledger_entry)
{
	if (!config_has_witness(config))
		return NULL;
	if (table->witness_records == NULL)
		table->witness_records = witness_records_create();
	if (table->witness_records != NULL &&
	    witness_records_clear(table->witness_records, ledger_entry) == 0)
		return table->witness_records;
	log_warn("[witness_records_failed] "
		 "witness: cannot create the records: ask finds no connection");
	return NULL;
}

static int
fork_worker(struct process *process, const struct config *config, int channel_fd)
{
	struct worker_table *table = process->table;
	const struct worker_args args = {
		.config = config,
		.slot = process->slot,
		.generation = process->generation,
		.channel_fd = channel_fd,
		.sockets = process->sockets,
		.socket_count = process->socket_count,
		.log_fd = log_is_syslog() ? table->log_relay_fd : -1,
		.ledger = table->ledger,
		.ledger_entry = process->ledger_entry,
		.fault_records = table->fault_records,
		.witness_records =
		    witness_records(table, config, process->ledger_entry),
		.run_keeper = keeper_run,
	};
	for (size_t i = 0; i < args.socket_count; i++) {
		uint32_t number = args.sockets[i].ledger_index;
		process->listeners[number / 64] |= UINT64_C(1) << number % 64;
	}
	if (table->fault_records != NULL &&
	    fault_records_clear(table->fault_records, process->ledger_entry) < 0)
		return -1;
	process->pid = spawn_worker(&args);
	return process->pid > 0 ? 0 : -1;
}

/* `former`: has its listeners, or NULL. */
static struct process *
start(struct worker_table *table, const struct config *config, uint32_t generation,
    uint32_t slot, const struct process *former)
{
	int channel[2];
	if (channel_open(channel) < 0)
		return NULL;
	channel_refuse_fds(channel[0]);
	int entry = ledger_claim(table->ledger, slot);
	struct process *process = entry < 0
	    ? NULL
	    : create(&table->processes, table, slot, channel[0], (uint32_t)entry);
	if (process == NULL) {
		int saved = errno;
		close(channel[0]);
		close(channel[1]);
		if (entry >= 0)
			ledger_retire(table->ledger, (uint32_t)entry, slot, 0, 0);
		errno = saved;
		return NULL;
	}
	process->generation = generation;
	process->config_number = former_config_number(table->config, config);
	int rc = former == NULL ? list_sockets(process, config)
				: copy_listeners(process, former);
	if (rc == 0)
		rc = fork_worker(process, config, channel[1]);
	int saved = errno;
	close(channel[1]);
	if (rc == 0)
		return process;
	ledger_retire(table->ledger, (uint32_t)entry, slot, 0, 0);
	destroy(process);
	errno = saved;
	return NULL;
}

struct process *
process_start(struct worker_table *table, const struct config *config,
    uint32_t generation, uint32_t slot)
{
	return start(table, config, generation, slot, NULL);
}

struct process *
process_start_like(const struct process *former)
{
	struct worker_table *table = former->table;
	const struct config *config = former->sockets == NULL
	    ? NULL
	    : former_config_find(table->config, former->config_number);
	if (config == NULL) {
		errno = ENOENT;
		return NULL;
	}
	return start(table, config, former->generation, former->slot, former);
}

int
process_send_fd(struct process *process, const struct channel_message *message, int fd)
{
	if (control_queue_send(&process->queue, process->channel_fd, message, fd) == 0)
		return 0;
	int saved = errno;
	if (saved == ENOBUFS) {
		log_errorx(
		    "[worker_message_unsent worker worker_pid message_number] "
		    "worker %u (pid %d): cannot queue control message %u: sending SIGKILL",
		    process->slot, (int)process->pid, message->verb);
		kill(process->pid, SIGKILL);
	} else {
		log_debug("[worker_message_failed worker message_number] "
			  "worker %u: cannot send control message %u",
		    process->slot, message->verb);
	}
	errno = saved;
	return -1;
}

void
process_send(struct process *process, uint32_t verb, uint32_t argument, uint64_t value)
{
	const struct channel_message message = {
		.verb = verb, .argument = argument, .value = value
	};
	(void)process_send_fd(process, &message, -1);
}

void
process_send_all(const struct worker_table *table, uint32_t verb, uint32_t argument)
{
	for (struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->state != PROCESS_EXITED)
			process_send(p, verb, argument, 0);
	}
}

void
process_send_queued(const struct worker_table *table)
{
	for (struct process *p = table->processes; p != NULL; p = p->next)
		control_queue_flush(&p->queue, p->channel_fd);
}

bool
process_has_queued(const struct worker_table *table)
{
	const struct process *p = table->processes;
	while (p != NULL && p->queue.count == 0)
		p = p->next;
	return p != NULL;
}

void
process_send_log(struct worker_table *table)
{
	const struct channel_message message = { .verb = CHANNEL_LOG_REOPEN };
	int fd = log_is_syslog() ? table->log_relay_fd : log_fd();
	for (struct process *p = table->processes; p != NULL; p = p->next) {
		if (p->state != PROCESS_EXITED && process_send_fd(p, &message, fd) < 0)
			log_warn(
			    "[log_pass_failed worker] "
			    "worker %u: cannot pass the new log file: keeping the old one",
			    p->slot);
	}
}

void
process_release(struct process *process)
{
	drain_summary_on_process_released(process);
	ledger_retire(process->table->ledger, process->ledger_entry, process->slot,
	    process->moved_in, process->moved_out);
	if (process->table->fault_records != NULL)
		fault_records_retire(
		    process->table->fault_records, process->ledger_entry);
	destroy(process);
}

/* Messages sent before the exit count. */
static void
on_process_exit(struct process *process, int status)
{
	const struct worker_table *table = process->table;
	(void)receive_messages(process, INT_MAX);
	event_del(&process->channel_event);
	control_queue_clear(&process->queue);
	process->exit_state = process->state;
	process->state = PROCESS_EXITED;
	process->was_killed = !WIFEXITED(status);
	table->events->on_exit(process, status, table->argument);
}

/* True if the keeper of a worker that has ended can continue for it. */
static bool
leaves_keeper(const struct process *process, int status)
{
	bool is_orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return !is_orderly && process->is_ready && process->keeper_pid > 0;
}

/* A worker has died: its keeper continues in its place. */
static void
on_process_death(struct process *process, int status)
{
	const struct worker_table *table = process->table;
	control_queue_clear(&process->queue);
	process->exit_state = process->state;
	table->events->on_death(process, status, table->argument);
}

static struct process *
find_process(const struct worker_table *table, pid_t pid)
{
	struct process *process = table->processes;
	while (process != NULL &&
	    (process->pid != pid || process->state == PROCESS_EXITED))
		process = process->next;
	return process;
}

void
process_reap(struct worker_table *table)
{
	pid_t pid;
	int status;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *process = find_process(table, pid);
		/* Perhaps READY: it may have accepted connections since. */
		if (process != NULL)
			(void)receive_messages(process, INT_MAX);
		if (process != NULL && leaves_keeper(process, status))
			on_process_death(process, status);
		else if (process != NULL)
			on_process_exit(process, status);
		if (process != NULL)
			continue;
		table->events->on_other_child(pid, status, table->argument);
	}
}

void
process_reap_unknown(struct worker_table *table)
{
	struct process *p = table->processes;
	while (p != NULL) {
		if (!p->is_status_unknown) {
			p = p->next;
			continue;
		}
		p->is_status_unknown = false;
		log_warnx("[worker_exited worker worker_pid] "
			  "worker %u (pid %d): exited, status unknown",
		    p->slot, (int)p->pid);
		on_process_exit(p, 0);
		/* Its neighbours in the list may have been freed with it. */
		p = table->processes;
	}
}

void
process_format_status(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

static bool
is_listener_used(const struct worker_table *table, uint32_t number)
{
	char name[LEDGER_NAME_MAX], address[ADDRESS_TEXT_MAX];
	for (const struct process *p = table->processes; p != NULL; p = p->next) {
		if ((p->listeners[number / 64] >> number % 64 & 1) != 0)
			return true;
	}
	ledger_listener_name(table->ledger, number, name);
	for (const struct listener *e = table->listeners->first; e != NULL;
	     e = e->next) {
		address_format(&e->address, address);
		if (strncmp(name, address, LEDGER_NAME_MAX - 1) == 0)
			return true;
	}
	return name[0] == '\0';
}

void
process_release_listeners(struct worker_table *table)
{
	uint32_t count = ledger_listener_count(table->ledger);
	for (uint32_t i = 0; i < count; i++) {
		if (!is_listener_used(table, i))
			ledger_release_listener(table->ledger, i);
	}
}

void
process_forget_config(struct process *process)
{
	free(process->sockets);
	process->sockets = NULL;
}

void
process_forget_all(struct worker_table *table)
{
	while (table->processes != NULL)
		destroy(table->processes);
}

bool
process_is_draining(const struct process *process)
{
	return process->state != PROCESS_ACTIVE && process->state != PROCESS_EXITED;
}

uint32_t
process_count(const struct worker_table *table)
{
	uint32_t count = 0;
	for (const struct process *p = table->processes; p != NULL; p = p->next)
		count += p->state != PROCESS_EXITED;
	for (const struct ending_keeper *k = table->ending_keepers; k != NULL;
	     k = k->next)
		count++;
	return count;
}
