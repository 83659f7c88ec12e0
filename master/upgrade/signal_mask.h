/*
 * signal_mask.h - signals wait while this program replaces itself, so that none is
 * lost: they stay blocked over the exec, and the next program unblocks them.
 */
#ifndef MASTER_UPGRADE_SIGNAL_MASK_H
#define MASTER_UPGRADE_SIGNAL_MASK_H

#include <signal.h>
#include <stddef.h>

/* Blocks all but signal_mask_fatal. *ret_before may be NULL. */
void signal_mask_block(sigset_t *ret_before);
void signal_mask_unblock(void);

/* The signals of a crash, and SIGALRM: they end the process, unless handled. */
extern const int signal_mask_fatal[];
extern const size_t signal_mask_fatal_count;

#endif
