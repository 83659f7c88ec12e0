/*
 * service_manager.h - sd_notify(3): READY, RELOADING, STOPPING, STATUS with figures,
 * WATCHDOG while the event loop of every worker runs. Without NOTIFY_SOCKET nothing is
 * sent.
 */
#ifndef MASTER_CHANGES_SERVICE_MANAGER_H
#define MASTER_CHANGES_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "master/workers/worker_table.h"

struct service_manager {
	struct worker_table *workers;
	uint64_t status_ns;   /* when the status line was last sent */
	uint64_t watchdog_ns; /* when WATCHDOG was last sent */
};

/* Nothing while the server starts or stops. */
void service_manager_ready(struct service_manager *manager);
void service_manager_reloading(struct service_manager *manager);
/* The service manager extends its own timeout to deadline_ns, if there is one. */
void service_manager_stopping(struct service_manager *manager, uint64_t deadline_ns);
/* To be called when a value in the status line has changed. */
void service_manager_status(struct service_manager *manager);
/* The service manager's watchdog timeout; 0: none. A worker's event loop must not take
 * longer than it for one turn. */
uint64_t service_manager_watchdog_ns(void);
/* To be called at regular intervals: sends WATCHDOG when due, STATUS now and then. */
void service_manager_check(
    struct service_manager *manager, uint64_t now_ns, bool all_responsive);

#endif
