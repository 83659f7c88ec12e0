#include "tests/fuzz/fake_processes.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "proto/channel.h"
#include "proto/transfer.h"
#include "master/workers/spawn.h"
#include "tests/lib/must.h"

pid_t __wrap_spawn_worker(const struct worker_args *args);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
int __wrap_kill(pid_t pid, int number);

#define FIRST_PID 1000

/* A worker: its end of the channel, and whether it runs. */
static struct fake_process {
	int fd; /* -1: closed */
	bool is_running, is_zombie;
	int status;
} fake_processes[FAKE_PROCESSES_MAX];
static int fake_process_count;
static unsigned forks_to_fail;

void __wrap_channel_refuse_fds(int channel_fd);

/* As before Linux 6.16: the master must cope with descriptors. */
void
__wrap_channel_refuse_fds(int channel_fd)
{
	(void)channel_fd;
}

pid_t
__wrap_spawn_worker(const struct worker_args *args)
{
	if (forks_to_fail > 0 || fake_process_count == FAKE_PROCESSES_MAX) {
		forks_to_fail -= forks_to_fail > 0;
		errno = EAGAIN;
		return -1;
	}
	must(args->slot < LEDGER_SLOTS &&
	    args->ledger_entry < ledger_live_end(args->ledger));
	for (size_t i = 0; i < args->socket_count; i++)
		must(fcntl(args->sockets[i].fd, F_GETFD) >= 0);
	struct fake_process *fake_process = &fake_processes[fake_process_count];
	*fake_process = (struct fake_process){ .is_running = true };
	fake_process->fd = fcntl(args->channel_fd, F_DUPFD_CLOEXEC, 0);
	must(fake_process->fd >= 0);
	return FIRST_PID + fake_process_count++;
}

static void
exit_fake_process(struct fake_process *fake_process, int status)
{
	if (!fake_process->is_running)
		return;
	fake_process->is_running = false;
	fake_process->is_zombie = true;
	fake_process->status = status;
	if (fake_process->fd >= 0)
		close(fake_process->fd);
	fake_process->fd = -1;
}

pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	must(pid == -1 && options == WNOHANG);
	for (int i = 0; i < fake_process_count; i++) {
		if (!fake_processes[i].is_zombie)
			continue;
		fake_processes[i].is_zombie = false;
		*status = fake_processes[i].status;
		return FIRST_PID + i;
	}
	return 0;
}

int
__wrap_kill(pid_t pid, int number)
{
	must(pid >= FIRST_PID && pid < FIRST_PID + fake_process_count);
	exit_fake_process(&fake_processes[pid - FIRST_PID], number);
	return 0;
}

/* Prefers the youngest workers. */
static struct fake_process *
choose_process(struct input *input)
{
	int back = next_byte(input) % 8;

	return back < fake_process_count
	    ? &fake_processes[fake_process_count - 1 - back]
	    : NULL;
}

static void
send_packet(const struct fake_process *fake_process, const void *packet, size_t length,
    unsigned count)
{
	int fds[3] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };

	if (fake_process == NULL || fake_process->fd < 0)
		return;
	if (transfer_packet_send(fake_process->fd, packet, length, fds, count) < 0)
		must(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
}

void
fake_processes_send_garbage(struct input *input)
{
	const struct fake_process *fake_process = choose_process(input);
	uint8_t packet[64] = { 0 }, shape = next_byte(input);

	for (int i = 0; i < (shape & 63); i++)
		packet[i] = next_byte(input);
	send_packet(fake_process, packet, shape & 63, shape >> 6);
}

void
fake_processes_send_message(struct input *input)
{
	const struct fake_process *fake_process = choose_process(input);
	uint8_t verb = next_byte(input), shape = next_byte(input);
	struct channel_message message = { .verb = verb & 31, .argument = shape & 31 };

	message.value = next_number(input, shape & 128 ? 8 : 1);
	send_packet(fake_process, &message, sizeof(message), verb >> 6);
}

static void
answer_command(
    struct fake_process *fake_process, const struct channel_message *asked, uint8_t how)
{
	struct channel_message message = { .argument = asked->argument };

	switch ((enum channel_verb)asked->verb) {
	case CHANNEL_DRAIN:
		message.verb = CHANNEL_LISTENERS_CLOSED;
		break;
	case CHANNEL_SEND_CONNECTIONS:
		message =
		    (struct channel_message){ CHANNEL_SENT, asked->argument, how & 15 };
		break;
	case CHANNEL_RECEIVE_CONNECTIONS:
		message = (struct channel_message){ CHANNEL_RECEIVED, asked->argument,
			how & 15 };
		break;
	case CHANNEL_EXIT:
		exit_fake_process(fake_process, 0);
		return;
	default:
		return;
	}
	send_packet(fake_process, &message, sizeof(message), 0);
}

/* Reports that it serves, then does what the master has requested so far. */
void
fake_processes_answer_commands(struct input *input)
{
	static const struct channel_message ready = { .verb = CHANNEL_READY };
	struct fake_process *fake_process = choose_process(input);
	uint8_t how = next_byte(input);
	struct channel_message asked;
	int fd;

	send_packet(fake_process, &ready, sizeof(ready), 0);
	while (fake_process != NULL && fake_process->fd >= 0 &&
	    channel_receive(fake_process->fd, &asked, &fd) > 0) {
		if (fd >= 0)
			close(fd);
		answer_command(fake_process, &asked, how);
	}
	if (how & 128 && fake_process != NULL)
		exit_fake_process(fake_process, 0);
}

void
fake_processes_exit_one(struct input *input)
{
	struct fake_process *fake_process = choose_process(input);

	if (fake_process != NULL)
		exit_fake_process(fake_process, next_byte(input) & 1 ? SIGSEGV : 0);
}

int
fake_processes_count(void)
{
	return fake_process_count;
}

void
fake_processes_reset(void)
{
	fake_process_count = 0;
	forks_to_fail = 0;
}

void
fake_processes_kill_all(void)
{
	for (int i = 0; i < fake_process_count; i++)
		exit_fake_process(&fake_processes[i], SIGKILL);
}

void
fake_processes_fail_forks(unsigned count)
{
	forks_to_fail = count;
}
