#include "master/workers/transfers.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"

#include "proto/channel.h"

#include "master/changes/rebalance.h"
#include "master/workers/process.h"
#include "master/workers/worker_drain.h"

static uint64_t
ledger_moved_out(const struct process *process)
{
	struct ledger_totals totals = { 0 };
	ledger_add_worker(
	    &totals, process->master->workers.ledger, process->worker_ledger);
	return totals.counters[LEDGER_CONNECTIONS_MOVED_OUT];
}

/* How many connections have changed hands, by the best witness. */
static uint64_t
moved_connections(const struct transfer *transfer)
{
	if (transfer->has_received)
		return transfer->received;
	if (transfer->has_sent)
		return transfer->sent;
	return ledger_moved_out(transfer->sender) - transfer->sender->moved_out;
}

static bool
is_settled(const struct transfer *transfer)
{
	return (transfer->has_sent || transfer->sender->has_exited) &&
	    (transfer->has_received || transfer->receiver->has_exited);
}

static bool
has_transfers(const struct process *process)
{
	for (const struct transfer *m = process->master->workers.transfers; m != NULL;
	     m = m->next) {
		if (m->sender == process || m->receiver == process)
			return true;
	}
	return false;
}

static void
release_if_settled(struct process *process)
{
	if (process->has_exited && !has_transfers(process))
		process_release(process);
}

static void
settle(struct transfer *transfer)
{
	struct process *sender = transfer->sender, *receiver = transfer->receiver;
	uint64_t moved = moved_connections(transfer);
	sender->moved_out += moved;
	receiver->moved_in += moved;
	log_debug(
	    "worker %u (process %d) gave %llu connections to worker %u (process %d)",
	    sender->slot, (int)sender->pid, (unsigned long long)moved, receiver->slot,
	    (int)receiver->pid);
	struct master *master = sender->master;
	bool was_partial = transfer->what != 0;
	/* Who gave all to one that died gives it to another; who gave only some may
	 * have been told to leave meanwhile. */
	if (receiver->has_exited && !was_partial && !sender->has_exited)
		sender->wants_receiver = true;
	free(transfer);
	release_if_settled(receiver);
	if (sender->wants_receiver)
		worker_drain_find_receivers(master);
	release_if_settled(sender);
	if (was_partial)
		rebalance_on_transfer_end(master, moved);
}

static void
settle_all(struct master *master)
{
	struct transfer **at = &master->workers.transfers;
	while (*at != NULL) {
		struct transfer *transfer = *at;
		if (is_settled(transfer)) {
			*at = transfer->next;
			settle(transfer);
			at = &master->workers.transfers;
		} else {
			at = &transfer->next;
		}
	}
}

static struct transfer *
find(const struct master *master, uint32_t id)
{
	struct transfer *transfer = master->workers.transfers;
	while (transfer != NULL && transfer->id != id)
		transfer = transfer->next;
	return transfer;
}

void
transfers_on_sent(struct process *sender, uint32_t id, uint64_t connections)
{
	struct transfer *transfer = find(sender->master, id);
	if (transfer == NULL || transfer->sender != sender)
		return;
	transfer->has_sent = true;
	transfer->sent = connections;
	settle_all(sender->master);
}

void
transfers_on_received(struct process *receiver, uint32_t id, uint64_t connections)
{
	struct transfer *transfer = find(receiver->master, id);
	if (transfer == NULL || transfer->receiver != receiver)
		return;
	transfer->has_received = true;
	transfer->received = connections;
	settle_all(receiver->master);
}

void
transfers_on_exit(struct process *process)
{
	struct master *master = process->master;
	if (has_transfers(process))
		settle_all(master);
	else
		process_release(process);
}

bool
transfers_is_sending(const struct process *process)
{
	for (const struct transfer *m = process->master->workers.transfers; m != NULL;
	     m = m->next) {
		if (m->sender == process && !m->has_sent)
			return true;
	}
	return false;
}

/* False when too many descriptors of all processes are on their way just now (unix(7));
 * one that cannot be told for another reason is dying, and its death settles the move.
 */
static bool
send_transfer_end(const struct process *process, uint32_t verb,
    const struct transfer *transfer, int fd)
{
	const struct channel_message message = {
		.verb = verb, .argument = transfer->id, .value = transfer->what
	};
	if (channel_send(process->channel_fd, &message, fd) == 0)
		return true;
	log_debug("worker %u does not hear message %u", process->slot, verb);
	return errno != ETOOMANYREFS;
}

int
transfers_start_partial(struct process *sender, struct process *receiver, uint64_t what)
{
	struct master *master = sender->master;
	int fds[2];
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (transfer == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) <
		0) {
		free(transfer);
		return -1;
	}
	*transfer = (struct transfer){ .next = master->workers.transfers,
		.id = ++master->workers.last_transfer_id,
		.sender = sender,
		.receiver = receiver,
		.what = what };
	bool is_started =
	    send_transfer_end(receiver, CHANNEL_RECEIVE_CONNECTIONS, transfer, fds[0]);
	if (is_started) {
		master->workers.transfers = transfer;
		/* The taker hears the end at once, and says so. */
		transfer->has_sent = !send_transfer_end(
		    sender, CHANNEL_SEND_CONNECTIONS, transfer, fds[1]);
		if (what == 0)
			sender->wants_receiver = transfer->has_sent;
	} else {
		free(transfer);
	}
	close(fds[0]);
	close(fds[1]);
	if (is_started)
		return 0;
	errno = ETOOMANYREFS;
	return -1;
}

void
transfers_start(struct process *sender, struct process *receiver)
{
	sender->wants_receiver = false;
	if (transfers_start_partial(sender, receiver, 0) == 0)
		return;
	/* worker_drain_find_receivers tries again. */
	sender->wants_receiver = errno == ETOOMANYREFS;
	if (sender->wants_receiver)
		return;
	log_warn("worker %u cannot hand its connections over", sender->slot);
	process_send(sender, CHANNEL_DRAIN, 0, 0);
}
