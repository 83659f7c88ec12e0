#include "client/plan/threshold.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stats/percentile_interval.h"
#include "lib/units.h"

#define COUNT_MIN 30       /* samples for any figure */
#define LATENCY_MIN_NS 100 /* below what any run can measure */

const char *const threshold_latency_names[] = { "response", "service", "blocked",
	"send_lag", "receive_lag", "connect", "tls_handshake", "tls_resumed", "opening",
	"ending", "close", "loop_lag", "silence", "age" };

static const struct {
	const char *name;
	enum threshold_figure figure;
} figures[] = {
	{ "mean", THRESHOLD_MEAN },
	{ "min", THRESHOLD_MIN },
	{ "max", THRESHOLD_MAX },
	{ "stddev", THRESHOLD_STDDEV },
	{ "lost", THRESHOLD_LOST },
	{ "wrong", THRESHOLD_WRONG },
	{ "failed", THRESHOLD_FAILED },
	{ "aborted", THRESHOLD_ABORTED },
	{ "dark", THRESHOLD_DARK },
	{ "rate", THRESHOLD_RATE },
};

bool
threshold_is_latency(const struct threshold *threshold)
{
	return threshold->figure <= THRESHOLD_STDDEV;
}

/* "99", "99.9", "999" (99.9), "9999" (99.99). */
static int
parse_percentile(const char *digits, double *ret)
{
	char *end;
	double value;
	if (strspn(digits, "0123456789.") != strlen(digits) || *digits == '\0')
		return -1;
	value = strtod(digits, &end);
	if (*end != '\0')
		return -1;
	if (strchr(digits, '.') == NULL && *digits == '9')
		while (value >= 100)
			value /= 10;
	if (value > 100)
		return -1;
	*ret = value;
	return 0;
}

static int
parse_figure(const char *name, struct threshold *ret)
{
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (strcmp(name, figures[i].name) == 0) {
			ret->figure = figures[i].figure;
			return 0;
		}
	if (name[0] != 'p' || parse_percentile(name + 1, &ret->percentile) < 0)
		return -1;
	ret->figure = THRESHOLD_PERCENTILE;
	return 0;
}

/* "figure[step]" */
static int
parse_step_metric(const char *name, const char *bracket, struct threshold *ret)
{
	size_t length = strlen(bracket + 1), figure = (size_t)(bracket - name);
	char text[THRESHOLD_TEXT_MAX];
	if (length < 2 || length > sizeof(ret->step) || bracket[length] != ']')
		return -1;
	snprintf(ret->step, sizeof(ret->step), "%.*s", (int)length - 1, bracket + 1);
	snprintf(text, sizeof(text), "%.*s", (int)figure, name);
	return parse_figure(text, ret) == 0 && threshold_is_latency(ret) ? 0 : -1;
}

/* "[histogram.]figure": the part before the first dot may name a histogram. */
static int
parse_metric(const char *name, struct threshold *ret)
{
	const char *dot = strchr(name, '.'), *bracket = strchr(name, '[');
	ret->histogram = LATENCY_RESPONSE;
	if (bracket != NULL)
		return parse_step_metric(name, bracket, ret);
	for (int i = 0; dot != NULL && i < LATENCY_KIND_COUNT; i++) {
		const char *known = threshold_latency_names[i];
		if (strlen(known) != (size_t)(dot - name) ||
		    strncmp(name, known, strlen(known)) != 0)
			continue;
		ret->histogram = i;
		return parse_figure(dot + 1, ret) == 0 && threshold_is_latency(ret)
		    ? 0
		    : -1;
	}
	return parse_figure(name, ret);
}

static int
parse_limit(const char *text, struct threshold *ret)
{
	size_t length = strlen(text);
	char *end, count[UNITS_TEXT_MAX];
	uint64_t number;
	if (threshold_is_latency(ret)) {
		if (units_parse_duration(text, &number) != 0)
			return -1;
		ret->limit = (double)number;
		return 0;
	}
	if (length > 1 && text[length - 1] == '%' && ret->figure != THRESHOLD_RATE) {
		ret->limit = strtod(text, &end) / 100;
		ret->share = true;
		return end == text + length - 1 && ret->limit >= 0 && ret->limit <= 1
		    ? 0
		    : -1;
	}
	/* Rates are printed as "10k/s", and --rate accepts that, too. */
	if (ret->figure == THRESHOLD_RATE && length > 2 && length < sizeof(count) &&
	    strcmp(text + length - 2, "/s") == 0)
		length -= 2;
	snprintf(count, sizeof(count), "%.*s", (int)length, text);
	if (length >= sizeof(count) || units_parse_count(count, &number) != 0)
		return -1;
	ret->limit = (double)number;
	return 0;
}

/* True if no run can stay below this upper limit. */
static bool
is_impossible(const struct threshold *threshold)
{
	if (threshold->op != THRESHOLD_LT && threshold->op != THRESHOLD_LE)
		return false;
	if (threshold_is_latency(threshold) && threshold->figure != THRESHOLD_STDDEV)
		return threshold->limit < LATENCY_MIN_NS;
	return threshold->op == THRESHOLD_LT && threshold->limit <= 0;
}

static const char *
expected_limit(const struct threshold *threshold)
{
	if (threshold_is_latency(threshold))
		return "a duration (5ms)";
	if (threshold->figure == THRESHOLD_RATE)
		return "messages per second (10k)";
	return "a count or a percentage (0, 0.1%)";
}

int
threshold_parse(const char *text, struct threshold *ret, char *error, size_t error_size)
{
	size_t length = strcspn(text, "<>");
	const char *at = text + length;
	struct threshold found = { 0 };
	char name[THRESHOLD_TEXT_MAX];
	if (*at == '\0' || strlen(text) >= sizeof(found.text)) {
		snprintf(error, error_size,
		    "\"%.64s\": expected METRIC<LIMIT or METRIC>LIMIT, as in p99<5ms",
		    text);
		return -1;
	}
	snprintf(found.text, sizeof(found.text), "%s", text);
	snprintf(name, sizeof(name), "%.*s", (int)length, text);
	if (parse_metric(name, &found) < 0) {
		snprintf(error, error_size,
		    "\"%s\": found metric \"%s\", expected p50 p99 p99.9 ... mean min max stddev (of response, service.p99 ..., or p99[STEP]), lost, wrong, failed, aborted, dark or rate",
		    text, name);
		return -1;
	}
	found.op = *at == '<' ? THRESHOLD_LT : THRESHOLD_GT;
	if (*++at == '=') {
		found.op = found.op == THRESHOLD_LT ? THRESHOLD_LE : THRESHOLD_GE;
		at++;
	}
	if (parse_limit(at, &found) != 0) {
		snprintf(error, error_size, "\"%s\": found \"%s\", expected %s", text,
		    at, expected_limit(&found));
		return -1;
	}
	if (is_impossible(&found)) {
		snprintf(error, error_size,
		    "\"%s\": found \"%s\", which no run can meet; expected %s", text,
		    at, threshold_is_latency(&found) ? "at least 0.1us" : "<= or more");
		return -1;
	}
	*ret = found;
	return 0;
}

uint64_t
threshold_count_min(const struct threshold *threshold)
{
	uint64_t needed = 0;
	if (threshold->figure == THRESHOLD_PERCENTILE)
		needed = percentile_interval_count_min(threshold->percentile);
	return needed > COUNT_MIN ? needed : COUNT_MIN;
}

static uint64_t
whole(double value)
{
	return value > 0 ? (uint64_t)fmin(value + 0.5, 1e18) : 0;
}

const char *
threshold_format(const struct threshold *threshold, double value, char *buffer)
{
	char text[UNITS_TEXT_MAX];
	if (!isfinite(value))
		snprintf(buffer, THRESHOLD_TEXT_MAX, "no answer");
	else if (threshold_is_latency(threshold))
		snprintf(buffer, THRESHOLD_TEXT_MAX, "%s",
		    units_show_duration(whole(value), text));
	else if (threshold->share)
		snprintf(buffer, THRESHOLD_TEXT_MAX, "%.4g%%", 100 * value);
	else
		snprintf(buffer, THRESHOLD_TEXT_MAX, "%s%s",
		    units_show_count(whole(value), text),
		    threshold->figure == THRESHOLD_RATE ? "/s" : "");
	return buffer;
}

const char *
threshold_describe(const struct threshold_outcome *outcome, char *buffer)
{
	char value[THRESHOLD_TEXT_MAX];
	bool empty = !outcome->known && !outcome->passed && !(outcome->value > 0);
	if (empty)
		snprintf(buffer, THRESHOLD_TEXT_MAX, "no samples");
	else if (!isfinite(outcome->value))
		snprintf(buffer, THRESHOLD_TEXT_MAX,
		    "some messages got no answer (counted as infinitely late)");
	else
		snprintf(buffer, THRESHOLD_TEXT_MAX, "%.32s%s",
		    threshold_format(&outcome->threshold, outcome->value, value),
		    outcome->known ? "" : ", but there are too few samples");
	return buffer;
}
