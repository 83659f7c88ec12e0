#include "master/upgrade/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "conf/working_directory.h"
#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/master.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/state_save.h"
#include "master/upgrade/takeover.h"
#include "master/workers/keeper_loss.h"
#include "master/workers/process.h"

static const struct timeval at_once;

/* Executes a path, or program_fd where it is NULL. Returns only on failure, with errno.
 * Signals are blocked: what arrives meanwhile, SIGCHLD too, is for the next program. */
static void
exec_program(struct master *master, const char *path, struct upgrade_state *state)
{
	char **argv = master->upgrade.argv;
	int program_fd = state->program_fd, fd = state_save(master, state);
	if (fd < 0)
		return;
	char value[32];
	snprintf(value, sizeof(value), "%d:%d:%c", fd, program_fd,
	    state->is_rollback ? STATE_ROLLBACK : STATE_UPGRADE);
	if (setenv(STATE_VARIABLE, value, 1) < 0)
		errno = ENOMEM;
	else if (path != NULL)
		execv(path, argv);
	else
		fexecve(program_fd, argv, environ);
	int saved = errno;
	unsetenv(STATE_VARIABLE);
	state_save_cancel(master, state);
	close(fd);
	errno = saved;
}

static void
exec_new(struct master *master)
{
	struct upgrade_state state = {
		.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC),
	};
	log_info("[upgrade_executing path] upgrade: executing %s", program_path());
	if (state.program_fd >= 0) {
		/* The alarm survives the exec (takeover.h). */
		signal(SIGALRM, SIG_DFL);
		alarm(TAKEOVER_TIMEOUT_S);
		exec_program(master, program_path(), &state);
		int saved = errno;
		alarm(0);
		close(state.program_fd);
		errno = saved;
	}
	change_finish(&master->changes, &master->upgrade.change, false,
	    "upgrade failed: cannot execute %s: %s", program_path(), strerror(errno));
}

static void
exec_previous(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	struct upgrade_state state = { .is_rollback = true,
		.program_fd = upgrade->previous_program_fd };
	snprintf(state.reason, sizeof(state.reason), "%s", upgrade->rollback_reason);
	log_warnx("[upgrade_rollback] upgrade: returning to the previous program");
	exec_program(master, NULL, &state);
	log_error("[upgrade_rollback_failed] "
		  "upgrade: cannot execute the previous program, this one continues");
	upgrade_done(master);
}

void
upgrade_on_child(struct master *master, pid_t pid, int status)
{
	struct upgrade *upgrade = &master->upgrade;
	char reason[CONFIG_ERROR_MAX / 2];
	if (pid != upgrade->dry_run.pid)
		return;
	if (dry_run_check(&upgrade->dry_run, status, reason, sizeof(reason))) {
		upgrade->next = UPGRADE_EXEC;
		upgrade_check(master);
		return;
	}
	/* Later requests get a dry run of their own: upgrade->next. */
	struct change failed = upgrade->change;
	failed.last_request = upgrade->tried_request;
	upgrade->change.first_request = upgrade->tried_request + 1;
	change_finish(&master->changes, &failed, false,
	    "upgrade refused, this program continues: %s --check failed: %s",
	    program_path(), reason);
	upgrade_check(master);
}

void
upgrade_postpone(struct master *master)
{
	if (!dry_run_cancel(&master->upgrade.dry_run))
		return;
	log_info("[upgrade_dry_run_interrupted] "
		 "upgrade: another change interrupts the dry run, which is repeated");
	master->upgrade.next = UPGRADE_DRY_RUN;
}

void
upgrade_cancel(struct master *master)
{
	dry_run_cancel(&master->upgrade.dry_run);
	master->upgrade.next = UPGRADE_NONE;
}

bool
upgrade_is_pending(const struct master *master)
{
	return master->upgrade.dry_run.pid > 0 || master->upgrade.next != UPGRADE_NONE;
}

static void
refuse_before_rollback(struct master *master, const struct change *change)
{
	change_finish(&master->changes, change, false,
	    "upgrade refused: the previous program is coming back");
}

void
upgrade_start(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	const struct change request = change_request(&master->changes, CHANGE_UPGRADE);
	if (!change_can_start(&master->changes, &request, master->workers.phase))
		return;
	if (upgrade->next == UPGRADE_ROLLBACK) {
		refuse_before_rollback(master, &request);
		return;
	}
	if (upgrade_is_pending(master))
		change_join(&upgrade->change, &request);
	else
		upgrade->change = request;
	upgrade->next = UPGRADE_DRY_RUN;
	upgrade_check(master);
}

void
upgrade_rollback(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	if (upgrade->previous_program_fd < 0)
		return;
	/* Delayed, because the ledger block of the failed worker is not released yet.
	 */
	bool is_repeated = upgrade_is_pending(master);
	upgrade->next = UPGRADE_ROLLBACK;
	snprintf(upgrade->rollback_reason, sizeof(upgrade->rollback_reason), "%s",
	    master->changes.last.text);
	if (is_repeated)
		refuse_before_rollback(master, &upgrade->change);
}

void
upgrade_done(struct master *master)
{
	if (master->upgrade.previous_program_fd >= 0)
		close(master->upgrade.previous_program_fd);
	master->upgrade.previous_program_fd = -1;
}

/* The upgrade state holds no transfers, no reload and no queued messages: they end soon
 * by themselves, or with a worker that the watchdog ends. */
static bool
must_wait(const struct master *master)
{
	return master->workers.phase != MASTER_RUNNING ||
	    master->workers.transfers != NULL || master->reload.is_active ||
	    master->scale.is_active || process_has_queued(&master->workers) ||
	    keeper_loss_is_pending(&master->workers) || master->upgrade.dry_run.pid > 0;
}

static void
take_last_step(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	enum upgrade_step next = upgrade->next;
	if (next == UPGRADE_EXEC && !dry_run_is_current(&upgrade->dry_run)) {
		log_info("[upgrade_program_changed path] "
			 "upgrade: %s has changed since the dry run, which is repeated",
		    program_path());
		upgrade->next = UPGRADE_DRY_RUN;
		return;
	}
	if (must_wait(master) || next == UPGRADE_DRY_RUN || next == UPGRADE_NONE)
		return;
	upgrade->next = UPGRADE_NONE;
	if (next == UPGRADE_EXEC)
		exec_new(master);
	else
		exec_previous(master);
	admin_listener_resume(master->admin);
}

/* Signals have been blocked for some turns of the loop: those that came before have
 * been handled, and none is lost in the exec. */
static void
on_exec_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct master *master = argument;
	struct upgrade *upgrade = &master->upgrade;
	if (!must_wait(master) && upgrade->exec_loop_turns-- > 0) {
		evtimer_add(&upgrade->exec_timer, &at_once);
		return;
	}
	take_last_step(master);
	upgrade->is_exec_due = false;
	takeover_unblock_signals();
}

static void
prepare_exec(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	if (upgrade->is_exec_due)
		return;
	upgrade->is_exec_due = true;
	takeover_block_signals(NULL);
	/* The loop notices a signal in one turn and handles it in the next. */
	upgrade->exec_loop_turns = 2;
	evtimer_assign(&upgrade->exec_timer, master->base, on_exec_timer, master);
	evtimer_add(&upgrade->exec_timer, &at_once);
}

void
upgrade_check(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	dry_run_check_deadline(&upgrade->dry_run);
	if (upgrade->next == UPGRADE_NONE)
		return;
	if (!must_wait(master) && upgrade->next != UPGRADE_DRY_RUN) {
		rebalance_cancel(&master->rebalance);
		if (!admin_listener_is_paused(master->admin))
			pending_requests_flush(&master->pending);
		if (admin_listener_pause(master->admin,
			pending_requests_list(&master->pending, NULL, 0)))
			prepare_exec(master);
		return;
	}
	admin_listener_resume(master->admin);
	if (must_wait(master))
		return;
	upgrade->next = UPGRADE_NONE;
	upgrade->tried_request = upgrade->change.last_request;
	if (!program_path_is_known()) {
		change_finish(&master->changes, &upgrade->change, false,
		    "upgrade refused: an upgrade needs /proc, which is not mounted");
		return;
	}
	working_directory_follow();
	if (dry_run_start(master) < 0)
		change_finish(&master->changes, &upgrade->change, false,
		    "upgrade failed: %s", strerror(errno));
}
