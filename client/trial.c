#include "client/trial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"

#include "client/conductor.h"
#include "client/expectation.h"
#include "client/flags.h"
#include "client/generator.h"
#include "client/limits.h"
#include "client/outputs.h"
#include "client/plan.h"
#include "client/progress.h"
#include "client/result.h"
#include "client/sequence.h"
#include "client/trust.h"
#include "client/watch.h"

/* What lives as long as a run. */
struct trial {
	struct plan plan;
	struct sequence sequence;
	struct expectation expectation;
	struct tallies tallies;
	struct watch watch;
	struct progress progress;
	struct conductor_outcome outcome;
};

static int
say(int status, const char *error)
{
	log_errorx("%s", error);
	return status;
}

static void
on_tick(void *context, uint64_t now_ns)
{
	struct trial *run = context;

	watch_tick(&run->watch, now_ns);
	progress_show(&run->progress, &run->watch, now_ns);
}

static int
tell(struct trial *run)
{
	struct result result;

	if (result_collect(&run->plan, &run->tallies, &run->watch, NULL, &result) != 0)
		return say(EX_OSERR, strerror(errno));
	result.interrupted = run->outcome.interrupted;
	if (run->outcome.died > 0 &&
	    trust_add(&result.trust, RESULT_INVALID,
		"%u of %u generator processes did not finish", run->outcome.died,
		run->plan.processes) != 0)
		return say(EX_OSERR, strerror(errno));
	int status = result_exit_status(&result);
	struct outputs outputs = { .json = run->plan.json,
		.hgrm = run->plan.hgrm,
		.html = run->plan.html,
		.quiet = run->plan.quiet,
		.stdout_taken =
		    run->plan.hlog != NULL && strcmp(run->plan.hlog, "-") == 0 };
	if (outputs_write(&outputs, &result) != 0)
		status = EX_OSERR;
	result_finish(&result);
	return status;
}

/* Forks, runs, reports. */
static int
perform(struct trial *run)
{
	struct conductor_args args = {
		.plan = &run->plan,
		.sequence = &run->sequence,
		.expectation = &run->expectation,
		.tallies = &run->tallies,
		.on_tick = on_tick,
		.context = run,
	};

	fflush(stdout);
	if (conductor_run(&args, &run->outcome) != 0)
		return say(EX_OSERR, strerror(errno));
	watch_stop(&run->watch, generator_clock());
	progress_clear(&run->progress);
	run->watch.interrupted = run->outcome.interrupted;
	return tell(run);
}

static int
with_memory(struct trial *run)
{
	if (tallies_open(&run->tallies, run->plan.processes) != 0)
		return say(EX_OSERR, strerror(errno));
	if (watch_start(&run->watch, &run->plan, &run->tallies) != 0) {
		tallies_close(&run->tallies);
		return say(EX_OSERR, strerror(errno));
	}
	progress_init(&run->progress, &run->plan);
	int status = perform(run);
	if (watch_finish(&run->watch) != 0 && status == 0)
		status = say(EX_OSERR, strerror(errno));
	tallies_close(&run->tallies);
	return status;
}

static int
with_messages(struct trial *run)
{
	char error[PLAN_ERROR_MAX];

	if (sequence_open(&run->plan, &run->sequence, error) != 0)
		return say(EX_USAGE, error);
	plan_complete(&run->plan, run->sequence.count);
	int status;
	if (limits_fit(&run->plan, error) != 0) {
		status = say(EX_OSERR, error);
	} else if (expectation_open(&run->plan, &run->sequence, &run->expectation) !=
	    0) {
		status = say(EX_OSERR, strerror(errno));
	} else {
		status = with_memory(run);
		expectation_close(&run->expectation);
	}
	sequence_close(&run->sequence);
	return status;
}

int
trial_main(int argc, char **argv)
{
	static struct trial run; /* a plan is large */
	char error[PLAN_ERROR_MAX];

	limits_raise();
	plan_init(&run.plan);
	flags_parse(argc, argv, &run.plan);
	int status = plan_check(&run.plan, error);
	if (status != 0)
		say(status, error);
	else
		status = with_messages(&run);
	plan_finish(&run.plan);
	return status;
}
