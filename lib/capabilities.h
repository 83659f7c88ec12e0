/* capabilities.h - drops privileges of root, some or all (capabilities(7)). */
#ifndef LIB_CAPABILITIES_H
#define LIB_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

/* A set of capabilities, from linux/capability.h: CAPABILITY(CAP_KILL). */
#define CAPABILITY(number) (UINT64_C(1) << (number))

/* Limits the bounding set: programs executed by this process or its children gain no
 * capability outside `keep`. A process without CAP_SETPCAP cannot shrink the set, which
 * is not an error. 0, or -1 with errno. */
int capabilities_limit_bounding_set(uint64_t keep) __attribute__((warn_unused_result));

/* Limits the process itself to those of `keep` that it has: they stay permitted and
 * effective; none is inheritable or ambient. 0, or -1 with errno. */
int capabilities_limit(uint64_t keep) __attribute__((warn_unused_result));

/* True if the process may use this one now: CAP_CHOWN. */
bool capabilities_has(unsigned number);

#endif
