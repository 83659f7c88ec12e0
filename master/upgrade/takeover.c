#include "master/upgrade/takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "master/master.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/state_save.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

/* The signals of a crash, and SIGALRM: they end the process, unless handled. */
static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS,
	SIGTRAP, SIGALRM };
#define FATAL_SIGNALS (sizeof(fatal_signals) / sizeof(fatal_signals[0]))

static struct {
	bool is_armed;
	int fd;             /* the state */
	int program_fd;     /* the previous program */
	char *mode;         /* in the environment: STATE_UPGRADE or STATE_ROLLBACK */
	int *inherited_fds; /* open at the start: state_load makes them close-on-exec */
	size_t inherited_fd_count;
	char **argv;
	struct upgrade_state state; /* as it was read */
} previous = { .fd = -1, .program_fd = -1 };

void
takeover_block_signals(sigset_t *ret_before)
{
	sigset_t blocked;
	sigfillset(&blocked);
	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		sigdelset(&blocked, fatal_signals[i]);
	sigprocmask(SIG_SETMASK, &blocked, ret_before);
}

void
takeover_unblock_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
append(const char *text)
{
	size_t length = strlen(text);
	return write(previous.fd, text, length) == (ssize_t)length ? 0 : -1;
}

/* Async-signal-safe. Returns when the previous program cannot be executed. */
static void
roll_back(const char *why)
{
	if (!previous.is_armed)
		return;
	previous.is_armed = false;
	alarm(0);
	if (lseek(previous.fd, 0, SEEK_END) < 0 ||
	    append(
		"{\"rollback\": \"upgrade failed, the previous program continues: the new one ") <
		0 ||
	    append(why) < 0 || append("\"}") < 0)
		return;
	for (size_t i = 0; i < previous.inherited_fd_count; i++) {
		if (fcntl(previous.inherited_fds[i], F_SETFD, 0) < 0 && errno != EBADF)
			return;
	}
	*previous.mode = STATE_ROLLBACK;
	fexecve(previous.program_fd, previous.argv, environ);
	*previous.mode = STATE_UPGRADE;
}

static void
on_fatal(int number)
{
	int saved = errno;
	roll_back(
	    number == SIGALRM ? "did not start in time" : "crashed while starting");
	signal(number, SIG_DFL);
	raise(number);
	errno = saved;
}

static void
on_exit_early(void)
{
	roll_back("exited while starting");
}

/* Records the descriptors that were open before the exec: not close-on-exec. 0, or -1.
 */
static int
record_inherited_fds(void)
{
	DIR *fd_directory = opendir("/proc/self/fd");
	if (fd_directory == NULL)
		return -1;
	const struct dirent *entry;
	while ((entry = readdir(fd_directory)) != NULL) {
		int fd = atoi(entry->d_name);
		if (fd <= STDERR_FILENO || fcntl(fd, F_GETFD) != 0)
			continue;
		int *fds = reallocarray(previous.inherited_fds,
		    previous.inherited_fd_count + 1, sizeof(*fds));
		if (fds == NULL)
			break;
		previous.inherited_fds = fds;
		fds[previous.inherited_fd_count++] = fd;
	}
	closedir(fd_directory);
	return entry == NULL ? 0 : -1;
}

void
takeover_arm_rollback(char **argv)
{
	if (!takeover_is_running())
		return;
	char *value = getenv(STATE_VARIABLE);
	int length = 0;
	previous.argv = argv;
	if (sscanf(value, "%d:%d:%n", &previous.fd, &previous.program_fd, &length) <
		2 ||
	    length == 0)
		return;
	previous.mode = value + length;
	if (*previous.mode != STATE_UPGRADE || record_inherited_fds() < 0)
		return;
	previous.is_armed = true;
	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		signal(fatal_signals[i], on_fatal);
	if (atexit(on_exit_early) != 0)
		log_warnx("[upgrade_rollback_unavailable] "
			  "upgrade: cannot roll back if this program exits early");
}

static void
disarm_rollback(void)
{
	previous.is_armed = false;
	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		signal(fatal_signals[i], SIG_DFL);
	unsetenv(STATE_VARIABLE);
	close(previous.fd);
	close(previous.state.config_fd);
	free(previous.inherited_fds);
}

void
takeover_rollback(void)
{
	roll_back("cannot start");
}

bool
takeover_is_running(void)
{
	return getenv(STATE_VARIABLE) != NULL;
}

int
takeover_load(struct master *master)
{
	int fd = dup(previous.fd);
	if (fd >= 0)
		return state_load(master, fd, &previous.state);
	log_error("[upgrade_descriptor_failed descriptor] "
		  "upgrade state: cannot duplicate descriptor %d",
	    previous.fd);
	return -1;
}

static void
apply_state(struct master *master)
{
	const struct upgrade_state *state = &previous.state;
	const struct change change = { .kind = CHANGE_UPGRADE,
		.last_request = master->changes.last_request };
	master->workers.phase = MASTER_RUNNING;
	if (state->is_rollback) {
		change_finish(&master->changes, &change, false, "%s", state->reason);
		close(state->program_fd);
	} else {
		master->upgrade.previous_program_fd = state->program_fd;
	}
}

static bool
has_sockets(const struct master *master, uint32_t slot)
{
	for (const struct listener *e = master->listeners.first; e != NULL;
	     e = e->next) {
		if (e->config_index >= 0 && e->fds[slot] >= 0)
			return true;
	}
	return false;
}

/* Starts the workers whose start the previous program had delayed (SLOT_BACKING_OFF);
 * surplus slots get one that empties their queues. */
static void
fill_slots(struct master *master)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (master->workers.slots[i].process != NULL)
			continue;
		if (i < master->workers.slot_count)
			slot_resume(&master->workers, i);
		else if (has_sockets(master, i))
			slot_drain_queue(&master->workers, i);
	}
}

int
takeover_resume(struct master *master)
{
	disarm_rollback();
	apply_state(master);
	takeover_unblock_signals();
	/* The pipe of the previous program has no reader any more. */
	if (log_is_syslog())
		process_send_log(&master->workers);
	/* Before any exit is handled: that closes the sockets that no worker serves. */
	fill_slots(master);
	process_reap_unknown(&master->workers);
	process_reap(&master->workers);
	slot_update_reuseport(&master->workers);
	worker_drain_find_receivers(&master->workers);
	char program[CONFIG_ERROR_MAX - 2];
	program_path_describe(previous.state.program_fd, program, sizeof(program));
	int rc = previous.state.is_rollback
	    ? 0
	    : reload_start_upgrade(&master->reload, program);
	alarm(0);
	return rc;
}
