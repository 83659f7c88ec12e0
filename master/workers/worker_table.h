/*
 * worker_table.h - the worker processes, the slots that they serve, and the transfers
 * between them.
 *
 *   struct slot      a place for one worker: its sockets outlive the worker
 *   struct process   one worker process, from fork until its ledger block is released
 *   struct transfer  open connections that move from one process to another
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

#include "net/tls/tls_tickets.h"
#include "proto/control_queue.h"
#include "proto/faults/fault_record.h"
#include "proto/ledger.h"
#include "conf/config.h"
#include "master/listeners/listener_set.h"

struct drain_summary;

/*
 * A process only moves down this table:
 *
 *   state             DRAIN sent     LISTENERS_CLOSED  sockets closed  exit
 *   ACTIVE            DRAINING       -                 -               EXITED
 *   DRAINING          -              LISTENERS_CLOSED  -               EXITED
 *   LISTENERS_CLOSED  -              -                 SOCKETS_CLOSED  EXITED
 *   SOCKETS_CLOSED    -              -                 -               EXITED
 */
enum process_state {
	PROCESS_ACTIVE,           /* starts or serves */
	PROCESS_DRAINING,         /* may still accept from its sockets */
	PROCESS_LISTENERS_CLOSED, /* its accept queues are empty */
	PROCESS_SOCKETS_CLOSED,   /* so the master has closed the sockets of its slot */
	PROCESS_EXITED,           /* freed when its transfers are settled */
};

/*
 * When a worker that has a keeper (keeper/keeper.h) dies, the keeper takes its place in
 * the struct, with the same channel and ledger entry, and drains: it is the sender of
 * transfers until it has no connection left.
 */
struct process {
	struct process *next; /* in worker_table.processes */
	struct worker_table *table;
	pid_t pid;
	uint32_t slot;
	uint32_t generation;
	uint32_t config_number;      /* of the configuration that it serves */
	uint64_t draining_listeners; /* bits of removed listeners that it empties */
	enum process_state state, exit_state; /* exit_state: before PROCESS_EXITED */
	bool is_ready;           /* has sent READY, perhaps while it drained */
	bool drains_all_queues;  /* its slot is removed */
	bool is_status_unknown;  /* inherited; another process has waited for it */
	bool wants_receiver;     /* its connections have no receiver at the moment */
	uint32_t full_receivers; /* that it has tried in turn */
	bool
	    needs_own_listeners; /* only a worker with the same listeners can receive */
	bool was_killed;         /* exited by a signal */
	pid_t keeper_pid;        /* of a worker; 0: it has none */
	bool has_lost_keeper;    /* which has died */
	bool is_recovering;      /* the worker has died: `pid` is its keeper's */
	uint32_t short_lives; /* of workers before it that received the connections of
				 one another (worker_drain.c) */
	struct {              /* while is_recovering */
		pid_t worker_pid, receiver_pid;
		int status; /* of the worker (wait(2)) */
		uint64_t died_ns;
	} crash;
	int channel_fd;
	struct event channel_event;
	struct control_queue queue; /* messages that the channel did not take yet */
	uint32_t ledger_entry;
	uint64_t moved_in, moved_out; /* connections of settled transfers */
	struct drain_summary
	    *drain_summary; /* of the change that removes it, or NULL */
	uint64_t closed_before, moved_out_before; /* connections, when it joined that */
	uint64_t started_ns;                      /* CLOCK_MONOTONIC, as all times */
	uint64_t heartbeat_count;                 /* last seen */
	uint64_t heartbeat_ns;                    /* when it last changed */
	uint64_t listeners[LEDGER_LISTENERS / 64]; /* bits: numbers in the ledger that
						      it may count for */
	struct worker_socket
	    *sockets; /* NULL: not known, or its configuration is not */
	size_t socket_count;
	unsigned false_claims; /* in a row (watchdog.c) */
	/* Connections received by rebalancing that it may still have (rebalance.c). */
	uint64_t given;
	uint64_t given_ns; /* when that was last corrected */
	uint64_t abort_ns; /* when it was sent SIGABRT for being hung; 0: it was not */
};

/* Has been told to exit. */
struct ending_keeper {
	struct ending_keeper *next;
	pid_t pid;
};

enum slot_state {
	SLOT_EMPTY,
	SLOT_STARTING,
	SLOT_SERVING,
	SLOT_DRAINING,
	SLOT_BACKING_OFF,
};

struct slot {
	struct worker_table *table; /* NULL: never used */
	enum slot_state state;
	struct process *process;   /* the one that serves, or is starting */
	struct process *successor; /* until the reload commits; or instead of `process`,
				      which has lost its keeper */
	uint32_t failures;         /* in a row */
	uint64_t restarts;
	struct event retry_timer;
	struct drain_summary *drain_summary; /* of its next drain worker, or NULL */
};

/* Ends when each side has reported how many connections moved, or has exited. */
struct transfer {
	struct transfer *next;
	uint32_t id;
	struct process *sender, *receiver;
	uint64_t selection; /* value of CHANNEL_SEND_CONNECTIONS; 0: all connections */
	bool has_sent, has_received, is_full, is_unserved;
	bool has_sender_died, has_receiver_died; /* its keeper ends its part */
	uint64_t sent, received;                 /* connections */
};

/* An earlier configuration that draining processes have. */
struct former_config {
	struct former_config *next;
	uint32_t number;
	struct config config;
};

struct config_set {
	struct config_sources sources;
	struct config current;
	uint32_t number;                /* of the current one */
	struct config previous;         /* for workers that empty removed listeners */
	struct former_config *former;   /* those before, the most recent first */
	struct tls_tickets tickets;     /* of all configurations, across reloads */
	int64_t certificates_checked_s; /* certificates.h */
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING };

/* One side of a transfer has reported its end. */
struct transfer_end {
	bool is_sender;
	uint32_t id;
	bool is_full; /* the sender has more connections than the receiver has room */
	bool is_unserved; /* a keeper has connections that the receiver cannot serve */
	uint64_t connections;
};

/* Implemented by the supervisor, and by tests. */
struct process_events {
	void (*on_ready)(struct process *process, void *argument);
	void (*on_listeners_closed)(struct process *process, void *argument);
	/* The worker has reported the process id of its keeper. */
	void (*on_keeper)(struct process *process, uint64_t pid, void *argument);
	void (*on_transfer_end)(
	    struct process *process, const struct transfer_end *end, void *argument);
	/* The worker has died, and its keeper is about to take its place: the process
	 * still has the pid of the worker. */
	void (*on_death)(struct process *process, int status, void *argument);
	/* The process is marked as exited, its last messages have been reported. */
	void (*on_exit)(struct process *process, int status, void *argument);
	/* A child that is no worker has exited: perhaps a keeper. */
	void (*on_other_child)(pid_t pid, int status, void *argument);
	/* A slot backs off, because fork(2) has failed. */
	void (*on_fork_failed)(void *argument);
	/* A listening socket is about to be closed. */
	void (*before_close)(void *argument);
	/* The workers of a summary have exited; it is about to be freed. */
	void (*on_drained)(const struct drain_summary *summary, void *argument);
};

struct worker_table {
	const struct process_events *events;
	void *argument; /* of the events */
	struct event_base *base;
	struct config_set *config;
	struct listener_set *listeners;
	enum master_phase phase;
	struct ledger *ledger;
	struct fault_records *fault_records;     /* NULL: there is no record */
	struct witness_records *witness_records; /* NULL: none is needed yet */
	int log_relay_fd; /* for the lines of workers to syslog */
	uint32_t generation;
	uint32_t slot_count;
	struct slot slots[LEDGER_SLOTS];
	struct process *processes;            /* the most recent first */
	struct ending_keeper *ending_keepers; /* their workers have exited */
	struct transfer *transfers;
	uint32_t last_transfer_id;
	struct drain_summary *drain_summaries; /* the open one first */
	uint64_t last_watch_ns; /* when watchdog_check last ran, or the start */
};

#endif
