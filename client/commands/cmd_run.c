#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/units.h"
#include "client/commands/commands.h"
#include "client/commands/rate_search.h"
#include "client/live/live.h"
#include "client/plan/plan.h"
#include "client/plan/plan_options.h"
#include "client/report/outputs.h"
#include "client/run/run.h"
#include "client/run/server_stats.h"

#define ANNOUNCED_WAIT_NS (10 * NS_PER_S)

/* A long wait for --start-at. */
static void
announce_start(const struct plan *plan)
{
	char start[UNITS_TEXT_MAX], wait[UNITS_TEXT_MAX];
	uint64_t now_ns = clock_realtime_ns();
	if (plan->start_at_ns > now_ns + ANNOUNCED_WAIT_NS)
		fprintf(stderr, "yodel: waiting until %s (%s)\n",
		    units_format_time(plan->start_at_ns, 0, start),
		    units_show_duration(plan->start_at_ns - now_ns, wait));
}

/* One run after its servers were read. */
static int
run_watched(
    const struct plan *plan, struct reconcile_server *servers, struct live *live)
{
	struct result result;
	bool hlog_failed;
	live_set_servers(live, servers, plan->ledgers.count);
	int status = run_plan(plan, live_observer(live), &result, &hlog_failed);
	if (status != 0)
		return live_close(live, NULL) != 0 ? EX_OSERR : status;
	int ledger_status = server_stats_reconcile(plan, servers, &result);
	status = outputs_report(plan, &result);
	int live_status = live_close(live, &result);
	result_finish(&result);
	if (hlog_failed || live_status != 0)
		return EX_OSERR;
	return status != 0 ? status : ledger_status;
}

static int
run_once(const struct plan *plan)
{
	struct reconcile_server *servers = NULL;
	struct live *live;
	int status = server_stats_open(plan, &servers);
	if (status == 0)
		status = live_open(plan, &live);
	if (status == 0)
		status = run_watched(plan, servers, live);
	free(servers);
	return status;
}

int
cmd_run(int argc, char **argv)
{
	static struct plan plan;
	char error[PLAN_ERROR_MAX];
	resources_raise_descriptor_limit();
	plan_init(&plan);
	plan_options_parse(argc, argv, &plan);
	int status = plan_check(&plan, error);
	struct outputs outputs = outputs_of(&plan);
	if (status != 0)
		log_errorx("%s", error);
	else if ((status = outputs_check(&outputs)) == 0) {
		announce_start(&plan);
		status = plan.search != NULL ? rate_search_run(&plan) : run_once(&plan);
	}
	plan_finish(&plan);
	return status;
}
