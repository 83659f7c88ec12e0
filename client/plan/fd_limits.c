#include "client/plan/fd_limits.h"

#include <stdio.h>

#include "lib/resources.h"

#define RESERVED 32 /* descriptors of a process that are no connections */

int
fd_limits_fit(struct plan *plan, char *error)
{
	uint64_t limit = resources_descriptor_limit();

	for (uint32_t n = plan->processes; n <= PLAN_PROCESSES_MAX; n++) {
		uint64_t each = (plan->rank_connections + n - 1) / n;
		/* A process is born with the wake descriptors of all. */
		if (each + n + RESERVED > limit)
			continue;
		plan->processes = n;
		return 0;
	}
	snprintf(error, PLAN_ERROR_MAX,
	    "%u connections need more descriptors than %d processes with %llu each may open; raise the limit with: ulimit -Hn 1048576",
	    plan->rank_connections, PLAN_PROCESSES_MAX, (unsigned long long)limit);
	return -1;
}
