/*
 * signals.h - what an operator says with kill(1); the list is in the man page.
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

struct master;

int signals_start(struct master *master) __attribute__((warn_unused_result));
void signals_stop(struct master *master);

#endif
