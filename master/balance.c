#include "master/balance.h"

#include "lib/log.h"

#include "proto/channel.h"

#include "master/move.h"
#include "master/rehearsal.h"
#include "master/turnover.h"

/* Connections of one hand-over: few enough that the counts are looked at often. */
#define BATCH 256
/* Hand-overs one after the other until what was asked for is given up as it is: more
 * come than can be evened out. */
#define PASSES_MAX 1000
/* The least difference that is worth a move: one in so many of the mean. */
#define SHARE_LEFT_ALONE 32
/* When nothing could be moved there is no hurry to try again. */
#define REST_NS (5 * NS_PER_S)

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
gather(const struct master *master, struct loads *ret)
{
	ret->count = 0;
	ret->open = 0;
	for (uint32_t i = 0; i < master->slot_count; i++) {
		const struct slot *slot = &master->slots[i];
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
unevenness(const struct master *master)
{
	struct loads loads;
	gather(master, &loads);
	const struct load *fullest = find_fullest(&loads);
	if (fullest == NULL || loads.open == 0)
		return 1;
	return (double)fullest->open * loads.count / (double)loads.open;
}

/* A change of generation or size moves connections by itself; an upgrade waits until no
 * hand-over is under way. */
static bool
may_move(const struct master *master)
{
	return master->phase == MASTER_RUNNING && !master->turnover.is_active &&
	    !master->is_scaling && !rehearsal_is_under_way(master) &&
	    master->upgrade_wanted == UPGRADE_NONE;
}

static bool
has_listener_to_balance(const struct master *master)
{
	for (size_t i = 0; i < master->config.listener_count; i++) {
		if (master->config.listeners[i].balance == BALANCE_MOVE)
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
	gather(master, &loads);
	uint64_t left_alone = rebalance->is_asked_for || loads.count == 0
	    ? 0
	    : loads.open / loads.count / SHARE_LEFT_ALONE;
	struct load *from, *to = find_emptiest(&loads);
	while ((from = find_fullest(&loads)) != NULL) {
		uint64_t many = from->open > to->open ? (from->open - to->open) / 2 : 0;
		if (many == 0 || from->open - to->open <= left_alone)
			break;
		if (many > BATCH)
			many = BATCH;
		if (move_some(from->process, to->process,
			many |
			    (rebalance->is_asked_for ? 0 : CHANNEL_SEND_MOVABLE_ONLY)) <
		    0)
			break;
		rebalance->under_way++;
		from->gives = true;
		from->open -= many;
		to->open += many;
		to = find_emptiest(&loads);
	}
	rebalance->moved_now = 0;
	return rebalance->under_way > 0;
}

static void
conclude(struct master *master)
{
	struct rebalance *rebalance = &master->rebalance;
	rebalance->is_asked_for = false;
	turnover_conclude(master, true,
	    "rebalance: %llu connections moved, fullest worker / mean %.2f -> %.2f after %.1f ms",
	    (unsigned long long)rebalance->moved, rebalance->before, unevenness(master),
	    (double)(master_now_ns() - rebalance->started_ns) / (double)NS_PER_MS);
}

/* Goes on with what was asked for. */
static void
proceed(struct master *master)
{
	if (may_move(master) &&
	    (master->rebalance.passes++ >= PASSES_MAX || !start_pass(master)))
		conclude(master);
}

void
balance_break_off(struct master *master)
{
	if (master->rebalance.is_asked_for)
		conclude(master);
}

int
balance_now(struct master *master)
{
	struct rebalance *rebalance = &master->rebalance;
	if (rebalance->is_asked_for)
		return 0;
	if (!may_move(master)) {
		turnover_conclude(master, false, "rebalance refused: the server is %s",
		    master->phase == MASTER_STARTING       ? "starting"
			: master->phase == MASTER_STOPPING ? "stopping"
							   : "changing");
		return -1;
	}
	rebalance->is_asked_for = true;
	rebalance->moved = 0;
	rebalance->passes = 0;
	rebalance->before = unevenness(master);
	rebalance->started_ns = master_now_ns();
	if (rebalance->under_way == 0)
		proceed(master);
	return 0;
}

void
balance_turn(struct master *master)
{
	const struct rebalance *rebalance = &master->rebalance;
	if (rebalance->under_way > 0)
		return;
	if (rebalance->is_asked_for)
		proceed(master);
	else if (may_move(master) && has_listener_to_balance(master) &&
	    master_now_ns() >= rebalance->rests_until_ns)
		start_pass(master);
}

void
balance_on_moved(struct master *master, uint64_t connections)
{
	struct rebalance *rebalance = &master->rebalance;
	rebalance->moved += connections;
	rebalance->moved_now += connections;
	if (--rebalance->under_way > 0)
		return;
	if (rebalance->moved_now == 0)
		rebalance->rests_until_ns = master_now_ns() + REST_NS;
	else if (!rebalance->is_asked_for)
		log_debug("balance: %llu connections moved",
		    (unsigned long long)rebalance->moved_now);
	if (!rebalance->is_asked_for)
		return;
	if (rebalance->moved_now == 0)
		conclude(master);
	else
		proceed(master);
}
