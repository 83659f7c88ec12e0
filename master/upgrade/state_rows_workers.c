#include <sys/wait.h>

#include <limits.h>
#include <stdlib.h>

#include "master/upgrade/state_rows.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"

/* What a line says of one; NULL when it cannot be. */
static struct listener *
parse_listener(char *line, int64_t listeners)
{
	const struct state_field_range wanted[] = { { -1, listeners - 1 }, STATE_FLAG,
		{ 0, LEDGER_SLOTS }, STATE_FLAG, { 0, UINT16_MAX } };
	enum { LISTENER, IS_PASSED, PASSED, ORDER_UNKNOWN, PORT, NUMBERS };
	int64_t n[NUMBERS];
	struct address address;
	char error[CONFIG_ERROR_MAX];
	const char *name = state_fields_parse(line, wanted, NUMBERS, n);
	if (name == NULL || (n[IS_PASSED] != 0) != (n[PASSED] != 0) ||
	    address_parse(name, &address, error, sizeof(error)) < 0)
		return NULL;
	struct listener *listener = listener_create(name, &address);
	if (listener == NULL)
		return NULL;
	address_set_port(&listener->address, (uint16_t)n[PORT]);
	listener->config_index = (int)n[LISTENER];
	listener->is_from_manager = n[IS_PASSED] != 0;
	listener->passed_sockets = (uint32_t)n[PASSED];
	listener->is_order_unknown = n[ORDER_UNKNOWN] != 0;
	/* Steered or not, the next look decides it anew. */
	listener->has_program = true;
	return listener;
}

int
state_rows_read_listener(struct state_reader *reader, char *line)
{
	struct master *master = reader->master;
	struct listener *listener =
	    parse_listener(line, (int64_t)master->config.current.listener_count);
	if (listener == NULL)
		return -1;
	struct listener **end = reader->listener != NULL ? &reader->listener->next
							 : &master->listeners.first;
	*end = reader->listener = listener;
	return 0;
}

int
state_rows_read_drops(struct state_reader *reader, char *line)
{
	int64_t drops;
	if (reader->listener == NULL ||
	    state_fields_parse_one(line, 0, INT64_MAX, &drops) < 0)
		return -1;
	reader->listener->closed_socket_drops = (uint64_t)drops;
	return 0;
}

int
state_rows_read_socket(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { STATE_SLOT, STATE_FD,
		STATE_FLAG };
	struct listener *listener = reader->listener;
	int64_t n[3];
	if (listener == NULL || state_fields_parse_all(line, wanted, 3, n) < 0 ||
	    listener->fds[n[0]] >= 0 ||
	    state_fields_claim(&reader->claims, STATE_FD_LISTENER, (int)n[1]) < 0)
		return -1;
	listener_set_socket(listener, (uint32_t)n[0], (int)n[1]);
	listener->is_stored[n[0]] = n[2] != 0;
	return 0;
}

int
state_rows_read_slot(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { STATE_SLOT, STATE_ID,
		STATE_COUNT };
	int64_t n[3];
	if (state_fields_parse_all(line, wanted, 3, n) < 0)
		return -1;
	struct slot *slot = &reader->master->workers.slots[n[0]];
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
is_one_of_its_own(const struct state_reader *reader, pid_t pid, uint32_t slot,
    const struct worker_ledger *worker_ledger)
{
	for (const struct process *p = reader->master->workers.processes; p != NULL;
	     p = p->next) {
		if (p->pid == pid || p->worker_ledger == worker_ledger)
			return false;
	}
	/* Whose child it is may have waited for it meanwhile, and closed its books. */
	if (reader->ret->is_dry_run)
		return true;
	return atomic_load(&worker_ledger->own.owner) == slot + 1;
}

/* Of several that leave a slot which is to go the most recent one, which comes first,
 * stands for it. */
static int
place(struct process *process)
{
	const struct master *master = process->master;
	bool is_free = master->workers.slots[process->slot].process == NULL;
	if (process->is_draining &&
	    (process->slot < master->workers.slot_count || !is_free))
		return 0;
	if (!is_free ||
	    (!process->is_draining && process->slot >= master->workers.slot_count))
		return -1;
	slot_adopt(process);
	return 0;
}

int
state_rows_read_process(struct state_reader *reader, char *line)
{
	static const struct state_field_range wanted[] = { { 2, INT_MAX }, STATE_SLOT,
		STATE_ID, STATE_FD, { 0, LEDGER_WORKERS_MAX - 1 }, STATE_FLAG,
		STATE_FLAG, STATE_FLAG, STATE_COUNT, STATE_COUNT };
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
	if (state_fields_parse_all(line, wanted, NUMBERS, n) < 0)
		return -1;
	struct worker_ledger *worker_ledger = &master->workers.ledger->live[n[BOOKS]];
	if (!is_one_of_its_own(
		reader, (pid_t)n[PID], (uint32_t)n[NUMBER], worker_ledger) ||
	    state_fields_claim(&reader->claims, STATE_FD_CHANNEL, (int)n[CHANNEL]) < 0)
		return -1;
	struct process *process = process_from_pid(
	    master, (pid_t)n[PID], (uint32_t)n[NUMBER], (int)n[CHANNEL], worker_ledger);
	if (process == NULL)
		return -1;
	process->generation = (uint32_t)n[GENERATION];
	process->is_status_unknown =
	    !reader->ret->is_dry_run && !is_child(process->pid);
	process->is_ready = n[READY] != 0;
	process->is_draining = n[LEAVING] != 0;
	process->listeners_closed = process->sockets_closed = n[RETIRED] != 0;
	process->moved_in = (uint64_t)n[IN];
	process->moved_out = (uint64_t)n[OUT];
	process->wants_receiver = process->is_draining;
	return place(process);
}
