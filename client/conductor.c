#include "client/conductor.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"

#include "client/generator.h"

#define TICK_MS 50
#define KILL_AT 3                        /* the signal that asks a third time */
#define START_DELAY_NS UINT64_C(2000000) /* so that all have seen it when it comes */

struct conductor {
	const struct conductor_args *args;
	struct conductor_outcome outcome;
	struct board *board;
	uint32_t count;
	uint32_t alive;
	pid_t *pids; /* 0: gone */
	int *wake_fds;
	int event_fd;  /* the processes write it */
	int signal_fd; /* INT, TERM, HUP, CHLD */
	sigset_t former;
};

static struct tally *
tally_of(const struct conductor *conductor, uint32_t process)
{
	return tallies_at(conductor->args->tallies, process);
}

static void
wake_all(const struct conductor *conductor)
{
	uint64_t one = 1;

	for (uint32_t i = 0; i < conductor->count; i++)
		if (write(conductor->wake_fds[i], &one, sizeof(one)) < 0)
			log_warn("cannot wake generator process %u", i);
}

static void
close_fds(struct conductor *conductor)
{
	for (uint32_t i = 0; i < conductor->count; i++)
		if (conductor->wake_fds != NULL && conductor->wake_fds[i] > 0)
			close(conductor->wake_fds[i]);
	if (conductor->event_fd >= 0)
		close(conductor->event_fd);
	if (conductor->signal_fd >= 0)
		close(conductor->signal_fd);
}

/* nohup(1) has it ignored. */
static bool
is_ignored(int signal)
{
	struct sigaction now;

	return sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static int
open_signals(struct conductor *conductor)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (!is_ignored(SIGHUP))
		sigaddset(&set, SIGHUP); /* it would come in spite of nohup */
	sigprocmask(SIG_BLOCK, &set, &conductor->former);
	conductor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return conductor->signal_fd < 0 ? -1 : 0;
}

static int
prepare(struct conductor *conductor)
{
	conductor->pids = calloc(conductor->count, sizeof(pid_t));
	conductor->wake_fds = calloc(conductor->count, sizeof(int));
	if (conductor->pids == NULL || conductor->wake_fds == NULL)
		return -1;
	conductor->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (conductor->event_fd < 0)
		return -1;
	for (uint32_t i = 0; i < conductor->count; i++) {
		conductor->wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (conductor->wake_fds[i] < 0)
			return -1;
	}
	return open_signals(conductor);
}

/* In the child. It leaves the terminal's signals to the parent, and ends with it. */
static void
child(struct conductor *conductor, uint32_t process, pid_t parent)
{
	const struct conductor_args *args = conductor->args;
	struct generator_args own = {
		.plan = args->plan,
		.sequence = args->sequence,
		.expectation = args->expectation,
		.tally = tally_of(conductor, process),
		.board = conductor->board,
		.process = process,
		.wake_fd = conductor->wake_fds[process],
		.parent_fd = conductor->event_fd,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_OSERR);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &conductor->former, NULL);
	close(conductor->signal_fd);
	for (uint32_t i = 0; i < conductor->count; i++)
		if (i != process)
			close(conductor->wake_fds[i]);
	if (generator_run(&own) != 0) {
		log_warn("generator process %u", process);
		_exit(EX_OSERR);
	}
	_exit(0);
}

static int
spawn(struct conductor *conductor)
{
	pid_t parent = getpid();

	/* What is buffered is written once, not by every child. */
	fflush(NULL);
	for (uint32_t i = 0; i < conductor->count; i++) {
		struct tally *tally = tally_of(conductor, i);
		tally->connections =
		    plan_share(conductor->args->plan, i, &tally->first);
		pid_t pid = fork();
		if (pid < 0)
			return -1;
		if (pid == 0)
			child(conductor, i, parent);
		conductor->pids[i] = pid;
		atomic_store_explicit(&tally->pid, pid, memory_order_relaxed);
		conductor->alive++;
	}
	return 0;
}

static void
lose_messages(struct tally_messages *messages)
{
	uint64_t lost = tally_get(&messages->in_flight);

	tally_add(&messages->lost[TALLY_LOST_CLOSED], lost);
	atomic_store_explicit(&messages->in_flight, 0, memory_order_relaxed);
}

/* What a dead process had open is lost. A message that it had just begun to count is in
 * flight: sent is the sum again. */
static void
book_dead(struct conductor *conductor, uint32_t process, int status)
{
	struct tally *tally = tally_of(conductor, process);
	struct tally_messages *both[] = { &tally->messages, &tally->warmup };
	uint64_t open = tally_get(&tally->connections_open);

	conductor->outcome.died++;
	if (WIFSIGNALED(status))
		log_warnx("generator process %u (pid %d) was killed by signal %d (%s)",
		    process, (int)conductor->pids[process], WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		log_warnx("generator process %u (pid %d) ended with status %d", process,
		    (int)conductor->pids[process], WEXITSTATUS(status));
	for (int i = 0; i < 2; i++) {
		struct tally_messages *m = both[i];
		uint64_t settled =
		    tally_get(&m->verified) + tally_get(&m->wrong) + tally_lost(m);
		uint64_t sent = tally_get(&m->sent);
		atomic_store_explicit(&m->in_flight,
		    sent > settled ? sent - settled : 0, memory_order_relaxed);
		if (settled > sent)
			atomic_store_explicit(&m->sent, settled, memory_order_relaxed);
		lose_messages(m);
	}
	tally_add(&tally->connections_lost, open);
	atomic_store_explicit(&tally->connections_open, 0, memory_order_relaxed);
	atomic_store_explicit(&tally->phase, TALLY_DIED, memory_order_relaxed);
}

static void
reap(struct conductor *conductor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t i = 0; i < conductor->count; i++) {
			if (conductor->pids[i] != pid)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				book_dead(conductor, i, status);
			conductor->pids[i] = 0;
			conductor->alive--;
		}
	}
}

/* Somebody wants the end: in order, then at once, then of those who do neither. */
static void
ask_to_stop(struct conductor *conductor)
{
	conductor->outcome.interrupted = true;
	if (atomic_fetch_add(&conductor->board->stop, 1) + 1 < KILL_AT) {
		wake_all(conductor);
		return;
	}
	for (uint32_t i = 0; i < conductor->count; i++)
		if (conductor->pids[i] != 0)
			kill(conductor->pids[i], SIGKILL);
}

/* A terminal that goes away says so twice (the kernel and the shell): no hurry. What is
 * left to do, it shall not end. */
static void
on_hangup(struct conductor *conductor)
{
	if (!conductor->outcome.interrupted)
		ask_to_stop(conductor);
	signal(SIGHUP, SIG_IGN);
}

static void
read_signals(struct conductor *conductor)
{
	struct signalfd_siginfo info;

	while (read(conductor->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			on_hangup(conductor);
		else if (info.ssi_signo != SIGCHLD)
			ask_to_stop(conductor);
	}
	reap(conductor);
}

/* CLOCK_REALTIME - CLOCK_MONOTONIC */
static uint64_t
real_offset(void)
{
	struct timespec real;

	clock_gettime(CLOCK_REALTIME, &real);
	return (uint64_t)real.tv_sec * 1000000000 + (uint64_t)real.tv_nsec -
	    generator_clock();
}

/* When every process waits, the start is named. */
static void
step_start(struct conductor *conductor)
{
	const struct plan *plan = conductor->args->plan;
	uint64_t start = generator_clock() + START_DELAY_NS, offset = real_offset();

	for (uint32_t i = 0; i < conductor->count; i++)
		if (conductor->pids[i] != 0 &&
		    atomic_load_explicit(&tally_of(conductor, i)->phase,
			memory_order_acquire) < TALLY_WAITING)
			return;
	if (plan->start_at_ns > start + offset)
		start = plan->start_at_ns - offset;
	else if (plan->start_at_ns > 0)
		conductor->outcome.late_ns = start + offset - plan->start_at_ns;
	conductor->board->started_at_ns = start + offset;
	atomic_store_explicit(&conductor->board->start_ns, start, memory_order_release);
	wake_all(conductor);
}

/* Lockstep: the round is over when it is over in every process. */
static void
step_round(struct conductor *conductor)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < conductor->count; i++) {
		uint64_t done = tally_get(&tally_of(conductor, i)->rounds_done);
		if (conductor->pids[i] != 0 && done < least)
			least = done;
	}
	if (least == UINT64_MAX ||
	    least <=
		atomic_load_explicit(&conductor->board->round, memory_order_relaxed))
		return;
	atomic_store_explicit(&conductor->board->round, least, memory_order_release);
	wake_all(conductor);
}

static void
step(struct conductor *conductor)
{
	const struct plan *plan = conductor->args->plan;

	if (atomic_load_explicit(&conductor->board->start_ns, memory_order_relaxed) ==
	    0)
		step_start(conductor);
	else if (plan->load == PLAN_LOCKSTEP && plan->processes > 1)
		step_round(conductor);
}

static void
watch_run(struct conductor *conductor)
{
	struct pollfd fds[] = {
		{ .fd = conductor->signal_fd, .events = POLLIN },
		{ .fd = conductor->event_fd, .events = POLLIN },
	};
	uint64_t count, tick = 0;

	while (conductor->alive > 0) {
		if (poll(fds, 2, TICK_MS) < 0 && errno != EINTR)
			log_warn("poll");
		if (fds[0].revents != 0)
			read_signals(conductor);
		if (fds[1].revents != 0 &&
		    read(conductor->event_fd, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN)
			log_warn("read");
		step(conductor);
		uint64_t now = generator_clock();
		if (now < tick)
			continue;
		tick = now + TICK_MS * UINT64_C(1000000);
		if (conductor->args->on_tick != NULL)
			conductor->args->on_tick(conductor->args->context, now);
	}
}

/* The processes that were started before one could not be. */
static void
stop_all(struct conductor *conductor)
{
	for (uint32_t i = 0; i < conductor->count; i++) {
		if (conductor->pids == NULL || conductor->pids[i] == 0)
			continue;
		kill(conductor->pids[i], SIGKILL);
		waitpid(conductor->pids[i], NULL, 0);
	}
}

int
conductor_run(const struct conductor_args *args, struct conductor_outcome *ret)
{
	struct conductor conductor = {
		.args = args,
		.board = args->tallies->board,
		.count = args->plan->processes,
		.event_fd = -1,
		.signal_fd = -1,
	};
	int rc = prepare(&conductor);

	if (rc == 0 && (rc = spawn(&conductor)) == 0)
		watch_run(&conductor);
	else
		stop_all(&conductor);
	int error = errno;
	if (conductor.signal_fd >= 0)
		sigprocmask(SIG_SETMASK, &conductor.former, NULL);
	close_fds(&conductor);
	free(conductor.pids);
	free(conductor.wake_fds);
	errno = error;
	if (rc == 0)
		*ret = conductor.outcome;
	return rc;
}
