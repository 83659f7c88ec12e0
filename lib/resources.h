/*
 * resources.h - what the system grants this process: descriptors, CPUs, memory; and the
 * signals by which it would be killed instead of getting an error.
 */
#ifndef LIB_RESOURCES_H
#define LIB_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

/* Opens /dev/null for each of the descriptors 0 to 2 that is closed, so that no file or
 * socket gets its number. Reading from such a stdin and writing to such a stdout or
 * stderr still fails. */
void resources_reserve_streams(void);

/* Ignores SIGXFSZ: a write beyond RLIMIT_FSIZE fails with EFBIG instead. */
void resources_ignore_sigxfsz(void);
/* RLIMIT_FSIZE in bytes, which counts for memory files too; UINT64_MAX: unlimited. */
uint64_t resources_file_size_limit(void);
/* Ignores SIGPIPE: a write that no process reads fails with EPIPE instead. */
void resources_ignore_sigpipe(void);

/* RLIMIT_NOFILE: the soft limit of this process. */
uint64_t resources_descriptor_limit(void);
/* Raises it to the hard limit, for this process and its children. 0, or -1 with errno.
 */
int resources_raise_descriptor_limit(void);

/* How many CPUs this process can keep busy: those that it may run on, or fewer if a
 * control group limits its CPU time, rounded up; at least 1. */
uint32_t resources_cpus(void);

/* Memory that this process may still use: what the system has available, or less if a
 * control group limits it. 0: unknown. *ret_limit is the limit of the control group, or
 * 0 if the system is what limits. */
uint64_t resources_available_memory(uint64_t *ret_limit);

/* Makes the OOM killer prefer this process to others of the same size, by this many
 * thousandths of the memory (oom_score_adj, proc(5)); it and its later children. The
 * file is opened first, because a process that changes its user cannot open it any
 * more; -1 without /proc, which is then ignored. Closes the descriptor. */
int resources_open_oom_score(void);
void resources_prefer_for_oom(int fd, int thousandths);
/* True if the OOM killer has killed a process of this control group (or of the system)
 * since the last call, or within the second before: it may kill several. The first call
 * only begins to count. */
bool resources_oom_killed(void);

#endif
