#include "master/workers/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/system/descriptors.h"
#include "proto/ledger.h"

static int
compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes everything but the descriptors in keep[count], which may hold -1. */
static void
close_others(int *keep, size_t count)
{
	qsort(keep, count, sizeof(*keep), compare_fds);
	unsigned next = 0;
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < 0)
			continue;
		unsigned fd = (unsigned)keep[i];
		if (fd > next)
			descriptors_close(next, fd - 1);
		next = fd + 1;
	}
	descriptors_close(next, UINT_MAX);
}

static void
keep_own_descriptors(const struct worker_args *args)
{
	enum { OTHERS = 7 };
	size_t count = args->socket_count;
	int *keep = malloc((count + OTHERS) * sizeof(*keep));
	if (keep == NULL)
		fatal(EX_OSERR,
		    "[worker_start_failed] cannot close inherited descriptors");
	for (size_t i = 0; i < count; i++)
		keep[i] = args->sockets[i].fd;
	keep[count++] = STDIN_FILENO;
	keep[count++] = STDOUT_FILENO;
	keep[count++] = STDERR_FILENO;
	keep[count++] = log_fd();
	keep[count++] = log_console_fd();
	keep[count++] = log_copy_fd();
	keep[count++] = args->channel_fd;
	close_others(keep, count);
	free(keep);
}

/* Moves a descriptor to the lowest free number. */
static int
lowest(int fd)
{
	int lower = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (lower < 0 || lower > fd) {
		if (lower >= 0)
			close(lower);
		return fd;
	}
	close(fd);
	return lower;
}

/* The descriptors of a master with many slots have high numbers, too high for select(2)
 * and for small tables by descriptor. */
static void
renumber(struct worker_args *args)
{
	struct worker_socket *sockets = malloc(args->socket_count * sizeof(*sockets));
	if (sockets == NULL)
		fatal(EX_OSERR, "[worker_start_failed] cannot renumber descriptors");
	args->channel_fd = lowest(args->channel_fd);
	for (size_t i = 0; i < args->socket_count; i++) {
		sockets[i] = args->sockets[i];
		sockets[i].fd = lowest(sockets[i].fd);
	}
	args->sockets = sockets;
}

/* From here on the worker can write its own pages of the ledger, and no others. */
static void
enter_ledger(struct worker_args *args)
{
	args->worker_ledger = ledger_open_entry(args->ledger, args->ledger_entry);
	if (args->worker_ledger == NULL || ledger_enter_worker(args->ledger) < 0)
		fatal(EX_OSERR, "[worker_start_failed] cannot map the ledger");
	if (args->fault_records == NULL)
		return;
	args->fault_ring =
	    fault_records_enter_worker(args->fault_records, args->ledger_entry);
	if (args->fault_ring == NULL)
		fatal(
		    EX_OSERR, "[worker_start_failed] cannot map the record of faults");
}

/* Maps the records of witnesses. */
static void
enter_witness_records(struct worker_args *args)
{
	if (args->witness_records == NULL)
		return;
	args->witness_book =
	    witness_records_enter_worker(args->witness_records, args->ledger_entry);
	if (args->witness_book == NULL)
		log_warn("[witness_records_failed] "
			 "witness: cannot map the records: ask finds no connection");
}

/* A worker obeys its channel alone: signals that the terminal or the service manager
 * sends to the process group are for the master. */
static void
set_own_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1,
		SIGUSR2, SIGTTIN, SIGTTOU, SIGPIPE };
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
}

pid_t
spawn_worker(const struct worker_args *args)
{
	sigset_t all, before;
	sigfillset(&all);
	/* No signal may run the master's handlers in the child. */
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0) {
		struct worker_args own = *args;
		enter_ledger(&own);
		enter_witness_records(&own);
		if (args->log_fd >= 0)
			log_set_fd(args->log_fd);
		keep_own_descriptors(args);
		renumber(&own);
		set_own_signals();
		sigprocmask(SIG_SETMASK, &before, NULL);
		exit(worker_run(&own));
	}
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}
