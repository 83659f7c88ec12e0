#include "client/run/coordinator.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/xmalloc.h"
#include "client/loop/generator.h"

#define OOM_PREFERENCE 500 /* thousandths of the memory */
#define TICK_MS 50
#define KILL_AT 3 /* the number of the stop request that sends SIGKILL */
/* Delay until the common start, so that each process reads it in time. */
#define START_DELAY_NS UINT64_C(2000000)

struct coordinator {
	const struct coordinator_args *args;
	struct coordinator_outcome outcome;
	struct control_block *control_block;
	uint32_t count;
	uint32_t alive;
	pid_t *pids; /* 0: exited */
	int *wake_fds;
	int event_fd;  /* written by the load processes */
	int signal_fd; /* INT, TERM, HUP, CHLD */
	struct event_base *base;
	struct event wake_event, signal_event, timer; /* persistent; the timer is not */
	sigset_t previous_mask;
};

static struct counters *
counters_of(const struct coordinator *coordinator, uint32_t process)
{
	return counters_map_at(coordinator->args->counters_map, process);
}

static void
wake_all(const struct coordinator *coordinator)
{
	uint64_t one = 1;
	for (uint32_t i = 0; i < coordinator->count; i++)
		if (write(coordinator->wake_fds[i], &one, sizeof(one)) < 0)
			log_warn("load process %u: cannot wake it", i);
}

static void
close_fds(struct coordinator *coordinator)
{
	if (coordinator->base != NULL) {
		event_del(&coordinator->signal_event);
		event_del(&coordinator->wake_event);
	}
	if (coordinator->base != NULL && coordinator->args->observer == NULL)
		event_base_free(coordinator->base);
	for (uint32_t i = 0; i < coordinator->count; i++)
		if (coordinator->wake_fds[i] > 0)
			close(coordinator->wake_fds[i]);
	if (coordinator->event_fd >= 0)
		close(coordinator->event_fd);
	if (coordinator->signal_fd >= 0)
		close(coordinator->signal_fd);
}

/* True for SIGHUP under nohup(1). */
static bool
is_ignored(int signal)
{
	struct sigaction now;
	return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static int
open_signals(struct coordinator *coordinator)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (!is_ignored(SIGHUP))
		sigaddset(&set, SIGHUP); /* a signalfd also reports ignored signals */
	sigprocmask(SIG_BLOCK, &set, &coordinator->previous_mask);
	coordinator->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return coordinator->signal_fd < 0 ? -1 : 0;
}

static int
prepare(struct coordinator *coordinator)
{
	/* A reader of the progress line or the transcript that ends must not end the
	 * run with it. */
	resources_ignore_sigpipe();
	resources_oom_killed();
	coordinator->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (coordinator->event_fd < 0)
		return -1;
	for (uint32_t i = 0; i < coordinator->count; i++) {
		coordinator->wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (coordinator->wake_fds[i] < 0)
			return -1;
	}
	return open_signals(coordinator);
}

/* Runs in the load process, which leaves the terminal's signals to the parent and ends
 * with it. */
static void
child(struct coordinator *coordinator, uint32_t process, pid_t parent)
{
	const struct coordinator_args *args = coordinator->args;
	struct generator_args own = {
		.plan = args->plan,
		.sequence = args->sequence,
		.expectation = args->expectation,
		.counters = counters_of(coordinator, process),
		.control_block = coordinator->control_block,
		.process = process,
		.wake_fd = coordinator->wake_fds[process],
		.parent_fd = coordinator->event_fd,
	};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_OSERR);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, &coordinator->previous_mask, NULL);
	/* The parent must live to report what happened. */
	resources_prefer_for_oom(resources_open_oom_score(), OOM_PREFERENCE);
	close(coordinator->signal_fd);
	if (args->observer != NULL)
		args->observer->in_child(args->observer->context);
	for (uint32_t i = 0; i < coordinator->count; i++)
		if (i != process)
			close(coordinator->wake_fds[i]);
	if (generator_run(&own) != 0) {
		log_warn("load process %u", process);
		_exit(EX_OSERR);
	}
	_exit(0);
}

static int
spawn(struct coordinator *coordinator)
{
	pid_t parent = getpid();
	/* Otherwise each child would write the buffered output again. */
	fflush(NULL);
	for (uint32_t i = 0; i < coordinator->count; i++) {
		struct counters *counters = counters_of(coordinator, i);
		counters->connections =
		    plan_share(coordinator->args->plan, i, &counters->first);
		pid_t pid = fork();
		if (pid < 0)
			return -1;
		if (pid == 0)
			child(coordinator, i, parent);
		coordinator->pids[i] = pid;
		atomic_store_explicit(&counters->pid, pid, memory_order_relaxed);
		coordinator->alive++;
	}
	return 0;
}

static const char *
oom_text(int status)
{
	if (WTERMSIG(status) == SIGKILL && resources_oom_killed())
		return ": out of memory; fix: fewer --connections, smaller --size, or more memory";
	return "";
}

/* Counts the open connections and messages in flight of a dead process as lost. If it
 * died while counting a message, sent is corrected to balance again. */
static void
account_dead_process(struct coordinator *coordinator, uint32_t process, int status)
{
	struct counters *counters = counters_of(coordinator, process);
	struct counters_messages *both[] = { &counters->messages, &counters->warmup };
	uint64_t open = counters_get(&counters->connections_open);
	coordinator->outcome.died++;
	if (WIFSIGNALED(status))
		log_warnx("load process %u (pid %d): killed by signal %d (%s)%s",
		    process, (int)coordinator->pids[process], WTERMSIG(status),
		    strsignal(WTERMSIG(status)), oom_text(status));
	else
		log_warnx("load process %u (pid %d): exited with status %d", process,
		    (int)coordinator->pids[process], WEXITSTATUS(status));
	for (int i = 0; i < 2; i++) {
		struct counters_messages *m = both[i];
		uint64_t settled = counters_get(&m->verified) +
		    counters_get(&m->wrong) + counters_lost(m);
		uint64_t sent = counters_get(&m->sent);
		if (sent > settled)
			counters_add(&m->lost[MESSAGE_LOSS_CLOSED], sent - settled);
		else
			counters_set(&m->sent, settled);
		counters_set(&m->in_flight, 0);
	}
	counters_add(&counters->connections_lost, open);
	counters_set(&counters->connections_open, 0);
	atomic_store_explicit(&counters->phase, PHASE_DIED, memory_order_relaxed);
}

static void
reap(struct coordinator *coordinator)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t i = 0; i < coordinator->count; i++) {
			if (coordinator->pids[i] != pid)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				account_dead_process(coordinator, i, status);
			coordinator->pids[i] = 0;
			coordinator->alive--;
		}
	}
}

/* The first request drains, the second ends at once, the third kills the processes. */
static void
request_stop(struct coordinator *coordinator)
{
	coordinator->outcome.interrupted = true;
	if (atomic_fetch_add(&coordinator->control_block->stop, 1) + 1 < KILL_AT) {
		wake_all(coordinator);
		return;
	}
	for (uint32_t i = 0; i < coordinator->count; i++)
		if (coordinator->pids[i] != 0)
			kill(coordinator->pids[i], SIGKILL);
}

/* Kernel and shell both send SIGHUP when a terminal closes: the second one must not end
 * the run at once, nor later the writing of the outputs. */
static void
on_sighup(struct coordinator *coordinator)
{
	if (!coordinator->outcome.interrupted)
		request_stop(coordinator);
	signal(SIGHUP, SIG_IGN);
}

static void
read_signals(struct coordinator *coordinator)
{
	struct signalfd_siginfo info;
	while (read(coordinator->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			on_sighup(coordinator);
		else if (info.ssi_signo != SIGCHLD)
			request_stop(coordinator);
	}
	reap(coordinator);
}

/* Sets the common start time as soon as every process waits for it. */
static void
step_start(struct coordinator *coordinator)
{
	const struct plan *plan = coordinator->args->plan;
	uint64_t start = clock_now_ns() + START_DELAY_NS,
		 offset = clock_realtime_offset_ns();
	for (uint32_t i = 0; i < coordinator->count; i++)
		if (coordinator->pids[i] != 0 &&
		    atomic_load_explicit(&counters_of(coordinator, i)->phase,
			memory_order_acquire) < PHASE_WAITING)
			return;
	if (plan->start_at_ns > start + offset)
		start = plan->start_at_ns - offset;
	else if (plan->start_at_ns > 0)
		coordinator->outcome.late_ns = start + offset - plan->start_at_ns;
	coordinator->control_block->started_at_ns = start + offset;
	atomic_store_explicit(
	    &coordinator->control_block->start_ns, start, memory_order_release);
	wake_all(coordinator);
}

/* Lockstep: a round ends when all processes have finished it. */
static void
step_round(struct coordinator *coordinator)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < coordinator->count; i++) {
		uint64_t done = counters_get(&counters_of(coordinator, i)->rounds_done);
		if (coordinator->pids[i] != 0 && done < least)
			least = done;
	}
	if (least == UINT64_MAX ||
	    least <= atomic_load_explicit(
			 &coordinator->control_block->round, memory_order_relaxed))
		return;
	atomic_store_explicit(
	    &coordinator->control_block->round, least, memory_order_release);
	wake_all(coordinator);
}

static void
step(struct coordinator *coordinator)
{
	const struct plan *plan = coordinator->args->plan;
	if (atomic_load_explicit(
		&coordinator->control_block->start_ns, memory_order_relaxed) == 0)
		step_start(coordinator);
	else if (plan->load == PLAN_LOCKSTEP && plan->processes > 1)
		step_round(coordinator);
}

static void
on_signal(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	read_signals(argument);
}

/* A load process has finished a round or its connects: step() looks. */
static void
on_wake(evutil_socket_t fd, short what, void *argument)
{
	uint64_t count;
	(void)what;
	(void)argument;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warn("read");
}

static void
on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument; /* it only ends the wait */
}

static int
open_loop(struct coordinator *coordinator)
{
	const struct run_observer *observer = coordinator->args->observer;
	coordinator->base = observer != NULL ? observer->base : event_base_new();
	if (coordinator->base == NULL) {
		errno = ENOMEM;
		return -1;
	}
	event_assign(&coordinator->signal_event, coordinator->base,
	    coordinator->signal_fd, EV_READ | EV_PERSIST, on_signal, coordinator);
	event_assign(&coordinator->wake_event, coordinator->base, coordinator->event_fd,
	    EV_READ | EV_PERSIST, on_wake, coordinator);
	evtimer_assign(&coordinator->timer, coordinator->base, on_timer, coordinator);
	/* Before a load process is started, so that each one that ends is noticed. */
	if (event_add(&coordinator->signal_event, NULL) == 0 &&
	    event_add(&coordinator->wake_event, NULL) == 0)
		return 0;
	errno = ENOMEM;
	return -1;
}

/* Waits until something happens, or until tick_ns. */
static void
wait_until_tick(struct coordinator *coordinator, uint64_t tick_ns, uint64_t now_ns)
{
	uint64_t us = tick_ns <= now_ns ? 0 : (tick_ns - now_ns) / NS_PER_US + 1;
	const struct timeval delay = { .tv_usec = (suseconds_t)us };
	bool has_timer = evtimer_add(&coordinator->timer, &delay) == 0;
	if (event_base_loop(coordinator->base,
		has_timer ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
		log_warn("event_base_loop");
}

/* When on_tick is due again. */
static uint64_t
tick(const struct coordinator_args *args, uint64_t now_ns)
{
	uint64_t next = now_ns + TICK_MS * NS_PER_MS, wanted = next;
	if (args->on_tick != NULL)
		wanted = args->on_tick(args->context, now_ns);
	if (args->observer != NULL)
		args->observer->on_tick(args->observer->context, now_ns);
	return wanted < next ? wanted : next;
}

static void
supervise_run(struct coordinator *coordinator)
{
	uint64_t next = 0, now = clock_now_ns();
	while (coordinator->alive > 0) {
		wait_until_tick(coordinator, next, now);
		step(coordinator);
		now = clock_now_ns();
		if (now >= next)
			next = tick(coordinator->args, now);
	}
	event_del(&coordinator->timer);
}

/* Kills the processes that were forked before a fork failed. */
static void
stop_all(struct coordinator *coordinator)
{
	for (uint32_t i = 0; i < coordinator->count; i++) {
		if (coordinator->pids[i] == 0)
			continue;
		kill(coordinator->pids[i], SIGKILL);
		waitpid(coordinator->pids[i], NULL, 0);
	}
}

int
coordinator_run(const struct coordinator_args *args, struct coordinator_outcome *ret)
{
	struct coordinator coordinator = {
		.args = args,
		.control_block = args->counters_map->control_block,
		.count = args->plan->processes,
		.pids = xcalloc(args->plan->processes, sizeof(pid_t)),
		.wake_fds = xcalloc(args->plan->processes, sizeof(int)),
		.event_fd = -1,
		.signal_fd = -1,
	};
	int rc = prepare(&coordinator);
	if (rc == 0)
		rc = open_loop(&coordinator);
	if (rc == 0 && (rc = spawn(&coordinator)) == 0)
		supervise_run(&coordinator);
	else
		stop_all(&coordinator);
	int error = errno;
	if (coordinator.signal_fd >= 0)
		sigprocmask(SIG_SETMASK, &coordinator.previous_mask, NULL);
	close_fds(&coordinator);
	free(coordinator.pids);
	free(coordinator.wake_fds);
	errno = error;
	if (rc == 0)
		*ret = coordinator.outcome;
	return rc;
}
