/*
 * needs.h - requirements of a unit test on the machine (needs.bash lists these calls
 * before the tests run). If one is not met, the test is skipped with the reason.
 */
#ifndef LIB_NEEDS_H
#define LIB_NEEDS_H

#include <stdio.h>
#include <unistd.h>

#define needs_root()                                                                   \
	do {                                                                           \
		if (geteuid() != 0) {                                                  \
			print_message("# needs root\n");                               \
			skip();                                                        \
		}                                                                      \
	} while (0)

#endif
