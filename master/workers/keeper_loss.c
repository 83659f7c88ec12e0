#include "master/workers/keeper_loss.h"

#include "lib/log.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"
#include "master/workers/worker_drain.h"

/* A worker without a keeper whose slot has nothing else to do. */
static bool
needs_replacement(const struct slot *slot)
{
	return slot->state == SLOT_SERVING && slot->successor == NULL &&
	    slot->process->has_lost_keeper && slot->process->state == PROCESS_ACTIVE;
}

void
keeper_loss_check(struct worker_table *table)
{
	for (uint32_t i = 0; i < table->slot_count; i++) {
		struct slot *slot = &table->slots[i];
		if (!needs_replacement(slot))
			continue;
		slot->successor =
		    process_start(table, &table->config->current, table->generation, i);
		if (slot->successor == NULL)
			log_warn(
			    "[worker_fork_failed worker] cannot fork worker %u", i);
	}
}

bool
keeper_loss_is_pending(const struct worker_table *table)
{
	for (uint32_t i = 0; i < LEDGER_SLOTS; i++) {
		if (table->slots[i].successor != NULL)
			return true;
	}
	return false;
}

void
keeper_loss_on_ready(struct process *successor)
{
	struct slot *slot = &successor->table->slots[successor->slot];
	struct process *old = slot->process;
	/* Meanwhile the slot may have been removed, or its worker have died. */
	if (slot->state != SLOT_SERVING || old == NULL) {
		slot->successor = NULL;
		worker_drain_start(successor, DRAIN_KEEP_SOCKETS);
		return;
	}
	slot_set_process(successor);
	log_info("[worker_replaced worker worker_pid successor_pid] "
		 "worker %u (pid %d): replaced by pid %d, which has a keeper",
	    successor->slot, (int)old->pid, (int)successor->pid);
	slot_update_reuseport(successor->table);
	if (old->state == PROCESS_ACTIVE)
		worker_drain_start(old, DRAIN_KEEP_SOCKETS);
}
