/*
 * master.h - process 0 of yodeld: what it holds.
 *
 *   struct master    one; run.c fills it, everything else works on it
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

#include "master/endpoint.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

struct admin;
struct departure;
struct master;
struct waiter;

struct process {
	struct process *next; /* in master->processes */
	struct master *master;
	pid_t pid;
	uint32_t slot;
	uint32_t generation;
	uint32_t config_number; /* of the configuration that it serves */
	uint64_t emptied; /* bits of its listeners that are removed and being emptied */
	bool empties_all; /* and the queues of the others, too: its slot goes */
	bool is_ready;    /* it has said READY */
	bool is_leaving;  /* its end was asked for */
	bool moves;       /* its connections are handed over when it leaves */
	bool is_retired;  /* leaving, and its listeners are closed */
	bool is_shut;     /* retired, and so are the sockets of a slot that goes */
	bool is_lost;     /* inherited, and somebody else has waited for it */
	bool is_gone;     /* waited for; its books close when its moves are settled */
	bool wants_taker; /* the one that took from it died */
	bool has_died;    /* gone, and not by itself */
	int channel_fd;
	struct event channel_event;
	struct worker_ledger *worker_ledger;
	uint64_t moved_in, moved_out; /* in settled moves */
	struct departure *departure;  /* the change that sends it away; NULL: none */
	uint64_t closed_before, moved_out_before; /* that: connections */
	uint64_t started_ns;      /* CLOCK_MONOTONIC, as all times here */
	uint64_t heartbeat_count; /* last seen */
	uint64_t beat_ns;         /* when they last changed */
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
	struct departure *departure; /* that its next caretaker belongs to; or NULL */
};

/* A hand-over, until both ends have said how it ended, or are gone. */
struct move {
	struct move *next;
	uint32_t id;
	struct process *giver, *taker;
	uint64_t what; /* the value of CHANNEL_SEND_CONNECTIONS */
	bool has_gave, has_took;
	uint64_t gave, took; /* connections */
};

/* A reload or an upgrade, from the first fork of the new generation until every slot
 * has one of its workers. */
struct turnover {
	bool is_active;
	bool is_upgrade;
	bool again; /* another reload was asked for meanwhile */
	struct config config;
	uint32_t generation;
	uint32_t slot_count;
	uint32_t failures;
	uint64_t started_ns;
};

/* The evening out of open connections (balance.c). */
struct rebalance {
	bool is_asked_for;  /* of all listeners, until it is done; an outcome follows */
	uint32_t passes;    /* since then: each worker gives once at most in one */
	uint32_t under_way; /* hand-overs */
	uint64_t moved;     /* connections, since it was asked for */
	uint64_t moved_now; /* in the hand-overs under way */
	double before;      /* fullest / mean when it was asked for */
	uint64_t started_ns;
	uint64_t rests_until_ns; /* nothing could be moved */
};

/* What the last change of generation or size came to, for those who ask. */
struct outcome {
	uint64_t number; /* counts outcomes */
	bool is_good;
	char text[CONFIG_ERROR_MAX]; /* begins with the name of the change */
};

/* A file, as far as one can tell without reading it. */
struct rehearsed_file {
	dev_t device;
	ino_t inode; /* 0: there is none */
	off_t size;
	struct timespec modified;
};

/* The program on disk as a child, before it takes over (rehearsal.c). */
struct rehearsal {
	pid_t pid;             /* 0: none is under way */
	int said_fd, error_fd; /* its standard output and error */
	uint64_t began_ns;
	bool is_late; /* and has been killed for that */
	struct rehearsed_file file;
};

enum upgrade_wanted {
	UPGRADE_NONE,
	UPGRADE_FORTH,     /* the rehearsal is to begin */
	UPGRADE_REHEARSED, /* and was good: the exec is next */
	UPGRADE_BACK,
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING };

#define MASTER_SIGNALS 10

struct master {
	enum master_phase phase;
	int exit_status;
	char **argv;           /* as it was started, for the upgrade */
	int former_program_fd; /* the image that left us its inheritance; -1: none */
	enum upgrade_wanted upgrade_wanted;
	char back_reason[CONFIG_ERROR_MAX]; /* of UPGRADE_BACK */
	struct rehearsal rehearsal;
	struct event exec_timer; /* on the way to an exec: signals wait for the heir */
	bool is_exec_due;
	int exec_turns; /* of the loop until then */
	struct config_sources sources;
	struct config config;
	uint32_t config_number; /* counts configurations that came into force */
	struct config former;   /* the one before: for who still empties its queues */
	uint32_t generation;
	struct event_base *base;
	struct ledger *ledger;
	int ledger_fd;
	struct endpoint *endpoints;
	struct slot slots[LEDGER_SLOTS];
	uint32_t slot_count;
	struct process *processes;
	struct move *moves;
	uint32_t last_move_id;
	struct turnover turnover;
	struct rebalance rebalance;
	struct outcome outcome;
	struct waiter *waiters;       /* for the outcome of a change (waiting.c) */
	struct departure *departures; /* whom changes send away; the open one first */
	struct admin *admin;          /* doors for operators (admin.c) */
	uint64_t started_ns;
	uint64_t stop_deadline_ns;
	bool stops_in_order;
	bool has_ended;       /* the loop has */
	bool is_scaling;      /* a change of size has not concluded */
	uint64_t notified_ns; /* the last status line */
	uint64_t watchdog_ns; /* the last beat for the service manager */
	uint64_t looked_ns;   /* the last look at the workers */
	struct event watch_timer;
	struct event signals[MASTER_SIGNALS];
};

/* Runs yodeld until it is stopped. Returns the exit status (sysexits). */
int master_run(const struct config_sources *sources, char **argv);
/* Does that as far as nobody can notice it, with what lies at that descriptor
 * (rehearsal.h), and ends the process. */
void master_rehearse(int inheritance_fd) __attribute__((noreturn));

/* Closes and frees all that it holds, and itself. */
void master_finish(struct master *master);

uint64_t master_now_ns(void);
/* Milliseconds since then. */
double master_elapsed_ms(uint64_t since_ns);

#endif
