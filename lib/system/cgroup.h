/*
 * cgroup.h - the limits of the control groups that this process is in: cgroups(7),
 * version 1, version 2, or both at once.
 *
 * A limit of an ancestor holds for all below it, so each result is the minimum over the
 * group and its ancestors, as far up as the mounted tree shows them. In a container
 * that is usually the container's own group, mounted as the root of the tree.
 *
 * `root` is put before every path: "" for this system, a folder for tests.
 */
#ifndef LIB_SYSTEM_CGROUP_H
#define LIB_SYSTEM_CGROUP_H

#include <stdint.h>

struct cgroup_limits {
	/* memory.max, memory.high, memory.limit_in_bytes; 0: no limit. */
	uint64_t memory_bytes;
	/* Memory that may still be used below each limit, file cache not counted as
	 * used; the minimum. Only valid if there is a limit. */
	uint64_t memory_available_bytes;
	/* CPU time per time: 0.5 is half a CPU (cpu.max, cpu.cfs_quota_us); 0: no
	 * limit. */
	double cpus;
};

void cgroup_read(const char *root, struct cgroup_limits *ret);

/* How many processes the OOM killer has killed in the group of this process, or on the
 * system if the group does not tell. */
uint64_t cgroup_oom_kills(const char *root);

/* How long CPU quotas have stopped the group of this process and its ancestors, in ns,
 * together (throttled_usec of version 2, throttled_time of version 1). */
uint64_t cgroup_throttled_ns(const char *root);

#endif
