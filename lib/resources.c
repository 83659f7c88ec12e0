#include "lib/resources.h"

#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/system/cgroup.h"
#include "lib/system/procfs.h"

void
resources_reserve_streams(void)
{
	int fd;
	/* open() takes the lowest free number; the mode is the wrong one for it. */
	do
		fd = open("/dev/null",
		    fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void
resources_ignore_sigxfsz(void)
{
	signal(SIGXFSZ, SIG_IGN);
}

uint64_t
resources_file_size_limit(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	getrlimit(RLIMIT_FSIZE, &limit);
	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

void
resources_ignore_sigpipe(void)
{
	signal(SIGPIPE, SIG_IGN);
}

uint64_t
resources_descriptor_limit(void)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

int
resources_raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	if (limit.rlim_cur == limit.rlim_max)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

uint32_t
resources_cpus(void)
{
	cpu_set_t allowed;
	long count;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		count = CPU_COUNT(&allowed);
	else /* there are more CPUs than a cpu_set_t holds */
		count = sysconf(_SC_NPROCESSORS_ONLN);
	struct cgroup_limits limits;
	cgroup_read("", &limits);
	if (limits.cpus > 0 && limits.cpus < (double)count)
		count = (long)ceil(limits.cpus);
	return count < 1 ? 1 : (uint32_t)count;
}

uint64_t
resources_available_memory(uint64_t *ret_limit)
{
	struct cgroup_limits limits;
	uint64_t available =
	    procfs_word("/proc/meminfo", "MemAvailable:", "MemAvailable:") * 1024;
	cgroup_read("", &limits);
	*ret_limit = 0;
	if (limits.memory_bytes == 0 ||
	    (available != 0 && available <= limits.memory_available_bytes))
		return available;
	*ret_limit = limits.memory_bytes;
	/* 0 would mean that it is not known. */
	return limits.memory_available_bytes > 0 ? limits.memory_available_bytes : 1;
}

int
resources_open_oom_score(void)
{
	return open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
}

void
resources_prefer_for_oom(int fd, int thousandths)
{
	char text[16] = "";
	int saved = errno;
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0) {
		int score = atoi(text) + thousandths;
		if (dprintf(fd, "%d", score > 1000 ? 1000 : score) < 0)
			errno = 0; /* only a preference */
	}
	close(fd);
	errno = saved;
}

bool
resources_oom_killed(void)
{
	static bool has_begun;
	static uint64_t seen, valid_until_ns;
	uint64_t kills = cgroup_oom_kills(""), now = clock_now_ns();
	if (has_begun && kills > seen)
		valid_until_ns = now + NS_PER_S;
	has_begun = true;
	seen = kills;
	return now < valid_until_ns;
}
