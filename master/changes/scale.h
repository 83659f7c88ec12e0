/*
 * scale.h - more or fewer workers of the current generation.
 */
#ifndef MASTER_CHANGES_SCALE_H
#define MASTER_CHANGES_SCALE_H

#include "master/changes/change.h"
#include "master/changes/reload.h"

struct scale {
	struct worker_table *workers;
	struct change_log *changes;
	const struct reload *reload;
	struct service_manager *manager;
	bool is_active;       /* until every slot serves */
	struct change change; /* while it is active */
	uint64_t started_ns;
};

/* Changes the number of workers. Another scale that is active ends with that: one to
 * the same number is joined, one to another number fails. Unless it is forced, it is
 * refused if fewer workers have no room for all open connections (room.h). 0, or -1
 * with the reason in the outcome. */
int scale_workers(struct scale *scale, uint32_t count, bool is_forced);
/* Finishes a change of size when every slot serves. */
void scale_on_slot_change(struct scale *scale);
/* Finishes a change of size when a reload has brought its own number of workers. */
void scale_on_reloaded(struct scale *scale);

#endif
