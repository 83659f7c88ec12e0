#include "client/outputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/histogram_codec.h"

#include "client/report_html.h"
#include "client/report_text.h"

#define NS_PER_MS 1e6

typedef int write_function(const struct result *result, FILE *file);

static int
write_hgrm(const struct result *result, FILE *file)
{
	histogram_codec_write_hgrm(file, result->latency[TALLY_RESPONSE], NS_PER_MS);
	return 0;
}

/* 0, or -1 with errno. */
static int
write_to(const char *path, write_function *write, const struct result *result)
{
	FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	int status, error;

	if (file == NULL)
		return -1;
	status = write(result, file);
	if (ferror(file))
		status = -1;
	error = errno;
	if ((file == stdout ? fflush(file) : fclose(file)) != 0 && status == 0) {
		status = -1;
		error = errno;
	}
	errno = error;
	return status;
}

static int
write_one(const char *path, write_function *write, const struct result *result)
{
	if (path == NULL || write_to(path, write, result) == 0)
		return 0;
	fprintf(stderr, "yodel: %s: %s\n", path, strerror(errno));
	return EX_OSERR;
}

static bool
is_stdout(const char *path)
{
	return path != NULL && strcmp(path, "-") == 0;
}

int
outputs_write(const struct outputs *outputs, const struct result *result)
{
	bool taken = outputs->stdout_taken || is_stdout(outputs->json) ||
	    is_stdout(outputs->hgrm) || is_stdout(outputs->html);
	int status = write_one(outputs->json, result_write_json, result);

	status |= write_one(outputs->hgrm, write_hgrm, result);
	status |= write_one(outputs->html, report_html, result);
	if (!outputs->quiet) {
		FILE *file = taken ? stderr : stdout;

		report_text(result, file);
		if (fflush(file) != 0)
			status |= EX_OSERR;
	}
	return status;
}
