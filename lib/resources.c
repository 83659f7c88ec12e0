#include "lib/resources.h"

#include <sys/resource.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

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
	return count < 1 ? 1 : (uint32_t)count;
}
