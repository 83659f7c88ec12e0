/*
 * master.h - struct master: the whole state of process 0 of yodeld, in parts. A
 * function takes the part that it works on; only master/, admin/ and upgrade/ see the
 * whole.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "conf/config.h"
#include "master/changes/pending_requests.h"
#include "master/changes/rebalance.h"
#include "master/changes/scale.h"
#include "master/changes/shutdown.h"
#include "master/history_ring.h"
#include "master/line_pipe.h"
#include "master/recent_log.h"
#include "master/upgrade/upgrade.h"

#define MASTER_SIGNALS 10

struct master {
	int exit_status;
	struct upgrade upgrade;
	struct event_base *base;
	struct config_set config;
	struct listener_set listeners;
	struct worker_table workers;
	struct change_log changes;
	struct reload reload;
	struct scale scale;
	struct rebalance rebalance;
	struct shutdown shutdown;
	struct service_manager manager;
	struct pending_requests pending;
	struct admin_listeners *admin;
	/* Lines of workers to syslog. A worker that held the socket of syslog could
	 * send to any other datagram socket of the host, which no sandbox can prevent
	 * (sendmsg(2) with an address). */
	struct line_pipe log_relay;
	struct recent_log recent_log;
	struct history_ring history_ring;
	struct history *history; /* admin/history.h */
	uint64_t started_ns;
	struct event tick_timer;
	struct event signals[MASTER_SIGNALS];
};

#endif
