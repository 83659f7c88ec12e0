#include "master/changes/room.h"

#include <sys/select.h>

#include <stdio.h>

#include "lib/resources.h"
#include "proto/ledger_usage.h"
#include "worker/worker.h"

static uint64_t
room_of_worker(const struct config *config)
{
	uint64_t descriptors = resources_descriptor_limit();
	if (config->event_method == EVENTS_SELECT && descriptors > FD_SETSIZE)
		descriptors = FD_SETSIZE;
	return worker_connections_max(descriptors);
}

bool
room_suffices(const struct worker_table *workers, const struct config *config,
    uint32_t count, char *text, size_t size)
{
	uint64_t each = room_of_worker(config), room = count * each, open = 0;
	for (uint32_t i = 0; i < workers->slot_count; i++) {
		const struct process *process = workers->slots[i].process;
		if (process == NULL)
			continue;
		uint64_t own =
		    ledger_usage_open_at(workers->ledger, process->ledger_entry);
		/* A worker can hold no more, whatever it claims. */
		open += own > each ? each : own;
	}
	if (open > room)
		snprintf(text, size,
		    "%llu of %llu open connections would be closed: %u worker%s room for %llu",
		    (unsigned long long)(open - room), (unsigned long long)open, count,
		    count == 1 ? " has" : "s have", (unsigned long long)room);
	return open <= room;
}
