/*
 * worker_table.h - the worker processes, the slots that they serve, and the transfers
 * between them.
 *
 *   struct slot      a place for one worker: its sockets stay open when the worker
 * exits struct process   one worker process, from fork until its ledger block is
 * released struct transfer  open connections that move from one process to another
 *
 * The table owns the ledger. The configuration and the listeners belong to the master.
 */
#ifndef MASTER_WORKERS_WORKER_TABLE_H
#define MASTER_WORKERS_WORKER_TABLE_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "proto/ledger.h"

#include "conf/config.h"

#include "master/listeners/listener.h"

struct drain_summary;
struct master;

struct process {
	struct process *next; /* in worker_table.processes */
	struct master *master;
	pid_t pid;
	uint32_t slot;
	uint32_t generation;
	uint32_t config_number;      /* of the configuration that it serves */
	uint64_t draining_listeners; /* bits of its listeners that are removed and being
					emptied */
	bool drains_all_queues; /* and the queues of the others, too: its slot goes */
	bool is_ready;          /* it has said READY */
	bool is_draining;       /* its end was asked for */
	bool transfers;         /* its connections are handed over when it leaves */
	bool listeners_closed;  /* leaving, and its listeners are closed */
	bool sockets_closed; /* retired, and so are the sockets of a slot that goes */
	bool is_status_unknown; /* inherited, and somebody else has waited for it */
	bool has_exited; /* waited for; its books close when its moves are settled */
	bool wants_receiver; /* the one that took from it died */
	bool was_killed;     /* gone, and not by itself */
	int channel_fd;
	struct event channel_event;
	struct worker_ledger *worker_ledger;
	uint64_t moved_in, moved_out; /* in settled moves */
	struct drain_summary
	    *drain_summary; /* the change that sends it away; NULL: none */
	uint64_t closed_before, moved_out_before; /* that: connections */
	uint64_t started_ns;      /* CLOCK_MONOTONIC, as all times here */
	uint64_t heartbeat_count; /* last seen */
	uint64_t heartbeat_ns;    /* when they last changed */
	uint64_t abort_ns; /* when it was told to abort for being hung; 0: it was not */
};

enum slot_state {
	SLOT_EMPTY,
	SLOT_STARTING,
	SLOT_SERVING,
	SLOT_DRAINING,
	SLOT_BACKING_OFF,
};

struct slot {
	struct master *master;
	enum slot_state state;
	struct process *process;   /* the one that serves, or is meant to */
	struct process *successor; /* of the next generation, until it takes the slot */
	uint32_t failures;         /* deaths in a row */
	uint64_t restarts;
	struct event retry_timer;
	struct drain_summary
	    *drain_summary; /* that its next caretaker belongs to; or NULL */
};

/* A hand-over, until both ends have said how it ended, or are gone. */
struct transfer {
	struct transfer *next;
	uint32_t id;
	struct process *sender, *receiver;
	uint64_t what; /* the value of CHANNEL_SEND_CONNECTIONS */
	bool has_sent, has_received;
	uint64_t sent, received; /* connections */
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING };

/* What the table reports to the supervisor; given once, with its argument. */
struct worker_events {
	/* A summary is complete, and about to be freed. */
	void (*on_drained)(const struct drain_summary *summary, void *argument);
	/* A listening socket is about to be closed. */
	void (*before_close)(void *argument);
};

struct worker_table {
	const struct worker_events *events;
	void *argument;
	enum master_phase phase;
	struct ledger *ledger;
	int ledger_fd;
	uint32_t generation;
	uint32_t slot_count;
	struct slot slots[LEDGER_SLOTS];
	struct process *processes; /* the most recent first */
	struct transfer *transfers;
	uint32_t last_transfer_id;
	struct drain_summary *drain_summaries; /* the open one first */
};

#endif
