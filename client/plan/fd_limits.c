#include "client/plan/fd_limits.h"

#include <sys/resource.h>

#include <stdio.h>

#define RESERVED 32 /* descriptors of a process that are no connections */

void
fd_limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int
fd_limits_fit(struct plan *plan, char *error)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	for (uint32_t n = plan->processes; n <= PLAN_PROCESSES_MAX; n++) {
		uint64_t each = (plan->rank_connections + n - 1) / n;
		/* A process is born with the wake descriptors of all. */
		if (each + n + RESERVED > limit.rlim_cur)
			continue;
		plan->processes = n;
		return 0;
	}
	snprintf(error, PLAN_ERROR_MAX,
	    "%u connections need more descriptors than %d processes with %llu each may open; raise the limit with: ulimit -Hn 1048576",
	    plan->rank_connections, PLAN_PROCESSES_MAX,
	    (unsigned long long)limit.rlim_cur);
	return -1;
}
