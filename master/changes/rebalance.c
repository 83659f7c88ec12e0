#include "master/changes/rebalance.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/system/procfs.h"
#include "proto/channel.h"
#include "proto/ledger_usage.h"
#include "master/workers/transfers.h"
#include "worker/worker.h"

/* Connections of one transfer: few enough that the counts are read often. */
#define BATCH 256
/* Limit of passes of a requested rebalance, if new connections keep the workers
 * uneven. */
#define PASSES_MAX 1000
/* The smallest difference that is worth a transfer: the mean divided by this. */
#define MIN_DIFFERENCE_DIVISOR 32
/* Delay after a pass that could move no connection. */
#define RETRY_DELAY_NS (5 * NS_PER_S)

#define GIVEN_HALF_NS (60 * NS_PER_S)

struct load {
	struct process *process;
	uint64_t open;
	bool is_sender;
};

struct loads {
	struct load rows[LEDGER_SLOTS];
	uint32_t count;
	uint64_t open;
};

/* Open connections of a worker: what it reports, but not less than the kernel proves. A
 * compromised worker that reports too few would be given ever more. A connection is a
 * descriptor; where the kernel does not count these, the connections that the worker
 * was given count, and half of them as closed after a while. */
static uint64_t
read_load(struct process *process, uint64_t now_ns)
{
	const struct worker_table *table = process->table;
	uint64_t least,
	    open = ledger_usage_open_at(table->ledger, process->ledger_entry);
	uint64_t descriptors = procfs_descriptors(process->pid);
	uint64_t other = WORKER_RESERVED_FDS + table->config->current.listener_count;
	if (now_ns - process->given_ns >= GIVEN_HALF_NS) {
		process->given /= 2;
		process->given_ns = now_ns;
	}
	if (descriptors == 0)
		least = process->given;
	else
		least = descriptors > other ? descriptors - other : 0;
	return open > least ? open : least;
}

static void
read_loads(const struct worker_table *workers, struct loads *ret)
{
	uint64_t now_ns = clock_now_ns();
	*ret = (struct loads){ .count = 0 };
	for (uint32_t i = 0; i < workers->slot_count; i++) {
		const struct slot *slot = &workers->slots[i];
		if (slot->state != SLOT_SERVING)
			continue;
		uint64_t open = read_load(slot->process, now_ns);
		ret->rows[ret->count++] =
		    (struct load){ .process = slot->process, .open = open };
		ret->open += open;
	}
}

/* The worker with the most connections that sends none yet, and the one with the
 * fewest; NULL: none. */
static void
find_ends(struct loads *loads, struct load **ret_fullest, struct load **ret_emptiest)
{
	struct load *fullest = NULL, *emptiest = NULL;
	for (struct load *l = loads->rows; l < loads->rows + loads->count; l++) {
		if (!l->is_sender && (fullest == NULL || l->open > fullest->open))
			fullest = l;
		if (emptiest == NULL || l->open < emptiest->open)
			emptiest = l;
	}
	*ret_fullest = fullest;
	*ret_emptiest = emptiest;
}

/* Fullest / mean: 1 is even. */
static double
imbalance(const struct worker_table *workers)
{
	struct loads loads;
	read_loads(workers, &loads);
	struct load *fullest, *emptiest;
	find_ends(&loads, &fullest, &emptiest);
	if (fullest == NULL || loads.open == 0)
		return 1;
	return (double)fullest->open * loads.count / (double)loads.open;
}

static bool
has_listener_to_balance(const struct worker_table *workers)
{
	const struct config *config = &workers->config->current;
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].balance == BALANCE_MOVE)
			return true;
	}
	return false;
}

/* Starts transfers; each worker sends at most once. Returns whether there are any. */
static bool
start_pass(struct rebalance *rebalance)
{
	struct loads loads;
	read_loads(rebalance->workers, &loads);
	uint64_t min_difference = rebalance->is_requested || loads.count == 0
	    ? 0
	    : loads.open / loads.count / MIN_DIFFERENCE_DIVISOR;
	uint64_t flag = rebalance->is_requested ? 0 : CHANNEL_SEND_MOVABLE_ONLY;
	struct load *from, *to;
	for (find_ends(&loads, &from, &to); from != NULL;
	     find_ends(&loads, &from, &to)) {
		uint64_t count =
		    from->open > to->open ? (from->open - to->open) / 2 : 0;
		if (count == 0 || from->open - to->open <= min_difference)
			break;
		if (count > BATCH)
			count = BATCH;
		if (transfers_start_partial(from->process, to->process, count | flag) <
		    0)
			break;
		rebalance->transfers_in_progress++;
		from->is_sender = true;
		from->open -= count;
		to->open += count;
	}
	rebalance->moved_in_pass = 0;
	return rebalance->transfers_in_progress > 0;
}

static void
finish_rebalance(struct rebalance *rebalance)
{
	rebalance->is_requested = false;
	change_finish(rebalance->changes, &rebalance->change, true,
	    "rebalance: %llu connections transferred, fullest worker / mean %.2f -> %.2f after %.1f ms",
	    (unsigned long long)rebalance->moved, rebalance->before,
	    imbalance(rebalance->workers), clock_elapsed_ms(rebalance->started_ns));
}

static void
continue_rebalance(struct rebalance *rebalance)
{
	if (rebalance->may_transfer(rebalance->argument) &&
	    (rebalance->passes++ >= PASSES_MAX || !start_pass(rebalance)))
		finish_rebalance(rebalance);
}

void
rebalance_cancel(struct rebalance *rebalance)
{
	if (rebalance->is_requested)
		finish_rebalance(rebalance);
}

int
rebalance_start(struct rebalance *rebalance)
{
	const struct change request =
	    change_request(rebalance->changes, CHANGE_REBALANCE);
	if (rebalance->is_requested) {
		change_join(&rebalance->change, &request);
		return 0;
	}
	if (!rebalance->may_transfer(rebalance->argument)) {
		change_finish(rebalance->changes, &request, false,
		    "rebalance refused: the server is %s",
		    rebalance->workers->phase == MASTER_STARTING       ? "starting"
			: rebalance->workers->phase == MASTER_STOPPING ? "stopping"
								       : "changing");
		return -1;
	}
	rebalance->is_requested = true;
	rebalance->change = request;
	rebalance->moved = 0;
	rebalance->passes = 0;
	rebalance->before = imbalance(rebalance->workers);
	rebalance->started_ns = clock_now_ns();
	if (rebalance->transfers_in_progress == 0)
		continue_rebalance(rebalance);
	return 0;
}

void
rebalance_check(struct rebalance *rebalance)
{
	if (rebalance->transfers_in_progress > 0)
		return;
	if (rebalance->is_requested)
		continue_rebalance(rebalance);
	else if (rebalance->may_transfer(rebalance->argument) &&
	    has_listener_to_balance(rebalance->workers) &&
	    clock_now_ns() >= rebalance->retry_at_ns)
		start_pass(rebalance);
}

void
rebalance_on_transfer_end(struct rebalance *rebalance, uint64_t connections)
{
	rebalance->moved += connections;
	rebalance->moved_in_pass += connections;
	if (--rebalance->transfers_in_progress > 0)
		return;
	if (rebalance->moved_in_pass == 0)
		rebalance->retry_at_ns = clock_now_ns() + RETRY_DELAY_NS;
	else if (!rebalance->is_requested)
		log_debug("[balance_pass connections] "
			  "balance: %llu connections transferred",
		    (unsigned long long)rebalance->moved_in_pass);
	if (!rebalance->is_requested)
		return;
	if (rebalance->moved_in_pass == 0)
		finish_rebalance(rebalance);
	else
		continue_rebalance(rebalance);
}
