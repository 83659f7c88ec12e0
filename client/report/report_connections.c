#include "client/report/report_connections.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "lib/units.h"

/* Unacknowledged bytes this young may still be on their way. */
#define ACKNOWLEDGEMENT_NS (200 * NS_PER_MS)
#define WAIT_SHARE_SHOWN 0.01 /* of the time of all connections */
#define ALIKE_NS 5e6          /* times that differ by this much are alike */

const char *
report_connections_close(const struct result *result, char *out)
{
	const uint64_t *close = result->connections.close;
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
	if (result_aborted(&result->connections) == 0)
		return out;
	report_line_add(
	    &line, "%s in order", units_show_count(close[CLOSE_END_FIN], number));
	if (close[CLOSE_END_RESET] > 0)
		report_line_add(&line, "%s by a reset from the peer",
		    units_show_count(close[CLOSE_END_RESET], number));
	if (close[CLOSE_END_TIMEOUT] > 0)
		report_line_add(&line, "%s without a FIN from the peer for %s",
		    units_show_count(close[CLOSE_END_TIMEOUT], number),
		    units_show_duration(PLAN_CLOSE_TIMEOUT_NS, time));
	return out;
}

/* The kernel grants the option, and the server decides whether it has an effect. */
static bool
asks_fast_open(const struct result *result)
{
	const char *options = result->plan.socket_options;
	return options != NULL && strstr(options, "fast_open=1") != NULL &&
	    result->connections.established > 0;
}

const char *
report_connections_sockets(const struct result *result, char *out)
{
	const uint64_t *sockets = result->connections.sockets;
	uint64_t mptcp = sockets[SOCKET_MPTCP];
	uint64_t fallbacks = sockets[SOCKET_MPTCP_FALLBACK];
	uint64_t full = sockets[SOCKET_QUEUE_FULL];
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX];
	if (mptcp > 0)
		report_line_add(&line, "%s of MPTCP, %.3g subflow%s each at the end",
		    units_show_count(mptcp, number),
		    (double)sockets[SOCKET_SUBFLOWS] / (double)mptcp,
		    sockets[SOCKET_SUBFLOWS] == mptcp ? "" : "s");
	if (fallbacks > 0)
		report_line_add(&line, "%s fell back from MPTCP to TCP",
		    units_show_count(fallbacks, number));
	if (sockets[SOCKET_FAST_OPEN] > 0 || asks_fast_open(result))
		report_line_add(&line, "%s sent data in the SYN",
		    units_show_count(sockets[SOCKET_FAST_OPEN], number));
	if (full > 0)
		report_line_add(&line,
		    "%s attempt%s found the accept queue full and %s repeated",
		    units_show_count(full, number), report_line_plural(full),
		    full == 1 ? "was" : "were");
	return out;
}

const char *
report_connections_options(const struct result *result, char *out)
{
	const struct result_plan *plan = &result->plan;
	out[0] = '\0';
	if (plan->socket_options == NULL || plan->socket_options[0] == '\0')
		return out;
	const char *granted = plan->socket_options_granted;
	bool is_same = strcmp(plan->socket_options, granted) == 0;
	snprintf(out, REPORT_LINE_MAX, "%.300s%s%.300s", plan->socket_options,
	    is_same                  ? ", as granted by the kernel"
		: granted[0] == '\0' ? ""
				     : "; the kernel grants ",
	    is_same ? "" : granted);
	printable_sanitize(out);
	return out;
}

const char *
report_connections_wait(const struct result *result, char *out)
{
	const struct result_connections *c = &result->connections;
	double waited_s =
	    (double)c->close[CLOSE_END_TIMEOUT] * PLAN_CLOSE_TIMEOUT_NS / 1e9;
	double all_s = result->elapsed_s * (double)c->requested;
	bool reopens =
	    result->plan.messages_per_connection > 0 || result->plan.lifetime_ns > 0;
	out[0] = '\0';
	if (reopens && all_s > 0 && waited_s / all_s >= WAIT_SHARE_SHOWN)
		snprintf(out, REPORT_LINE_MAX,
		    "waiting for these FINs took %.0f %% of the connections' time and lowered the throughput",
		    100 * fmin(1, waited_s / all_s));
	return out;
}

const char *
report_connections_address(const struct result_address *address, char *out)
{
	uint64_t failed = result_failed(address->failed);
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
	if (strcmp(address->target, address->address) == 0)
		return out;
	report_line_add(&line, "%.128s at %.64s: ", address->target, address->address);
	line.separator = "";
	if (address->attempted == 0)
		report_line_add(&line, "not used");
	else
		report_line_add(&line, "%s of %s attempt%s established",
		    units_show_count(address->established, number),
		    units_show_count(address->attempted, all),
		    report_line_plural(address->attempted));
	for (int i = 0; i < CONNECT_FAILURE_COUNT; i++)
		if (address->failed[i] > 0)
			report_line_add(&line, "%s %s",
			    units_show_count(address->failed[i], number),
			    counters_connect_failure_names[i]);
	line.separator = ": ";
	if (failed > 0 && address->last_error[0] != '\0')
		report_line_add(&line, "%.128s", address->last_error);
	printable_sanitize(out);
	return out;
}

/* Times of several connections. */
struct times {
	uint64_t min_ns, max_ns, sum_ns, count;
};

/* The unit in which a time is shown, and its digits after the point. */
static double
unit_of(double ns, const char **ret_name, int *ret_digits)
{
	double unit = ns < 1e6 ? 1e3 : ns < 1e9 ? 1e6 : 1e9;
	double value = ns / unit;
	*ret_name = ns < 1e6 ? "us" : ns < 1e9 ? "ms" : "s";
	*ret_digits = value < 10 ? 2 : value < 100 ? 1 : 0;
	return unit;
}

/* Whether the mean stands for all of them. */
static bool
are_alike(const struct times *times, double mean_ns)
{
	return (double)(times->max_ns - times->min_ns) <= mean_ns / 10 + ALIKE_NS;
}

/* "3.00 s" of one, "each after 3.00 s idle (3.00 to 3.01)" of several alike, else
 * "after 0.20 to 3.01 s idle (mean 1.70)"; `what` is "idle". */
static void
add_times(struct report_line *line, const char *before, const struct times *times,
    const char *what)
{
	double mean = times->sum_ns > 0 ? (double)times->sum_ns / (double)times->count
					: (double)times->max_ns;
	const char *name;
	int digits;
	double unit = unit_of(mean, &name, &digits);
	double low = (double)times->min_ns / unit, high = (double)times->max_ns / unit;
	if (times->count == 1)
		report_line_add(line, "%s%.*f %s %s", before, digits, high, name, what);
	else if (are_alike(times, mean))
		report_line_add(line, "each %s%.*f %s %s (%.*f to %.*f)", before,
		    digits, mean / unit, name, what, digits, low, digits, high);
	else
		report_line_add(line, "%s%.*f to %.*f %s %s (mean %.*f)", before,
		    digits, low, digits, high, name, what, digits, mean / unit);
}

static const char *
verb_of(const char *why)
{
	if (strcmp(why, "timeout") == 0)
		return "timed out";
	if (strcmp(why, "mismatch") == 0)
		return "closed after a wrong answer";
	if (strcmp(why, "tls") == 0)
		return "ended by an error of TLS";
	return strcmp(why, "reset") == 0 ? "reset by the peer" : "closed by the peer";
}

/* Closed by this client: what the peer did before is shown with the wrong answer. */
static bool
is_mismatch(const char *why)
{
	return strcmp(why, "mismatch") == 0;
}

const char *
report_connections_losses(const struct result_losses *losses, char *out)
{
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX];
	const struct times silent = { losses->silent_min_ns, losses->silent_max_ns,
		losses->silent_sum_ns, losses->connections };
	const struct times age = { losses->age_min_ns, losses->age_max_ns,
		losses->age_sum_ns, losses->connections };
	report_line_add(&line, "%s connection%s %s",
	    units_show_count(losses->connections, number),
	    report_line_plural(losses->connections), verb_of(losses->why));
	line.separator = losses->connections > 1 && losses->was_idle ? ", " : " ";
	if (!losses->was_idle)
		report_line_add(&line, "with %s message%s in flight",
		    units_show_count(losses->messages, number),
		    report_line_plural(losses->messages));
	if (!is_mismatch(losses->why))
		add_times(
		    &line, "after ", &silent, losses->was_idle ? "idle" : "of silence");
	add_times(&line, "", &age, "after the connect");
	line.separator = "; ";
	if (strcmp(losses->first_at, losses->last_at) != 0)
		report_line_add(
		    &line, "from %.32s to %.32s", losses->first_at, losses->last_at);
	else
		report_line_add(&line, "at %.32s", losses->first_at);
	printable_sanitize(out);
	return out;
}

bool
report_connections_is_example(const struct result *result, size_t index)
{
	const struct result_lost_connection *lost = &result->lost_connections[index];
	for (size_t i = 0; i < index; i++) {
		const struct result_lost_connection *other =
		    &result->lost_connections[i];
		if (strcmp(other->why, lost->why) == 0 &&
		    (other->messages == 0) == (lost->messages == 0))
			return false;
	}
	return true;
}

const char *
report_connections_lost(const struct result_lost_connection *lost, char *out)
{
	snprintf(out, REPORT_LINE_MAX,
	    "connection %llu (%.64s to %.64s): %.16s at %.32s",
	    (unsigned long long)lost->connection, lost->local, lost->remote, lost->why,
	    lost->at);
	return out;
}

/* "messages 16 to 23 outstanding, the oldest for 1 s, 0 of 64 bytes of its reply
 * received" */
static void
add_outstanding(struct report_line *line, const struct result_lost_connection *lost)
{
	uint64_t last = lost->message + lost->messages - 1;
	char first[UNITS_TEXT_MAX], number[UNITS_TEXT_MAX], time[UNITS_TEXT_MAX];
	units_show_count(lost->message, first);
	units_show_duration(lost->waited_ns, time);
	if (lost->messages == 1)
		report_line_add(line, "message %s outstanding for %s", first, time);
	else
		report_line_add(line,
		    "messages %s to %s outstanding, the oldest for %s", first,
		    units_show_count(last, number), time);
	if (lost->waiting[0] != '\0')
		return;
	report_line_add(line, "%s of %s byte%s of its reply received",
	    units_show_count(lost->answer_bytes, number),
	    units_show_count(lost->answer_length, time),
	    report_line_plural(lost->answer_length));
}

const char *
report_connections_outstanding(const struct result_lost_connection *lost, char *out)
{
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX];
	units_show_duration(lost->silent_ns, number);
	if (is_mismatch(lost->why) && lost->messages == 0) {
		report_line_add(&line, "no other message was outstanding");
		return out;
	}
	if (lost->messages == 0 && lost->waiting[0] != '\0') {
		report_line_add(&line, "nothing received for %s", number);
	} else if (lost->messages == 0) {
		report_line_add(&line, "idle for %s when it was closed", number);
	} else {
		add_outstanding(&line, lost);
		line.separator = "; ";
		report_line_add(&line, "nothing received for %s", number);
	}
	line.separator = "; ";
	if (lost->unacknowledged > 0)
		report_line_add(&line,
		    lost->waited_ns < ACKNOWLEDGEMENT_NS
			? "%s byte%s sent, not yet acknowledged"
			: "no acknowledgement received for %s byte%s sent",
		    units_show_count(lost->unacknowledged, number),
		    report_line_plural(lost->unacknowledged));
	else
		report_line_add(&line,
		    lost->messages == 0 && lost->waiting[0] == '\0'
			? "nothing was outstanding"
			: "all bytes sent were acknowledged");
	return out;
}
