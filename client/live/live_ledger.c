#include "client/live/live_ledger.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/xmalloc.h"
#include "client/plan/plan.h"
#include "client/result/result.h"
#include "client/run/server_stats.h"

#define INTERVAL_MS 1000

/* Answer of one server, as the process read it. */
struct reading {
	struct server_totals totals;
	enum reconcile_state state;
	uint64_t at_ns;
	char error[256];
};

/* Shared with the process, which fills one half and then publishes it. */
struct board {
	_Atomic uint64_t published; /* readings so far; the last one is in half n % 2 */
	struct reading halves[];
};

struct live_ledger {
	const struct reconcile_server *servers;
	size_t count;
	struct board *board;
	size_t board_bytes;
	pid_t pid;
	int stop_fd; /* the process ends when it is closed everywhere */
};

static void
read_server(const struct reconcile_server *server, struct reading *ret)
{
	char error[PLAN_ERROR_MAX];
	*ret = (struct reading){ .state = RECONCILE_READ };
	int rc = server_stats_read(server->where, &ret->totals, error);
	ret->at_ns = clock_realtime_ns();
	if (rc < 0) {
		ret->state = RECONCILE_GONE;
		snprintf(ret->error, sizeof(ret->error), "%.255s", error);
	} else if (!reconcile_is_later(&ret->totals, &server->before)) {
		ret->state = RECONCILE_RESTARTED;
		ret->at_ns -= ret->totals.uptime_ns;
	}
}

/* Runs in the process, until the other end of the pipe is closed. */
static void
read_all(struct live_ledger *ledger, int fd)
{
	struct pollfd stop = { .fd = fd, .events = POLLIN };
	do {
		uint64_t next = atomic_load(&ledger->board->published) + 1;
		struct reading *half = &ledger->board->halves[next % 2 * ledger->count];
		for (size_t i = 0; i < ledger->count; i++)
			read_server(&ledger->servers[i], &half[i]);
		atomic_store(&ledger->board->published, next);
	} while (poll(&stop, 1, INTERVAL_MS) == 0);
}

static int
spawn(struct live_ledger *ledger, void (*in_child)(void *context), void *context)
{
	int fds[2];
	pid_t parent = getpid();
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	fflush(NULL);
	ledger->pid = fork();
	if (ledger->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		close(fds[1]);
		in_child(context);
		if (getppid() == parent)
			read_all(ledger, fds[0]);
		_exit(0);
	}
	close(fds[0]);
	if (ledger->pid < 0) {
		close(fds[1]);
		return -1;
	}
	ledger->stop_fd = fds[1];
	return 0;
}

struct live_ledger *
live_ledger_start(const struct reconcile_server *servers, size_t count,
    void (*in_child)(void *context), void *context)
{
	struct live_ledger *ledger = xcalloc(1, sizeof(*ledger));
	ledger->servers = servers;
	ledger->count = count;
	ledger->board_bytes = sizeof(struct board) + 2 * count * sizeof(struct reading);
	ledger->board = mmap(NULL, ledger->board_bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ledger->board != MAP_FAILED && spawn(ledger, in_child, context) == 0)
		return ledger;
	if (ledger->board != MAP_FAILED)
		munmap(ledger->board, ledger->board_bytes);
	free(ledger);
	return NULL;
}

void
live_ledger_stop(struct live_ledger *ledger)
{
	if (ledger == NULL)
		return;
	close(ledger->stop_fd);
	/* It may wait for a server that hangs; the run may have reaped it. */
	if (waitpid(ledger->pid, NULL, WNOHANG) == 0) {
		kill(ledger->pid, SIGKILL);
		waitpid(ledger->pid, NULL, 0);
	}
	munmap(ledger->board, ledger->board_bytes);
	free(ledger);
}

void
live_ledger_close_in_child(struct live_ledger *ledger)
{
	if (ledger != NULL)
		close(ledger->stop_fd);
}

/* False before the first reading. */
static bool
copy_last(const struct live_ledger *ledger, struct reading *ret)
{
	uint64_t published;
	do {
		published = atomic_load(&ledger->board->published);
		memcpy(ret, &ledger->board->halves[published % 2 * ledger->count],
		    ledger->count * sizeof(*ret));
		atomic_thread_fence(memory_order_acquire);
		/* After one more reading the next one is written into this half. */
	} while (atomic_load(&ledger->board->published) != published);
	return published > 0;
}

void
live_ledger_add_to(struct live_ledger *ledger, struct result *result)
{
	struct reading *readings = xcalloc(ledger->count, sizeof(*readings));
	struct reconcile_server *servers = xcalloc(ledger->count, sizeof(*servers));
	bool is_known = copy_last(ledger, readings);
	for (size_t i = 0; i < ledger->count; i++) {
		servers[i] = ledger->servers[i];
		servers[i].after = readings[i].totals;
		servers[i].state = readings[i].state;
		servers[i].at_ns = readings[i].at_ns;
		snprintf(servers[i].error, sizeof(servers[i].error), "%s",
		    readings[i].error);
	}
	if (is_known)
		reconcile_servers(result, servers, ledger->count);
	/* Client and servers are read at different times: only the end can tell. */
	result->ledger.consistent = true;
	free(servers);
	free(readings);
}
