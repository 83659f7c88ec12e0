#include "master/changes/rebalance.h"

#include "lib/clock.h"
#include "lib/log.h"

#include "proto/channel.h"

#include "master/changes/change.h"
#include "master/upgrade/dry_run.h"
#include "master/workers/transfers.h"

/* Connections of one hand-over: few enough that the counts are looked at often. */
#define BATCH 256
/* Hand-overs one after the other until what was asked for is given up as it is: more
 * come than can be evened out. */
#define PASSES_MAX 1000
/* The least difference that is worth a move: one in so many of the mean. */
#define MIN_DIFFERENCE_DIVISOR 32
/* When nothing could be moved there is no hurry to try again. */
#define RETRY_DELAY_NS (5 * NS_PER_S)

struct load {
	struct process *process;
	uint64_t open;
	bool gives;
};

struct loads {
	struct load rows[LEDGER_SLOTS];
	uint32_t count;
	uint64_t open;
};

static void
read_loads(const struct master *master, struct loads *ret)
{
	ret->count = 0;
	ret->open = 0;
	for (uint32_t i = 0; i < master->workers.slot_count; i++) {
		const struct slot *slot = &master->workers.slots[i];
		if (slot->state != SLOT_SERVING)
			continue;
		uint64_t open = atomic_load(&slot->process->worker_ledger->own.open);
		ret->rows[ret->count++] =
		    (struct load){ .process = slot->process, .open = open };
		ret->open += open;
	}
}

static struct load *
find_fullest(struct loads *loads)
{
	struct load *fullest = NULL;
	for (uint32_t i = 0; i < loads->count; i++) {
		struct load *row = &loads->rows[i];
		if (!row->gives && (fullest == NULL || row->open > fullest->open))
			fullest = row;
	}
	return fullest;
}

static struct load *
find_emptiest(struct loads *loads)
{
	struct load *emptiest = NULL;
	for (uint32_t i = 0; i < loads->count; i++) {
		struct load *row = &loads->rows[i];
		if (emptiest == NULL || row->open < emptiest->open)
			emptiest = row;
	}
	return emptiest;
}

/* How much more than its share the fullest worker has: 1 is even. */
static double
imbalance(const struct master *master)
{
	struct loads loads;
	read_loads(master, &loads);
	const struct load *fullest = find_fullest(&loads);
	if (fullest == NULL || loads.open == 0)
		return 1;
	return (double)fullest->open * loads.count / (double)loads.open;
}

/* A change of generation or size moves connections by itself; an upgrade waits until no
 * hand-over is under way. */
static bool
may_transfer(const struct master *master)
{
	return master->workers.phase == MASTER_RUNNING && !master->reload.is_active &&
	    !master->scale.is_active && !dry_run_is_running(master) &&
	    master->upgrade_wanted == UPGRADE_NONE;
}

static bool
has_listener_to_balance(const struct master *master)
{
	for (size_t i = 0; i < master->config.current.listener_count; i++) {
		if (master->config.current.listeners[i].balance == BALANCE_MOVE)
			return true;
	}
	return false;
}

/* Starts hand-overs, each worker giving once at most. Returns whether there are any. */
static bool
start_pass(struct master *master)
{
	struct rebalance *rebalance = &master->rebalance;
	struct loads loads;
	read_loads(master, &loads);
	uint64_t min_difference = rebalance->is_requested || loads.count == 0
	    ? 0
	    : loads.open / loads.count / MIN_DIFFERENCE_DIVISOR;
	struct load *from, *to = find_emptiest(&loads);
	while ((from = find_fullest(&loads)) != NULL) {
		uint64_t many = from->open > to->open ? (from->open - to->open) / 2 : 0;
		if (many == 0 || from->open - to->open <= min_difference)
			break;
		if (many > BATCH)
			many = BATCH;
		if (transfers_start_partial(from->process, to->process,
			many |
			    (rebalance->is_requested ? 0 : CHANNEL_SEND_MOVABLE_ONLY)) <
		    0)
			break;
		rebalance->transfers_in_progress++;
		from->gives = true;
		from->open -= many;
		to->open += many;
		to = find_emptiest(&loads);
	}
	rebalance->moved_in_pass = 0;
	return rebalance->transfers_in_progress > 0;
}

static void
finish_rebalance(struct master *master)
{
	struct rebalance *rebalance = &master->rebalance;
	rebalance->is_requested = false;
	change_finish(&master->changes, CHANGE_REBALANCE, true,
	    "rebalance: %llu connections moved, fullest worker / mean %.2f -> %.2f after %.1f ms",
	    (unsigned long long)rebalance->moved, rebalance->before, imbalance(master),
	    (double)(clock_now_ns() - rebalance->started_ns) / (double)NS_PER_MS);
}

/* Goes on with what was asked for. */
static void
continue_rebalance(struct master *master)
{
	if (may_transfer(master) &&
	    (master->rebalance.passes++ >= PASSES_MAX || !start_pass(master)))
		finish_rebalance(master);
}

void
rebalance_cancel(struct master *master)
{
	if (master->rebalance.is_requested)
		finish_rebalance(master);
}

int
rebalance_start(struct master *master)
{
	struct rebalance *rebalance = &master->rebalance;
	if (rebalance->is_requested)
		return 0;
	if (!may_transfer(master)) {
		change_finish(&master->changes, CHANGE_REBALANCE, false,
		    "rebalance refused: the server is %s",
		    master->workers.phase == MASTER_STARTING       ? "starting"
			: master->workers.phase == MASTER_STOPPING ? "stopping"
								   : "changing");
		return -1;
	}
	rebalance->is_requested = true;
	rebalance->moved = 0;
	rebalance->passes = 0;
	rebalance->before = imbalance(master);
	rebalance->started_ns = clock_now_ns();
	if (rebalance->transfers_in_progress == 0)
		continue_rebalance(master);
	return 0;
}

void
rebalance_check(struct master *master)
{
	const struct rebalance *rebalance = &master->rebalance;
	if (rebalance->transfers_in_progress > 0)
		return;
	if (rebalance->is_requested)
		continue_rebalance(master);
	else if (may_transfer(master) && has_listener_to_balance(master) &&
	    clock_now_ns() >= rebalance->retry_at_ns)
		start_pass(master);
}

void
rebalance_on_transfer_end(struct master *master, uint64_t connections)
{
	struct rebalance *rebalance = &master->rebalance;
	rebalance->moved += connections;
	rebalance->moved_in_pass += connections;
	if (--rebalance->transfers_in_progress > 0)
		return;
	if (rebalance->moved_in_pass == 0)
		rebalance->retry_at_ns = clock_now_ns() + RETRY_DELAY_NS;
	else if (!rebalance->is_requested)
		log_debug("balance: %llu connections moved",
		    (unsigned long long)rebalance->moved_in_pass);
	if (!rebalance->is_requested)
		return;
	if (rebalance->moved_in_pass == 0)
		finish_rebalance(master);
	else
		continue_rebalance(master);
}
