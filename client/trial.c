#include "client/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/units.h"

#include "client/conductor.h"
#include "client/expectation.h"
#include "client/flags.h"
#include "client/generator.h"
#include "client/ledgers.h"
#include "client/limits.h"
#include "client/outputs.h"
#include "client/preflight.h"
#include "client/progress.h"
#include "client/search.h"
#include "client/sequence.h"
#include "client/trust.h"
#include "client/watch.h"

/* What lives as long as a run. */
struct trial {
	struct plan plan; /* a copy: it is completed here */
	struct sequence sequence;
	struct expectation expectation;
	struct tallies tallies;
	struct watch watch;
	struct progress progress;
	struct conductor_outcome outcome;
};

/* The .hlog of the last trial could not be written to its end. What was measured is
 * reported all the same. */
static bool log_is_cut;

static int
say(int status, const char *error)
{
	log_errorx("%s", error);
	return status;
}

static void
on_tick(void *context, uint64_t now_ns)
{
	struct trial *trial = context;

	watch_tick(&trial->watch, now_ns);
	progress_show(&trial->progress, &trial->watch, now_ns);
}

/* What the result cannot tell by itself. */
static int
add_reasons(const struct trial *trial, struct result_trust *trust)
{
	const struct conductor_outcome *outcome = &trial->outcome;
	char late[UNITS_TEXT_MAX];

	if (outcome->died > 0 &&
	    trust_add(trust, RESULT_INVALID,
		"%u of %u generator processes did not finish", outcome->died,
		trial->plan.processes) < 0)
		return -1;
	if (outcome->late_ns == 0)
		return 0;
	return trust_add(trust, RESULT_SUSPECT,
	    "the load began %s after --start-at: that was over before all were connected",
	    units_show_duration(outcome->late_ns, late));
}

static int
collect(struct trial *trial, struct result *ret)
{
	if (result_collect(&trial->plan, &trial->tallies, &trial->watch, NULL, ret) < 0)
		return say(EX_OSERR, strerror(errno));
	ret->interrupted = trial->outcome.interrupted;
	if (add_reasons(trial, &ret->trust) == 0)
		return 0;
	result_finish(ret);
	return say(EX_OSERR, strerror(ENOMEM));
}

/* Forks, runs, collects. */
static int
perform(struct trial *trial, struct result *ret)
{
	struct conductor_args args = {
		.plan = &trial->plan,
		.sequence = &trial->sequence,
		.expectation = &trial->expectation,
		.tallies = &trial->tallies,
		.on_tick = on_tick,
		.context = trial,
	};

	if (conductor_run(&args, &trial->outcome) != 0) {
		log_error("the generator processes cannot be started");
		return EX_OSERR;
	}
	watch_stop(&trial->watch, generator_clock());
	progress_clear(&trial->progress);
	trial->watch.interrupted = trial->outcome.interrupted;
	return collect(trial, ret);
}

/* Of errno, and of the file that it is about; NULL: of none. */
static int
say_file(const char *path)
{
	if (path == NULL)
		return say(EX_OSERR, strerror(errno));
	log_error("%s", path);
	return EX_OSERR;
}

static int
with_memory(struct trial *trial, struct result *ret)
{
	const struct plan *plan = &trial->plan;

	if (tallies_open(&trial->tallies, plan->processes) < 0)
		return say(EX_OSERR, strerror(errno));
	if (watch_start(&trial->watch, plan, &trial->tallies) < 0) {
		tallies_close(&trial->tallies);
		return say_file(plan->hlog);
	}
	progress_init(&trial->progress, plan);
	int status = perform(trial, ret);
	log_is_cut = watch_finish(&trial->watch) != 0;
	if (log_is_cut)
		say_file(plan->hlog);
	tallies_close(&trial->tallies);
	return status;
}

/* What the run needs of the machine is there, or is named. */
static int
check_machine(struct trial *trial)
{
	char error[PLAN_ERROR_MAX];

	if (limits_fit(&trial->plan, error) < 0)
		return say(EX_OSERR, error);
	if (trial->plan.skip_preflight)
		return 0;
	return preflight(&trial->plan) < 0 ? EX_OSERR : 0;
}

static int
with_messages(struct trial *trial, struct result *ret)
{
	char error[PLAN_ERROR_MAX];

	int status = sequence_open(&trial->plan, &trial->sequence, error);
	if (status != 0)
		return say(status, error);
	plan_complete(&trial->plan, trial->sequence.count);
	status = check_machine(trial);
	if (status == 0 &&
	    expectation_open(&trial->plan, &trial->sequence, &trial->expectation) < 0)
		status = say(EX_OSERR, strerror(ENOMEM));
	if (status == 0) {
		status = with_memory(trial, ret);
		expectation_close(&trial->expectation);
	}
	sequence_close(&trial->sequence);
	return status;
}

int
trial_run(const struct plan *plan, struct result *ret)
{
	static struct trial trial; /* a plan is large; one trial at a time */

	trial = (struct trial){ .plan = *plan };
	return with_messages(&trial, ret);
}

static struct outputs
outputs_of(const struct plan *plan)
{
	return (struct outputs){
		.json = plan->json,
		.hgrm = plan->hgrm,
		.html = plan->html,
		.hlog = plan->hlog,
		.quiet = plan->quiet,
	};
}

int
trial_report(const struct plan *plan, const struct result *result)
{
	struct outputs outputs = outputs_of(plan);

	if (outputs_write(&outputs, result) != 0 || log_is_cut)
		return EX_OSERR;
	return result_exit_status(result);
}

static int
run_once(const struct plan *plan)
{
	struct result_ledger_server *servers = NULL;
	struct result result;
	int ledger, status = ledgers_open(plan, &servers);

	if (status == 0)
		status = trial_run(plan, &result);
	if (status != 0) {
		free(servers);
		return status;
	}
	ledger = ledgers_reconcile(plan, servers, &result);
	free(servers);
	status = trial_report(plan, &result);
	result_finish(&result);
	return status != 0 ? status : ledger;
}

int
trial_main(int argc, char **argv)
{
	static struct plan plan;
	char error[PLAN_ERROR_MAX];

	limits_raise();
	plan_init(&plan);
	flags_parse(argc, argv, &plan);
	int status = plan_check(&plan, error);
	struct outputs outputs = outputs_of(&plan);
	if (status != 0)
		say(status, error);
	else if ((status = outputs_check(&outputs)) == 0)
		status = plan.search != NULL ? search_run(&plan) : run_once(&plan);
	plan_finish(&plan);
	return status;
}
