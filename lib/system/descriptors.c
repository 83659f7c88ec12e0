#include "lib/system/descriptors.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* Equal on all architectures; headers of an older system lack them. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define KERNEL_SIGNALS_BYTES 8 /* of a signal mask */

/* One pass over the open descriptors. A directory stream may skip entries that close
 * meanwhile, so the caller repeats it. True if it closed any. -1: no /proc. */
static int
close_listed(unsigned first, unsigned last)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	int closed = 0;
	if (folder == NULL)
		return -1;
	while ((entry = readdir(folder)) != NULL) {
		unsigned long fd = strtoul(entry->d_name, NULL, 10);
		bool is_listed = entry->d_name[0] != '.' && fd >= first && fd <= last;
		if (is_listed && (int)fd != dirfd(folder))
			closed |= close((int)fd) == 0;
	}
	closedir(folder);
	return closed;
}

/* Descriptors may be open above a limit that was lowered later, which the programs
 * never do. */
static void
close_each(unsigned first, unsigned last)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	getrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; fd++)
		close((int)fd);
}

void
descriptors_close(unsigned first, unsigned last)
{
	int saved = errno, closed;
	if (first <= last && syscall(SYS_close_range, first, last, 0) < 0) {
		do
			closed = close_listed(first, last);
		while (closed > 0);
		if (closed < 0)
			close_each(first, last);
	}
	errno = saved;
}

int
descriptors_epoll_wait(
    int epoll_fd, struct epoll_event *events, int max, const struct timespec *timeout)
{
	static bool is_missing;
	if (!is_missing) {
		long n = syscall(SYS_epoll_pwait2, epoll_fd, events, max, timeout, NULL,
		    KERNEL_SIGNALS_BYTES);
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return (int)n;
		is_missing = true;
	}
	/* An epoll instance is readable when it has events. */
	struct pollfd poll_fd = { .fd = epoll_fd, .events = POLLIN };
	bool waits = timeout->tv_sec > 0 || timeout->tv_nsec > 0;
	if (waits && ppoll(&poll_fd, 1, timeout, NULL) < 0)
		return -1;
	return epoll_wait(epoll_fd, events, max, 0);
}
