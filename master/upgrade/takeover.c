#include "master/upgrade/takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/changes/reload.h"
#include "master/upgrade/signal_mask.h"
#include "master/upgrade/state_save.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

static struct {
	bool is_open;   /* there is somebody to go back to, and we have not acted yet */
	int fd;         /* the inheritance */
	int program_fd; /* who left it */
	int *inherited_fds; /* what is open for us: reading has it closed on exec */
	size_t inherited_fd_count;
	char **argv;
	struct upgrade_state upgrade_state; /* as it was read */
} previous = { .fd = -1 };

/* Every call in here may be made by a signal's handler. */
static void
roll_back(const char *why)
{
	static const char start[] =
	    "{\"rollback\": \"upgrade failed, the former program goes on: the new one ";
	static const char end[] = "\"}";
	if (!previous.is_open)
		return;
	previous.is_open = false;
	alarm(0);
	lseek(previous.fd, 0, SEEK_END);
	if (write(previous.fd, start, strlen(start)) < 0 ||
	    write(previous.fd, why, strlen(why)) < 0 ||
	    write(previous.fd, end, strlen(end)) < 0)
		return;
	for (size_t i = 0; i < previous.inherited_fd_count; i++)
		fcntl(previous.inherited_fds[i], F_SETFD, 0);
	fexecve(previous.program_fd, previous.argv, environ);
}

static void
on_fatal(int number)
{
	int saved = errno;
	if (number == SIGALRM)
		roll_back("was not ready in time");
	else
		roll_back("crashed as it set itself up");
	signal(number, SIG_DFL);
	raise(number);
	errno = saved;
}

static void
on_exit_early(void)
{
	roll_back("ended as it set itself up");
}

/* 0, or -1. */
static int
record_inherited_fds(void)
{
	DIR *fd_directory = opendir("/proc/self/fd");
	if (fd_directory == NULL)
		return -1;
	const struct dirent *entry;
	while ((entry = readdir(fd_directory)) != NULL) {
		int fd = atoi(entry->d_name);
		if (fd <= STDERR_FILENO || fcntl(fd, F_GETFD) < 0)
			continue;
		int *longer = reallocarray(previous.inherited_fds,
		    previous.inherited_fd_count + 1, sizeof(*longer));
		if (longer == NULL)
			break;
		previous.inherited_fds = longer;
		previous.inherited_fds[previous.inherited_fd_count++] = fd;
	}
	closedir(fd_directory);
	return entry == NULL ? 0 : -1;
}

void
takeover_arm_rollback(char **argv)
{
	if (!takeover_is_running())
		return;
	previous.argv = argv;
	previous.fd = atoi(getenv(STATE_VARIABLE));
	state_load_header(previous.fd, &previous.upgrade_state);
	previous.program_fd = previous.upgrade_state.program_fd;
	if (previous.program_fd < 0 || previous.upgrade_state.is_rollback ||
	    record_inherited_fds() < 0)
		return;
	previous.is_open = true;
	for (size_t i = 0; i < signal_mask_fatal_count; i++)
		signal(signal_mask_fatal[i], on_fatal);
	if (atexit(on_exit_early) != 0)
		log_warnx("no way back from an early exit");
}

/* What was left is ours now, and an end is the end. */
static void
disarm_rollback(void)
{
	previous.is_open = false;
	for (size_t i = 0; i < signal_mask_fatal_count; i++)
		signal(signal_mask_fatal[i], SIG_DFL);
	unsetenv(STATE_VARIABLE);
	close(previous.fd);
	close(previous.upgrade_state.config_fd);
	free(previous.inherited_fds);
}

void
takeover_rollback(void)
{
	roll_back("cannot set itself up");
}

bool
takeover_is_running(void)
{
	return getenv(STATE_VARIABLE) != NULL;
}

int
takeover_load(struct master *master)
{
	return state_load(master, dup(previous.fd), &previous.upgrade_state);
}

static void
apply_state(struct master *master)
{
	const struct upgrade_state *upgrade_state = &previous.upgrade_state;
	master->workers.phase = MASTER_RUNNING;
	if (upgrade_state->is_rollback) {
		change_finish(&master->changes, CHANGE_UPGRADE, false, "%s",
		    upgrade_state->reason);
		close(upgrade_state->program_fd);
	} else {
		master->previous_program_fd = upgrade_state->program_fd;
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

/* A slot without worker that is to have one gets it, and one that is to be emptied
 * somebody who does that: the former program was waiting to try again. */
static void
fill_slots(struct master *master)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (master->workers.slots[i].process != NULL)
			continue;
		if (i < master->workers.slot_count)
			slot_start(&master->workers, i);
		else if (has_sockets(master, i))
			slot_drain_queue(&master->workers, i);
	}
}

void
takeover_resume(struct master *master)
{
	disarm_rollback();
	apply_state(master);
	signal_mask_unblock();
	/* First: with the first death that is heard what nobody empties is closed. */
	fill_slots(master);
	process_reap_unknown(&master->workers);
	process_reap(&master->workers);
	slot_update_reuseport(&master->workers);
	worker_drain_find_receivers(&master->workers);
	if (!previous.upgrade_state.is_rollback &&
	    reload_start_upgrade(&master->reload) < 0)
		upgrade_rollback(master);
	alarm(0);
}
