#include "master/upgrade.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

#include "master/admin.h"
#include "master/inheritance.h"
#include "master/leaving.h"
#include "master/process.h"
#include "master/slot.h"
#include "master/turnover.h"

#define ARGUMENTS_MAX 256
/* A check takes milliseconds; one that hangs would put off all that come after it. */
#define CHECK_LIMIT_S 10

/* --- exec ---------------------------------------------------------------------------
 */

/* Becomes another program. Comes back only on failure, with errno. Signals are blocked:
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
	log_info("upgrade: %s takes over", master->program);
	if (inheritance.program_fd >= 0) {
		become(master, -1, master->program, &inheritance);
		int saved = errno;
		close(inheritance.program_fd);
		errno = saved;
	}
	admin_release(master);
	turnover_conclude(master, false, "upgrade failed: cannot run %s: %s",
	    master->program, strerror(errno));
}

static void
exec_back(struct master *master)
{
	struct inheritance inheritance = { .is_back = true,
		.program_fd = master->former_program_fd };
	snprintf(
	    inheritance.reason, sizeof(inheritance.reason), "%s", master->outcome.text);
	log_warnx("upgrade: the former program goes on");
	become(master, master->former_program_fd, NULL, &inheritance);
	log_error("the former program cannot be run: this one goes on");
	admin_release(master);
	close(master->former_program_fd);
	master->former_program_fd = -1;
}

/* --- the check beforehand -----------------------------------------------------------
 */

static void
run_check(const struct master *master, int error_fd)
{
	char *arguments[ARGUMENTS_MAX + 2];
	int count = 0;
	static char check[] = "--check";
	while (count < ARGUMENTS_MAX && master->argv[count] != NULL) {
		arguments[count] = master->argv[count];
		count++;
	}
	arguments[count] = check;
	arguments[count + 1] = NULL;
	int null = open("/dev/null", O_WRONLY);
	dup2(null, STDOUT_FILENO);
	dup2(error_fd, STDERR_FILENO);
	execv(master->program, arguments);
	dprintf(STDERR_FILENO, "cannot run it: %s", strerror(errno));
	_exit(127);
}

static void
start_check(struct master *master)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		turnover_conclude(master, false, "upgrade failed: %s", strerror(errno));
		return;
	}
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	master->check_pid = fork();
	if (master->check_pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		run_check(master, fds[1]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	master->check_fd = fds[0];
	master->check_ns = master_now_ns();
	master->check_is_late = false;
	if (master->check_pid < 0) {
		close(fds[0]);
		master->check_pid = 0;
		turnover_conclude(
		    master, false, "upgrade failed: no process can be forked");
	}
}

void
upgrade_on_child(struct master *master, pid_t pid, int status)
{
	if (pid != master->check_pid)
		return;
	char text[CONFIG_ERROR_MAX / 2];
	ssize_t n = read(master->check_fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	close(master->check_fd);
	master->check_pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		/* Something else may have begun meanwhile, or the server stops. */
		master->upgrade_wanted = UPGRADE_CHECKED;
		upgrade_turn(master);
		return;
	}
	if (master->check_is_late)
		snprintf(text, sizeof(text), "not over after %d s", CHECK_LIMIT_S);
	else if (text[0] == '\0')
		process_describe_end(status, text, sizeof(text));
	turnover_conclude(master, false,
	    "upgrade refused, this program goes on: %s --check failed: %s",
	    master->program, text);
}

/* --- what was put off ---------------------------------------------------------------
 */

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
	    master->turnover.is_active || master->is_scaling || master->check_pid > 0;
}

static void
let_signals_in(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Signals have been blocked for a turn of the loop: those that had come before are
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
	enum upgrade_wanted wanted = master->upgrade_wanted;
	if (!must_wait(master) && wanted != UPGRADE_FORTH) {
		master->upgrade_wanted = UPGRADE_NONE;
		if (wanted == UPGRADE_CHECKED)
			exec_new(master);
		else if (wanted == UPGRADE_BACK)
			exec_back(master);
	}
	master->is_exec_due = false;
	let_signals_in();
}

static void
prepare_exec(struct master *master)
{
	static const struct timeval at_once;
	sigset_t all;
	if (master->is_exec_due)
		return;
	master->is_exec_due = true;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* The loop hears of a signal in one turn and acts on it in the next. */
	master->exec_turns = 2;
	evtimer_assign(&master->exec_timer, master->base, on_exec_timer, master);
	evtimer_add(&master->exec_timer, &at_once);
}

static void
bound_check(struct master *master)
{
	if (master->check_pid <= 0 || master->check_is_late ||
	    master_now_ns() - master->check_ns < CHECK_LIMIT_S * NS_PER_S)
		return;
	master->check_is_late = true;
	kill(master->check_pid, SIGKILL);
}

void
upgrade_turn(struct master *master)
{
	bound_check(master);
	if (master->upgrade_wanted == UPGRADE_NONE || must_wait(master))
		return;
	if (master->upgrade_wanted != UPGRADE_FORTH) {
		if (admin_hold(master))
			prepare_exec(master);
		return;
	}
	master->upgrade_wanted = UPGRADE_NONE;
	start_check(master);
}

/* --- the heir -----------------------------------------------------------------------
 */

bool
upgrade_is_heir(void)
{
	return getenv(INHERITANCE_VARIABLE) != NULL;
}

/* The inheritance cannot be read: the one who left it gets it back as it is, with a
 * word (a later line counts). */
static void
return_unread(const struct master *master, int fd, int program_fd)
{
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	setenv(INHERITANCE_VARIABLE, number, 1);
	lseek(fd, 0, SEEK_END);
	dprintf(fd,
	    "purpose back\nreason upgrade failed, the former program goes on: the "
	    "new one cannot read its inheritance\n");
	fcntl(fd, F_SETFD, 0);
	fexecve(program_fd, master->argv, environ);
	log_error("the former program cannot be run");
}

int
upgrade_inherit(struct master *master)
{
	struct inheritance inheritance;
	int fd = atoi(getenv(INHERITANCE_VARIABLE));
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	unsetenv(INHERITANCE_VARIABLE);
	if (inheritance_read(master, fd, &inheritance) < 0) {
		if (copy >= 0 && inheritance.program_fd >= 0 && !inheritance.is_back)
			return_unread(master, copy, inheritance.program_fd);
		return -1;
	}
	close(copy);
	master->phase = MASTER_RUNNING;
	if (inheritance.is_back) {
		turnover_conclude(master, false, "%s", inheritance.reason);
		close(inheritance.program_fd);
	} else {
		master->former_program_fd = inheritance.program_fd;
		master->is_heir = true;
	}
	return 0;
}

void
upgrade_resume(struct master *master)
{
	let_signals_in();
	process_reap(master);
	for (uint32_t i = 0; i < master->slot_count; i++) {
		if (master->slots[i].process == NULL)
			slot_fill(master, i);
	}
	slot_steer(master);
	leaving_find_takers(master);
	if (master->is_heir)
		turnover_upgrade(master);
	master->is_heir = false;
}
