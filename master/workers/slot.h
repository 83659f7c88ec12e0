/*
 * slot.h - keeps a worker in each slot. The complete table of state x event:
 *
 *   state        start      ready         died              retry     drain     exited
 *   EMPTY        STARTING   -             -                 -         -         -
 *   STARTING     -          SERVING       BACKING_OFF (1)   -         DRAINING  -
 *   SERVING      -          -             BACKING_OFF (1)   -         DRAINING  -
 *   BACKING_OFF  -          -             -                 STARTING  DRAINING  -
 *   DRAINING     STARTING   DRAINING (2)  DRAINING (3)      DRAINING  -         EMPTY
 *
 * `died` is an exit that was not requested, `exited` one that was; "-" cannot happen.
 *
 * (1) The first failure after a quiet time is followed by `retry` at once; from the
 * third in a row on the slot gets no new connections until it serves again.
 *
 * (2) A drain worker: forked only to empty the accept queue and to exit.
 *
 * (3) A drain worker is started, after the same delay as any other, because connections
 * may wait in the accept queue.
 *
 * A successor (of the next generation) is no state of the slot: it serves beside the
 * slot's worker until the reload commits.
 */
#ifndef MASTER_WORKERS_SLOT_H
#define MASTER_WORKERS_SLOT_H

#include "master/workers/worker_table.h"

extern const char *const slot_state_names[]; /* by enum slot_state */

/* How a slot takes the exit of one of its processes. */
enum slot_exit {
	SLOT_EXIT_OTHER,     /* no longer the slot's worker: nothing changes */
	SLOT_EXIT_SUCCESSOR, /* the slot has no successor now */
	SLOT_EXIT_EMPTY,     /* the slot is empty now */
	SLOT_EXIT_BACK_OFF,  /* the slot waits to start another worker */
};

/* Starts a worker in an empty slot. */
void slot_start(struct worker_table *table, uint32_t number);
/* Starts a worker in a slot that had none before the exec; after failures in a row,
 * with the delay that the previous program would have kept. */
void slot_resume(struct worker_table *table, uint32_t number);
/* Makes a successor the slot's worker. */
void slot_set_process(struct process *process);
/* Makes an inherited process the slot's worker, which it was before the exec. */
void slot_adopt(struct process *process);
/* Starts a drain worker in an empty slot that is to have no sockets. */
void slot_drain_queue(struct worker_table *table, uint32_t number);
/* Starts to remove the slot. */
void slot_drain(struct slot *slot);
/* Closes the sockets of removed slots and listeners that no worker serves any more;
 * nothing while the server starts or stops. */
void slot_close_sockets(struct worker_table *table, bool is_reloading);
/* listener_set_discard, for slots that are not used. */
void slot_discard_listeners(struct worker_table *table);

/* The slot's worker serves now. False: the process is another one, or it drains. */
bool slot_on_ready(const struct process *process);
/* A process of the slot has exited. Logs an exit that was not requested. */
enum slot_exit slot_on_exit(struct process *process, int status);

/* Directs new connections to the slots that serve, or are expected to soon. */
void slot_update_reuseport(const struct worker_table *table);

/* Slots in that state, without those that are being removed. */
uint32_t slot_count_in(const struct worker_table *table, enum slot_state state);
/* Slots that are in a crash loop. */
uint32_t slot_crash_looping(const struct worker_table *table);
/* True when every slot has failed to start its first worker. */
bool slot_start_has_failed(const struct worker_table *table);
void slot_stop_retries(struct worker_table *table);

#endif
