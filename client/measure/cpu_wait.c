#include "client/measure/cpu_wait.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/system/procfs.h"

#define PATH_SIZE 4096
#define LINES_SIZE 4096

struct cpu_wait
cpu_wait_self(void)
{
	uint64_t numbers[2];
	procfs_numbers("/proc/self/schedstat", numbers, 2);
	return (struct cpu_wait){ .cpu_ns = numbers[0], .wait_ns = numbers[1] };
}

/* Of one control group. Version 2 counts microseconds, version 1 nanoseconds. */
static uint64_t
throttled_in(const char *folder)
{
	char path[PATH_SIZE + sizeof("/cpu.stat")];
	snprintf(path, sizeof(path), "%s/cpu.stat", folder);
	return procfs_word(path, "throttled_usec", "throttled_usec ") * 1000 +
	    procfs_word(path, "throttled_time", "throttled_time ");
}

/* The group and those that it is in: a quota of any of them throttles the process, and
 * is counted where it is set. `own` is changed. */
static uint64_t
throttled_above(const char *mount, char *own)
{
	uint64_t sum = 0;
	if (strcmp(own, "/") == 0)
		own[0] = '\0';
	for (;;) {
		char folder[PATH_SIZE];
		snprintf(folder, sizeof(folder), "%s%s", mount, own);
		sum += throttled_in(folder);
		char *slash = strrchr(own, '/');
		if (slash == NULL)
			return sum;
		*slash = '\0';
	}
}

/* True if the comma-separated list has the name. */
static bool
has_controller(const char *list, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, length) == 0 &&
		    (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

/* A line of /proc/self/cgroup: "4:cpu,cpuacct:/group", "0::/group" for version 2. */
static uint64_t
throttled_by(char *line)
{
	char *rest, mount[PATH_SIZE / 2];
	const char *number = strtok_r(line, ":", &rest);
	if (number == NULL || rest == NULL)
		return 0;
	if (strcmp(number, "0") == 0 && rest[0] == ':') {
		bool is_hybrid = access("/sys/fs/cgroup/unified", F_OK) == 0;
		return throttled_above(
		    is_hybrid ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup", rest + 1);
	}
	char *path = strchr(rest, ':');
	if (path == NULL)
		return 0;
	*path++ = '\0';
	if (!has_controller(rest, "cpu"))
		return 0;
	snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%.256s", rest);
	return throttled_above(mount, path);
}

static uint64_t
throttled_ns(void)
{
	char text[LINES_SIZE], *rest;
	uint64_t sum = 0;
	procfs_read("/proc/self/cgroup", text, sizeof(text));
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest))
		sum += throttled_by(line);
	return sum;
}

/* The eighth number of "cpu  user nice system idle iowait irq softirq steal" (proc(5)). */
static uint64_t
steal_ns(void)
{
	char text[LINES_SIZE], *at = text + strlen("cpu");
	uint64_t value = 0;
	long ticks_per_s = sysconf(_SC_CLK_TCK);
	procfs_read("/proc/stat", text, sizeof(text));
	if (strncmp(text, "cpu ", strlen("cpu ")) != 0 || ticks_per_s <= 0)
		return 0;
	for (int i = 0; i < 8; i++)
		value = strtoull(at, &at, 10);
	return value * (NS_PER_S / (uint64_t)ticks_per_s);
}

struct cpu_wait_host
cpu_wait_host(void)
{
	return (struct cpu_wait_host){
		.throttled_ns = throttled_ns(),
		.steal_ns = steal_ns(),
	};
}
