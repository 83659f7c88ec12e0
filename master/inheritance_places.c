#include <sys/wait.h>

#include <limits.h>
#include <stdlib.h>

#include "master/inheritance_rows.h"
#include "master/process.h"
#include "master/slot.h"

/* What a line says of one; NULL when it cannot be. */
static struct endpoint *
make_endpoint(char *line, int64_t listeners)
{
	const struct inheritance_number wanted[] = { { -1, listeners - 1 },
		INHERITANCE_FLAG, { 0, LEDGER_SLOTS }, INHERITANCE_FLAG,
		{ 0, UINT16_MAX } };
	enum { LISTENER, IS_PASSED, PASSED, ORDER_UNKNOWN, PORT, NUMBERS };
	int64_t n[NUMBERS];
	struct address address;
	char error[CONFIG_ERROR_MAX];
	const char *name = inheritance_take(line, wanted, NUMBERS, n);
	if (name == NULL || (n[IS_PASSED] != 0) != (n[PASSED] != 0) ||
	    address_parse(name, &address, error, sizeof(error)) < 0)
		return NULL;
	struct endpoint *endpoint = endpoint_create(name, &address);
	if (endpoint == NULL)
		return NULL;
	address_set_port(&endpoint->address, (uint16_t)n[PORT]);
	endpoint->listener = (int)n[LISTENER];
	endpoint->is_passed = n[IS_PASSED] != 0;
	endpoint->passed = (uint32_t)n[PASSED];
	endpoint->is_order_unknown = n[ORDER_UNKNOWN] != 0;
	/* Steered or not, the next look decides it anew. */
	endpoint->is_steered = true;
	return endpoint;
}

int
inheritance_read_endpoint(struct inheritance_reader *reader, char *line)
{
	struct master *master = reader->master;
	struct endpoint *endpoint =
	    make_endpoint(line, (int64_t)master->config.listener_count);
	if (endpoint == NULL)
		return -1;
	struct endpoint **end =
	    reader->endpoint != NULL ? &reader->endpoint->next : &master->endpoints;
	*end = reader->endpoint = endpoint;
	return 0;
}

int
inheritance_read_drops(struct inheritance_reader *reader, char *line)
{
	int64_t drops;
	if (reader->endpoint == NULL ||
	    inheritance_take_one(line, 0, INT64_MAX, &drops) < 0)
		return -1;
	reader->endpoint->drops_closed = (uint64_t)drops;
	return 0;
}

int
inheritance_read_socket(struct inheritance_reader *reader, char *line)
{
	static const struct inheritance_number wanted[] = { INHERITANCE_SLOT,
		INHERITANCE_FD, INHERITANCE_FLAG };
	struct endpoint *endpoint = reader->endpoint;
	int64_t n[3];
	if (endpoint == NULL || inheritance_take_all(line, wanted, 3, n) < 0 ||
	    endpoint->fds[n[0]] >= 0 ||
	    inheritance_claim(&reader->claims, INHERITANCE_LISTENER, (int)n[1]) < 0)
		return -1;
	endpoint_put(endpoint, (uint32_t)n[0], (int)n[1]);
	endpoint->is_stored[n[0]] = n[2] != 0;
	return 0;
}

int
inheritance_read_slot(struct inheritance_reader *reader, char *line)
{
	static const struct inheritance_number wanted[] = { INHERITANCE_SLOT,
		INHERITANCE_ID, INHERITANCE_COUNT };
	int64_t n[3];
	if (inheritance_take_all(line, wanted, 3, n) < 0)
		return -1;
	struct slot *slot = &reader->master->slots[n[0]];
	slot->failures = (uint32_t)n[1];
	slot->restarts = (uint64_t)n[2];
	return 0;
}

/* Though it may have ended. What else ran as this process since the inheritance was
 * written, a shell say, may have waited for it. */
static bool
is_child(pid_t pid)
{
	siginfo_t info;
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Nobody else is that process, or writes into those books. */
static bool
is_one_of_its_own(const struct inheritance_reader *reader, pid_t pid, uint32_t slot,
    const struct worker_ledger *worker_ledger)
{
	for (const struct process *p = reader->master->processes; p != NULL;
	     p = p->next) {
		if (p->pid == pid || p->worker_ledger == worker_ledger)
			return false;
	}
	/* Whose child it is may have waited for it meanwhile, and closed its books. */
	if (reader->ret->is_rehearsal)
		return true;
	return atomic_load(&worker_ledger->own.owner) == slot + 1;
}

/* Of several that leave a slot which is to go the most recent one, which comes first,
 * stands for it. */
static int
place(struct process *process)
{
	const struct master *master = process->master;
	bool is_free = master->slots[process->slot].process == NULL;
	if (process->is_leaving && (process->slot < master->slot_count || !is_free))
		return 0;
	if (!is_free || (!process->is_leaving && process->slot >= master->slot_count))
		return -1;
	slot_inherit(process);
	return 0;
}

int
inheritance_read_process(struct inheritance_reader *reader, char *line)
{
	static const struct inheritance_number wanted[] = { { 2, INT_MAX },
		INHERITANCE_SLOT, INHERITANCE_ID, INHERITANCE_FD,
		{ 0, LEDGER_WORKERS_MAX - 1 }, INHERITANCE_FLAG, INHERITANCE_FLAG,
		INHERITANCE_FLAG, INHERITANCE_COUNT, INHERITANCE_COUNT };
	enum {
		PID,
		NUMBER,
		GENERATION,
		CHANNEL,
		BOOKS,
		READY,
		LEAVING,
		RETIRED,
		IN,
		OUT,
		NUMBERS
	};
	int64_t n[NUMBERS];
	struct master *master = reader->master;
	if (inheritance_take_all(line, wanted, NUMBERS, n) < 0)
		return -1;
	struct worker_ledger *worker_ledger = &master->ledger->live[n[BOOKS]];
	if (!is_one_of_its_own(
		reader, (pid_t)n[PID], (uint32_t)n[NUMBER], worker_ledger) ||
	    inheritance_claim(&reader->claims, INHERITANCE_CHANNEL, (int)n[CHANNEL]) <
		0)
		return -1;
	struct process *process = process_inherit(
	    master, (pid_t)n[PID], (uint32_t)n[NUMBER], (int)n[CHANNEL], worker_ledger);
	if (process == NULL)
		return -1;
	process->generation = (uint32_t)n[GENERATION];
	process->is_lost = !reader->ret->is_rehearsal && !is_child(process->pid);
	process->is_ready = n[READY] != 0;
	process->is_leaving = n[LEAVING] != 0;
	process->is_retired = process->is_shut = n[RETIRED] != 0;
	process->moved_in = (uint64_t)n[IN];
	process->moved_out = (uint64_t)n[OUT];
	process->wants_taker = process->is_leaving;
	return place(process);
}
