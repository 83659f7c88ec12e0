/*
 * rank.h - which of several machines this one is, and when all of them start.
 *
 * --rank I/N, else what the scheduler says: YODEL_RANK and YODEL_RANKS, an Open MPI,
 * PMI or Slurm job, the index of a Kubernetes Indexed Job (with YODEL_RANKS).
 */
#ifndef CLIENT_PLAN_RANK_H
#define CLIENT_PLAN_RANK_H

#include <stddef.h>
#include <stdint.h>

#define RANK_MAX 100000

/* text is "I/N" or NULL (then the environment, then 0/1). 0, or -1 with one line. */
int rank_parse(const char *text, uint32_t *ret_rank, uint32_t *ret_ranks, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* "+10s" from now, "@SECONDS" since the epoch, "HH:MM:SS" (local time: the next one, or
 * the one of the last hour: a rank that comes too late begins with the others) or
 * "YYYY-MM-DDTHH:MM:SS[Z]" to CLOCK_REALTIME in ns, in 2286 at the latest. 0, or -1
 * with one line. */
int rank_parse_start(const char *text, uint64_t now_ns, uint64_t *ret_ns, char *error,
    size_t error_size) __attribute__((warn_unused_result));

#endif
