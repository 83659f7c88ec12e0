/*
 * master.h - process 0 of yodeld: what it holds.
 *
 *   struct master    one; master.c fills it, everything else works on it
 *   struct slot      a place for one worker: its sockets stay when the worker goes
 *   struct process   one worker process, from fork to the close of its books
 *   struct move      one hand-over of connections between two processes
 *   struct turnover  a change of generation under way
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "proto/ledger.h"

#include "conf/config.h"

#include "master/listeners/listener.h"

struct admin;
struct drain_summary;
struct master;
struct pending_request;

struct process {
	struct process *next; /* in master->processes */
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
extern const char *const slot_state_names[]; /* by enum slot_state */

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

/* A reload or an upgrade, from the first fork of the new generation until every slot
 * has one of its workers. */
struct reload {
	bool is_active;
	bool is_upgrade;
	bool is_repeat_requested; /* another reload was asked for meanwhile */
	struct config config;
	uint32_t generation;
	uint32_t slot_count;
	uint32_t failures;
	uint64_t started_ns;
};

/* The evening out of open connections (rebalance.c). */
struct rebalance {
	bool is_requested; /* of all listeners, until it is done; an outcome follows */
	uint32_t passes;   /* since then: each worker gives once at most in one */
	uint32_t transfers_in_progress; /* hand-overs */
	uint64_t moved;                 /* connections, since it was asked for */
	uint64_t moved_in_pass;         /* in the hand-overs under way */
	double before;                  /* fullest / mean when it was asked for */
	uint64_t started_ns;
	uint64_t retry_at_ns; /* nothing could be moved */
};

/* What the last change of generation or size came to, for those who ask. */
struct outcome {
	uint64_t number; /* counts outcomes */
	bool is_good;
	char text[CONFIG_ERROR_MAX]; /* begins with the name of the change */
};

/* A file, as far as one can tell without reading it. */
struct program_file {
	dev_t device;
	ino_t inode; /* 0: there is none */
	off_t size;
	struct timespec modified;
};

/* The program on disk as a child, before it takes over (dry_run.c). */
struct dry_run {
	pid_t pid;               /* 0: none is under way */
	int output_fd, error_fd; /* its standard output and error */
	uint64_t dry_run_started_ns;
	bool is_late; /* and has been killed for that */
	struct program_file file;
};

enum upgrade_wanted {
	UPGRADE_NONE,
	UPGRADE_DRY_RUN, /* the rehearsal is to begin */
	UPGRADE_EXEC,    /* and was good: the exec is next */
	UPGRADE_ROLLBACK,
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING };

#define MASTER_SIGNALS 10

struct master {
	enum master_phase phase;
	int exit_status;
	char **argv;             /* as it was started, for the upgrade */
	int previous_program_fd; /* the image that left us its inheritance; -1: none */
	enum upgrade_wanted upgrade_wanted;
	char rollback_reason[CONFIG_ERROR_MAX]; /* of UPGRADE_ROLLBACK */
	struct dry_run dry_run;
	struct event exec_timer; /* on the way to an exec: signals wait for the heir */
	bool is_exec_due;
	int exec_loop_turns; /* of the loop until then */
	struct config_sources sources;
	struct config config;
	uint32_t config_number; /* counts configurations that came into force */
	struct config previous; /* the one before: for who still empties its queues */
	uint32_t generation;
	struct event_base *base;
	struct ledger *ledger;
	int ledger_fd;
	struct listener *listeners;
	struct slot slots[LEDGER_SLOTS];
	uint32_t slot_count;
	struct process *processes;
	struct transfer *transfers;
	uint32_t last_transfer_id;
	struct reload reload;
	struct rebalance rebalance;
	struct outcome outcome;
	struct pending_request
	    *pending_requests; /* for the outcome of a change (pending_requests.c) */
	struct drain_summary
	    *drain_summaries; /* whom changes send away; the open one first */
	struct admin *admin;  /* doors for operators (admin_listener.c) */
	uint64_t started_ns;
	uint64_t stop_deadline_ns;
	bool is_orderly_shutdown;
	bool has_ended;        /* the loop has */
	bool is_scaling;       /* a change of size has not concluded */
	uint64_t notified_ns;  /* the last status line */
	uint64_t watchdog_ns;  /* the last beat for the service manager */
	uint64_t last_tick_ns; /* the last look at the workers */
	struct event tick_timer;
	struct event signals[MASTER_SIGNALS];
};

/* Runs yodeld until it is stopped. Returns the exit status (sysexits). */
int master_run(const struct config_sources *sources, char **argv);
/* Does that as far as nobody can notice it, with what lies at that descriptor
 * (dry_run.h), and ends the process. */
void master_dry_run(int state_fd) __attribute__((noreturn));

/* Closes and frees all that it holds, and itself. */
void master_finish(struct master *master);

#endif
