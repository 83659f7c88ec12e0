#include "master/workers/transfers.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"
#include "proto/channel.h"
#include "master/workers/process.h"

/* Connections that the ledger block of a process that has exited counts as moved out,
 * without those of its other transfers. */
static uint64_t
unreported_moved_out(const struct process *process)
{
	struct ledger_totals totals = { 0 };
	ledger_add_worker(&totals, process->table->ledger, process->ledger_entry);
	uint64_t moved_out = totals.counters[LEDGER_CONNECTIONS_MOVED_OUT];
	uint64_t reported = process->moved_out;
	for (const struct transfer *t = process->table->transfers; t != NULL;
	     t = t->next) {
		if (t->sender == process && t->has_sent)
			reported += t->sent;
	}
	return moved_out > reported ? moved_out - reported : 0;
}

/* Two correct workers report the same number; of two numbers the larger one is wrong. A
 * single report cannot exceed what a worker can hold, or what was asked for. */
static uint64_t
moved_connections(const struct transfer *transfer)
{
	const struct ledger *ledger = transfer->sender->table->ledger;
	uint64_t max = ledger->shared->connections_max, moved;
	uint32_t selected = (uint32_t)transfer->selection;
	if (transfer->has_received && transfer->has_sent)
		moved = transfer->sent < transfer->received ? transfer->sent
							    : transfer->received;
	else if (transfer->has_received)
		moved = transfer->received;
	else if (transfer->has_sent)
		moved = transfer->sent;
	else
		moved = unreported_moved_out(transfer->sender);
	if (selected != 0 && selected < max)
		max = selected;
	return moved < max ? moved : max;
}

/* By rebalancing. The sender's word counts: a receiver could deny what it has. */
static void
count_given(const struct transfer *transfer, uint64_t moved)
{
	struct process *sender = transfer->sender, *receiver = transfer->receiver;
	uint64_t max = (uint32_t)transfer->selection;
	uint64_t given = transfer->has_sent ? transfer->sent : moved;
	receiver->given += given < max ? given : max;
	sender->given -= moved < sender->given ? moved : sender->given;
}

static bool
has_lost_receiver(const struct transfer *transfer)
{
	return transfer->has_receiver_died ||
	    transfer->receiver->state == PROCESS_EXITED;
}

static bool
is_settled(const struct transfer *transfer)
{
	bool has_sender_ended =
	    transfer->has_sent || transfer->sender->state == PROCESS_EXITED;
	if (transfer->has_received)
		return has_sender_ended || transfer->has_sender_died;
	return has_sender_ended && has_lost_receiver(transfer);
}

void
transfers_release(struct process *process)
{
	if (process->state != PROCESS_EXITED)
		return;
	for (const struct transfer *t = process->table->transfers; t != NULL;
	     t = t->next) {
		if (t->sender == process || t->receiver == process)
			return;
	}
	process_release(process);
}

/* Attempts with workers that have the keeper's listeners, once no worker of a slot
 * takes any connection. */
#define OWN_RECEIVERS_MAX 3

/* A keeper that has connections left needs another receiver, until none takes any. */
static void
settle_recovery(const struct transfer *transfer, uint64_t moved)
{
	struct process *keeper = transfer->sender;
	uint32_t slots = keeper->table->slot_count;
	uint32_t tried = moved > 0 ? 0 : keeper->full_receivers + 1;
	if (!transfer->is_full && !transfer->is_unserved)
		return;
	keeper->needs_own_listeners = transfer->is_unserved || tried > slots;
	keeper->full_receivers = tried;
	keeper->wants_receiver = tried <= slots + OWN_RECEIVERS_MAX;
	if (!keeper->wants_receiver)
		process_send(keeper, CHANNEL_NO_RECEIVER, 0, 0);
}

static void
settle(const struct transfer *transfer, struct transfer_result *ret)
{
	struct process *sender = transfer->sender, *receiver = transfer->receiver;
	*ret = (struct transfer_result){ .sender = sender,
		.receiver = receiver,
		.is_partial = transfer->selection != 0,
		.moved = moved_connections(transfer) };
	if (ret->is_partial)
		count_given(transfer, ret->moved);
	sender->moved_out += ret->moved;
	receiver->moved_in += ret->moved;
	log_debug(
	    "[connections_transferred worker worker_pid connections receiver receiver_pid] "
	    "worker %u (pid %d): transferred %llu connections to worker %u (pid %d)",
	    sender->slot, (int)sender->pid, (unsigned long long)ret->moved,
	    receiver->slot, (int)receiver->pid);
	/* After a partial transfer the sender may already drain, and
	 * wants_receiver is then already set. */
	if (ret->is_partial || transfer->has_sender_died ||
	    sender->state == PROCESS_EXITED)
		return;
	if (sender->is_recovering)
		settle_recovery(transfer, ret->moved);
	else if (has_lost_receiver(transfer) ||
	    (transfer->is_full && ++sender->full_receivers < sender->table->slot_count))
		sender->wants_receiver = true;
	/* To the sender a receiver that had no room for the descriptor looks like one
	 * that has died: it would wait for another transfer. */
	else if ((ret->moved == 0 || transfer->is_full) && !sender->wants_receiver)
		process_send(sender, CHANNEL_DRAIN, 0, 0);
}

bool
transfers_settle_next(struct worker_table *table, struct transfer_result *ret)
{
	for (struct transfer **at = &table->transfers; *at != NULL; at = &(*at)->next) {
		struct transfer *transfer = *at;
		if (!is_settled(transfer))
			continue;
		*at = transfer->next;
		settle(transfer, ret);
		free(transfer);
		return true;
	}
	return false;
}

void
transfers_on_death(const struct process *process)
{
	for (struct transfer *t = process->table->transfers; t != NULL; t = t->next) {
		if (t->sender == process)
			t->has_sender_died = true;
		if (t->receiver == process)
			t->has_receiver_died = true;
	}
}

bool
transfers_on_end(const struct process *process, const struct transfer_end *end)
{
	struct transfer *transfer = process->table->transfers;
	while (transfer != NULL && transfer->id != end->id)
		transfer = transfer->next;
	if (transfer == NULL ||
	    process != (end->is_sender ? transfer->sender : transfer->receiver))
		return false;
	if (end->is_sender) {
		transfer->has_sent = true;
		transfer->sent = end->connections;
		transfer->is_full = end->is_full;
		transfer->is_unserved = end->is_unserved;
	} else {
		transfer->has_received = true;
		transfer->received = end->connections;
	}
	return true;
}

bool
transfers_is_sending(const struct process *process)
{
	for (const struct transfer *m = process->table->transfers; m != NULL;
	     m = m->next) {
		if (m->sender == process && !m->has_sent && !m->has_sender_died)
			return true;
	}
	return false;
}

/* False when too many descriptors of all processes are in flight (unix(7)). After any
 * other error the process is about to exit, and its exit settles the transfer. */
static bool
send_transfer_end(
    struct process *process, uint32_t verb, const struct transfer *transfer, int fd)
{
	const struct channel_message message = { .verb = verb,
		.argument = transfer->id,
		.value = transfer->selection |
		    (transfer->sender->is_recovering ? CHANNEL_SEND_KEPT : 0) };
	return process_send_fd(process, &message, fd) == 0 || errno != ETOOMANYREFS;
}

int
transfers_start_partial(
    struct process *sender, struct process *receiver, uint64_t selection)
{
	struct worker_table *table = sender->table;
	int fds[2];
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (transfer == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) <
		0) {
		free(transfer);
		return -1;
	}
	*transfer = (struct transfer){ .next = table->transfers,
		.id = ++table->last_transfer_id,
		.sender = sender,
		.receiver = receiver,
		.selection = selection };
	bool is_started =
	    send_transfer_end(receiver, CHANNEL_RECEIVE_CONNECTIONS, transfer, fds[0]);
	if (is_started) {
		table->transfers = transfer;
		/* On failure the receiver reads EOF at once, and reports the end. */
		transfer->has_sent = !send_transfer_end(
		    sender, CHANNEL_SEND_CONNECTIONS, transfer, fds[1]);
		if (selection == 0)
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
	sender->crash.receiver_pid = receiver->pid;
	if (transfers_start_partial(sender, receiver, 0) == 0)
		return;
	/* worker_drain_find_receivers retries. */
	sender->wants_receiver = errno == ETOOMANYREFS || sender->is_recovering;
	if (sender->wants_receiver)
		return;
	log_warn("[transfer_failed worker] "
		 "worker %u: cannot transfer its connections: draining them",
	    sender->slot);
	process_send(sender, CHANNEL_DRAIN, 0, 0);
}
