#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/log.h"
#include "net/listen.h"
#include "proto/channel.h"
#include "tests/lib/needs.h"
#include "worker/admission.h"
#include "worker/connection/worker_state.h"
#include "worker/limits/sandbox.h"

#define SUCCEEDED 0
#define FAILED 1

/* Open before the sandbox is entered, like a worker's sockets. */
static int old_socket;
static int channel[2];

static int
open_worker_descriptors(void **state)
{
	(void)state;
	old_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return old_socket < 0 || channel_open(channel) < 0;
}

/* Enters a sandbox in a child process, runs `attempt`, returns the wait status. */
static int
try_in(int (*enter)(enum seccomp_use), enum seccomp_use seccomp, bool (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		log_set_format(LOG_FORMAT_JSON);
		if (log_open("/dev/null") < 0 || enter(seccomp) < 0)
			_exit(2);
		_exit(attempt() ? SUCCEEDED : FAILED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	return status;
}

static int
try_inside(enum seccomp_use seccomp, bool (*attempt)(void))
{
	return try_in(sandbox_enter, seccomp, attempt);
}

static bool
is_killed(bool (*attempt)(void))
{
	int status = try_inside(SECCOMP_ON, attempt);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool
is_keeper_killed(bool (*attempt)(void))
{
	int status = try_in(sandbox_enter_keeper, SECCOMP_ON, attempt);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool
works(enum seccomp_use seccomp, bool (*attempt)(void))
{
	int status = try_inside(seccomp, attempt);

	return WIFEXITED(status) && WEXITSTATUS(status) == SUCCEEDED;
}

static bool
open_file(void)
{
	return open("/dev/null", O_RDONLY) >= 0;
}

static bool
make_file(void)
{
	return open("made", O_CREAT | O_WRONLY, 0600) >= 0;
}

static bool
remove_file(void)
{
	return unlink("/nowhere") == 0;
}

static bool
execute(void)
{
	return execl("/bin/true", "true", NULL) == 0;
}

static bool
make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool
connect_old_socket(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };

	return connect(old_socket, (struct sockaddr *)&name, sizeof(name)) == 0;
}

/* A listening socket that was shut down can connect, as one that never listened. */
static bool
connect_by_the_first_send(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	const struct msghdr header = { .msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_iov = &part,
		.msg_iovlen = 1 };

	return sendmsg(old_socket, &header, MSG_FASTOPEN | MSG_NOSIGNAL) >= 0;
}

static bool
start_child(void)
{
	return fork() >= 0;
}

static bool
signal_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool
trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) != MAP_FAILED;
}

static bool
make_memory_executable(void)
{
	void *page = mmap(
	    NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

/* Of syslog a worker has a pipe alone (master/line_pipe.h). */
static bool
send_to_an_address(void)
{
	const struct sockaddr name = { .sa_family = AF_UNIX };

	return sendto(old_socket, "x", 1, MSG_NOSIGNAL, &name, sizeof(name)) >= 0;
}

static bool
make_memory_writable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0;
}

static bool
change_descriptor_flags(void)
{
	return fcntl(old_socket, F_SETFL, 0) == 0;
}

static bool
change_other_socket_options(void)
{
	int on = 1;

	return setsockopt(old_socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
}

/* TCP_CONGESTION has the number of SO_LINGER. */
static bool
change_option_of_another_level(void)
{
	return setsockopt(old_socket, IPPROTO_TCP, SO_LINGER, "reno", 4) == 0;
}

static bool
make_core_files_possible(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool
leave_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static void
test_forbidden_system_calls_kill_the_worker(void **state)
{
	(void)state;
	if (!sandbox_is_possible()) {
		assert_true(works(SECCOMP_ON, open_file));
		return;
	}
	assert_true(is_killed(open_file));
	assert_true(is_killed(make_file));
	assert_true(is_killed(remove_file));
	assert_true(is_killed(execute));
	assert_true(is_killed(make_socket));
	assert_true(is_killed(connect_old_socket));
	assert_true(is_killed(connect_by_the_first_send));
	assert_true(is_killed(start_child));
	assert_true(is_killed(signal_parent));
	assert_true(is_killed(trace_parent));
	assert_true(is_killed(map_code));
	assert_true(is_killed(make_memory_executable));
	assert_true(is_killed(make_memory_writable));
	assert_true(is_killed(send_to_an_address));
	assert_true(is_killed(change_descriptor_flags));
	assert_true(is_killed(change_other_socket_options));
	assert_true(is_killed(change_option_of_another_level));
	assert_true(is_killed(make_core_files_possible));
	assert_true(is_killed(leave_namespace));
}

static void
test_forbidden_system_calls_kill_the_keeper(void **state)
{
	(void)state;
	if (!sandbox_is_possible())
		return;
	assert_true(is_keeper_killed(open_file));
	assert_true(is_keeper_killed(make_socket));
	assert_true(is_keeper_killed(connect_old_socket));
	assert_true(is_keeper_killed(connect_by_the_first_send));
	assert_true(is_keeper_killed(send_to_an_address));
}

static bool
allocates_and_frees_memory(void)
{
	for (size_t size = 16; size <= 64 << 20; size *= 4) {
		char *bytes = malloc(size);
		if (bytes == NULL)
			return false;
		memset(bytes, 1, size);
		bytes = realloc(bytes, size * 2);
		if (bytes == NULL)
			return false;
		free(bytes);
	}
	return true;
}

static bool
a_log_line_is_written(void)
{
	log_info("with a date and %d", 1);
	return true;
}

static bool
a_descriptor_is_passed(void)
{
	struct channel_message message = { .verb = CHANNEL_READY };
	char text[3];
	int fd;

	int state = memfd_create("state", MFD_CLOEXEC);
	if (state < 0 || write(state, "abc", 3) != 3 ||
	    channel_send(channel[0], &message, state) < 0 ||
	    channel_receive(channel[1], &message, &fd) != 1)
		return false;
	return lseek(fd, 0, SEEK_SET) == 0 && read(fd, text, 3) == 3 &&
	    memcmp(text, "abc", 3) == 0 && fcntl(fd, F_DUPFD_CLOEXEC, 0) >= 0;
}

/* A keeper only sends them. */
static bool
a_descriptor_goes_out(void)
{
	const struct channel_message message = { .verb = CHANNEL_SENT };
	return channel_send(channel[0], &message, old_socket) == 0 &&
	    send(channel[0], "x", 1, MSG_NOSIGNAL) == 1;
}

static bool
hides_its_memory(void)
{
	sandbox_hide_memory();
	return true;
}

static bool
stops_accepting_on_a_listener(void)
{
	return listen_block_new(old_socket) == 0;
}

/* A link-local address has an interface, whose name cannot be looked up. */
static bool
refuses_and_logs_a_denied_address(void)
{
	struct ledger_block block = { .open = 1 };
	struct crash_record record = { .current = NULL };
	struct worker worker = { .record = &record };
	struct worker_listener listener = { .worker = &worker, .block = &block };
	worker.accept.listeners = &listener;
	struct address peer = { .length = sizeof(struct sockaddr_in6) };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer.storage;

	log_set_level(LOG_LEVEL_DEBUG);
	in6->sin6_family = AF_INET6;
	in6->sin6_scope_id = 1;
	inet_pton(AF_INET6, "fe80::1", &in6->sin6_addr);
	admission_refuse(&listener, old_socket, &peer, CLOSE_DENIED);
	return atomic_load(&block.closed[CLOSE_DENIED]) == 1;
}

static void
test_needed_system_calls_work(void **state)
{
	(void)state;
	assert_true(works(SECCOMP_ON, allocates_and_frees_memory));
	assert_true(works(SECCOMP_ON, a_log_line_is_written));
	assert_true(works(SECCOMP_ON, a_descriptor_is_passed));
	assert_true(works(SECCOMP_ON, hides_its_memory));
	assert_true(works(SECCOMP_ON, refuses_and_logs_a_denied_address));
	assert_int_equal(
	    try_in(sandbox_enter_keeper, SECCOMP_ON, a_descriptor_goes_out), 0);
}

static bool
sets_a_backlog(void)
{
	return listen(old_socket, 1) == 0;
}

static void
test_a_backlog_can_be_changed(void **state)
{
	(void)state;
	assert_true(works(SECCOMP_ON, sets_a_backlog));
}

/* Recent kernels let only root attach a filter to a listening socket. */
static void
test_a_listener_can_refuse_new_connections(void **state)
{
	(void)state;
	needs_root();
	assert_true(works(SECCOMP_ON, stops_accepting_on_a_listener));
}

static bool
end_by_abort(void)
{
	abort();
}

static void
test_a_worker_can_still_abort(void **state)
{
	(void)state;
	int status = try_inside(SECCOMP_ON, end_by_abort);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Landlock denies what seccomp allows when it is off or only logs. */
static void
test_landlock_restricts_files_without_seccomp(void **state)
{
	bool has_landlock = syscall(444, NULL, 0, 1) > 0 && sandbox_is_possible();

	(void)state;
	assert_true(works(SECCOMP_OFF, make_socket));
	assert_true(works(SECCOMP_LOG, make_socket));
	assert_int_equal(works(SECCOMP_OFF, open_file), !has_landlock);
	assert_int_equal(works(SECCOMP_LOG, open_file), !has_landlock);
	assert_int_equal(works(SECCOMP_OFF, execute), !has_landlock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden_system_calls_kill_the_worker),
		cmocka_unit_test(test_forbidden_system_calls_kill_the_keeper),
		cmocka_unit_test(test_needed_system_calls_work),
		cmocka_unit_test(test_a_listener_can_refuse_new_connections),
		cmocka_unit_test(test_a_backlog_can_be_changed),
		cmocka_unit_test(test_a_worker_can_still_abort),
		cmocka_unit_test(test_landlock_restricts_files_without_seccomp),
	};
	log_set_name("", ""); /* as a worker does before it enters the sandbox */
	return cmocka_run_group_tests(tests, open_worker_descriptors, NULL);
}
