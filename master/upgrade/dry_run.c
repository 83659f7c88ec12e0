#include "master/upgrade/dry_run.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "master/master.h"
#include "master/upgrade/program_path.h"
#include "master/upgrade/state_save.h"
#include "master/upgrade/takeover.h"
#include "master/workers/process.h"

/* A dry run takes milliseconds; one that hangs would delay other changes. */
#define LIMIT_S 10
#define OUTPUT_MAX_BYTES 4096
/* The last line, after YODEL_VERSION. It names the state's process: a program cannot
 * print it without having read the state. */
#define PASSED_FORMAT " passed the dry run of state " STATE_VERSION " of pid %d\n"

/* The arguments of the server after --check. NULL when out of memory. */
static char **
make_arguments(char **argv)
{
	static char check[] = "--check";
	size_t count = 0;
	while (argv[count] != NULL)
		count++;
	char **arguments = calloc(count + 2, sizeof(*arguments));
	if (arguments == NULL)
		return NULL;
	arguments[0] = argv[0];
	arguments[1] = check;
	for (size_t i = 1; i < count; i++)
		arguments[i + 1] = argv[i];
	return arguments;
}

/* Descriptor flags belong to a process: what the child makes inheritable is still
 * close-on-exec in the server. 0, or -1 with errno. */
static int
pass_state(const struct master *master)
{
	struct upgrade_state state = { .is_dry_run = true,
		.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC) };
	int fd = state.program_fd < 0 ? -1 : state_save(master, &state);
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	return fd < 0 ? -1 : setenv(DRY_RUN_VARIABLE, number, 1);
}

/* Like dup2(2), whose result gcc's analyzer reports as a leak. */
static int
redirect(int fd, int to)
{
	close(to);
	return fcntl(fd, F_DUPFD, to) == to ? 0 : -1;
}

/* Neither the child nor its own children may outlive the server, whose sockets they
 * hold: they are a process group, which is killed as a whole. */
static int
leave_server(const int *output, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0)
		return -1;
	bool is_redirected = redirect(null, STDIN_FILENO) == 0 &&
	    redirect(output[0], STDOUT_FILENO) == 0 &&
	    redirect(output[1], STDERR_FILENO) == 0;
	close(null);
	if (!is_redirected || setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	return getppid() == parent ? 0 : -1;
}

static void
exec_program(const struct master *master, const int *output, pid_t parent)
{
	char **arguments = make_arguments(master->upgrade.argv);
	if (arguments != NULL && leave_server(output, parent) == 0 &&
	    pass_state(master) == 0)
		execv(program_path(), arguments);
	dprintf(STDERR_FILENO, "cannot execute it: %s", strerror(errno));
	_exit(127);
}

/* Signals stay blocked in the child, as in a program that takes over. */
static pid_t
fork_child(const struct master *master, const int *output)
{
	sigset_t before;
	pid_t parent = getpid();
	takeover_block_signals(&before);
	pid_t pid = fork();
	if (pid == 0)
		exec_program(master, output, parent);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

/* Keeps errno. */
static void
close_pipe(const int *fds)
{
	int saved = errno;
	close(fds[0]);
	close(fds[1]);
	errno = saved;
}

int
dry_run_start(struct master *master)
{
	struct dry_run *dry_run = &master->upgrade.dry_run;
	int output[2], error[2];
	*dry_run = (struct dry_run){ .started_ns = clock_now_ns() };
	if (pipe2(output, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (pipe2(error, O_CLOEXEC | O_NONBLOCK) < 0) {
		close_pipe(output);
		return -1;
	}
	if (stat(program_path(), &dry_run->file) < 0)
		dry_run->file.st_ino = 0;
	pid_t pid = fork_child(master, (const int[]){ output[1], error[1] });
	if (pid < 0) {
		close_pipe(output);
		close_pipe(error);
		return -1;
	}
	close(output[1]);
	close(error[1]);
	setpgid(pid, pid); /* whichever of the two comes first */
	dry_run->pid = pid;
	dry_run->output_fd = output[0];
	dry_run->error_fd = error[0];
	return 0;
}

static void
kill_group(const struct dry_run *dry_run)
{
	kill(dry_run->pid, SIGKILL);
	kill(-dry_run->pid, SIGKILL);
}

static void
finish(struct dry_run *dry_run)
{
	close(dry_run->output_fd);
	close(dry_run->error_fd);
	dry_run->pid = 0;
}

bool
dry_run_cancel(struct dry_run *dry_run)
{
	if (dry_run->pid <= 0)
		return false;
	kill_group(dry_run);
	while (waitpid(dry_run->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	finish(dry_run);
	return true;
}

void
dry_run_check_deadline(struct dry_run *dry_run)
{
	if (dry_run->pid <= 0 || dry_run->is_late ||
	    clock_now_ns() - dry_run->started_ns < LIMIT_S * NS_PER_S)
		return;
	dry_run->is_late = true;
	kill_group(dry_run);
}

bool
dry_run_is_current(const struct dry_run *dry_run)
{
	const struct stat *then = &dry_run->file;
	struct stat now;
	return stat(program_path(), &now) == 0 && now.st_ino == then->st_ino &&
	    now.st_dev == then->st_dev && now.st_size == then->st_size &&
	    now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == then->st_mtim.tv_nsec;
}

static size_t
read_text(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;
	while (
	    length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return length;
}

/* The first line, without the name of the program. */
static void
read_reason(int fd, char *reason, size_t size)
{
	static const char name[] = "yodeld: ";
	const size_t name_length = sizeof(name) - 1;
	read_text(fd, reason, size);
	reason[strcspn(reason, "\n")] = '\0';
	if (strncmp(reason, name, name_length) == 0)
		memmove(reason, reason + name_length, strlen(reason + name_length) + 1);
}

/* A wrapper may have printed lines before. */
static bool
has_passed(const char *output, size_t length, pid_t pid)
{
	char line[128];
	size_t n = (size_t)snprintf(line, sizeof(line), PASSED_FORMAT, (int)pid);
	return length >= n && strcmp(output + length - n, line) == 0;
}

bool
dry_run_check(struct dry_run *dry_run, int status, char *reason, size_t size)
{
	char output[OUTPUT_MAX_BYTES];
	size_t length = read_text(dry_run->output_fd, output, sizeof(output));
	bool is_success = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	pid_t pid = dry_run->pid;
	read_reason(dry_run->error_fd, reason, size);
	kill(-pid, SIGKILL); /* children that it may have left behind */
	finish(dry_run);
	if (dry_run->is_late)
		snprintf(reason, size, "timed out after %d s", LIMIT_S);
	else if (is_success && has_passed(output, length, pid))
		return true;
	else if (is_success)
		snprintf(reason, size,
		    "exited without completing the dry run: not a yodeld that supports upgrades");
	else if (reason[0] == '\0')
		process_format_status(status, reason, size);
	return false;
}

int
dry_run_state_fd(void)
{
	const char *number = getenv(DRY_RUN_VARIABLE);
	return number == NULL ? -1 : atoi(number);
}

int
dry_run_report(void)
{
	return printf("yodeld " YODEL_VERSION PASSED_FORMAT, (int)getpid()) > 0 &&
		fflush(stdout) == 0
	    ? 0
	    : -1;
}
