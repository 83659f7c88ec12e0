#include <errno.h>
#include <stdarg.h>
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
#include "client/report/text_layout.h"
#include "client/result/verdict.h"
#include "client/run/run.h"

#define CONNECTIONS 50
#define MESSAGE_BYTES 64
#define DURATION_NS NS_PER_S
#define PACED_RATE 2000.0
#define EXIT_LOST 1

struct measurement {
	uint32_t processes; /* 0: chosen automatically */
	double rate;        /* 0: closed loop */
	uint64_t spin_ns;
	const char *how; /* of a paced load */
};

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
	options_list_add(&plan->target_texts, target);
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
		status = run_plan(plan, NULL, ret, &hlog_failed);
	plan_finish(plan);
	return status;
}

__attribute__((format(printf, 1, 2))) static void
print(const char *format, ...)
{
	struct text_layout_text text;
	va_list arguments;
	text_layout_begin(&text);
	va_start(arguments, format);
	vfprintf(text.out, format, arguments);
	va_end(arguments);
	text_layout_end(&text, stdout);
	fflush(stdout);
}

static void
show_closed(const struct result *result, uint32_t processes)
{
	double cpu = result->host.cpu_user_s + result->host.cpu_sys_s;
	uint64_t messages = result->messages.verified;
	print(
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
	print(
	    "pacing       sent %s late at the median, %s at p99, %s at most (%s, %.0f %% of a CPU)\n",
	    units_show_duration(histogram_percentile(lag, 50), p50),
	    units_show_duration(histogram_percentile(lag, 99), p99),
	    units_show_duration(histogram_max(lag), max), how,
	    result->elapsed_s > 0 ? cpu / result->elapsed_s * 100 : 0.0);
}

/* The exit status; an interrupt also skips the measurements that follow. */
static int
measure(struct plan *plan, const char *target, const struct measurement *measurement)
{
	struct result result;
	describe(plan, target);
	plan->duration_ns = DURATION_NS;
	plan->processes = measurement->processes;
	plan->processes_auto = measurement->processes == 0;
	plan->rate_all = measurement->rate;
	plan->spin_ns = measurement->spin_ns;
	int status = try_plan(plan, &result);
	if (status != 0)
		return status;
	if (measurement->rate > 0)
		show_paced(&result, measurement->how);
	else
		show_closed(&result, (uint32_t)result.plan.processes);
	status = verdict_exit_status(&result);
	if (status == 0 && result.interrupted)
		status = EXIT_LOST;
	result_finish(&result);
	return status;
}

static int
calibrate(const char *target)
{
	static const struct measurement measurements[] = {
		{ .processes = 1 },
		{ .processes = 0 },
		{ 1, PACED_RATE, 0, "sleeping" },
		{ 1, PACED_RATE, UINT64_C(200000), "--spin 200us" },
	};
	static struct plan plan; /* large */
	int status = 0;
	print(
	    "Limits of this client on this machine: %d connections, messages of %d bytes, a minimal echo server on the same machine.\n",
	    CONNECTIONS, MESSAGE_BYTES);
	for (size_t i = 0;
	     status == 0 && i < sizeof(measurements) / sizeof(*measurements); i++)
		status = measure(&plan, target, &measurements[i]);
	return status;
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
		.notes =
		    "Exit status: 0 measured, 1 interrupted or messages lost, 64 usage, 71 system.",
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
