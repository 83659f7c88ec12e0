/*
 * signals.h - what an operator says with kill(1); the list is in the man page.
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

#include <signal.h>
#include <stddef.h>

struct master;

int signals_start(struct master *master) __attribute__((warn_unused_result));
void signals_stop(struct master *master);

/* Signals wait from now on, for the program that is exec'd to let them in. Those that a
 * crash raises come through, and so does that of alarm(2). */
void signals_block(sigset_t *ret_before);
void signals_unblock(void);
/* Those that come through: they end the process, unless somebody acts on them. */
extern const int signals_fatal[];
extern const size_t signals_fatal_count;

#endif
