/*
 * loop.h - the turns of a worker's event loop.
 *
 * To wake a sleeper costs some 35 us. With events.spin a worker that has just had
 * traffic looks for more without sleeping, for that long after the last; one without
 * traffic sleeps and costs nothing.
 */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

struct worker;

/* Until event_base_loopbreak. */
void loop_run(struct worker *worker);

#endif
