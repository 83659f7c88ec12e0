/*
 * fake_processes.h - workers that are no processes: what makes and ends them is wrapped
 * (--wrap of spawn_worker, waitpid and kill), and what they say is the fuzzer's.
 */
#ifndef TESTS_FUZZ_FAKE_PROCESSES_H
#define TESTS_FUZZ_FAKE_PROCESSES_H

#include "tests/fuzz/input.h"

#define FAKE_PROCESSES_MAX 64 /* in one input */

/* How many there were since fake_processes_reset. */
int fake_processes_count(void);
void fake_processes_reset(void);
/* All of them end by SIGKILL. */
void fake_processes_kill_all(void);
/* So many workers cannot be forked. */
void fake_processes_fail_forks(unsigned count);

/* One ends; says any packet; says a message of any verb; does what it was told. */
void fake_processes_exit_one(struct input *input);
void fake_processes_send_garbage(struct input *input);
void fake_processes_send_message(struct input *input);
void fake_processes_answer_commands(struct input *input);

#endif
