#include "client/report/report_connections.h"

#include "lib/units.h"

#define LABEL REPORT_TEXT_LABEL
#define TARGETS_SHOWN 8

static const char *
count(uint64_t number, char *buffer)
{
	return units_show_count(number, buffer);
}

/* " (3 refused, 1 timeout)"; nothing for none. */
static void
print_reasons(const uint64_t *failed, FILE *file)
{
	char number[UNITS_TEXT_MAX];
	const char *before = " (";

	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++) {
		if (failed[i] == 0)
			continue;
		fprintf(file, "%s%s %s", before, count(failed[i], number),
		    counters_connect_failure_names[i]);
		before = ", ";
	}
	if (*before == ',')
		fputc(')', file);
}

static void
print_rate(const struct result *result, FILE *file)
{
	char made[UNITS_TEXT_MAX], asked[UNITS_TEXT_MAX];

	if (result->connections_per_s < 1)
		return;
	fprintf(file, " (%s/s", count(result_whole(result->connections_per_s), made));
	if (result->plan.connect_rate > 0)
		fprintf(file, " of %s/s asked",
		    count(result_whole(result->plan.connect_rate), asked));
	fputc(')', file);
}

static void
print_connections(const struct result *result, FILE *file)
{
	const struct result_connections *c = &result->connections;
	char number[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX];

	fprintf(
	    file, LABEL "%s established", "connections", count(c->established, number));
	print_rate(result, file);
	fprintf(file, ", %s failed", count(result_failed(c), number));
	print_reasons(c->failed, file);
	if (c->lost > 0)
		fprintf(file, ", %s lost (%s of them reset)", count(c->lost, number),
		    count(c->reset, rate));
	if (c->reconnects > 0)
		fprintf(file, ", %s reconnects", count(c->reconnects, number));
	fputc('\n', file);
}

static uint64_t
failed_of(const struct result_target *target)
{
	uint64_t sum = 0;

	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		sum += target->failed[i];
	return sum;
}

/* Those that could not be called, by their names. */
static void
print_targets(const struct result *result, FILE *file)
{
	char number[UNITS_TEXT_MAX];
	size_t shown = 0;

	for (size_t i = 0; i < result->target_count; i++) {
		const struct result_target *target = &result->targets[i];

		if (failed_of(target) == 0 || shown++ >= TARGETS_SHOWN)
			continue;
		fprintf(file, LABEL "%s: %s failed", "", target->name,
		    count(failed_of(target), number));
		print_reasons(target->failed, file);
		fprintf(file, "%s%s\n", target->last_error[0] != '\0' ? ": " : "",
		    target->last_error);
	}
	if (shown > TARGETS_SHOWN)
		fprintf(file, LABEL "... %zu more are in the JSON\n", "",
		    shown - TARGETS_SHOWN);
}

/* Of connections that come and go: each leaves its port in TIME_WAIT when this side has
 * closed first. */
static void
print_ports(const struct result *result, FILE *file)
{
	const struct result_ports *ports = &result->ports;
	const struct result_plan *plan = &result->plan;
	char held[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX], before[UNITS_TEXT_MAX],
	    most[UNITS_TEXT_MAX];

	if (plan->messages_per_connection == 0 && plan->lifetime_ns == 0 &&
	    result->connections.reconnects == 0)
		return;
	fprintf(file,
	    LABEL
	    "%s of %s held at most; in TIME_WAIT on this machine %s before, %s at most\n",
	    "ports", count(ports->held_max, held), count(ports->available, all),
	    count(ports->time_wait_before, before), count(ports->time_wait_max, most));
}

void
report_connections(const struct result *result, FILE *file)
{
	print_connections(result, file);
	print_targets(result, file);
	print_ports(result, file);
}
