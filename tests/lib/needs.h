/*
 * needs.h - requirements of a unit test on the machine (needs.bash lists these calls
 * before the tests run). If one is not met, the test is skipped with the reason.
 */
#ifndef LIB_NEEDS_H
#define LIB_NEEDS_H

#include <sys/resource.h>

#include <stdio.h>
#include <unistd.h>

#define needs_root()                                                                   \
	do {                                                                           \
		if (geteuid() != 0) {                                                  \
			print_message("# needs root\n");                               \
			skip();                                                        \
		}                                                                      \
	} while (0)

/* A hard limit of at least this many open files; the soft limit is raised to it. */
#define needs_descriptors(count)                                                       \
	do {                                                                           \
		struct rlimit needs_limit;                                             \
		getrlimit(RLIMIT_NOFILE, &needs_limit);                                \
		if (needs_limit.rlim_max < (count)) {                                  \
			print_message("# needs %d open files\n", (int)(count));        \
			skip();                                                        \
		}                                                                      \
		needs_limit.rlim_cur = needs_limit.rlim_max;                           \
		setrlimit(RLIMIT_NOFILE, &needs_limit);                                \
	} while (0)

#endif
