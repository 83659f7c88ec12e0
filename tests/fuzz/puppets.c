#include "tests/fuzz/puppets.h"

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

/* A worker: its end of the channel, and whether it lives. */
static struct puppet {
	int fd; /* -1: closed */
	bool lives, has_ended;
	int status;
} puppets[PUPPETS];
static int puppet_count;
static unsigned forks_to_fail;

pid_t
__wrap_spawn_worker(const struct worker_args *args)
{
	if (forks_to_fail > 0 || puppet_count == PUPPETS) {
		forks_to_fail -= forks_to_fail > 0;
		errno = EAGAIN;
		return -1;
	}
	must(args->slot < LEDGER_SLOTS && args->worker_ledger != NULL);
	for (size_t i = 0; i < args->socket_count; i++)
		must(fcntl(args->sockets[i].fd, F_GETFD) >= 0);
	struct puppet *puppet = &puppets[puppet_count];
	*puppet = (struct puppet){ .lives = true };
	puppet->fd = fcntl(args->channel_fd, F_DUPFD_CLOEXEC, 0);
	must(puppet->fd >= 0);
	return FIRST_PID + puppet_count++;
}

static void
end_puppet(struct puppet *puppet, int status)
{
	if (!puppet->lives)
		return;
	puppet->lives = false;
	puppet->has_ended = true;
	puppet->status = status;
	if (puppet->fd >= 0)
		close(puppet->fd);
	puppet->fd = -1;
}

pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	must(pid == -1 && options == WNOHANG);
	for (int i = 0; i < puppet_count; i++) {
		if (!puppets[i].has_ended)
			continue;
		puppets[i].has_ended = false;
		*status = puppets[i].status;
		return FIRST_PID + i;
	}
	return 0;
}

int
__wrap_kill(pid_t pid, int number)
{
	must(pid >= FIRST_PID && pid < FIRST_PID + puppet_count);
	end_puppet(&puppets[pid - FIRST_PID], number);
	return 0;
}

/* The last ones are the most interesting. */
static struct puppet *
choose(struct input *input)
{
	int back = next_byte(input) % 8;

	return back < puppet_count ? &puppets[puppet_count - 1 - back] : NULL;
}

static void
say(const struct puppet *puppet, const void *packet, size_t length, unsigned count)
{
	int fds[3] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };

	if (puppet == NULL || puppet->fd < 0)
		return;
	if (transfer_packet_send(puppet->fd, packet, length, fds, count) < 0)
		must(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
}

void
puppets_say_anything(struct input *input)
{
	const struct puppet *puppet = choose(input);
	uint8_t packet[64] = { 0 }, shape = next_byte(input);

	for (int i = 0; i < (shape & 63); i++)
		packet[i] = next_byte(input);
	say(puppet, packet, shape & 63, shape >> 6);
}

void
puppets_say_message(struct input *input)
{
	const struct puppet *puppet = choose(input);
	uint8_t verb = next_byte(input), shape = next_byte(input);
	struct channel_message message = { .verb = verb & 31, .argument = shape & 31 };

	message.value = next_number(input, shape & 128 ? 8 : 1);
	say(puppet, &message, sizeof(message), verb >> 6);
}

static void
answer(struct puppet *puppet, const struct channel_message *asked, uint8_t how)
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
		end_puppet(puppet, 0);
		return;
	default:
		return;
	}
	say(puppet, &message, sizeof(message), 0);
}

/* Says that it serves, then does what it has been told so far. */
void
puppets_obey(struct input *input)
{
	static const struct channel_message ready = { .verb = CHANNEL_READY };
	struct puppet *puppet = choose(input);
	uint8_t how = next_byte(input);
	struct channel_message asked;
	int fd;

	say(puppet, &ready, sizeof(ready), 0);
	while (puppet != NULL && puppet->fd >= 0 &&
	    channel_receive(puppet->fd, &asked, &fd) > 0) {
		if (fd >= 0)
			close(fd);
		answer(puppet, &asked, how);
	}
	if (how & 128 && puppet != NULL)
		end_puppet(puppet, 0);
}

void
puppets_end_one(struct input *input)
{
	struct puppet *puppet = choose(input);

	if (puppet != NULL)
		end_puppet(puppet, next_byte(input) & 1 ? SIGSEGV : 0);
}

int
puppets_count(void)
{
	return puppet_count;
}

void
puppets_start(void)
{
	puppet_count = 0;
	forks_to_fail = 0;
}

void
puppets_end(void)
{
	for (int i = 0; i < puppet_count; i++)
		end_puppet(&puppets[i], SIGKILL);
}

void
puppets_fail_forks(unsigned count)
{
	forks_to_fail = count;
}
