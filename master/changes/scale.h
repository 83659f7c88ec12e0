/*
 * scale.h - more or fewer workers of the generation that serves.
 */
#ifndef MASTER_CHANGES_SCALE_H
#define MASTER_CHANGES_SCALE_H

#include <stdint.h>

#include "master/master.h"

/* Makes it `count` workers. 0, or -1 with the reason in the outcome. */
int scale_workers(struct master *master, uint32_t count);
/* Concludes a change of size when every slot serves. */
void scale_on_slot_change(struct master *master);
/* The same when a reload has brought its own number of workers meanwhile. */
void scale_on_reloaded(struct master *master);

#endif
