#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/admin.h"
#include "master/balance.h"
#include "master/heir.h"
#include "master/inheritance.h"
#include "master/program.h"
#include "master/rehearsal.h"
#include "master/signals.h"
#include "master/turnover.h"

/* Becomes another program. Comes back only on failure, with errno. Signals are held:
 * what comes meanwhile is for the heir, the death of a child, too. */
static void
become(struct master *master, int program_fd, const char *path,
    struct inheritance *inheritance)
{
	int fd = inheritance_write(master, inheritance);
	if (fd < 0)
		return;
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	setenv(INHERITANCE_VARIABLE, number, 1);
	if (path != NULL)
		execv(path, master->argv);
	else
		fexecve(program_fd, master->argv, environ);
	int saved = errno;
	unsetenv(INHERITANCE_VARIABLE);
	inheritance_withdraw(master, inheritance);
	close(fd);
	errno = saved;
}

static void
exec_new(struct master *master)
{
	struct inheritance inheritance = {
		.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC),
	};
	log_info("upgrade: %s takes over", program_path());
	if (inheritance.program_fd >= 0) {
		/* It goes on over the exec (heir.h). */
		signal(SIGALRM, SIG_DFL);
		alarm(HEIR_LIMIT_S);
		become(master, -1, program_path(), &inheritance);
		int saved = errno;
		alarm(0);
		close(inheritance.program_fd);
		errno = saved;
	}
	admin_release(master);
	turnover_conclude(master, false, "upgrade failed: cannot run %s: %s",
	    program_path(), strerror(errno));
}

static void
exec_back(struct master *master)
{
	struct inheritance inheritance = { .is_back = true,
		.program_fd = master->former_program_fd };
	snprintf(
	    inheritance.reason, sizeof(inheritance.reason), "%s", master->back_reason);
	log_warnx("upgrade: the former program goes on");
	become(master, master->former_program_fd, NULL, &inheritance);
	log_error("the former program cannot be run: this one goes on");
	admin_release(master);
	close(master->former_program_fd);
	master->former_program_fd = -1;
}

void
upgrade_on_child(struct master *master, pid_t pid, int status)
{
	char reason[CONFIG_ERROR_MAX / 2];
	if (pid != master->rehearsal.pid)
		return;
	if (!rehearsal_judge(master, status, reason, sizeof(reason))) {
		turnover_conclude(master, false,
		    "upgrade refused, this program goes on: %s --check failed: %s",
		    program_path(), reason);
		return;
	}
	/* Something else may have begun meanwhile, or the server stops. */
	master->upgrade_wanted = UPGRADE_REHEARSED;
	upgrade_turn(master);
}

void
upgrade_put_off(struct master *master)
{
	if (!rehearsal_give_up(master))
		return;
	log_info("upgrade: the rehearsal begins anew after this change");
	master->upgrade_wanted = UPGRADE_FORTH;
}

void
upgrade_forget(struct master *master)
{
	rehearsal_give_up(master);
	master->upgrade_wanted = UPGRADE_NONE;
}

void
upgrade_start(struct master *master)
{
	if (master->phase != MASTER_RUNNING) {
		turnover_conclude(master, false, "upgrade refused: the server is %s",
		    master->phase == MASTER_STARTING ? "starting" : "stopping");
		return;
	}
	if (master->upgrade_wanted == UPGRADE_BACK) {
		turnover_conclude(
		    master, false, "upgrade refused: the former program comes back");
		return;
	}
	master->upgrade_wanted = UPGRADE_FORTH;
	upgrade_turn(master);
}

void
upgrade_go_back(struct master *master)
{
	if (master->former_program_fd < 0)
		return;
	/* Not from here: the books of the worker whose death this is are still open. */
	master->upgrade_wanted = UPGRADE_BACK;
	snprintf(master->back_reason, sizeof(master->back_reason), "%s",
	    master->outcome.text);
}

void
upgrade_done(struct master *master)
{
	if (master->former_program_fd >= 0)
		close(master->former_program_fd);
	master->former_program_fd = -1;
}

/* The inheritance holds no moves and no turnover: both end soon by themselves. */
static bool
must_wait(const struct master *master)
{
	return master->phase != MASTER_RUNNING || master->moves != NULL ||
	    master->turnover.is_active || master->is_scaling ||
	    rehearsal_is_under_way(master);
}

/* What has rehearsed is what is to run: with another file it begins anew. */
static void
look_at_file(struct master *master)
{
	if (master->upgrade_wanted != UPGRADE_REHEARSED || rehearsal_holds(master))
		return;
	log_info("upgrade: %s is another file now", program_path());
	master->upgrade_wanted = UPGRADE_FORTH;
}

/* Signals have been held for a turn of the loop: those that had come before are
 * acted on, none is lost in the exec. */
static void
on_exec_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct master *master = argument;
	static const struct timeval at_once;
	if (!must_wait(master) && master->exec_turns-- > 0) {
		evtimer_add(&master->exec_timer, &at_once);
		return;
	}
	look_at_file(master);
	enum upgrade_wanted wanted = master->upgrade_wanted;
	if (!must_wait(master) && wanted != UPGRADE_FORTH) {
		master->upgrade_wanted = UPGRADE_NONE;
		if (wanted == UPGRADE_REHEARSED)
			exec_new(master);
		else if (wanted == UPGRADE_BACK)
			exec_back(master);
	}
	master->is_exec_due = false;
	signals_let_in();
}

static void
prepare_exec(struct master *master)
{
	static const struct timeval at_once;
	if (master->is_exec_due)
		return;
	master->is_exec_due = true;
	signals_hold(NULL);
	/* The loop hears of a signal in one turn and acts on it in the next. */
	master->exec_turns = 2;
	evtimer_assign(&master->exec_timer, master->base, on_exec_timer, master);
	evtimer_add(&master->exec_timer, &at_once);
}

void
upgrade_turn(struct master *master)
{
	rehearsal_bound(master);
	if (master->upgrade_wanted == UPGRADE_NONE)
		return;
	if (must_wait(master)) {
		admin_release(master);
		return;
	}
	if (master->upgrade_wanted != UPGRADE_FORTH) {
		balance_break_off(master);
		if (admin_hold(master))
			prepare_exec(master);
		return;
	}
	master->upgrade_wanted = UPGRADE_NONE;
	admin_release(master);
	if (rehearsal_start(master) < 0)
		turnover_conclude(master, false, "upgrade failed: %s", strerror(errno));
}
