#include "master/rehearsal.h"

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

#include "master/inheritance.h"
#include "master/process.h"
#include "master/program.h"
#include "master/signals.h"

/* It takes milliseconds; one that hangs would put off all that come after it. */
#define LIMIT_S 10
#define SAID_MAX 4096
/* The last line: YODEL_VERSION stands before it. The inheritance is the one that it was
 * given, whose process it is: nothing that could be said without having read it. */
#define VERDICT_FORMAT " has rehearsed inheritance " INHERITANCE_FORM " as process %d\n"

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
give_inheritance(const struct master *master)
{
	struct inheritance inheritance = { .is_rehearsal = true,
		.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC) };
	int fd =
	    inheritance.program_fd < 0 ? -1 : inheritance_write(master, &inheritance);
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	return fd < 0 ? -1 : setenv(REHEARSAL_VARIABLE, number, 1);
}

static void
become(const struct master *master, const int *output, pid_t parent)
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
	if (arguments != NULL && give_inheritance(master) == 0)
		execv(program_path(), arguments);
	dprintf(STDERR_FILENO, "cannot run it: %s", strerror(errno));
	_exit(127);
}

static void
note_file(const char *path, struct rehearsed_file *ret)
{
	struct stat st;
	*ret = (struct rehearsed_file){ 0 };
	if (stat(path, &st) == 0)
		*ret = (struct rehearsed_file){ .device = st.st_dev,
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
	signals_hold(&before);
	pid_t pid = fork();
	if (pid == 0)
		become(master, output, parent);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

int
rehearsal_start(struct master *master)
{
	struct rehearsal *rehearsal = &master->rehearsal;
	int said[2], error[2];
	if (pipe2(said, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (pipe2(error, O_CLOEXEC | O_NONBLOCK) < 0) {
		int saved = errno;
		close_both(said);
		errno = saved;
		return -1;
	}
	*rehearsal = (struct rehearsal){
		.said_fd = said[0],
		.error_fd = error[0],
		.began_ns = master_now_ns(),
	};
	note_file(program_path(), &rehearsal->file);
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
	rehearsal->pid = pid;
	return 0;
}

bool
rehearsal_is_under_way(const struct master *master)
{
	return master->rehearsal.pid > 0;
}

/* Also what it has started, and not ended. */
static void
end_all(const struct rehearsal *rehearsal)
{
	kill(rehearsal->pid, SIGKILL);
	kill(-rehearsal->pid, SIGKILL);
}

static void
forget(struct rehearsal *rehearsal)
{
	close(rehearsal->said_fd);
	close(rehearsal->error_fd);
	rehearsal->pid = 0;
}

bool
rehearsal_give_up(struct master *master)
{
	struct rehearsal *rehearsal = &master->rehearsal;
	if (rehearsal->pid <= 0)
		return false;
	end_all(rehearsal);
	while (waitpid(rehearsal->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	forget(rehearsal);
	return true;
}

void
rehearsal_bound(struct master *master)
{
	struct rehearsal *rehearsal = &master->rehearsal;
	if (rehearsal->pid <= 0 || rehearsal->is_late ||
	    master_now_ns() - rehearsal->began_ns < LIMIT_S * NS_PER_S)
		return;
	rehearsal->is_late = true;
	end_all(rehearsal);
}

bool
rehearsal_holds(const struct master *master)
{
	const struct rehearsed_file *then = &master->rehearsal.file;
	struct rehearsed_file now;
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
ends_with_verdict(const char *said, size_t length, pid_t pid)
{
	char verdict[128];
	int n = snprintf(verdict, sizeof(verdict), VERDICT_FORMAT, (int)pid);
	return length >= (size_t)n && strcmp(said + length - (size_t)n, verdict) == 0;
}

bool
rehearsal_judge(struct master *master, int status, char *reason, size_t size)
{
	struct rehearsal *rehearsal = &master->rehearsal;
	char said[SAID_MAX];
	size_t length = read_text(rehearsal->said_fd, said, sizeof(said));
	read_reason(rehearsal->error_fd, reason, size);
	pid_t pid = rehearsal->pid;
	bool is_late = rehearsal->is_late;
	kill(-pid, SIGKILL); /* what it may have left behind */
	forget(rehearsal);
	if (is_late)
		snprintf(reason, size, "not over after %d s", LIMIT_S);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (ends_with_verdict(said, length, pid))
			return true;
		snprintf(reason, size,
		    "it ends well, but it is no yodeld that has rehearsed");
	} else if (reason[0] == '\0')
		process_describe_end(status, reason, size);
	return false;
}

int
rehearsal_fd(void)
{
	const char *number = getenv(REHEARSAL_VARIABLE);
	return number == NULL ? -1 : atoi(number);
}

int
rehearsal_tell(void)
{
	printf("yodeld " YODEL_VERSION VERDICT_FORMAT, (int)getpid());
	return fflush(stdout) == 0 ? 0 : -1;
}
