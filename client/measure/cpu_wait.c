#include "client/measure/cpu_wait.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/system/cgroup.h"
#include "lib/system/procfs.h"

#define LINE_SIZE 512

struct cpu_wait
cpu_wait_self(void)
{
	uint64_t numbers[2];
	procfs_numbers("/proc/self/schedstat", numbers, 2);
	return (struct cpu_wait){ .cpu_ns = numbers[0], .wait_ns = numbers[1] };
}

/* The eighth number of "cpu  user nice system idle iowait irq softirq steal" (proc(5)).
 */
static uint64_t
steal_ns(void)
{
	char text[LINE_SIZE], *at = text + strlen("cpu");
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
		.throttled_ns = cgroup_throttled_ns(""),
		.steal_ns = steal_ns(),
	};
}
