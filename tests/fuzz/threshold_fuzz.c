/*
 * Thresholds. An accepted threshold keeps its text, can be tested against any value,
 * and its outcome is formatted as text that fits; a rejected text has an error.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/plan/threshold.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_description(const struct threshold *threshold, double value)
{
	const struct threshold_outcome outcomes[] = {
		{ .threshold = *threshold, .value = value },
		{ .threshold = *threshold,
		    .value = value,
		    .passed = true,
		    .known = true },
	};
	char buffer[THRESHOLD_TEXT_MAX];

	must(strlen(threshold_format(threshold, value, buffer)) < sizeof(buffer));
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		must(strlen(threshold_describe(&outcomes[i], buffer)) < sizeof(buffer));
}

static void
check(const char *text, const struct threshold *threshold)
{
	struct threshold again;
	char error[512];

	must(strcmp(threshold->text, text) == 0);
	must(threshold_parse(threshold->text, &again, error, sizeof(error)) == 0);
	must(again.figure == threshold->figure && again.op == threshold->op);
	must(again.limit == threshold->limit && again.share == threshold->share);
	must(threshold->limit >= 0 && isfinite(threshold->limit));
	must(!threshold->share || threshold->limit <= 1);
	must(threshold_count_min(threshold) >= 30);
	check_description(threshold, 0);
	check_description(threshold, threshold->limit);
	check_description(threshold, 1e18);
	check_description(threshold, NAN);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), error[512] = "";
	struct threshold threshold;

	must(text != NULL);
	if (threshold_parse(text, &threshold, error, sizeof(error)) == 0)
		check(text, &threshold);
	else
		must(error[0] != '\0');
	free(text);
	return 0;
}
