/*
 * result_read_json: one result, or two separated by a NUL. A result that it accepts can
 * be judged, merged with the other one or itself and written as every report, and is
 * unchanged after a round trip through JSON.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/report/report_html.h"
#include "client/report/report_text.h"
#include "client/result/result.h"
#include "client/result/verdict.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
read_text(const void *text, size_t size, struct result *ret)
{
	char error[RESULT_ERROR_MAX] = "";
	FILE *file = fmemopen((void *)(uintptr_t)text, size, "r");
	int status;

	must(file != NULL);
	status = result_read_json(file, ret, error);
	must(status == 0 || error[0] != '\0');
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
write_reports(const struct result *result)
{
	FILE *nowhere = fopen("/dev/null", "w");

	must(nowhere != NULL);
	report_text(result, nowhere);
	must(report_html(result, nowhere) == 0);
	fclose(nowhere);
}

/* Finishes both. */
static void
merge(struct result *into, struct result *from)
{
	char error[RESULT_ERROR_MAX] = "";

	if (result_merge(into, from, error) == 0) {
		verdict_evaluate(into);
		check_round_trip(into);
		write_reports(into);
	} else {
		must(error[0] != '\0');
	}
	result_finish(into);
	result_finish(from);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *middle = memchr(data, '\0', size), *second = data;
	size_t first_size = size, second_size = size;
	struct result result, other;

	if (middle != NULL) {
		first_size = (size_t)(middle - data);
		second = middle + 1;
		second_size = size - first_size - 1;
	}
	if (first_size == 0 || second_size == 0 ||
	    read_text(data, first_size, &result) != 0)
		return 0;
	check_round_trip(&result);
	write_reports(&result);
	if (read_text(second, second_size, &other) == 0)
		merge(&result, &other);
	else
		result_finish(&result);
	return 0;
}
