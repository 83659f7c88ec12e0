#include "keeper/keeper.h"

#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/system/process_title.h"
#include "net/socket_info.h"
#include "net/tls/tls_tickets.h"
#include "proto/channel.h"
#include "proto/transfer.h"
#include "keeper/keeper_send.h"
#include "keeper/kept.h"
#include "worker/acceptor.h"
#include "worker/limits/sandbox.h"

/* How long a sender may take to tell whether it got the answer of the dead worker. */
#define ANSWER_MS 2000

static volatile sig_atomic_t is_asked_to_recover, is_asked_to_exit, lacks_memory;

static void
on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	/* Otherwise two processes would own the connections of a worker that lives. */
	if (info->si_pid != getppid())
		return;
	if (number == KEEPER_SIGNAL_RECOVER) {
		lacks_memory = info->si_value.sival_int != 0;
		is_asked_to_recover = 1;
	} else {
		is_asked_to_exit = 1;
	}
}

/* The two signals, which the worker has blocked, arrive while it waits, and only then.
 */
static void
catch_signals(void)
{
	const struct sigaction action = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO };
	sigaction(KEEPER_SIGNAL_RECOVER, &action, NULL);
	sigaction(KEEPER_SIGNAL_EXIT, &action, NULL);
}

/* Returns when the worker has died. */
static void
wait_for_death(int channel_fd)
{
	sigset_t unblocked;
	sigprocmask(SIG_BLOCK, NULL, &unblocked);
	sigdelset(&unblocked, KEEPER_SIGNAL_RECOVER);
	sigdelset(&unblocked, KEEPER_SIGNAL_EXIT);
	while (!is_asked_to_recover) {
		struct pollfd channel = { .fd = channel_fd };
		int rc = ppoll(&channel, 1, NULL, &unblocked);
		/* The master has exited, or the worker has closed its channel. */
		if (is_asked_to_exit || rc > 0)
			_exit(EX_OK);
	}
}

/* The worker died between its answer ACCEPTED and the record of that, if it sent it at
 * all: sends it again. True if the sender has committed the batch. */
static bool
is_batch_received(int fd, uint32_t batch)
{
	const struct transfer_note note = { .verb = TRANSFER_ACCEPTED, .mask = batch };
	bool is_sent = transfer_packet_send(fd, &note, sizeof(note), NULL, 0) == 0;
	bool has_withdrawn = false;
	for (;;) {
		union transfer_packet packet;
		int fds[TRANSFER_BATCH_MAX + 1];
		size_t count;
		struct pollfd events = { .fd = fd, .events = POLLIN };
		if (poll(&events, 1, ANSWER_MS) == 0)
			return false;
		ssize_t n = transfer_packet_receive(fd, &packet, fds, &count);
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		/* A sender that has died, with its keeper, owns nothing. */
		if (n <= 0)
			return n == 0 && !is_sent && !has_withdrawn;
		if (packet.verb == TRANSFER_COMMITTED)
			return true;
		has_withdrawn = has_withdrawn || packet.verb == TRANSFER_END;
	}
}

static void
report(int channel_fd, enum channel_verb verb, uint32_t argument, uint64_t value)
{
	const struct channel_message message = {
		.verb = verb, .argument = argument, .value = value
	};
	if (channel_send(channel_fd, &message, -1) < 0)
		log_debug("[control_message_failed verb] "
			  "cannot send control message %u to the master",
		    verb);
}

/* The master waits for this number: it is the only one if the receiver has died, too.
 */
static void
report_sent(int channel_fd, const struct crash_record *record, bool is_sent)
{
	uint32_t slot = record->sending.batch % 2;
	report(channel_fd, CHANNEL_SENT, record->sending.transfer,
	    (is_sent ? record->sending.moved[slot].with
		     : record->sending.moved[slot].before) &
		~(CHANNEL_SENT_FULL | CHANNEL_SENT_UNSERVED));
}

/* Ends the transfers of the dead worker: of each batch exactly one side keeps the
 * connections. */
static struct kept_circumstances
end_transfers(const struct crash_record *record, int channel_fd)
{
	struct kept_circumstances how = { .is_sent = false };
	if (record->sending.fd_plus_one > 0) {
		int sending_fd = record->sending.fd_plus_one - 1;
		bool is_recorded = record->sending.batch != 0 &&
		    record->sending.accepted == record->sending.batch;
		how.is_sent = keeper_send_withdraw(
		    sending_fd, record->sending.batch, is_recorded);
		report_sent(channel_fd, record, how.is_sent);
		close(sending_fd);
	}
	if (record->answering.fd_plus_one > 0)
		how.is_received = is_batch_received(
		    record->answering.fd_plus_one - 1, record->answering.batch);
	for (int i = 0; i < CRASH_RECORD_RECEIVERS; i++) {
		if (record->receiver_fds_plus_one[i] > 0)
			close(record->receiver_fds_plus_one[i] - 1);
	}
	return how;
}

static void
reject_transfer(int channel_fd, int fd, uint32_t id)
{
	const struct transfer_note rejected = { .verb = TRANSFER_REJECTED };
	if (fd >= 0 &&
	    transfer_packet_send(fd, &rejected, sizeof(rejected), NULL, 0) < 0)
		log_debug("[transfer_answer_failed] "
			  "transfer: cannot answer the sender");
	report(channel_fd, CHANNEL_RECEIVED, id, 0);
}

static void
close_all(struct kept *kept, enum close_reason reason)
{
	while (kept->count > 0)
		kept_close(kept, kept->count - 1, reason);
}

static void
on_message(struct kept *kept, const struct channel_message *message, int descriptor)
{
	int channel_fd = kept->args->channel_fd;
	switch ((enum channel_verb)message->verb) {
	case CHANNEL_SEND_CONNECTIONS:
		if ((message->value & CHANNEL_SEND_KEPT) == 0) {
			report(channel_fd, CHANNEL_SENT, message->argument, 0);
			break;
		}
		report(channel_fd, CHANNEL_SENT, message->argument,
		    descriptor < 0 ? CHANNEL_SENT_FULL : keeper_send(kept, descriptor));
		return;
	case CHANNEL_RECEIVE_CONNECTIONS:
		reject_transfer(channel_fd, descriptor, message->argument);
		break;
	case CHANNEL_NO_RECEIVER:
		close_all(kept, CLOSE_WORKER_LOST);
		break;
	case CHANNEL_EXIT:
		close_all(kept, CLOSE_STOPPED);
		break;
	case CHANNEL_LOG_LEVEL:
		log_set_level((enum log_level)message->argument);
		break;
	case CHANNEL_LOG_REOPEN:
		if (descriptor >= 0)
			log_set_fd(descriptor);
		return;
	default: /* to the worker, which died before it read that */
		break;
	}
	if (descriptor >= 0)
		close(descriptor);
}

/* Until the last connection has been passed on, or the master has exited. */
static void
pass_on(struct kept *kept)
{
	while (kept->count > 0) {
		struct channel_message message;
		struct pollfd channel = { .fd = kept->args->channel_fd,
			.events = POLLIN };
		int descriptor;
		(void)poll(&channel, 1, -1);
		int rc = channel_receive(channel.fd, &message, &descriptor);
		if (rc > 0)
			on_message(kept, &message, descriptor);
		else if (rc == 0 || (errno != EAGAIN && errno != EINTR))
			return;
	}
}

/* Their accept queues are the next worker's. A worker that drained has closed them, and
 * their numbers may be those of transfers or connections now. */
static void
close_listening(const struct worker_args *args)
{
	for (size_t i = 0; i < args->socket_count; i++) {
		int fd = args->sockets[i].fd;
		if (socket_info_option(fd, SO_ACCEPTCONN) == 1)
			close(fd);
	}
}

static void
recover(const struct worker_args *args, const struct crash_region *region,
    const struct kept_names *names)
{
	static struct kept kept;
	uint64_t start_ns = clock_now_ns();
	close_listening(args);
	struct kept_circumstances how = end_transfers(region->record, args->channel_fd);
	how.lacks_memory = lacks_memory != 0;
	if (kept_start(&kept, args, region, &how) < 0) {
		log_error("[recovery_failed] cannot recover the connections");
		_exit(EX_OSERR);
	}
	kept.names = names->names;
	bool has_connections = kept.count > 0;
	pass_on(&kept);
	struct ledger_block *own = &args->worker_ledger->own;
	if (!has_connections)
		return;
	ledger_count(own, LEDGER_RECOVERIES, 1);
	ledger_count(own, LEDGER_RECOVERY_US, (clock_now_ns() - start_ns) / 1000);
}

/* The addresses of the listening sockets, as in the worker. */
static void
read_names(const struct worker_args *args, struct kept_names *ret)
{
	ret->names = calloc(args->socket_count, sizeof(*ret->names));
	for (size_t i = 0; ret->names != NULL && i < args->socket_count; i++) {
		struct address address;
		if (acceptor_socket_address(
			args->config, args->ledger, &args->sockets[i], &address) == 0)
			address_format(&address, ret->names[i]);
	}
}

void
keeper_run(const struct worker_args *args, const struct crash_region *region)
{
	struct kept_names names;
	char role[32], title[48];
	snprintf(role, sizeof(role), "keeper %u", args->slot);
	snprintf(title, sizeof(title), "yodeld: %s", role);
	log_set_name("yodeld", role);
	process_title_set(title);
	catch_signals();
	read_names(args, &names);
	/* Its worker may be given connections with TLS by another configuration. */
	sandbox_hide_memory();
	/* It shakes no hands, and would keep them for as long as it lives. */
	if (args->config->tickets != NULL)
		tls_tickets_wipe(args->config->tickets);
	/* Without the master it can pass on nothing, whatever it waits for then. */
	if (names.names == NULL || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    crash_region_protect(region) < 0 ||
	    sandbox_enter_keeper(args->config->security.seccomp) < 0) {
		log_error("[keeper_start_failed] cannot start");
		_exit(EX_OSERR);
	}
	wait_for_death(args->channel_fd);
	recover(args, region, &names);
	_exit(EX_OK);
}
