/*
 * supervisor.h - the master's regular look at its workers: who is hung, what is
 * overdue, what the service manager is told.
 */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include "master/master.h"

/* Connects the parts of a fresh master: their callbacks come here. */
void supervisor_init(struct master *master);
int supervisor_start(struct master *master) __attribute__((warn_unused_result));

#endif
