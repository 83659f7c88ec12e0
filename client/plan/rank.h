/*
 * rank.h - the number of this host among several, and the common start time.
 *
 * From --rank I/N, else from the environment: YODEL_RANK and YODEL_RANKS, an Open MPI,
 * PMI or Slurm job, or the index of a Kubernetes Indexed Job (with YODEL_RANKS).
 */
#ifndef CLIENT_PLAN_RANK_H
#define CLIENT_PLAN_RANK_H

#include <stddef.h>
#include <stdint.h>

#define RANK_MAX 100000

/* `text` is "I/N", or NULL: the environment, else 0/1. 0, or -1 with one line. */
int rank_parse(const char *text, uint32_t *ret_rank, uint32_t *ret_ranks, char *error,
    size_t error_size) __attribute__((warn_unused_result));

/* Parses "+10s" (from now), "@SECONDS" (since the epoch), "HH:MM:SS" (local time; up to
 * an hour ago, so that a late rank does not wait for the next day) or
 * "YYYY-MM-DDTHH:MM:SS[Z]" into CLOCK_REALTIME ns, until 2286. 0, or -1 with one line.
 */
int rank_parse_start(const char *text, uint64_t now_ns, uint64_t *ret_ns, char *error,
    size_t error_size) __attribute__((warn_unused_result));

#endif
