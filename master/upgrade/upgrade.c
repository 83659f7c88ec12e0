#include "master/upgrade/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/upgrade/dry_run.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/signal_mask.h"
#include "master/upgrade/state_save.h"
#include "master/upgrade/takeover.h"

/* Becomes another program. Comes back only on failure, with errno. Signals are held:
 * what comes meanwhile is for the heir, the death of a child, too. */
static void
exec_program(struct master *master, int program_fd, const char *path,
    struct upgrade_state *upgrade_state)
{
	int fd = state_save(master, upgrade_state);
	if (fd < 0)
		return;
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	setenv(STATE_VARIABLE, number, 1);
	if (path != NULL)
		execv(path, master->argv);
	else
		fexecve(program_fd, master->argv, environ);
	int saved = errno;
	unsetenv(STATE_VARIABLE);
	state_save_cancel(master, upgrade_state);
	close(fd);
	errno = saved;
}

static void
exec_new(struct master *master)
{
	struct upgrade_state upgrade_state = {
		.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC),
	};
	log_info("upgrade: %s takes over", program_path());
	if (upgrade_state.program_fd >= 0) {
		/* It goes on over the exec (takeover.h). */
		signal(SIGALRM, SIG_DFL);
		alarm(TAKEOVER_TIMEOUT_S);
		exec_program(master, -1, program_path(), &upgrade_state);
		int saved = errno;
		alarm(0);
		close(upgrade_state.program_fd);
		errno = saved;
	}
	admin_listener_resume(master->admin);
	change_finish(&master->changes, CHANGE_UPGRADE, false,
	    "upgrade failed: cannot run %s: %s", program_path(), strerror(errno));
}

static void
exec_previous(struct master *master)
{
	struct upgrade_state upgrade_state = { .is_rollback = true,
		.program_fd = master->previous_program_fd };
	snprintf(upgrade_state.reason, sizeof(upgrade_state.reason), "%s",
	    master->rollback_reason);
	log_warnx("upgrade: the former program goes on");
	exec_program(master, master->previous_program_fd, NULL, &upgrade_state);
	log_error("the former program cannot be run: this one goes on");
	admin_listener_resume(master->admin);
	close(master->previous_program_fd);
	master->previous_program_fd = -1;
}

void
upgrade_on_child(struct master *master, pid_t pid, int status)
{
	char reason[CONFIG_ERROR_MAX / 2];
	if (pid != master->dry_run.pid)
		return;
	if (!dry_run_check(master, status, reason, sizeof(reason))) {
		change_finish(&master->changes, CHANGE_UPGRADE, false,
		    "upgrade refused, this program goes on: %s --check failed: %s",
		    program_path(), reason);
		return;
	}
	/* Something else may have begun meanwhile, or the server stops. */
	master->upgrade_wanted = UPGRADE_EXEC;
	upgrade_check(master);
}

void
upgrade_postpone(struct master *master)
{
	if (!dry_run_cancel(master))
		return;
	log_info("upgrade: the rehearsal begins anew after this change");
	master->upgrade_wanted = UPGRADE_DRY_RUN;
}

void
upgrade_cancel(struct master *master)
{
	dry_run_cancel(master);
	master->upgrade_wanted = UPGRADE_NONE;
}

void
upgrade_start(struct master *master)
{
	if (!change_can_start(&master->changes, CHANGE_UPGRADE, master->workers.phase))
		return;
	if (master->upgrade_wanted == UPGRADE_ROLLBACK) {
		change_finish(&master->changes, CHANGE_UPGRADE, false,
		    "upgrade refused: the former program comes back");
		return;
	}
	master->upgrade_wanted = UPGRADE_DRY_RUN;
	upgrade_check(master);
}

void
upgrade_rollback(struct master *master)
{
	if (master->previous_program_fd < 0)
		return;
	/* Not from here: the books of the worker whose death this is are still open. */
	master->upgrade_wanted = UPGRADE_ROLLBACK;
	snprintf(master->rollback_reason, sizeof(master->rollback_reason), "%s",
	    master->changes.last.text);
}

void
upgrade_done(struct master *master)
{
	if (master->previous_program_fd >= 0)
		close(master->previous_program_fd);
	master->previous_program_fd = -1;
}

/* The inheritance holds no moves and no turnover: both end soon by themselves. */
static bool
must_wait(const struct master *master)
{
	return master->workers.phase != MASTER_RUNNING ||
	    master->workers.transfers != NULL || master->reload.is_active ||
	    master->scale.is_active || dry_run_is_running(master);
}

/* What has rehearsed is what is to run: with another file it begins anew. */
static void
check_program_file(struct master *master)
{
	if (master->upgrade_wanted != UPGRADE_EXEC || dry_run_is_current(master))
		return;
	log_info("upgrade: %s is another file now", program_path());
	master->upgrade_wanted = UPGRADE_DRY_RUN;
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
	if (!must_wait(master) && master->exec_loop_turns-- > 0) {
		evtimer_add(&master->exec_timer, &at_once);
		return;
	}
	check_program_file(master);
	enum upgrade_wanted wanted = master->upgrade_wanted;
	if (!must_wait(master) && wanted != UPGRADE_DRY_RUN) {
		master->upgrade_wanted = UPGRADE_NONE;
		if (wanted == UPGRADE_EXEC)
			exec_new(master);
		else if (wanted == UPGRADE_ROLLBACK)
			exec_previous(master);
	}
	master->is_exec_due = false;
	signal_mask_unblock();
}

static void
prepare_exec(struct master *master)
{
	static const struct timeval at_once;
	if (master->is_exec_due)
		return;
	master->is_exec_due = true;
	signal_mask_block(NULL);
	/* The loop hears of a signal in one turn and acts on it in the next. */
	master->exec_loop_turns = 2;
	evtimer_assign(&master->exec_timer, master->base, on_exec_timer, master);
	evtimer_add(&master->exec_timer, &at_once);
}

void
upgrade_check(struct master *master)
{
	dry_run_check_deadline(master);
	if (master->upgrade_wanted == UPGRADE_NONE)
		return;
	if (must_wait(master)) {
		admin_listener_resume(master->admin);
		return;
	}
	if (master->upgrade_wanted != UPGRADE_DRY_RUN) {
		rebalance_cancel(&master->rebalance);
		if (!admin_listener_is_paused(master->admin))
			pending_requests_flush(&master->pending);
		if (admin_listener_pause(master->admin,
			pending_requests_list(&master->pending, NULL, 0)))
			prepare_exec(master);
		return;
	}
	master->upgrade_wanted = UPGRADE_NONE;
	admin_listener_resume(master->admin);
	if (dry_run_start(master) < 0)
		change_finish(&master->changes, CHANGE_UPGRADE, false,
		    "upgrade failed: %s", strerror(errno));
}
