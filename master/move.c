#include "master/move.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"

#include "proto/channel.h"

#include "master/balance.h"
#include "master/leaving.h"
#include "master/process.h"

static uint64_t
booked_out(const struct process *process)
{
	struct ledger_totals totals = { 0 };
	ledger_add_worker(&totals, process->master->ledger, process->worker_ledger);
	return totals.counters[LEDGER_CONNECTIONS_MOVED_OUT];
}

/* How many connections have changed hands, by the best witness. */
static uint64_t
moved_connections(const struct move *move)
{
	if (move->has_took)
		return move->took;
	if (move->has_gave)
		return move->gave;
	return booked_out(move->giver) - move->giver->moved_out;
}

static bool
is_settled(const struct move *move)
{
	return (move->has_gave || move->giver->is_gone) &&
	    (move->has_took || move->taker->is_gone);
}

static bool
has_moves(const struct process *process)
{
	for (const struct move *m = process->master->moves; m != NULL; m = m->next) {
		if (m->giver == process || m->taker == process)
			return true;
	}
	return false;
}

static void
bury_if_done(struct process *process)
{
	if (process->is_gone && !has_moves(process))
		process_bury(process);
}

static void
settle(struct move *move)
{
	struct process *giver = move->giver, *taker = move->taker;
	uint64_t moved = moved_connections(move);
	giver->moved_out += moved;
	taker->moved_in += moved;
	log_debug(
	    "worker %u (process %d) gave %llu connections to worker %u (process %d)",
	    giver->slot, (int)giver->pid, (unsigned long long)moved, taker->slot,
	    (int)taker->pid);
	struct master *master = giver->master;
	bool was_some = move->what != 0;
	/* Who gave all to one that died gives it to another; who gave only some may
	 * have been told to leave meanwhile. */
	if (taker->is_gone && !was_some && !giver->is_gone)
		giver->wants_taker = true;
	free(move);
	bury_if_done(taker);
	if (giver->wants_taker)
		leaving_find_takers(master);
	bury_if_done(giver);
	if (was_some)
		balance_on_moved(master, moved);
}

static void
settle_all(struct master *master)
{
	struct move **at = &master->moves;
	while (*at != NULL) {
		struct move *move = *at;
		if (is_settled(move)) {
			*at = move->next;
			settle(move);
			at = &master->moves;
		} else {
			at = &move->next;
		}
	}
}

static struct move *
find(const struct master *master, uint32_t id)
{
	struct move *move = master->moves;
	while (move != NULL && move->id != id)
		move = move->next;
	return move;
}

void
move_on_gave(struct process *giver, uint32_t id, uint64_t connections)
{
	struct move *move = find(giver->master, id);
	if (move == NULL || move->giver != giver)
		return;
	move->has_gave = true;
	move->gave = connections;
	settle_all(giver->master);
}

void
move_on_took(struct process *taker, uint32_t id, uint64_t connections)
{
	struct move *move = find(taker->master, id);
	if (move == NULL || move->taker != taker)
		return;
	move->has_took = true;
	move->took = connections;
	settle_all(taker->master);
}

void
move_on_gone(struct process *process)
{
	struct master *master = process->master;
	if (has_moves(process))
		settle_all(master);
	else
		process_bury(process);
}

bool
move_is_giving(const struct process *process)
{
	for (const struct move *m = process->master->moves; m != NULL; m = m->next) {
		if (m->giver == process && !m->has_gave)
			return true;
	}
	return false;
}

/* False when too many descriptors of all processes are on their way just now (unix(7));
 * one that cannot be told for another reason is dying, and its death settles the move.
 */
static bool
tell_end(const struct process *process, uint32_t verb, const struct move *move, int fd)
{
	const struct channel_message message = {
		.verb = verb, .argument = move->id, .value = move->what
	};
	if (channel_send(process->channel_fd, &message, fd) == 0)
		return true;
	log_debug("worker %u does not hear message %u", process->slot, verb);
	return errno != ETOOMANYREFS;
}

int
move_some(struct process *giver, struct process *taker, uint64_t what)
{
	struct master *master = giver->master;
	int fds[2];
	struct move *move = calloc(1, sizeof(*move));
	if (move == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) <
		0) {
		free(move);
		return -1;
	}
	*move = (struct move){ .next = master->moves,
		.id = ++master->last_move_id,
		.giver = giver,
		.taker = taker,
		.what = what };
	bool is_begun = tell_end(taker, CHANNEL_RECEIVE_CONNECTIONS, move, fds[0]);
	if (is_begun) {
		master->moves = move;
		/* The taker hears the end at once, and says so. */
		move->has_gave =
		    !tell_end(giver, CHANNEL_SEND_CONNECTIONS, move, fds[1]);
		if (what == 0)
			giver->wants_taker = move->has_gave;
	} else {
		free(move);
	}
	close(fds[0]);
	close(fds[1]);
	if (is_begun)
		return 0;
	errno = ETOOMANYREFS;
	return -1;
}

void
move_start(struct process *giver, struct process *taker)
{
	giver->wants_taker = false;
	if (move_some(giver, taker, 0) == 0)
		return;
	/* leaving_find_takers tries again. */
	giver->wants_taker = errno == ETOOMANYREFS;
	if (giver->wants_taker)
		return;
	log_warn("worker %u cannot hand its connections over", giver->slot);
	process_tell(giver, CHANNEL_DRAIN, 0, 0);
}
