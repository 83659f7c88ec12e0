/*
 * capabilities.h - giving up the powers of root, part by part or all (capabilities(7)).
 */
#ifndef LIB_CAPABILITIES_H
#define LIB_CAPABILITIES_H

#include <stdint.h>

/* A set of capabilities, from linux/capability.h: CAPABILITY(CAP_KILL). */
#define CAPABILITY(number) (UINT64_C(1) << (number))

/* No program that this process or a child of it executes gets any but those in `keep`:
 * the bounding set. Nothing changes, and that is no failure, for a process that may not
 * shrink it (CAP_SETPCAP). 0, or -1 with errno. */
int capabilities_limit_bounding_set(uint64_t keep) __attribute__((warn_unused_result));

/* The process itself, too, has none but those in `keep` that it has now: they are
 * permitted and effective; nothing is inheritable or ambient. 0, or -1 with errno. */
int capabilities_limit(uint64_t keep) __attribute__((warn_unused_result));

#endif
