/*
 * snapshot.h - a consistent copy of the server's counters, which stats.h and metrics.h
 * print: connections_accepted is always connections_open plus the sum of
 * connections_closed, even if workers exit meanwhile.
 *
 * A row begins with its name, or "" without a name; metrics.c reads the rows as arrays
 * of uint64_t.
 */
#ifndef MASTER_ADMIN_SNAPSHOT_H
#define MASTER_ADMIN_SNAPSHOT_H

#include "net/socket_info.h"
#include "master/master.h"
#include "master/workers/slot.h"

#define SNAPSHOT_STATES (SLOT_BACKING_OFF + 1)
#define SNAPSHOT_NONE UINT64_MAX /* an accept queue that does not exist */

struct snapshot_worker {
	char name[4]; /* the slot's number, if it is in use or has ever counted */
	uint64_t is_in_state[SNAPSHOT_STATES]; /* by enum slot_state: 1 for its state */
	uint64_t restarts, failures;
	uint64_t open; /* connections */
	uint64_t
	    handshakes; /* of these: wait for their PROXY header or TLS handshake */
	struct ledger_totals totals;
};

struct snapshot_listener { /* of the ledger, also while workers drain a removed one */
	char name[LEDGER_NAME_MAX];
	uint64_t open;
	struct ledger_totals totals;
};

/* The listeners of one entry of the configuration: more than one where the service
 * manager passed more sockets than there are workers. */
struct snapshot_queues {
	char name[ADDRESS_TEXT_MAX];                               /* the address */
	char options[SOCKET_OPTION_COUNT][SOCKET_OPTION_TEXT_MAX]; /* as granted */
	uint64_t backlog;                                          /* configured */
	uint64_t drops;     /* by the kernel, on all its sockets */
	uint64_t overflows; /* of those: the queue was full */
	uint64_t depth[LEDGER_SLOTS], limit[LEDGER_SLOTS]; /* of the accept queues */
};

struct snapshot {
	struct ledger_totals totals; /* of the server */
	struct snapshot_worker workers[LEDGER_SLOTS];
	struct snapshot_listener listeners[LEDGER_LISTENERS];
	struct network_counters network;
	size_t queue_count;
	struct snapshot_queues queues[]; /* in the order of the configuration */
};

struct snapshot_network_row {
	const char *name; /* JSON key, and the metric kernel_NAME_total */
	const char *help;
	size_t offset; /* in struct network_counters */
};
extern const struct snapshot_network_row snapshot_network_rows[]; /* NULL at the end */

/* Heap, owned by the caller; NULL when out of memory. */
struct snapshot *snapshot_read(const struct master *master);
uint64_t snapshot_network(
    const struct snapshot *snapshot, const struct snapshot_network_row *row);

#endif
