/*
 * The reader of results. What it takes can be judged, merged, told in every form, and
 * comes back from its own JSON unchanged.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/report_html.h"
#include "client/report_text.h"
#include "client/result.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
read_text(const void *text, size_t size, struct result *ret)
{
	char error[RESULT_ERROR_MAX];
	FILE *file = fmemopen((void *)(uintptr_t)text, size, "r");
	int status;

	must(file != NULL);
	status = result_read_json(file, ret, error);
	fclose(file);
	return status;
}

static char *
write_text(const struct result *result, size_t *ret_size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_size);

	must(file != NULL && result_write_json(result, file) == 0);
	fclose(file);
	return text;
}

static void
check_round_trip(const struct result *result)
{
	size_t size, size_again;
	char *text = write_text(result, &size), *again;
	struct result back;

	must(read_text(text, size, &back) == 0);
	again = write_text(&back, &size_again);
	must(size == size_again && memcmp(text, again, size) == 0);
	result_finish(&back);
	free(again);
	free(text);
}

static void
tell(const struct result *result)
{
	FILE *nowhere = fopen("/dev/null", "w");

	must(nowhere != NULL);
	report_text(result, nowhere);
	must(report_html(result, nowhere) == 0);
	fclose(nowhere);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[RESULT_ERROR_MAX];
	struct result result, other;

	if (size == 0 || read_text(data, size, &result) != 0)
		return 0;
	check_round_trip(&result);
	must(read_text(data, size, &other) == 0);
	if (result_merge(&result, &other, error) == 0) {
		must(result_judge(&result) == 0);
		check_round_trip(&result);
	}
	result_finish(&result);
	tell(&other);
	result_finish(&other);
	return 0;
}
