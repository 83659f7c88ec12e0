#include "master/heir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/inheritance.h"
#include "master/leaving.h"
#include "master/process.h"
#include "master/signals.h"
#include "master/slot.h"
#include "master/turnover.h"

static struct {
	bool is_open;   /* there is somebody to go back to, and we have not acted yet */
	int fd;         /* the inheritance */
	int program_fd; /* who left it */
	int *left;      /* what is open for us: reading has it closed on exec */
	size_t left_count;
	char **argv;
	struct inheritance inheritance; /* as it was read */
} former = { .fd = -1 };

/* Every call in here may be made by a signal's handler. */
static void
go_back(const char *why)
{
	/* A later line counts. */
	static const char start[] =
	    "purpose back\n"
	    "reason upgrade failed, the former program goes on: the new one ";
	if (!former.is_open)
		return;
	former.is_open = false;
	alarm(0);
	lseek(former.fd, 0, SEEK_END);
	if (write(former.fd, start, strlen(start)) < 0 ||
	    write(former.fd, why, strlen(why)) < 0 || write(former.fd, "\n", 1) < 0)
		return;
	for (size_t i = 0; i < former.left_count; i++)
		fcntl(former.left[i], F_SETFD, 0);
	fexecve(former.program_fd, former.argv, environ);
}

static void
on_fatal(int number)
{
	int saved = errno;
	if (number == SIGALRM)
		go_back("was not ready in time");
	else
		go_back("crashed as it set itself up");
	signal(number, SIG_DFL);
	raise(number);
	errno = saved;
}

static void
on_exit_early(void)
{
	go_back("ended as it set itself up");
}

/* 0, or -1. */
static int
note_what_is_left(void)
{
	DIR *open_ones = opendir("/proc/self/fd");
	if (open_ones == NULL)
		return -1;
	const struct dirent *entry;
	while ((entry = readdir(open_ones)) != NULL) {
		int fd = atoi(entry->d_name);
		if (fd <= STDERR_FILENO || fcntl(fd, F_GETFD) < 0)
			continue;
		int *longer =
		    reallocarray(former.left, former.left_count + 1, sizeof(*longer));
		if (longer == NULL)
			break;
		former.left = longer;
		former.left[former.left_count++] = fd;
	}
	closedir(open_ones);
	return entry == NULL ? 0 : -1;
}

void
heir_guard(char **argv)
{
	if (!heir_is())
		return;
	former.argv = argv;
	former.fd = atoi(getenv(INHERITANCE_VARIABLE));
	inheritance_peek(former.fd, &former.inheritance);
	former.program_fd = former.inheritance.program_fd;
	if (former.program_fd < 0 || former.inheritance.is_back ||
	    note_what_is_left() < 0)
		return;
	former.is_open = true;
	for (size_t i = 0; i < signals_fatal_count; i++)
		signal(signals_fatal[i], on_fatal);
	if (atexit(on_exit_early) != 0)
		log_warnx("no way back from an early exit");
}

/* What was left is ours now, and an end is the end. */
static void
close_way_back(void)
{
	former.is_open = false;
	for (size_t i = 0; i < signals_fatal_count; i++)
		signal(signals_fatal[i], SIG_DFL);
	unsetenv(INHERITANCE_VARIABLE);
	close(former.fd);
	close(former.inheritance.config_fd);
	free(former.left);
}

void
heir_give_back(void)
{
	go_back("cannot set itself up");
}

bool
heir_is(void)
{
	return getenv(INHERITANCE_VARIABLE) != NULL;
}

int
heir_read(struct master *master)
{
	return inheritance_read(master, dup(former.fd), &former.inheritance);
}

static void
take_on(struct master *master)
{
	const struct inheritance *inheritance = &former.inheritance;
	master->phase = MASTER_RUNNING;
	if (inheritance->is_back) {
		turnover_conclude(master, false, "%s", inheritance->reason);
		close(inheritance->program_fd);
	} else {
		master->former_program_fd = inheritance->program_fd;
	}
}

static bool
has_sockets(const struct master *master, uint32_t slot)
{
	for (const struct endpoint *e = master->endpoints; e != NULL; e = e->next) {
		if (e->listener >= 0 && e->fds[slot] >= 0)
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
		if (master->slots[i].process != NULL)
			continue;
		if (i < master->slot_count)
			slot_fill(master, i);
		else if (has_sockets(master, i))
			slot_empty(master, i);
	}
}

void
heir_resume(struct master *master)
{
	close_way_back();
	take_on(master);
	signals_let_in();
	/* First: with the first death that is heard what nobody empties is closed. */
	fill_slots(master);
	process_reap_lost(master);
	process_reap(master);
	slot_steer(master);
	leaving_find_takers(master);
	if (!former.inheritance.is_back)
		turnover_upgrade(master);
	alarm(0);
}
