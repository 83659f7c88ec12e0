/*
 * kill_at_call PID CALL before|after N - stops a process at its N-th system call of
 * that name, before or after the kernel has done it, and kills it there (ptrace(2)).
 * Prints "killed".
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ptrace.h>

static const struct {
	const char *name;
	long number;
} calls[] = {
	{ "accept4", SYS_accept4 },
	{ "recvfrom", SYS_recvfrom },
	{ "sendto", SYS_sendto },
	{ "close", SYS_close },
	{ "epoll_ctl", SYS_epoll_ctl },
	{ "sendmsg", SYS_sendmsg },
	{ "recvmsg", SYS_recvmsg },
	{ "shutdown", SYS_shutdown },
	{ NULL, 0 },
};

static long
number_of(const char *name)
{
	for (int i = 0; calls[i].name != NULL; i++) {
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	}
	fprintf(stderr, "kill_at_call: unknown system call %s\n", name);
	exit(2);
}

/* True at the stop that is looked for. */
static bool
is_at_call(pid_t pid, long number, bool is_after)
{
	static bool was_entered;
	struct ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		was_entered = (long)info.entry.nr == number;
	return was_entered &&
	    info.op ==
	    (is_after ? PTRACE_SYSCALL_INFO_EXIT : PTRACE_SYSCALL_INFO_ENTRY);
}

int
main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	pid_t pid = atoi(argv[1]);
	long number = number_of(argv[2]);
	bool is_after = strcmp(argv[3], "after") == 0;
	int left = atoi(argv[4]), status;
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0) {
		perror("kill_at_call: ptrace");
		return 1;
	}
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		int number_of_signal = WSTOPSIG(status), signal_to_pass = 0;
		if (number_of_signal == (SIGTRAP | 0x80)) {
			if (is_at_call(pid, number, is_after) && --left == 0) {
				kill(pid, SIGKILL);
				puts("killed");
				return 0;
			}
		} else if (number_of_signal != SIGTRAP) {
			signal_to_pass = number_of_signal;
		}
		if (ptrace(PTRACE_SYSCALL, pid, NULL, signal_to_pass) < 0)
			break;
	}
	fprintf(stderr, "kill_at_call: the process has ended\n");
	return 1;
}
