/*
 * supervisor.h - the master's regular look at its workers: who is hung, what is
 * overdue, what the service manager is told.
 */
#ifndef MASTER_SUPERVISOR_H
#define MASTER_SUPERVISOR_H

#include "master/master.h"

int supervisor_start(struct master *master) __attribute__((warn_unused_result));

#endif
