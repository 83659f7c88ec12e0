/*
 * fake_processes.h - workers without processes: spawn_worker, waitpid and kill are
 * wrapped (--wrap), and the fuzzer chooses the messages that the workers send.
 */
#ifndef TESTS_FUZZ_FAKE_PROCESSES_H
#define TESTS_FUZZ_FAKE_PROCESSES_H

#include "tests/fuzz/input.h"

#define FAKE_PROCESSES_MAX 64 /* in one input */

/* Number of workers spawned since fake_processes_reset(). */
int fake_processes_count(void);
void fake_processes_reset(void);
/* Ends all of them by SIGKILL. */
void fake_processes_kill_all(void);
/* The next forks of workers fail. */
void fake_processes_fail_forks(unsigned count);

/* A worker exits; sends any packet; sends a message with any verb; does as requested.
 */
void fake_processes_exit_one(struct input *input);
void fake_processes_send_garbage(struct input *input);
void fake_processes_send_message(struct input *input);
void fake_processes_answer_commands(struct input *input);

#endif
