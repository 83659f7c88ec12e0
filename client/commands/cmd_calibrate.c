#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/resources.h"
#include "lib/units.h"

#include "client/commands/commands.h"
#include "client/commands/echo_peer.h"
#include "client/plan/plan.h"
#include "client/result/verdict.h"
#include "client/run/run.h"

#define CONNECTIONS 50
#define MESSAGE_BYTES 64
#define CLOSED_NS NS_PER_S
#define PACED_NS NS_PER_S
#define PACED_RATE 2000.0
#define EXIT_LOST 1

/* The part of the plan that all measurements share. */
static void
describe(struct plan *plan, const char *target)
{
	plan_init(plan);
	plan->connections = CONNECTIONS;
	plan->size_text = "64";
	plan->expect_text = "echo";
	plan->quiet = true;
	/* Measure this machine alone, even when it is one rank of several. */
	plan->rank_text = "0/1";
	plan->progress = PLAN_PROGRESS_NEVER;
	if (options_list_add(&plan->target_texts, target) < 0)
		fatalx(EX_OSERR, "out of memory");
}

static int
try_plan(struct plan *plan, struct result *ret)
{
	char error[PLAN_ERROR_MAX];
	bool hlog_failed;
	int status = plan_check(plan, error);
	if (status != 0)
		log_errorx("%s", error);
	else
		status = run_plan(plan, ret, &hlog_failed);
	plan_finish(plan);
	return status;
}

static void
show_closed(const struct result *result, uint32_t processes)
{
	double cpu = result->host.cpu_user_s + result->host.cpu_sys_s;
	uint64_t messages = result->messages.verified;
	printf(
	    "closed loop  %9.0f messages/s verified with %u process%s, %.2f us of CPU time per message\n",
	    result->messages_per_s, processes, processes > 1 ? "es" : "",
	    messages > 0 ? cpu * 1e6 / (double)messages : 0.0);
}

static void
show_paced(const struct result *result, const char *how)
{
	const struct histogram *lag = result->latency[LATENCY_SEND_LAG];
	char p50[UNITS_TEXT_MAX], p99[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];
	double cpu = result->host.cpu_user_s + result->host.cpu_sys_s;
	printf(
	    "pacing       sent %s late at the median, %s at p99, %s at most (%s, %.0f %% of a CPU)\n",
	    units_show_duration(histogram_percentile(lag, 50), p50),
	    units_show_duration(histogram_percentile(lag, 99), p99),
	    units_show_duration(histogram_max(lag), max), how,
	    result->elapsed_s > 0 ? cpu / result->elapsed_s * 100 : 0.0);
}

/* The exit status; an interrupt also skips the measurements that follow. */
static int
finish(struct result *result)
{
	int status = verdict_exit_status(result);
	if (status == 0 && result->interrupted)
		status = EXIT_LOST;
	result_finish(result);
	return status;
}

static int
closed_loop(struct plan *plan, const char *target, uint32_t processes)
{
	struct result result;
	describe(plan, target);
	plan->duration_ns = CLOSED_NS;
	plan->processes = processes;
	plan->processes_auto = processes == 0;
	int status = try_plan(plan, &result);
	if (status != 0)
		return status;
	show_closed(&result, (uint32_t)result.plan.processes);
	return finish(&result);
}

static int
paced(struct plan *plan, const char *target, uint64_t spin_ns, const char *how)
{
	struct result result;
	describe(plan, target);
	plan->duration_ns = PACED_NS;
	plan->rate_all = PACED_RATE;
	plan->processes = 1;
	plan->processes_auto = false;
	plan->spin_ns = spin_ns;
	int status = try_plan(plan, &result);
	if (status != 0)
		return status;
	show_paced(&result, how);
	return finish(&result);
}

static int
calibrate(const char *target)
{
	static struct plan plan; /* large */
	int status;
	printf(
	    "Limits of this client on this machine: %d connections, messages of %d bytes, a minimal echo server on the same machine.\n",
	    CONNECTIONS, MESSAGE_BYTES);
	fflush(stdout);
	if ((status = closed_loop(&plan, target, 1)) != 0 ||
	    (status = closed_loop(&plan, target, 0)) != 0 ||
	    (status = paced(&plan, target, 0, "sleeping")) != 0)
		return status;
	return paced(&plan, target, UINT64_C(200000), "--spin 200us");
}

int
cmd_calibrate(int argc, char **argv)
{
	static const struct option_row rows[] = { { .name = NULL } };
	static const struct options_command command = {
		.name = "yodel calibrate",
		.version = "yodel " YODEL_VERSION,
		.intro =
		    "Measures what this client can do here at most: the rate of a closed loop, the CPU time of a message and the precision of its pacing, against an echo server of its own.",
		.rows = rows,
	};
	char target[32];
	uint16_t port;
	options_parse(&command, argc, argv, NULL);
	resources_raise_descriptor_limit();
	pid_t peer = echo_peer_start(&port);
	if (peer < 0) {
		log_errorx("cannot start the echo server: %s", strerror(errno));
		return EX_OSERR;
	}
	snprintf(target, sizeof(target), "127.0.0.1:%u", port);
	int status = calibrate(target);
	echo_peer_stop(peer);
	return status;
}
