#include "master/upgrade/dry_run.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

#include "master/upgrade/program_path.h"
#include "master/upgrade/signal_mask.h"
#include "master/upgrade/state_save.h"
#include "master/workers/process.h"

/* It takes milliseconds; one that hangs would put off all that come after it. */
#define LIMIT_S 10
#define OUTPUT_MAX_BYTES 4096
/* The last line: YODEL_VERSION stands before it. The inheritance is the one that it was
 * given, whose process it is: nothing that could be said without having read it. */
#define SUCCESS_FORMAT " has rehearsed inheritance " STATE_VERSION " as process %d\n"

/* The arguments of the server, and --check as the first. NULL without memory. */
static char **
arguments_for(const struct master *master)
{
	static char check[] = "--check";
	size_t count = 0;
	while (master->argv[count] != NULL)
		count++;
	char **arguments = calloc(count + 2, sizeof(*arguments));
	if (arguments == NULL || count == 0)
		return NULL;
	arguments[0] = master->argv[0];
	arguments[1] = check;
	memcpy(arguments + 2, master->argv + 1, (count - 1) * sizeof(*arguments));
	return arguments;
}

/* Descriptor flags are the child's own: what it leaves open stays closed elsewhere. */
static int
pass_state(const struct master *master)
{
	struct upgrade_state upgrade_state = { .is_dry_run = true,
		.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC) };
	int fd = upgrade_state.program_fd < 0 ? -1 : state_save(master, &upgrade_state);
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	return fd < 0 ? -1 : setenv(DRY_RUN_VARIABLE, number, 1);
}

static void
exec_program(const struct master *master, const int *output, pid_t parent)
{
	/* It may not outlive the server whose sockets it holds, nor may its children.
	 */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(output[0], STDOUT_FILENO);
	dup2(output[1], STDERR_FILENO);
	char **arguments = arguments_for(master);
	if (arguments != NULL && pass_state(master) == 0)
		execv(program_path(), arguments);
	dprintf(STDERR_FILENO, "cannot run it: %s", strerror(errno));
	_exit(127);
}

static void
note_file(const char *path, struct program_file *ret)
{
	struct stat st;
	*ret = (struct program_file){ 0 };
	if (stat(path, &st) == 0)
		*ret = (struct program_file){ .device = st.st_dev,
			.inode = st.st_ino,
			.size = st.st_size,
			.modified = st.st_mtim };
}

static void
close_both(const int *fds)
{
	close(fds[0]);
	close(fds[1]);
}

/* Signals stay blocked in the child, as they are in a program that takes over. */
static pid_t
fork_child(const struct master *master, const int *output)
{
	sigset_t before;
	pid_t parent = getpid();
	signal_mask_block(&before);
	pid_t pid = fork();
	if (pid == 0)
		exec_program(master, output, parent);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

int
dry_run_start(struct master *master)
{
	struct dry_run *dry_run = &master->dry_run;
	int said[2], error[2];
	if (pipe2(said, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (pipe2(error, O_CLOEXEC | O_NONBLOCK) < 0) {
		int saved = errno;
		close_both(said);
		errno = saved;
		return -1;
	}
	*dry_run = (struct dry_run){
		.output_fd = said[0],
		.error_fd = error[0],
		.dry_run_started_ns = clock_now_ns(),
	};
	note_file(program_path(), &dry_run->file);
	const int output[2] = { said[1], error[1] };
	pid_t pid = fork_child(master, output);
	int saved = errno;
	close_both(output);
	if (pid < 0) {
		close(said[0]);
		close(error[0]);
		errno = saved;
		return -1;
	}
	setpgid(pid, pid);
	dry_run->pid = pid;
	return 0;
}

bool
dry_run_is_running(const struct master *master)
{
	return master->dry_run.pid > 0;
}

/* Also what it has started, and not ended. */
static void
kill_all(const struct dry_run *dry_run)
{
	kill(dry_run->pid, SIGKILL);
	kill(-dry_run->pid, SIGKILL);
}

static void
forget(struct dry_run *dry_run)
{
	close(dry_run->output_fd);
	close(dry_run->error_fd);
	dry_run->pid = 0;
}

bool
dry_run_cancel(struct master *master)
{
	struct dry_run *dry_run = &master->dry_run;
	if (dry_run->pid <= 0)
		return false;
	kill_all(dry_run);
	while (waitpid(dry_run->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	forget(dry_run);
	return true;
}

void
dry_run_check_deadline(struct master *master)
{
	struct dry_run *dry_run = &master->dry_run;
	if (dry_run->pid <= 0 || dry_run->is_late ||
	    clock_now_ns() - dry_run->dry_run_started_ns < LIMIT_S * NS_PER_S)
		return;
	dry_run->is_late = true;
	kill_all(dry_run);
}

bool
dry_run_is_current(const struct master *master)
{
	const struct program_file *then = &master->dry_run.file;
	struct program_file now;
	note_file(program_path(), &now);
	return now.inode != 0 && now.inode == then->inode &&
	    now.device == then->device && now.size == then->size &&
	    now.modified.tv_sec == then->modified.tv_sec &&
	    now.modified.tv_nsec == then->modified.tv_nsec;
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

/* The first line, without the name that stands before it. */
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

/* Whatever a wrapper has said before. */
static bool
ends_with_success_line(const char *said, size_t length, pid_t pid)
{
	char verdict[128];
	int n = snprintf(verdict, sizeof(verdict), SUCCESS_FORMAT, (int)pid);
	return length >= (size_t)n && strcmp(said + length - (size_t)n, verdict) == 0;
}

bool
dry_run_check(struct master *master, int status, char *reason, size_t size)
{
	struct dry_run *dry_run = &master->dry_run;
	char said[OUTPUT_MAX_BYTES];
	size_t length = read_text(dry_run->output_fd, said, sizeof(said));
	read_reason(dry_run->error_fd, reason, size);
	pid_t pid = dry_run->pid;
	bool is_late = dry_run->is_late;
	kill(-pid, SIGKILL); /* what it may have left behind */
	forget(dry_run);
	if (is_late)
		snprintf(reason, size, "not over after %d s", LIMIT_S);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (ends_with_success_line(said, length, pid))
			return true;
		snprintf(reason, size,
		    "it ends well, but it is no yodeld that has rehearsed");
	} else if (reason[0] == '\0')
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
	printf("yodeld " YODEL_VERSION SUCCESS_FORMAT, (int)getpid());
	return fflush(stdout) == 0 ? 0 : -1;
}
