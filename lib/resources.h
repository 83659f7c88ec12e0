/*
 * resources.h - what the system grants this process: descriptors and CPUs; and the
 * signals by which it would be killed instead of getting an error.
 */
#ifndef LIB_RESOURCES_H
#define LIB_RESOURCES_H

#include <stdint.h>

/* Opens /dev/null for each of the descriptors 0 to 2 that is closed, so that no file or
 * socket gets its number. Reading from such a stdin and writing to such a stdout or
 * stderr still fails. */
void resources_reserve_streams(void);

/* Ignores SIGXFSZ: a write beyond RLIMIT_FSIZE fails with EFBIG instead. */
void resources_ignore_sigxfsz(void);
/* Ignores SIGPIPE: a write that no process reads fails with EPIPE instead. */
void resources_ignore_sigpipe(void);

/* RLIMIT_NOFILE: the soft limit of this process. */
uint64_t resources_descriptor_limit(void);
/* Raises it to the hard limit, for this process and its children. 0, or -1 with errno.
 */
int resources_raise_descriptor_limit(void);

/* CPUs that this process may run on; at least 1. */
uint32_t resources_cpus(void);

#endif
