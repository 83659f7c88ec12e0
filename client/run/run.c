#include "client/run/run.h"

#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/units.h"
#include "client/collect/result_collect.h"
#include "client/measure/progress.h"
#include "client/measure/sampler.h"
#include "client/messages/expectation.h"
#include "client/messages/sequence.h"
#include "client/plan/preflight.h"
#include "client/run/coordinator.h"

struct run_context {
	struct plan plan; /* a copy, which is completed here */
	struct sequence sequence;
	struct expectation expectation;
	struct counters_map counters_map;
	struct sampler sampler;
	struct progress progress;
	struct coordinator_outcome outcome;
	const struct run_observer *observer; /* NULL: none */
	bool hlog_failed;
};

static int
fail_with(int status, const char *error)
{
	log_errorx("%s", error);
	return status;
}

/* Logs errno and its subject. */
static int
log_system_error(const char *subject)
{
	log_error("%s", subject);
	return EX_OSERR;
}

static uint64_t
on_tick(void *context, uint64_t now_ns)
{
	struct run_context *run_context = context;
	sampler_tick(&run_context->sampler, now_ns);
	progress_show(&run_context->progress, &run_context->sampler, now_ns);
	return sampler_next_ns(&run_context->sampler);
}

static void
collect(struct run_context *run_context, struct result *ret)
{
	const struct coordinator_outcome *outcome = &run_context->outcome;
	char late[UNITS_TEXT_MAX];
	result_collect(
	    &run_context->plan, &run_context->counters_map, &run_context->sampler, ret);
	if (outcome->died > 0)
		result_trust_add(&ret->trust, RESULT_INVALID,
		    "%u of %u load processes did not finish", outcome->died,
		    run_context->plan.processes);
	if (outcome->late_ns > 0)
		result_trust_add(&ret->trust, RESULT_SUSPECT,
		    "the load started %s after --start-at: connecting took longer",
		    units_show_duration(outcome->late_ns, late));
}

static int
run_load(struct run_context *run_context, struct result *ret)
{
	struct coordinator_args args = {
		.plan = &run_context->plan,
		.sequence = &run_context->sequence,
		.expectation = &run_context->expectation,
		.counters_map = &run_context->counters_map,
		.on_tick = on_tick,
		.context = run_context,
		.observer = run_context->observer,
	};
	const struct run_view view = { &run_context->plan, &run_context->counters_map,
		&run_context->sampler };
	if (args.observer != NULL)
		args.observer->on_start(args.observer->context, &view);
	int rc = coordinator_run(&args, &run_context->outcome);
	if (args.observer != NULL)
		args.observer->on_stop(args.observer->context);
	progress_finish(&run_context->progress);
	if (rc < 0)
		return log_system_error("cannot start the load processes");
	sampler_stop(&run_context->sampler, clock_now_ns());
	run_context->sampler.interrupted = run_context->outcome.interrupted;
	collect(run_context, ret);
	return 0;
}

#define OUTAGES_PER_CONNECTION 4
#define OUTAGES_MIN 16384 /* of a load process */

/* Several periods for each connection of a load process. */
static uint32_t
outage_room(const struct plan *plan)
{
	uint32_t each = plan->rank_connections / plan->processes + 1;
	uint32_t room = each * OUTAGES_PER_CONNECTION;
	return room > OUTAGES_MIN ? room : OUTAGES_MIN;
}

/* Shared memory that only some runs need. 0, or -1 with errno. */
static int
add_maps(struct run_context *run_context)
{
	const struct plan *plan = &run_context->plan;
	struct counters_map *map = &run_context->counters_map;
	if (plan_expects_whoami(plan) &&
	    counters_map_add_seen(map, plan->rank_connections) < 0)
		return -1;
	if (plan->hold_ns > 0 && counters_map_add_outages(map, outage_room(plan)) < 0)
		return -1;
	return plan->target_count < 2
	    ? 0
	    : counters_map_add_targets(map, plan->target_count);
}

static int
run_with_counters(struct run_context *run_context, struct result *ret)
{
	const struct plan *plan = &run_context->plan;
	const char *hlog = plan->hlog != NULL ? plan->hlog : "cannot sample the run";
	if (counters_map_open(&run_context->counters_map, plan->processes,
		plan_expects_whoami(plan) ? COUNTERS_SERVERS_MAX
					  : plan->conversation.step_name_count) < 0)
		return log_system_error("cannot map the counters");
	if (add_maps(run_context) < 0) {
		counters_map_close(&run_context->counters_map);
		return log_system_error("cannot map the counters");
	}
	if (sampler_start(&run_context->sampler, plan, &run_context->counters_map) <
	    0) {
		counters_map_close(&run_context->counters_map);
		return log_system_error(hlog);
	}
	progress_init(&run_context->progress, plan);
	int status = run_load(run_context, ret);
	run_context->hlog_failed = sampler_finish(&run_context->sampler) < 0;
	if (run_context->hlog_failed)
		log_system_error(hlog);
	counters_map_close(&run_context->counters_map);
	return status;
}

static int
check_machine(struct run_context *run_context)
{
	char error[PLAN_ERROR_MAX];
	if (preflight_fit_processes(&run_context->plan, error) < 0)
		return fail_with(EX_OSERR, error);
	if (run_context->plan.skip_preflight)
		return 0;
	return preflight_run(&run_context->plan) < 0 ? EX_OSERR : 0;
}

static int
run_with_sequence(struct run_context *run_context, struct result *ret)
{
	char error[PLAN_ERROR_MAX];
	int status = sequence_open(&run_context->plan, &run_context->sequence, error);
	if (status != 0)
		return fail_with(status, error);
	plan_complete(&run_context->plan,
	    run_context->plan.conversation_file != NULL ? 1
							: run_context->sequence.count);
	status = check_machine(run_context);
	if (status == 0) {
		expectation_open(&run_context->plan, &run_context->sequence,
		    &run_context->expectation);
		status = run_with_counters(run_context, ret);
		expectation_close(&run_context->expectation);
	}
	sequence_close(&run_context->sequence);
	return status;
}

int
run_plan(const struct plan *plan, const struct run_observer *observer,
    struct result *ret, bool *ret_hlog_failed)
{
	static struct run_context run_context; /* a plan is large */
	run_context = (struct run_context){ .plan = *plan, .observer = observer };
	int status = run_with_sequence(&run_context, ret);
	*ret_hlog_failed = run_context.hlog_failed;
	return status;
}
