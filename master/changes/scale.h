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
	bool is_active; /* until every slot serves */
	uint64_t started_ns;
};

/* Changes the number of workers. 0, or -1 with the reason in the outcome. */
int scale_workers(struct scale *scale, uint32_t count);
/* Finishes a change of size when every slot serves. */
void scale_on_slot_change(struct scale *scale);
/* Finishes a change of size when a reload has brought its own number of workers. */
void scale_on_reloaded(struct scale *scale);

#endif
