/*
 * cpu_wait.h - why a process that could run did not: the causes of lateness that the
 * kernel counts.
 */
#ifndef CLIENT_MEASURE_CPU_WAIT_H
#define CLIENT_MEASURE_CPU_WAIT_H

#include <stdint.h>

/* Times of this process since its start (/proc/self/schedstat); 0 if the kernel does
 * not count them. */
struct cpu_wait {
	uint64_t cpu_ns;  /* running */
	uint64_t wait_ns; /* ready to run, but without a CPU */
};
struct cpu_wait cpu_wait_self(void);

/* Times of this machine and of the control groups of this process since they exist. */
struct cpu_wait_host {
	uint64_t throttled_ns; /* by the CPU quota of a control group, v1 or v2 */
	uint64_t steal_ns;     /* that the hypervisor used, of all CPUs together */
};
struct cpu_wait_host cpu_wait_host(void);

#endif
