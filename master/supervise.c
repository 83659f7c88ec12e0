#include "master/supervise.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

#include "proto/channel.h"

#include "master/spawn.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define WATCH_MS 500
/* Back-off of a slot whose worker dies again and again: doubled from the first to the
 * longest, +-25 % so that slots do not move in step; forgotten after a quiet time. */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LONGEST_MS 30000
#define QUIET_NS (10 * NS_PER_S)
/* What a worker gets beyond the drain time before it is killed, and a hung one between
 * SIGABRT and SIGKILL. */
#define GRACE_NS (2 * NS_PER_S)

const char *const slot_state_names[] = { "empty", "starting", "serving", "draining",
	"backing_off" };

uint64_t
master_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint32_t
supervise_serving(const struct master *master)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < master->slot_count; i++)
		count += master->slots[i].state == SLOT_SERVING;
	return count;
}

/* --- processes ----------------------------------------------------------------------
 */

static void
on_ready(struct process *process)
{
	struct master *master = process->master;
	struct slot *slot = &master->slots[process->slot];
	process->is_ready = true;
	if (slot->process != process || slot->state != SLOT_STARTING)
		return;
	slot->state = SLOT_SERVING;
	if (master->phase == MASTER_RUNNING) {
		log_info("worker %u serves again (process %d)", process->slot,
		    (int)process->pid);
		return;
	}
	if (master->phase != MASTER_STARTING ||
	    supervise_serving(master) < master->slot_count)
		return;
	master->phase = MASTER_RUNNING;
	log_info("ready: %u worker%s, %zu listener%s", master->slot_count,
	    master->slot_count == 1 ? "" : "s", master->config.listener_count,
	    master->config.listener_count == 1 ? "" : "s");
}

static void
on_channel(evutil_socket_t fd, short what, void *argument)
{
	(void)what;
	struct process *process = argument;
	struct channel_message message;
	int descriptor, rc;
	while ((rc = channel_receive(fd, &message, &descriptor)) > 0) {
		if (descriptor >= 0)
			close(descriptor);
		if (message.verb == CHANNEL_READY)
			on_ready(process);
	}
	/* At the end of file there is nothing to hear any more; SIGCHLD tells the rest.
	 */
	if (rc == 0 || errno != EAGAIN)
		event_del(&process->channel_event);
}

static void
process_destroy(struct process *process)
{
	struct process **at = &process->master->processes;
	while (*at != process)
		at = &(*at)->next;
	*at = process->next;
	event_del(&process->channel_event);
	close(process->channel_fd);
	free(process);
}

static struct process *
process_create(struct master *master, uint32_t slot, int channel_fd)
{
	struct process *process = calloc(1, sizeof(*process));
	struct ledger_block *block = ledger_claim(master->ledger, slot);
	if (process == NULL || block == NULL) {
		free(process);
		errno = ENOMEM;
		return NULL;
	}
	process->master = master;
	process->slot = slot;
	process->generation = master->generation;
	process->channel_fd = channel_fd;
	process->block = block;
	process->started_ns = process->beat_ns = master_now_ns();
	process->next = master->processes;
	master->processes = process;
	event_assign(&process->channel_event, master->base, channel_fd,
	    EV_READ | EV_PERSIST, on_channel, process);
	event_add(&process->channel_event, NULL);
	return process;
}

static void
gather_listeners(const struct master *master, uint32_t slot, int *ret_fds)
{
	size_t i = 0;
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next)
		ret_fds[i++] = e->fds[slot];
}

/* Forks a worker for the slot. NULL with errno. */
static struct process *
process_start(struct master *master, uint32_t slot)
{
	int channel[2], listener_fds[CONFIG_LISTENERS_MAX];
	if (channel_open(channel) < 0)
		return NULL;
	struct process *process = process_create(master, slot, channel[0]);
	if (process == NULL) {
		int saved = errno;
		close(channel[0]);
		close(channel[1]);
		errno = saved;
		return NULL;
	}
	gather_listeners(master, slot, listener_fds);
	const struct worker_args args = {
		.config = &master->config,
		.slot = slot,
		.generation = master->generation,
		.channel_fd = channel[1],
		.listener_fds = listener_fds,
		.ledger = master->ledger,
		.block = process->block,
	};
	process->pid = spawn_worker(&args);
	int saved = errno;
	close(channel[1]);
	if (process->pid > 0)
		return process;
	ledger_retire(master->ledger, process->block, 0);
	process_destroy(process);
	errno = saved;
	return NULL;
}

static void
tell(struct process *process, uint32_t verb, uint32_t argument, uint64_t value)
{
	const struct channel_message message = {
		.verb = verb, .argument = argument, .value = value
	};
	if (channel_send(process->channel_fd, &message, -1) < 0)
		log_debug("worker %u does not hear message %u", process->slot, verb);
}

void
supervise_tell_all(struct master *master, uint32_t verb, uint32_t argument)
{
	for (struct process *p = master->processes; p != NULL; p = p->next)
		tell(p, verb, argument, 0);
}

/* --- slots --------------------------------------------------------------------------
 */

static uint64_t
backoff_ms(uint32_t failures)
{
	if (failures <= 1)
		return 0;
	uint64_t ms = BACKOFF_FIRST_MS;
	for (uint32_t i = 2; i < failures && ms < BACKOFF_LONGEST_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_LONGEST_MS)
		ms = BACKOFF_LONGEST_MS;
	return ms * 3 / 4 + (uint64_t)random() % (ms / 2 + 1);
}

static void
slot_back_off(struct slot *slot)
{
	uint64_t ms = backoff_ms(slot->failures);
	slot->state = SLOT_BACKING_OFF;
	slot->process = NULL;
	if (ms > 0)
		log_warnx("worker %td: failure %u in a row, next try in %llu ms",
		    slot - slot->master->slots, slot->failures, (unsigned long long)ms);
	struct timeval delay = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	event_add(&slot->retry_timer, &delay);
}

static void
slot_spawn(struct slot *slot)
{
	struct master *master = slot->master;
	slot->process = process_start(master, (uint32_t)(slot - master->slots));
	if (slot->process != NULL) {
		slot->state = SLOT_STARTING;
		return;
	}
	log_warn("cannot fork worker %td", slot - master->slots);
	slot->failures++;
	slot_back_off(slot);
}

static void
on_retry(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct slot *slot = argument;
	slot->restarts++;
	slot_spawn(slot);
}

void
supervise_fill(struct master *master, uint32_t number)
{
	struct slot *slot = &master->slots[number];
	slot->master = master;
	slot->failures = 0;
	evtimer_assign(&slot->retry_timer, master->base, on_retry, slot);
	slot_spawn(slot);
}

/* --- deaths -------------------------------------------------------------------------
 */

static void
describe_status(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

/* No worker has ever come up: there is nothing to wait for. */
static bool
start_has_failed(const struct master *master)
{
	if (master->phase != MASTER_STARTING)
		return false;
	for (uint32_t i = 0; i < master->slot_count; i++) {
		if (master->slots[i].state != SLOT_BACKING_OFF)
			return false;
	}
	return true;
}

static void
on_died(struct process *process, int status)
{
	struct master *master = process->master;
	struct slot *slot = &master->slots[process->slot];
	char text[64];
	describe_status(status, text, sizeof(text));
	log_warnx(
	    "worker %u (process %d) died: %s", process->slot, (int)process->pid, text);
	if (slot->process != process)
		return;
	if (process->is_ready && master_now_ns() - process->started_ns >= QUIET_NS)
		slot->failures = 0;
	slot->failures++;
	slot_back_off(slot);
	if (start_has_failed(master)) {
		log_errorx("no worker came up: giving up");
		master->exit_status = EX_OSERR;
		supervise_stop(master);
	}
}

static void
on_gone(struct process *process, int status)
{
	struct master *master = process->master;
	struct slot *slot = &master->slots[process->slot];
	/* What it said before it ended counts. */
	on_channel(process->channel_fd, EV_READ, process);
	ledger_retire(master->ledger, process->block, 0);
	bool asked_for = process->is_leaving && WIFEXITED(status);
	if (!asked_for && master->phase != MASTER_STOPPING) {
		on_died(process, status);
	} else if (slot->process == process) {
		slot->process = NULL;
		slot->state = SLOT_EMPTY;
	}
	process_destroy(process);
	if (master->phase == MASTER_STOPPING && master->processes == NULL)
		event_base_loopbreak(master->base);
}

void
supervise_reap(struct master *master)
{
	pid_t pid;
	int status;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *process = master->processes;
		while (process != NULL && process->pid != pid)
			process = process->next;
		if (process != NULL)
			on_gone(process, status);
	}
}

/* --- the watch ----------------------------------------------------------------------
 */

/* A worker whose loop stands still gets its share of new connections like any other: it
 * is told to dump core, then killed, and replaced like any that dies. */
static void
watch_process(struct process *process, uint64_t now_ns)
{
	uint64_t limit_ns = process->master->config.timeouts.hung_ns;
	uint64_t beats =
	    atomic_load_explicit(&process->block->beats, memory_order_relaxed);
	if (beats != process->beats) {
		process->beats = beats;
		process->beat_ns = now_ns;
		return;
	}
	if (limit_ns == 0 || now_ns - process->beat_ns < limit_ns)
		return;
	if (process->abort_ns == 0) {
		log_errorx(
		    "worker %u (process %d) is hung: no turn of its loop for %llu "
		    "ms; aborting it",
		    process->slot, (int)process->pid,
		    (unsigned long long)((now_ns - process->beat_ns) / NS_PER_MS));
		process->abort_ns = now_ns;
		kill(process->pid, SIGABRT);
	} else if (now_ns - process->abort_ns >= GRACE_NS) {
		kill(process->pid, SIGKILL);
	}
}

static void
on_watch(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct master *master = argument;
	uint64_t now_ns = master_now_ns();
	bool overdue =
	    master->stop_deadline_ns != 0 && now_ns >= master->stop_deadline_ns;
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		if (overdue)
			kill(p->pid, SIGKILL);
		else
			watch_process(p, now_ns);
	}
}

int
supervise_start(struct master *master)
{
	struct timeval interval = { .tv_usec = WATCH_MS * 1000 };
	event_assign(
	    &master->watch_timer, master->base, -1, EV_PERSIST, on_watch, master);
	return event_add(&master->watch_timer, &interval);
}

/* --- the end ------------------------------------------------------------------------
 */

static void
enter_stopping(struct master *master, uint64_t limit_ns)
{
	master->phase = MASTER_STOPPING;
	master->stop_deadline_ns =
	    limit_ns == 0 ? 0 : master_now_ns() + limit_ns + GRACE_NS;
	for (uint32_t i = 0; i < master->slot_count; i++)
		event_del(&master->slots[i].retry_timer);
	if (master->processes == NULL)
		event_base_loopbreak(master->base);
}

void
supervise_drain(struct master *master, uint64_t drain_ns)
{
	for (struct endpoint *e = master->endpoints; e != NULL; e = e->next)
		endpoint_turn_away(e);
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		p->is_leaving = true;
		tell(p, CHANNEL_EMPTY, CHANNEL_ALL, 0);
		tell(p, CHANNEL_LEAVE, 0, drain_ns);
	}
	enter_stopping(master, drain_ns);
}

void
supervise_stop(struct master *master)
{
	for (struct process *p = master->processes; p != NULL; p = p->next) {
		p->is_leaving = true;
		tell(p, CHANNEL_STOP, 0, 0);
	}
	enter_stopping(master, NS_PER_MS);
}
