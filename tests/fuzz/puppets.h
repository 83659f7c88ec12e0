/*
 * puppets.h - workers that are no processes: what makes and ends them is wrapped
 * (--wrap of spawn_worker, waitpid and kill), and what they say is the fuzzer's.
 */
#ifndef TESTS_FUZZ_PUPPETS_H
#define TESTS_FUZZ_PUPPETS_H

#include "tests/fuzz/input.h"

#define PUPPETS 64 /* in one input */

/* How many there were since puppets_start. */
int puppets_count(void);
void puppets_start(void);
/* All of them end by SIGKILL. */
void puppets_end(void);
/* So many workers cannot be forked. */
void puppets_fail_forks(unsigned count);

/* One ends; says any packet; says a message of any verb; does what it was told. */
void puppets_end_one(struct input *input);
void puppets_say_anything(struct input *input);
void puppets_say_message(struct input *input);
void puppets_obey(struct input *input);

#endif
