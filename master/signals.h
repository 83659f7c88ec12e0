/*
 * signals.h - the signals of yodeld(8), and the change that each requests.
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

struct master;

int signals_start(struct master *master) __attribute__((warn_unused_result));
void signals_stop(struct master *master);

#endif
