/*
 * service_manager.h - what the service manager is told (sd_notify(3)): READY,
 * RELOADING, STOPPING, STATUS with real numbers, WATCHDOG while every worker's loop
 * turns. Without NOTIFY_SOCKET nothing is sent.
 */
#ifndef MASTER_CHANGES_SERVICE_MANAGER_H
#define MASTER_CHANGES_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "master/master.h"

void service_manager_ready(struct master *master);
void service_manager_reloading(struct master *master);
/* With the time that it takes at most, where that is known: the service manager waits
 * for it if its own patience is less (EXTEND_TIMEOUT_USEC). */
void service_manager_stopping(struct master *master);
/* The status line, when something that it says has changed. */
void service_manager_status(struct master *master);
/* How long a worker's loop may stand still while the service manager is told that all
 * is well: the time of its watchdog; 0: there is none. */
uint64_t service_manager_watchdog_ns(void);
/* From the regular look: the watchdog when it is due, and the status now and then. */
void service_manager_check(struct master *master, uint64_t now_ns, bool all_responsive);

#endif
