/*
 * slot.h - keeps a worker in each slot. The complete table of state x event:
 *
 *   state        fill       ready         died              retry     leave     left
 *   EMPTY        STARTING   -             -                 -         -         -
 *   STARTING     -          SERVING       BACKING_OFF (1)   -         DRAINING  -
 *   SERVING      -          -             BACKING_OFF (1)   -         DRAINING  -
 *   BACKING_OFF  -          -             -                 STARTING  DRAINING  -
 *   DRAINING     STARTING   DRAINING (2)  DRAINING (3)      DRAINING  -         EMPTY
 *
 * `died` is any end that was not asked for, `left` one that was; "-" cannot happen.
 *
 * (1) The first death after a quiet time is followed by `retry` at once; from the third
 * in a row on the slot gets no new connections until it serves again.
 *
 * (2) A caretaker: it was told to empty the queue and to leave when it was forked.
 *
 * (3) A caretaker is put in, after the same delay as any other, for somebody may still
 * wait in the queue.
 *
 * A successor (of the next generation) is no state of the slot: it serves beside the
 * slot's worker until the turnover puts it in its place.
 */
#ifndef MASTER_WORKERS_SLOT_H
#define MASTER_WORKERS_SLOT_H

#include <stdint.h>

#include "master/master.h"

extern const char *const slot_state_names[]; /* by enum slot_state */

/* Puts a worker into an empty slot. */
void slot_start(struct master *master, uint32_t number);
/* The slot is the process's: a successor that takes over. */
void slot_set_process(struct process *process);
/* The same for an inherited worker, which has it already: nobody is told. */
void slot_adopt(struct process *process);
/* Puts in a caretaker: for an empty slot that has sockets, and is to have none. */
void slot_drain_queue(struct master *master, uint32_t number);
/* Starts to retire the slot. */
void slot_drain(struct slot *slot);

void slot_on_ready(struct process *process);
void slot_on_exit(struct process *process, int status);

/* New connections go where a worker serves, or is expected to soon. */
void reuseport_update(struct master *master);

uint32_t slot_serving(const struct master *master);
/* Slots that are in a crash loop. */
uint32_t slot_crash_looping(const struct master *master);
void slot_stop_retries(struct master *master);

#endif
